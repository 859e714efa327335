"""Claims about training, on small random images: pairing, stacking, last batches, divergence, what is scored."""

from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf
import toy
from keras import layers
from toy import DATA, TEST, TRAIN, VALIDATION, settings, train

from descent.core import parameters
from descent.training import environment
from descent.training.measurements import LOSSES, MEASUREMENTS, Wanted
from descent.training.settings import TrainingParameters


def sgd(learning_rate=0.1):
    return keras.optimizers.SGD(learning_rate)


def normalized(seed):
    """A functional network with batch normalization, a residual and penalties, which nothing stacks."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input(toy.SHAPE)
    x = layers.Dense(8, kernel_regularizer=keras.regularizers.L2(0.01))(layers.Flatten()(inputs))
    x = layers.Add()([x, layers.Dense(8)(layers.Activation("relu")(layers.BatchNormalization(momentum=0.5)(x)))])
    return keras.Model(inputs, layers.Dense(toy.CLASSES)(layers.Dropout(0.3)(x)))


MLP = toy.mlp()
# In one batch, a step is compiled once: where a loop over batches is not the claim.
AT_ONCE = {"batch_size": len(TRAIN.labels)}


def test_layers_have_the_same_names_in_every_run():
    """A rule may choose by name: `exclude_layers` of Muon, or a rate for each layer."""
    made = toy.trainer(sgd)
    names = [[layer.name for layer in made.fresh_network(seed).layers] for seed in (0, 1)]
    assert names[0] == names[1]


def test_every_optimizer_gets_the_same_start_batches_and_masks():
    # With a learning rate of nearly nothing the weights stay, so that losses depend on these three alone.
    one = train(partial(keras.optimizers.SGD, 1e-30), epochs=3).figures()
    other = train(partial(keras.optimizers.Adam, 1e-30), epochs=3).figures()
    assert np.array_equal(one["loss"], other["loss"])
    assert len(np.unique(one["loss"])) == 6  # and the masks change with every epoch and seed


def test_incomplete_last_batch_counts_each_image_once():
    trained = train(partial(keras.optimizers.SGD, 1e-30), toy.SMALLEST, epochs=1, batch_size=16)
    loss, accuracy = trained.trainer.program.evaluate(TRAIN)  # 50 images: three batches of 16 and one of 2
    np.testing.assert_allclose(trained.figures()["loss"][0, 1], loss[0], rtol=1e-6)
    np.testing.assert_allclose(trained.figures()["accuracy"][0, 1], accuracy[0], rtol=1e-6)


@pytest.mark.parametrize("batch_size", [pytest.param(25, marks=pytest.mark.slow), 64])
def test_any_batch_size_makes_as_many_updates_as_there_are_batches(batch_size):
    trained = train(sgd, toy.SMALLEST, epochs=1, batch_size=batch_size, seeds=[0])
    assert int(trained.trainer.program.optimizer.iterations.numpy()) == -(-50 // batch_size)


@pytest.mark.parametrize("fresh_network", [toy.mlp(dropout=0), normalized], ids=["mlp", "normalized"])
def test_update_and_losses_match_plain_keras(fresh_network):
    def network(seed):
        model = fresh_network(seed)
        for layer in model.layers:
            if isinstance(layer, layers.Dropout):
                layer.rate = 0  # masks differ, since Keras draws them from Philox
        return model

    trained = train(sgd, network, epochs=1, batch_size=50, seeds=[4])
    model = network(4)
    model.compile(sgd(), keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    fitted = model.fit(*TRAIN, batch_size=50, epochs=1, validation_data=tuple(VALIDATION), verbose=0).history
    for ours, theirs in zip(trained.weights[0], model.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
    for name in LOSSES:
        assert trained.figures()[name][0, 0] == pytest.approx(fitted[name][0], rel=1e-5)


# Keras 3.15's Variable.__array__ lacks NumPy 2's argument `copy`, which h5py asks for when it saves.
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning")
@pytest.mark.parametrize("network", [MLP, pytest.param(normalized, marks=pytest.mark.slow)], ids=["mlp", "normalized"])
def test_weights_of_a_run_saved_by_the_network_score_as_the_run_does(network, tmp_path):
    trained = toy.trainer(sgd, network, is_trusted=False).train(Wanted(3), keep_weights=True)
    (tmp_path / "first.weights.h5").write_bytes(trained.weights)
    model = network(99)
    model.load_weights(tmp_path / "first.weights.h5")
    hits = model.predict(TEST.examples, verbose=0).argmax(-1) == TEST.labels
    assert hits.mean() == pytest.approx(trained.test[1])


def test_hits_are_those_of_each_image_after_the_epoch():
    trained = train(sgd, epochs=1, **AT_ONCE)
    model = toy.mlp()(0)
    for run, weights in zip(trained.runs, trained.weights, strict=True):
        assert run.hits.shape == (1, len(VALIDATION.labels))
        assert run.hits.mean() == run.history["val_accuracy"][0]
        model.set_weights(weights)
        assert np.array_equal(
            model.predict(VALIDATION.examples, verbose=0).argmax(-1) == VALIDATION.labels, run.hits[0]
        )


@pytest.mark.parametrize("examples", [pytest.param(2000, marks=pytest.mark.slow), 2100])
def test_scores_of_thousands_of_examples_are_those_of_keras(examples):
    split = toy.split(examples, 4)
    trained = train(sgd, MLP, seeds=[3], epochs=1, data=DATA._replace(validation=split))
    model = MLP(0)
    model.set_weights(trained.weights[0])
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    hits = model.predict(split.examples, verbose=0).argmax(-1) == split.labels
    assert np.array_equal(trained.runs[0].hits[0], hits)
    loss = model.evaluate(split.examples, split.labels, verbose=0)
    assert trained.figures()["val_loss"][0, 0] == pytest.approx(loss, rel=1e-5)


def test_diagnostics_are_those_of_the_whole_epoch():
    trained = train(sgd, toy.mlp(dropout=0), epochs=1, batch_size=16, seeds=[4])
    before = np.concatenate([w.ravel() for w in toy.mlp(dropout=0)(4).get_weights()])
    after = np.concatenate([w.ravel() for w in trained.weights[0]])
    figures = {name: values[0, 0] for name, values in trained.figures().items()}
    assert figures["distance"] == pytest.approx(np.linalg.norm(after - before), rel=1e-5)
    assert figures["weight_norm"] == pytest.approx(np.linalg.norm(after), rel=1e-5)
    assert figures["relative_change"] == pytest.approx(figures["distance"] / figures["weight_norm"])
    assert figures["unchanged_weights"] == pytest.approx(np.mean(after == before))


def test_diverged_run_stays_diverged_and_the_next_one_is_what_it_is_alone():
    made = toy.trainer(partial(keras.optimizers.SGD, 0.1), epochs=3)
    diverged, after = made.train(Wanted(3, 1e38)), made.train(Wanted(5))
    for values in diverged.history.values():
        assert np.isnan(values).all()
    assert np.isnan(diverged.test).all()
    assert toy.same(after, toy.trainer(partial(keras.optimizers.SGD, 0.1), epochs=3).train(Wanted(5)))


@pytest.mark.slow
def test_diverged_run_in_a_stack_leaves_the_others_as_they_are():
    # A rate for each run: the first run leaves the range of float32.
    rates = keras.ops.reshape(keras.ops.convert_to_tensor([1e38, 0.1]), (2, 1, 1))
    figures = train(lambda: keras.optimizers.SGD(lambda: rates), epochs=3, stacked=True, **AT_ONCE).figures()
    single = train(sgd, epochs=3, seeds=[5], **AT_ONCE).figures()
    for name in MEASUREMENTS:
        assert np.isnan(figures[name][:, 0]).all(), name
        assert np.array_equal(figures[name][:, 1], single[name][:, 0]), name


def test_environment_names_what_decides_how_results_are_rounded(monkeypatch):
    described = environment.environment()
    assert described["device"] in ("CPU", "GPU")
    assert described == environment.environment()
    assert not [name for name, value in described.items() if value == ""]
    if "x86_64" in described["system"]:
        assert "avx" in described["vector_extensions"].split()
        assert "family" in described["cpu"]
    assert described["tensorflow"] == tf.__version__
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_max_isa=AVX")
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS", raising=False)  # as a test that loads TensorFlow before may leave it
    assert environment.environment()["settings"] == "XLA_FLAGS=--xla_cpu_max_isa=AVX"


@pytest.mark.parametrize(
    "change",
    [{"seeds": [0, 1]}, {"runs": 0}, {"runs": 1001}, {"epochs": 0}, {"batch_size": 0}, {"last_epochs": 3}],
)
def test_impossible_training_is_refused(change):
    with pytest.raises(parameters.ParametersError, match=f"^training.{next(iter(change))}"):
        parameters.validate(settings().model_dump() | change, TrainingParameters, "training")
