"""A scaled learning rate is that of the optimizer, times the factor, whatever form it has."""

from functools import partial

import keras
import numpy as np
import pytest

from descent.core.parameters import ParametersError, validate
from descent.study import grid
from descent.study.settings import TuningParameters
from descent.training import optimizers
from descent.training.settings import OptimizerEntry
from descent.trajectories.paths import follow
from descent.trajectories.settings import TrajectoryParameters

DECAY = {
    "class_name": "ExponentialDecay",
    "config": {"initial_learning_rate": 0.1, "decay_steps": 2, "decay_rate": 0.5},
}
FILES = {"Nadam": "optimizers/keras2_nadam.py", "TFOptimizer": "optimizers/tf1.py"}
ENTRIES = {
    "SGD": {"learning_rate": 0.1},
    "Adam": {"learning_rate": 0.01},
    "Nadam": {"learning_rate": 0.01},
    "TFOptimizer": {"optimizer": "MomentumOptimizer", "learning_rate": 0.1, "momentum": 0.9},
}


def followed(class_name, config, factor=None):
    """The path of an optimizer over a bowl, with its learning rate scaled or not."""
    surface = {"curvatures": [1.0, 2.0], "angle_degrees": 0.0, "start": [-0.2, 0.1], "noise": 0.0}
    settings = {"steps": 6, "seed": 0, "half_width": 0.3, "constant_gradient": 0.3, "surfaces": {"bowl": surface}}
    entry = OptimizerEntry(file=FILES.get(class_name), class_name=class_name, config=config)
    fresh = partial(optimizers.build, entry, "mine")
    made = fresh if factor is None else lambda: optimizers.scale(fresh(), factor)
    return follow(made, TrajectoryParameters(**settings), "mine").paths["bowl"]


@pytest.mark.parametrize(("class_name", "config"), ENTRIES.items(), ids=ENTRIES)
def test_scaled_number_gives_the_path_of_an_entry_with_that_number(class_name, config):
    expected = followed(class_name, config | {"learning_rate": 3 * config["learning_rate"]})
    np.testing.assert_allclose(followed(class_name, config, 3.0), expected, rtol=1e-6)
    assert not np.allclose(followed(class_name, config), expected)


def test_schedule_is_scaled_as_a_whole():
    expected = followed("SGD", {"learning_rate": DECAY | {"config": DECAY["config"] | {"initial_learning_rate": 0.3}}})
    np.testing.assert_allclose(followed("SGD", {"learning_rate": DECAY}, 3.0), expected, rtol=1e-6)


def test_scaled_optimizer_is_still_the_same_one():
    optimizer = keras.optimizers.SGD(0.1)
    assert optimizers.scale(optimizer, 10.0) is optimizer
    assert float(optimizer.learning_rate) == pytest.approx(1.0)


def test_grid_of_params_yaml_is_nine_half_decades_around_the_entry_itself():
    found = grid.factors(TuningParameters(points=9, step_decades=0.5, extension=0, seeds=[7, 8], selection_size=10))
    np.testing.assert_allclose(found, np.logspace(-2, 2, 9))
    assert found[4] == 1


@pytest.mark.parametrize("change", [{"points": 2}, {"points": 100}, {"step_decades": 0.0}, {"step_decades": 2.5}])
def test_impossible_grid_is_refused_with_its_key_path(change):
    with pytest.raises(ParametersError, match=f"params.yaml: tuning.{next(iter(change))}: expected"):
        validate({"points": 9, "step_decades": 0.5} | change, TuningParameters, "params.yaml: tuning")
