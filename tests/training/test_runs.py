"""Claims about training, on small random images: pairing, stacking, last batches, divergence, what is scored."""

from functools import cache, partial

import keras
import numpy as np
import pytest
import tensorflow as tf
import toy
from keras import layers
from toy import TEST, TRAIN, VALIDATION, equal, run, settings

from descent.core import parameters
from descent.training import columns, device, networks
from descent.training.settings import NetworkEntry, TrainingParameters


def sgd(learning_rate=0.1):
    return keras.optimizers.SGD(learning_rate)


def averaged():
    return keras.optimizers.SGD(0.1, momentum=0.9, use_ema=True, ema_momentum=0.5)


def normalized(seed):
    """A functional network with batch normalization, a residual and penalties, which nothing stacks."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input(toy.SHAPE)
    x = layers.Dense(8, kernel_regularizer=keras.regularizers.L2(0.01))(layers.Flatten()(inputs))
    x = layers.Add()([x, layers.Dense(8)(layers.Activation("relu")(layers.BatchNormalization(momentum=0.5)(x)))])
    return keras.Model(inputs, layers.Dense(toy.CLASSES)(layers.Dropout(0.3)(x)))


MLP = toy.mlp()


@cache
def alone(fresh, network):
    """The run of seed 5 alone, and its figures; compiled once for all that look at it."""
    return run(fresh, network, seeds=[5])


@pytest.fixture(scope="module")
def of_sgd():
    """Two runs of plain SGD, and their figures."""
    return run(sgd, MLP)


# Stacked, others have equal weights as well, but XLA may round a figure in another way: test_every_optimizer.py.
@pytest.mark.parametrize(
    ("fresh", "network", "stacked"),
    [
        (sgd, MLP, False),
        (keras.optimizers.Adam, MLP, False),
        (averaged, MLP, False),
        (sgd, MLP, True),
        (sgd, normalized, False),
    ],
)
def test_run_is_the_same_with_others_and_alone(fresh, network, stacked):
    together, figures = run(fresh, network, seeds=[3, 5, 8], stacked=stacked)
    single, single_figures = alone(fresh, network)  # the one that others precede and follow
    assert equal(together.weights()[1], single.weights()[0])
    for name in columns.MEASUREMENTS:
        assert np.array_equal(figures[name][:, 1], single_figures[name][:, 0]), name


class Remembering(keras.optimizers.SGD):
    """SGD whose rate falls with all gradients so far; it keeps their sum in a variable that Keras does not know of."""

    def build(self, variables):
        super().build(variables)
        self.hidden = tf.Variable(tf.zeros(()), trainable=False)

    def update_step(self, gradient, variable, learning_rate):
        self.hidden.assign_add(tf.reduce_sum(tf.abs(gradient)))
        super().update_step(gradient, variable, learning_rate / (1 + self.hidden))


class Wandering(keras.optimizers.SGD):
    """Moves at random, whatever the gradient."""

    def build(self, variables):
        super().build(variables)
        self.noise = keras.random.SeedGenerator()

    def update_step(self, gradient, variable, learning_rate):
        super().update_step(keras.random.normal(gradient.shape, seed=self.noise), variable, learning_rate)


def test_random_numbers_of_an_optimizer_are_those_of_the_seed():
    together, _ = run(partial(Wandering, 0.1), toy.SMALLEST, seeds=[3, 5], **toy.AT_ONCE)
    single, _ = run(partial(Wandering, 0.1), toy.SMALLEST, seeds=[5], **toy.AT_ONCE)
    assert equal(together.weights()[1], single.weights()[0])
    moved = [
        after[0] - toy.SMALLEST(seed).get_weights()[0] for after, seed in zip(together.weights(), [3, 5], strict=True)
    ]
    assert np.abs(moved[0] - moved[1]).max() > 0.1


class Remote(keras.optimizers.SGD):
    """SGD whose state begins as a copy of the weights, to which every step returns half-way."""

    def build(self, variables):
        super().build(variables)
        self.home = self.add_optimizer_variables(variables, "home")
        for home, variable in zip(self.home, variables, strict=True):
            home.assign(variable)

    def update_step(self, gradient, variable, learning_rate):
        super().update_step(gradient, variable, learning_rate)
        variable.assign((variable + self.home[self._get_variable_index(variable)]) / 2)


def test_state_that_begins_as_a_copy_of_the_weights_is_that_of_its_own_run():
    together, _ = run(partial(Remote, 0.1), seeds=[3, 5], **toy.AT_ONCE)
    for weights, seed in zip(together.weights(), [3, 5], strict=True):
        for after, before in zip(weights, toy.mlp()(seed).get_weights(), strict=True):
            assert np.abs(after - before).max() < 0.1


def test_runs_in_turn_share_no_variable_of_an_optimizer_even_one_that_keras_does_not_list():
    runs, figures = run(partial(Remembering, 0.1), MLP, seeds=[3, 5])
    assert not any(variable is runs.optimizer.hidden for variable in runs.optimizer.variables)
    _, single = run(partial(Remembering, 0.1), MLP, seeds=[5])
    _, forgetful = alone(sgd, MLP)
    assert np.array_equal(figures["loss"][:, 1], single["loss"][:, 0])
    assert not np.array_equal(single["loss"], forgetful["loss"])


def test_training_twice_gives_equal_bytes(of_sgd):
    first, second = of_sgd, run(sgd, MLP)
    assert all(equal(a, b) for a, b in zip(first[0].weights(), second[0].weights(), strict=True))
    assert equal(first[1].values(), second[1].values())


def test_runs_of_two_seeds_differ_from_the_start():
    assert not equal(toy.mlp()(0).get_weights(), toy.mlp()(1).get_weights())


def test_every_optimizer_gets_the_same_start_batches_and_masks():
    # With a learning rate of nearly nothing the weights stay, so that losses depend on these three alone.
    _, one = run(partial(keras.optimizers.SGD, 1e-30), epochs=3)
    _, other = run(partial(keras.optimizers.Adam, 1e-30), epochs=3)
    assert np.array_equal(one["loss"], other["loss"])
    assert len(np.unique(one["loss"])) == 6  # and the masks change with every epoch and seed


def test_incomplete_last_batch_counts_each_image_once():
    runs, figures = run(partial(keras.optimizers.SGD, 1e-30), toy.SMALLEST, epochs=1, batch_size=16)
    loss, accuracy = runs.evaluate(TRAIN)  # 50 images: three batches of 16 and one of 2
    np.testing.assert_allclose(figures["loss"][0], loss, rtol=1e-6)
    np.testing.assert_allclose(figures["accuracy"][0], accuracy, rtol=1e-6)


@pytest.mark.parametrize("batch_size", [1, 25, 50, 64])
def test_any_batch_size_makes_as_many_updates_as_there_are_batches(batch_size):
    runs, _ = run(sgd, toy.SMALLEST, epochs=1, batch_size=batch_size, seeds=[0])
    assert int(runs.optimizer.iterations.numpy()) == -(-50 // batch_size)


@pytest.mark.parametrize("fresh_network", [toy.mlp(dropout=0), normalized], ids=["mlp", "normalized"])
def test_update_and_losses_match_plain_keras(fresh_network):
    def network(seed):
        model = fresh_network(seed)
        for layer in model.layers:
            if isinstance(layer, layers.Dropout):
                layer.rate = 0  # masks differ, since Keras draws them from Philox
        return model

    runs, figures = run(sgd, network, epochs=1, batch_size=50, seeds=[4])
    model = network(4)
    model.compile(sgd(), keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    fitted = model.fit(*TRAIN, batch_size=50, epochs=1, validation_data=tuple(VALIDATION), verbose=0).history
    for ours, theirs in zip(runs.weights()[0], model.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
    for name in columns.LOSSES:
        assert figures[name][0, 0] == pytest.approx(fitted[name][0], rel=1e-5)


# Keras 3.15's Variable.__array__ lacks NumPy 2's argument `copy`, which h5py asks for when it saves.
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning")
@pytest.mark.parametrize("network", [MLP, normalized], ids=["mlp", "normalized"])
def test_weights_of_a_run_saved_by_the_network_score_as_the_run_does(network, of_sgd, tmp_path):
    runs, _ = of_sgd if network is MLP else run(sgd, network, **toy.AT_ONCE)
    saved = network(3)
    saved.set_weights(runs.weights()[0])
    saved.save_weights(tmp_path / "first.weights.h5")
    model = network(99)
    model.load_weights(tmp_path / "first.weights.h5")
    hits = model.predict(TEST.examples, verbose=0).argmax(-1) == TEST.labels
    assert hits.mean() == pytest.approx(runs.evaluate(TEST)[1][0])


def test_hits_are_those_of_each_image_after_the_epoch():
    runs = toy.runs.Runs(toy.mlp(), sgd, settings(epochs=1, **toy.AT_ONCE), TRAIN, VALIDATION, stacked=False)
    [epoch] = runs.epochs()
    assert epoch.val_hits.shape == (2, len(VALIDATION.labels))
    assert np.array_equal(epoch.val_hits.mean(axis=1), epoch.measurements["val_accuracy"])
    model = toy.mlp()(0)
    for weights, hits in zip(runs.weights(), epoch.val_hits, strict=True):
        model.set_weights(weights)
        assert np.array_equal(model.predict(VALIDATION.examples, verbose=0).argmax(-1) == VALIDATION.labels, hits)


@pytest.mark.parametrize("examples", [7, 8, 20])
def test_scores_in_chunks_are_those_of_all_examples_at_once(examples, monkeypatch):
    monkeypatch.setattr(toy.runs, "_CHUNK", 8)

    def pooled(seed):
        keras.utils.set_random_seed(seed)
        pool = [layers.Reshape((*toy.SHAPE, 1)), layers.MaxPooling2D(2), layers.Flatten(), layers.Dense(toy.CLASSES)]
        return keras.Sequential([keras.Input(toy.SHAPE), *pool])

    split = toy.split(examples, 4)
    trained = toy.runs.Runs(pooled, sgd, settings(epochs=1, seeds=[3]), TRAIN, split, stacked=False)
    [epoch] = trained.epochs()
    model = pooled(0)
    model.set_weights(trained.weights()[0])
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    hits = model.predict(split.examples, verbose=0).argmax(-1) == split.labels
    assert np.array_equal(epoch.val_hits[0], hits)
    loss = model.evaluate(split.examples, split.labels, verbose=0)
    assert epoch.measurements["val_loss"][0] == pytest.approx(loss, rel=1e-5)


def test_shipped_convolutional_network_learns():
    cnn = networks.builder(NetworkEntry(file="networks/cnn.py", config={}), (28, 28), toy.CLASSES)
    data = toy.split(300, 0, (28, 28))
    _, figures = run(partial(keras.optimizers.Adam, 0.01), cnn, train=data, validation=data, seeds=[0], epochs=3)
    assert figures["accuracy"][-1, 0] > figures["accuracy"][0, 0]
    assert figures["val_accuracy"][-1, 0] > 0.2


def test_convolutions_train_without_xla_on_a_cpu_and_their_statistics_are_kept():
    def network(seed):
        keras.utils.set_random_seed(seed)
        stack = [layers.Reshape((*toy.SHAPE, 1)), layers.Conv2D(3, 2), layers.BatchNormalization(), layers.Flatten()]
        return keras.Sequential([keras.Input(toy.SHAPE), *stack, layers.Dropout(0.5), layers.Dense(toy.CLASSES)])

    together, figures = run(sgd, network, seeds=[3, 5])
    assert not together._compiled
    single, single_figures = run(sgd, network, seeds=[5])
    assert equal(together.weights()[1], single.weights()[0])
    assert np.array_equal(figures["loss"][:, 1], single_figures["loss"][:, 0])
    moving_means = [weights[4] for weights in together.weights()]
    assert not equal(*([mean] for mean in moving_means))
    assert np.all(moving_means[0] != 0)


def test_diagnostics_are_those_of_the_last_update():
    runs, figures = run(sgd, toy.mlp(dropout=0), epochs=1, batch_size=50, seeds=[4])
    before = np.concatenate([w.ravel() for w in toy.mlp(dropout=0)(4).get_weights()])
    after = np.concatenate([w.ravel() for w in runs.weights()[0]])
    assert figures["update_norm"][0, 0] == pytest.approx(np.linalg.norm(after - before), rel=1e-5)
    assert figures["gradient_norm"][0, 0] == pytest.approx(np.linalg.norm(after - before) / 0.1, rel=1e-4)
    assert figures["update_to_weight"][0, 0] == pytest.approx(
        np.linalg.norm(after - before) / np.linalg.norm(after), rel=1e-5
    )
    assert figures["unmoved_share"][0, 0] == pytest.approx(np.mean(after == before))


def test_diverged_run_stays_diverged_and_the_others_go_on():
    # A rate per run: the first run leaves the range of float32, the second is what it is when alone.
    rates = keras.ops.reshape(keras.ops.convert_to_tensor([1e38, 0.1]), (2, 1, 1))
    _, figures = run(lambda: keras.optimizers.SGD(lambda: rates), epochs=3, stacked=True, **toy.AT_ONCE)
    _, single = run(sgd, epochs=3, seeds=[5], **toy.AT_ONCE)
    for name in columns.MEASUREMENTS:
        assert np.isnan(figures[name][:, 0]).all(), name
        assert np.array_equal(figures[name][:, 1], single[name][:, 0]), name


def test_no_number_of_python_makes_an_epoch_compile_again():
    runs, _ = run(sgd, toy.SMALLEST, epochs=4)
    assert runs._program.experimental_get_tracing_count() == 1


def test_environment_names_what_decides_how_results_are_rounded():
    environment = device.environment()
    assert environment["device"] in ("CPU", "GPU")
    assert environment == device.environment()
    assert not [name for name, value in environment.items() if value == ""]
    if "x86_64" in environment["system"]:
        assert "avx" in environment["vector_extensions"].split()
        assert "family" in environment["cpu"]


def test_settings_of_the_compilers_are_a_part_of_the_environment(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_max_isa=AVX")
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS", raising=False)  # as a test that loads TensorFlow before may leave it
    assert device.environment()["settings"] == "XLA_FLAGS=--xla_cpu_max_isa=AVX"


@pytest.mark.parametrize(
    "change",
    [{"seeds": [1, 1]}, {"seeds": []}, {"seeds": [-1]}, {"epochs": 0}, {"batch_size": 0}, {"last_epochs": 3}],
)
def test_impossible_training_is_refused(change):
    with pytest.raises(parameters.ParametersError, match=f"^training.{next(iter(change))}"):
        parameters.validate(settings().model_dump() | change, TrainingParameters, "training")


def test_eight_layers_without_dropout_train():
    _, figures = run(sgd, toy.mlp([8] * 8, "tanh", 0), epochs=1, **toy.AT_ONCE)
    assert np.isfinite(figures["val_loss"]).all()
