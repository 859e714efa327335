"""Every schedule and every option of the base class trains; a stacked run is the run alone."""

import inspect
from functools import partial
from pathlib import Path

import keras
import numpy as np
import pytest
import toy

from descent.core import parameters
from descent.training import networks, optimizers
from descent.training.settings import NetworkEntry, OptimizerEntry, Optimizers, TrainingParameters

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
ENTRIES = parameters.read(ROOT / "params.yaml", "optimizers", Optimizers)


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
    return partial(optimizers.build, entry, "params.yaml: optimizers.mine")


def train(make):
    """Train two steps, stacked; returns the weights of each run."""
    trained = toy.train(make, toy.SMALLEST, True, [0, 1], epochs=2, batch_size=len(toy.TRAIN.labels))
    for name, values in trained.figures().items():
        assert np.isfinite(values).all(), name
    return trained.weights


@pytest.fixture(scope="module")
def constant():
    """The weights of the first layer after as many steps at a constant rate, without options."""
    return train(fresh("SGD"))[0][0]


CASES = {name: {"learning_rate": {"class_name": name, "config": config}} for name, config in SCHEDULES.items()}


@pytest.mark.parametrize("config", [pytest.param(config, id=name) for name, config in (CASES | OPTIONS).items()])
def test_every_schedule_and_option_of_the_base_class_trains_and_has_an_effect(config, constant):
    trained = train(fresh("SGD", **config))
    for seed, weights in zip([0, 1], trained, strict=True):
        for before, after in zip(toy.SMALLEST(seed).get_weights(), weights, strict=True):
            assert (after != before).any()
    assert not np.array_equal(trained[0][0], constant)


def test_every_schedule_of_the_installed_keras_is_tried():
    found = inspect.getmembers(keras.optimizers.schedules, inspect.isclass)
    assert set(SCHEDULES) == {name for name, _ in found} - {"LearningRateSchedule"}


def test_stacked_equals_alone_bit_for_bit_with_the_network_and_batches_of_params_yaml():
    network = networks.builder(parameters.read(ROOT / "params.yaml", "network", NetworkEntry), (28, 28), 10)
    batch_size = parameters.read(ROOT / "params.yaml", "training", TrainingParameters).batch_size
    data = toy.split(200, 0, (28, 28))
    options = {"data": toy.DATA._replace(train=data, validation=data, test=None), "epochs": 1, "batch_size": batch_size}
    make = partial(optimizers.build, ENTRIES["adam"], "adam")
    stacked, alone = toy.train(make, network, True, [0, 1], **options), toy.train(make, network, seeds=[1], **options)
    assert toy.equal(stacked.weights[1], alone.weights[0])
    for name, values in stacked.figures().items():  # sums over images, which XLA may take in another order
        np.testing.assert_allclose(values[0, 1], alone.figures()[name][0, 0], rtol=1e-6, err_msg=name)


def lion(**config):
    entry = OptimizerEntry(class_name="Lion", config=config, file="optimizers/lion.py")
    return optimizers.build(entry, "params.yaml: optimizers.lion")


@pytest.mark.parametrize("weight_decay", [None, 0.1])
def test_own_lion_is_the_lion_of_keras_bit_for_bit(weight_decay):
    hyperparameters = {"learning_rate": 0.01, "beta_1": 0.8, "beta_2": 0.95, "weight_decay": weight_decay}
    random = np.random.default_rng(0)
    ours, theirs = keras.Variable(np.ones((5, 3), "float32")), keras.Variable(np.ones((5, 3), "float32"))
    mine, keras_lion = lion(**hyperparameters), keras.optimizers.Lion(**hyperparameters)
    for _ in range(50):
        gradient = keras.ops.convert_to_tensor(random.normal(size=(5, 3)), "float32")
        mine.apply([gradient], [ours])
        keras_lion.apply([gradient], [theirs])
        assert np.array_equal(ours.numpy(), theirs.numpy())
    assert np.ptp(ours.numpy()) > 0.01
