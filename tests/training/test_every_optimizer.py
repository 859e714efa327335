"""Every optimizer of the installed Keras, every schedule and every option of the base class trains."""

import inspect
from functools import partial
from pathlib import Path

import keras
import numpy as np
import pytest
import toy
from ruamel.yaml import YAML

from descent.core import parameters
from descent.optimizers import build, elementwise
from descent.optimizers.entries import OptimizerEntry, Optimizers, OwnOptimizerEntry
from descent.training import columns, networks
from descent.training.settings import NetworkEntry, TrainingParameters

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
ENTRIES = parameters.read(ROOT / "params.yaml", "optimizers", Optimizers)
TINY = toy.mlp([8], dropout=0.2)
TRAIN, VALIDATION = toy.split(64, 64), toy.split(20, 20)


KERAS = [
    name
    for name, value in inspect.getmembers(keras.optimizers, inspect.isclass)
    if issubclass(value, keras.optimizers.Optimizer) and name not in {"Optimizer", *build.REFUSED}  # the abstract base
]
MIXING = {"Adafactor", "Lamb", "Muon"}  # norms or products over a whole tensor
SCHEDULES = {
    "CosineDecay": {"initial_learning_rate": 0.1, "decay_steps": 10, "warmup_target": 0.2, "warmup_steps": 1},
    "CosineDecayRestarts": {"initial_learning_rate": 0.1, "first_decay_steps": 10},
    "ExponentialDecay": {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.9},
    "InverseTimeDecay": {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.9},
    "PiecewiseConstantDecay": {"boundaries": [0], "values": [0.1, 0.05]},
    "PolynomialDecay": {"initial_learning_rate": 0.1, "decay_steps": 10},
}
OPTIONS = {
    "weight_decay": {"weight_decay": 0.1},
    "clipnorm": {"clipnorm": 0.1},
    "global_clipnorm": {"global_clipnorm": 0.1},
    "clipvalue": {"clipvalue": 0.001},
    "use_ema": {"use_ema": True, "ema_momentum": 0.5},
    "gradient_accumulation_steps": {"gradient_accumulation_steps": 2},
}


def fresh(class_name, **config):
    entry = OptimizerEntry(class_name=class_name, config={"learning_rate": 0.1} | config)
    return partial(build.build, entry, "params.yaml: optimizers.mine")


def train(make):
    """Train two steps, stacked where the optimizer may; returns the weights of each run."""
    options = {"epochs": 2, "batch_size": len(TRAIN.labels), "seeds": [0, 1]}  # compiles in half the time
    stacked = elementwise.is_elementwise(make)
    trained, measured = toy.run(make, toy.SMALLEST, stacked, TRAIN, VALIDATION, **options)
    for name, values in measured.items():
        assert np.isfinite(values).all(), name
        assert values.shape == (options["epochs"], 2), name
    return trained.weights()


def assert_all_weights_moved(trained):
    for seed, weights in zip([0, 1], trained, strict=True):
        for before, after in zip(toy.SMALLEST(seed).get_weights(), weights, strict=True):
            assert after.shape == before.shape
            assert (after != before).any()


@pytest.mark.parametrize("name", KERAS)
def test_every_class_trains_stacked_where_it_is_elementwise(name):
    make = fresh(name)
    assert elementwise.is_elementwise(make) == (name not in MIXING)
    assert_all_weights_moved(train(make))


def test_every_schedule_of_the_installed_keras_is_tried():
    found = inspect.getmembers(keras.optimizers.schedules, inspect.isclass)
    assert set(SCHEDULES) == {name for name, _ in found} - {"LearningRateSchedule"}


@pytest.fixture(scope="module")
def constant():
    """The weights of the first layer after as many steps at a constant rate."""
    return train(fresh("SGD"))[0][0]


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_schedule_trains_and_is_no_constant_rate(name, constant):
    make = fresh("SGD", learning_rate={"class_name": name, "config": SCHEDULES[name]})
    trained = train(make)
    assert_all_weights_moved(trained)
    assert not np.array_equal(trained[0][0], constant)


@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_of_the_base_class_trains_and_has_an_effect(name, constant):
    make = fresh("SGD", **OPTIONS[name])
    trained = train(make)
    assert_all_weights_moved(trained)
    assert not np.array_equal(trained[0][0], constant)


def stacked_and_alone(name, network, shape, batch_size):
    """Train seed 1 stacked with seed 0, and alone; returns weights and measurements of both."""
    make, data = partial(build.build, ENTRIES[name], name), toy.split(200, 0, shape)
    for seeds, run, stacked in (([0, 1], 1, True), ([1], 0, False)):
        options = {"epochs": 1, "batch_size": batch_size, "seeds": seeds}
        trained, measured = toy.run(make, network, stacked, data, data, **options)
        yield trained.weights()[run], [measured[name][0, run] for name in columns.MEASUREMENTS]


def assert_same_run(stacked, alone):
    """Equal bits in the weights; in what is measured, float32 sums over images that XLA may order in another way."""
    for one, other in zip(stacked[0], alone[0], strict=True):
        assert np.array_equal(one, other)
    np.testing.assert_allclose(stacked[1], alone[1], rtol=1e-6)


# All eight entries, on their own: tests/optimizers/test_update_rules.py. Here, in a training, one of ours, one of
# TensorFlow's.
@pytest.mark.parametrize("name", ["nadam", "tfoptimizer"])
def test_weights_trained_stacked_equal_those_trained_alone_bit_for_bit(name):
    assert_same_run(*stacked_and_alone(name, TINY, toy.SHAPE, batch_size=64))


def test_stacked_equals_alone_bit_for_bit_with_the_network_and_batches_of_params_yaml():
    network = parameters.read(ROOT / "params.yaml", "network", NetworkEntry)
    settings = parameters.read(ROOT / "params.yaml", "training", TrainingParameters)
    fresh = networks.builder(network, (28, 28), 10)
    assert_same_run(*stacked_and_alone("adam", fresh, (28, 28), settings.batch_size))


def test_shapes_that_xla_sums_in_another_order_when_stacked_differ_by_rounding_alone():
    network = toy.mlp([512], dropout=0.2, shape=(100,))
    (stacked, _), (alone, _) = stacked_and_alone("sgd", network, (100,), batch_size=32)
    for one, other in zip(stacked, alone, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-7)


SECTION = (ROOT / "docs/own.md").read_text("utf-8").split("\n## An optimizer of your own\n")[1]
EXAMPLE = YAML(typ="safe").load(SECTION.split("```yaml\n")[1].split("```")[0])


def own(monkeypatch, **config):
    [entry] = EXAMPLE["own_optimizers"].values()
    monkeypatch.chdir(ROOT)  # the file is named from there
    checked = OwnOptimizerEntry(**entry | {"config": entry["config"] | config})
    return partial(build.build, checked, "params.yaml: own_optimizers.mine")


def test_documented_own_optimizer_trains(monkeypatch):
    make = own(monkeypatch)
    assert elementwise.is_elementwise(make)
    assert_all_weights_moved(train(make))


@pytest.mark.parametrize("weight_decay", [None, 0.1])
def test_own_lion_is_the_lion_of_keras_bit_for_bit(monkeypatch, weight_decay):
    hyperparameters = {"learning_rate": 0.01, "beta_1": 0.8, "beta_2": 0.95, "weight_decay": weight_decay}
    random = np.random.default_rng(0)
    ours, theirs = keras.Variable(np.ones((5, 3), "float32")), keras.Variable(np.ones((5, 3), "float32"))
    mine, keras_lion = own(monkeypatch, **hyperparameters)(), keras.optimizers.Lion(**hyperparameters)
    for _ in range(50):
        gradient = keras.ops.convert_to_tensor(random.normal(size=(5, 3)), "float32")
        mine.apply([gradient], [ours])
        keras_lion.apply([gradient], [theirs])
        assert np.array_equal(ours.numpy(), theirs.numpy())
    assert np.ptp(ours.numpy()) > 0.01
