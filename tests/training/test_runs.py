"""Claims about training, on small random images: pairing, stacking, last batches, divergence, what is scored."""

from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf

from descent.data.datasets import Split
from descent.training import networks
from descent.training import runs as training

NETWORK = networks.NetworkParameters(hidden_units=[16], activation="relu", dropout=0.5)
INPUTS = 12


def split(images, seed):
    random = np.random.default_rng(seed)
    labels = random.integers(0, 10, images, dtype=np.int32)
    return Split((random.random((images, INPUTS)) + labels[:, None] / 10).astype("float32"), labels)


TRAIN, VALIDATION, TEST = split(50, 1), split(30, 2), split(20, 3)


def settings(**changes):
    values = {"epochs": 2, "batch_size": 16, "seeds": [3, 5], "target_val_accuracy": 0.5} | changes
    return training.TrainingParameters(**values)


def sgd(learning_rate=0.1):
    return keras.optimizers.SGD(learning_rate)


def start(fresh=sgd, stacked=False, network=NETWORK, train=TRAIN, validation=VALIDATION, **changes):
    return training.Runs(network, settings(**changes), train, validation, fresh(), stacked)


def run(*args, **options):
    """Train; returns the runs and the figures by name as [epochs, runs]."""
    runs = start(*args, **options)
    epochs = list(runs.epochs())
    return runs, {name: np.stack([epoch[name] for epoch in epochs]) for name in training.FIGURES}


def equal(left, right):
    return all(np.array_equal(a, b) for a, b in zip(left, right, strict=True))


def averaged():
    return keras.optimizers.SGD(0.1, momentum=0.9, use_ema=True, ema_momentum=0.5)


# Stacked, others have equal weights as well, but XLA may round a figure in another way: test_every_optimizer.py.
@pytest.mark.parametrize(
    ("fresh", "stacked"), [(sgd, False), (keras.optimizers.Adam, False), (averaged, False), (sgd, True)]
)
def test_run_is_the_same_with_others_and_alone(fresh, stacked):
    together, figures = run(fresh, seeds=[3, 5, 8], stacked=stacked)
    for index, seed in enumerate([3, 5, 8]):
        alone, alone_figures = run(fresh, seeds=[seed])
        assert equal(together.weights()[index], alone.weights()[0])
        for name in training.FIGURES:
            assert np.array_equal(figures[name][:, index], alone_figures[name][:, 0]), name


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
        self.noise = keras.random.SeedGenerator(7)

    def update_step(self, gradient, variable, learning_rate):
        super().update_step(keras.random.normal(gradient.shape, seed=self.noise), variable, learning_rate)


def test_runs_in_turn_see_the_same_random_numbers_of_an_optimizer():
    runs, _ = run(partial(Wandering, 0.1), seeds=[3, 5])
    first, second = (
        [after - before for after, before in zip(weights, networks.initial_weights(NETWORK, INPUTS, seed), strict=True)]
        for weights, seed in zip(runs.weights(), [3, 5], strict=True)
    )
    for one, other in zip(first, second, strict=True):
        assert np.abs(one).max() > 0.1
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_runs_in_turn_share_no_variable_of_an_optimizer_even_one_that_keras_does_not_list():
    runs, figures = run(partial(Remembering, 0.1), seeds=[3, 5])
    assert not any(variable is runs.optimizer.hidden for variable in runs.optimizer.variables)
    _, alone = run(partial(Remembering, 0.1), seeds=[5])
    _, forgetful = run(seeds=[5])
    assert np.array_equal(figures["loss"][:, 1], alone["loss"][:, 0])
    assert not np.array_equal(alone["loss"], forgetful["loss"])


def test_training_twice_gives_equal_bytes():
    first, second = run(), run()
    assert all(equal(a, b) for a, b in zip(first[0].weights(), second[0].weights(), strict=True))
    assert equal(first[1].values(), second[1].values())


def test_runs_of_two_seeds_differ_from_the_start():
    assert not equal(networks.initial_weights(NETWORK, INPUTS, 0), networks.initial_weights(NETWORK, INPUTS, 1))


def test_every_optimizer_gets_the_same_start_batches_and_masks():
    # With a learning rate of nearly nothing the weights stay, so that losses depend on these three alone.
    _, one = run(partial(keras.optimizers.SGD, 1e-30), epochs=3)
    _, other = run(partial(keras.optimizers.Adam, 1e-30), epochs=3)
    assert np.array_equal(one["loss"], other["loss"])
    assert len(np.unique(one["loss"])) == 6  # and the masks change with every epoch and seed


def test_masks_differ_between_layers_and_keep_the_share():
    images = np.ones((1, 4, 10000), "float32")
    layers = [networks.PairedDropout(0.2, 1, layer) for layer in range(2)]
    for layer in layers:
        layer.start([1])
    masks = [tf.function(partial(layer, training=True), jit_compile=True)(images).numpy() for layer in layers]
    assert not np.array_equal(*masks)
    for mask in masks:
        assert set(np.unique(mask)) == {np.float32(0), np.float32(1 / (1 - round(0.2 * 65536) / 65536))}
        assert abs(np.mean(mask == 0) - 0.2) < 0.01
        # Four units share a random number, not their fate.
        assert len({quarter.tobytes() for quarter in np.split(mask, 4, axis=1)}) == 4


@pytest.mark.parametrize(("rate", "met"), [(1e-6, 0), (0.5, 0.5), (0.999999, 1 - 2**-16)])
def test_any_rate_is_met_to_16_bits_and_leaves_the_expectation(rate, met):
    layer = networks.PairedDropout(rate, 1, 0)
    mask = tf.function(partial(layer, training=True), jit_compile=True)(np.ones((1, 5, 100000), "float32")).numpy()
    assert mask.max() == pytest.approx(1 / (1 - met))
    assert np.mean(mask == 0) == pytest.approx(met, abs=0.01)


def test_incomplete_last_batch_counts_each_image_once():
    network = NETWORK.model_copy(update={"dropout": 0.0})
    runs, figures = run(partial(keras.optimizers.SGD, 1e-30), network=network, epochs=1, batch_size=16)
    loss, accuracy = runs.evaluate(TRAIN)  # 50 images: three batches of 16 and one of 2
    np.testing.assert_allclose(figures["loss"][0], loss, rtol=1e-6)
    np.testing.assert_allclose(figures["accuracy"][0], accuracy, rtol=1e-6)


@pytest.mark.parametrize("batch_size", [1, 25, 50, 64])
def test_any_batch_size_makes_as_many_updates_as_there_are_batches(batch_size):
    runs, _ = run(epochs=1, batch_size=batch_size, seeds=[0])
    assert int(runs.optimizer.iterations.numpy()) == -(-50 // batch_size)


def test_update_matches_plain_keras():
    network = NETWORK.model_copy(update={"dropout": 0.0})
    runs, figures = run(network=network, epochs=1, batch_size=50, seeds=[4])
    model = networks.plain(network, INPUTS)
    model.set_weights(networks.initial_weights(network, INPUTS, 4))
    model.compile(sgd(), keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    fitted = model.fit(*TRAIN, batch_size=50, epochs=1, validation_data=tuple(VALIDATION), verbose=0).history
    for ours, theirs in zip(runs.weights()[0], model.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
    for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
        assert figures[name][0, 0] == pytest.approx(fitted[name][0], rel=1e-5)


# Keras 3.15's Variable.__array__ lacks NumPy 2's argument `copy`, which h5py asks for when it saves.
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning")
def test_first_run_loads_into_a_plain_model_and_scores_the_same(tmp_path):
    runs, _ = run()
    plain = networks.plain(NETWORK, INPUTS)
    plain.set_weights(runs.weights()[0])
    plain.save_weights(tmp_path / "first.weights.h5")
    model = networks.plain(NETWORK, INPUTS)
    model.load_weights(tmp_path / "first.weights.h5")
    hits = model.predict(TEST.images, verbose=0).argmax(-1) == TEST.labels
    assert hits.mean() == pytest.approx(runs.evaluate(TEST)[1][0])


def test_diagnostics_are_those_of_the_last_update():
    network = NETWORK.model_copy(update={"dropout": 0.0})
    runs, figures = run(network=network, epochs=1, batch_size=50, seeds=[4])
    before = np.concatenate([w.ravel() for w in networks.initial_weights(network, INPUTS, 4)])
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
    _, figures = run(lambda: keras.optimizers.SGD(lambda: rates), epochs=3, stacked=True)
    _, alone = run(epochs=3, seeds=[5])
    for name in training.FIGURES:
        assert np.isnan(figures[name][:, 0]).all(), name
        assert np.array_equal(figures[name][:, 1], alone[name][:, 0]), name


def test_averaged_weights_are_the_result_with_use_ema():
    runs, _ = run(partial(keras.optimizers.SGD, 0.1, use_ema=True, ema_momentum=0.5))
    plain, _ = run()
    assert not equal(runs.weights()[0], plain.weights()[0])


def test_no_number_of_python_makes_an_epoch_compile_again():
    runs, _ = run(epochs=4)
    assert runs._program.experimental_get_tracing_count() == 1


def test_environment_names_what_a_reader_must_know():
    environment = training.environment()
    assert environment["device"] in ("CPU", "GPU")
    assert environment["device_name"]
    assert environment["keras"] == keras.__version__


@pytest.mark.parametrize(
    "change", [{"seeds": [1, 1]}, {"seeds": []}, {"seeds": [-1]}, {"epochs": 0}, {"batch_size": 0}]
)
def test_impossible_training_is_refused(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        settings(**change)


@pytest.mark.parametrize(
    "change", [{"hidden_units": []}, {"hidden_units": [8] * 9}, {"dropout": 1.0}, {"activation": "rleu"}]
)
def test_impossible_network_is_refused(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        networks.NetworkParameters(**{"hidden_units": [8], "dropout": 0.1, "activation": "relu"} | change)


def test_eight_layers_without_dropout_train():
    network = networks.NetworkParameters(hidden_units=[8] * 8, activation="tanh", dropout=0)
    _, figures = run(network=network, epochs=1)
    assert np.isfinite(figures["val_loss"]).all()
