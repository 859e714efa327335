"""Claims about training, on small random images: pairing, last batches, divergence, what is scored and measured."""

from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf
import toy
from keras import layers
from toy import SMALLEST, TEST, TRAIN, VALIDATION, train

from descent.training import environment, networks, optimizers
from descent.training.measurements import LOSSES, Wanted
from descent.training.settings import NetworkEntry, OptimizerEntry


def sgd(learning_rate=0.1):
    return keras.optimizers.SGD(learning_rate)


def normalized(seed):
    """A functional network with batch normalization, a residual and penalties."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input(toy.SHAPE)
    x = layers.Dense(8, kernel_regularizer=keras.regularizers.L2(0.01))(layers.Flatten()(inputs))
    x = layers.Add()([x, layers.Dense(8)(layers.Activation("relu")(layers.BatchNormalization(momentum=0.5)(x)))])
    return keras.Model(inputs, layers.Dense(toy.CLASSES)(x))


def hits_of(model, split):
    """Which examples the model classifies right."""
    return model.predict(split.examples, verbose=0).argmax(-1) == split.labels


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


def test_incomplete_last_batch_makes_an_update_and_counts_each_image_once():
    trained = train(partial(keras.optimizers.SGD, 1e-30), SMALLEST, epochs=1, batch_size=16, seeds=[5])
    program = trained.trainer.program
    assert int(program.optimizer.iterations.numpy()) == 4  # 50 images: three batches of 16 and one of 2
    loss, accuracy = program.evaluate(TRAIN)
    np.testing.assert_allclose(trained.figures()["loss"][0, 0], loss[0], rtol=1e-6)
    np.testing.assert_allclose(trained.figures()["accuracy"][0, 0], accuracy[0], rtol=1e-6)


def test_update_and_losses_match_plain_keras():
    trained = train(sgd, normalized, epochs=1, batch_size=50, seeds=[4])
    model = normalized(4)
    model.compile(sgd(), keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    fitted = model.fit(*TRAIN, batch_size=50, epochs=1, validation_data=tuple(VALIDATION), verbose=0).history
    for ours, theirs in zip(trained.weights[0], model.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
    for name in LOSSES:
        assert trained.figures()[name][0, 0] == pytest.approx(fitted[name][0], rel=1e-5)


# Keras 3.15's Variable.__array__ lacks NumPy 2's argument `copy`, which h5py asks for when it saves.
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning")
def test_saved_weights_are_those_that_were_measured(tmp_path):
    network = toy.mlp()
    run = toy.trainer(sgd, network, epochs=1).train(Wanted(3), keep_weights=True)
    (tmp_path / "first.weights.h5").write_bytes(run.weights)
    model = network(3)
    before = np.concatenate([weights.ravel() for weights in model.get_weights()])
    model.load_weights(tmp_path / "first.weights.h5")
    after = np.concatenate([weights.ravel() for weights in model.get_weights()])

    assert np.array_equal(run.hits, [hits_of(model, VALIDATION)])
    assert run.hits.mean() == run.history["val_accuracy"][0]
    assert hits_of(model, TEST).mean() == pytest.approx(run.test[1])
    measured = {name: values[0] for name, values in run.history.items()}
    assert measured["distance"] == pytest.approx(np.linalg.norm(after - before), rel=1e-5)
    assert measured["weight_norm"] == pytest.approx(np.linalg.norm(after), rel=1e-5)
    assert measured["relative_change"] == pytest.approx(measured["distance"] / measured["weight_norm"])
    assert measured["unchanged_weights"] == pytest.approx(np.mean(after == before))


@pytest.mark.slow
def test_scores_of_thousands_of_examples_are_those_of_keras_where_they_are_taken_in_parts():
    network = networks.builder(NetworkEntry(file="networks/cnn.py", config={"filters": [2]}), toy.SHAPE, toy.CLASSES)
    split = toy.split(2100, 4)
    trained = train(sgd, network, seeds=[3], epochs=1, data=toy.DATA._replace(validation=split))
    model = network(0)
    model.set_weights(trained.weights[0])
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    assert np.array_equal(trained.runs[0].hits[0], hits_of(model, split))
    loss = model.evaluate(split.examples, split.labels, verbose=0)
    assert trained.figures()["val_loss"][0, 0] == pytest.approx(loss, rel=1e-5)


def test_diverged_run_stays_diverged_and_the_next_one_is_what_it_is_alone():
    made = toy.trainer(sgd, SMALLEST, epochs=3)
    diverged, after = made.train(Wanted(3, 1e39)), made.train(Wanted(5))
    for values in diverged.history.values():
        assert np.isnan(values).all()
    assert np.isnan(diverged.test).all()
    assert toy.same(after, toy.trainer(sgd, SMALLEST, epochs=3).train(Wanted(5)))


class Halving(keras.optimizers.SGD):
    """Your optimizer, which is to be scored on half of its weights."""

    def finalize_variable_values(self, var_list):
        for variable in var_list:
            variable.assign(variable / 2)


def test_weights_that_an_optimizer_ends_with_are_scored_and_do_not_disturb_the_training():
    halved, plain = (train(partial(rule, 0.1), SMALLEST, seeds=[3]) for rule in (Halving, keras.optimizers.SGD))
    assert np.array_equal(halved.figures()["loss"], plain.figures()["loss"])
    assert toy.equal(halved.weights[0], [weights / 2 for weights in plain.weights[0]])
    loss, _ = halved.trainer.program.evaluate(VALIDATION)
    assert halved.figures()["val_loss"][-1, 0] == pytest.approx(loss[0], rel=1e-6)
    assert (halved.figures()["val_loss"] != plain.figures()["val_loss"]).all()


@pytest.mark.slow
def test_scored_weights_are_in_every_epoch_the_moving_average_of_keras():
    ema = partial(keras.optimizers.SGD, 0.1, momentum=0.9, use_ema=True, ema_momentum=0.9)
    network = toy.mlp(dropout=0)
    trained = train(ema, network, epochs=3, batch_size=50, seeds=[4])
    model, scored, average = network(4), network(4), None
    losses = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), losses)
    scored.compile(loss=losses)
    for step in range(3):
        model.fit(*TRAIN, batch_size=50, epochs=1, verbose=0)
        weights = model.get_weights()
        average = weights if step == 0 else [0.9 * old + 0.1 * new for old, new in zip(average, weights, strict=True)]
        scored.set_weights(average)
        loss = scored.evaluate(*VALIDATION, verbose=0)
        assert trained.figures()["val_loss"][step, 0] == pytest.approx(loss, rel=1e-5)
    for ours, theirs in zip(trained.weights[0], average, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


@pytest.mark.slow
def test_schedule_and_options_of_the_base_class_act_in_a_training():
    def trained(**config):
        entry = OptimizerEntry(class_name="SGD", config={"learning_rate": 0.1} | config)
        fresh = partial(optimizers.build, entry, "params.yaml: optimizers.mine")
        return train(fresh, SMALLEST, seeds=[0], batch_size=50).weights[0]

    decay = {"boundaries": [0], "values": [0.1, 0.05]}
    changes = [
        {"learning_rate": {"class_name": "PiecewiseConstantDecay", "config": decay}},
        {"weight_decay": 0.1, "global_clipnorm": 0.1},
        {"gradient_accumulation_steps": 2},
    ]
    ends = [trained(), *(trained(**change) for change in changes)]
    assert len({kernel.tobytes() for kernel, _ in (SMALLEST(0).get_weights(), *ends)}) == 5


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
