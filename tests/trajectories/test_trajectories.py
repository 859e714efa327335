"""Paths over surfaces follow the rule and the surface; pictures and tables show where they leave."""

from functools import partial

import keras
import numpy as np
import pytest
from training import toy

from descent.core import parameters
from descent.core.parameters import InputError
from descent.training import optimizers
from descent.training.measurements import Wanted
from descent.training.settings import OptimizerEntry
from descent.trajectories import figure as trajectory_figure
from descent.trajectories import paths as trajectories
from descent.trajectories.paths import Followed, TrajectoryParameters

VALLEY = {"curvatures": [1.0, 20.0], "angle_degrees": 30.0, "start": [-0.2, 0.1], "noise": 0.0}
SADDLE = {"curvatures": [1.0, -1.0], "angle_degrees": 0.0, "start": [-0.2, 0.1], "noise": 0.0}
FLAT = {"curvatures": [0.0, 0.0], "angle_degrees": 0.0, "start": [0.1, 0.1], "noise": 1.0}
HALF = 0.3  # of the width of a picture


def settings(**changes):
    values = {"steps": 20, "seed": 0, "plot_range": HALF, "constant_gradient": 0.5, "surfaces": {"valley": VALLEY}}
    return parameters.validate(values | changes, TrajectoryParameters, "params.yaml: trajectories")


def follow(make, chosen):
    return trajectories.follow(make, chosen, "mine")


def sgd(learning_rate=0.05):
    return keras.optimizers.SGD(learning_rate)


def built(class_name, file=None, **config):
    return partial(optimizers.build, OptimizerEntry(file=file, class_name=class_name, config=config), "mine")


def test_path_of_sgd_is_that_of_its_equation():
    path = follow(sgd, settings()).paths["valley"]
    axis, across = np.array([np.sqrt(3) / 2, 0.5]), np.array([-0.5, np.sqrt(3) / 2])  # turned by 30 degrees
    step = np.eye(2) - 0.05 * (1.0 * np.outer(axis, axis) + 20.0 * np.outer(across, across))
    expected = [np.linalg.matrix_power(step, t) @ VALLEY["start"] for t in range(21)]
    np.testing.assert_allclose(path, expected, atol=1e-6)


def test_noise_is_the_same_for_every_optimizer_and_another_for_another_seed():
    def moved(learning_rate, seed=0):
        path = follow(partial(sgd, learning_rate), settings(surfaces={"flat": FLAT}, seed=seed)).paths["flat"]
        return path[1:] - path[0]

    np.testing.assert_allclose(moved(0.02), 2 * moved(0.01), atol=1e-6)
    assert np.std(np.diff(moved(1.0), axis=0)) == pytest.approx(1, abs=0.3)
    assert not np.allclose(moved(0.01), moved(0.01, seed=1))


def test_surfaces_do_not_share_an_optimizers_state():
    make = built("SGD", learning_rate=0.01, global_clipnorm=0.1)  # its norms would mix them, too
    both = follow(make, settings(surfaces={"saddle": SADDLE, "valley": VALLEY})).paths
    assert np.array_equal(both["valley"], follow(make, settings()).paths["valley"])


def test_rule_that_fails_on_two_weights_is_left_out_with_the_reason(capsys):
    class Square(keras.optimizers.SGD):
        def update_step(self, *_):
            raise ValueError("no matrix")

    assert follow(Square, settings()) is None
    [line] = capsys.readouterr().out.splitlines()
    assert line.startswith("mine: left out, since it does not work on two weights: ")
    assert "ValueError: no matrix" in line


def test_update_sizes_under_a_constant_gradient_are_those_of_the_equations():
    momentum = built("SGD", learning_rate=0.1, momentum=0.9)
    expected = 0.1 * 0.5 * (1 - 0.9 ** np.arange(1, 21)) / (1 - 0.9)
    np.testing.assert_allclose(follow(momentum, settings()).sizes, expected, rtol=1e-4)


def decaying(rate):
    config = {"initial_learning_rate": rate, "decay_steps": 2, "decay_rate": 0.5}
    return built("SGD", learning_rate={"class_name": "ExponentialDecay", "config": config})


def native(rate):
    given = {"optimizer": "MomentumOptimizer", "learning_rate": rate, "momentum": 0.9}
    return built("TFOptimizer", "optimizers/tf1.py", **given)


@pytest.mark.parametrize("rule", [lambda rate: built("Adam", learning_rate=rate), native, decaying])
def test_scaled_learning_rate_gives_the_path_of_an_entry_with_that_rate(rule):
    make = rule(0.01)
    scaled = follow(lambda: optimizers.scale(make(), 3.0), settings()).paths["valley"]
    np.testing.assert_allclose(scaled, follow(rule(0.03), settings()).paths["valley"], rtol=1e-5, atol=1e-7)
    assert not np.allclose(scaled, follow(make, settings()).paths["valley"])


@pytest.mark.slow
def test_run_of_the_study_at_a_factor_is_the_training_of_that_rate_alone():
    trainer = toy.trainer(decaying(0.01))
    trainer.train(Wanted(5, 10.0))
    found, alone = trainer.train(Wanted(3, 4.0)), toy.trainer(decaying(0.04)).train(Wanted(3))
    np.testing.assert_allclose(found.history["val_loss"], alone.history["val_loss"], rtol=1e-6)
    np.testing.assert_allclose(found.test[0], alone.test[0], rtol=1e-6)


def test_table_shows_from_which_step_on_a_path_is_out_of_the_picture():
    path = np.array([[0.1, 0.2], [0.4, 0.2], [0.1, np.nan]], "float32")
    found = {"sgd": Followed({"saddle": path}, np.array([0.5, 0.25]))}
    assert trajectories.paths_csv(found, HALF).decode().splitlines() == [
        "surface,optimizer,step,x,y,inside",
        "saddle,sgd,0,0.1,0.2,true",
        "saddle,sgd,1,0.4,0.2,false",
        "saddle,sgd,2,0.1,nan,false",
    ]


@pytest.mark.slow
def test_figure_shows_for_each_optimizer_and_surface_at_which_step_the_path_leaves():
    chosen = settings(surfaces={"narrow_valley": VALLEY, "saddle": SADDLE}, steps=40)
    makes = {"sgd": sgd, "adam": built("Adam", learning_rate=0.001), "wild": partial(sgd, 1.5)}
    figure = trajectory_figure.trajectories({name: follow(make, chosen) for name, make in makes.items()}, chosen)
    rows = [figure.axes[i : i + 3] for i in range(0, len(figure.axes), 3)]  # a panel a surface, and that of its updates
    shown = {row[0].get_ylabel(): [[text.get_text() for text in axes.texts] for axes in row[:2]] for row in rows}
    assert shown == {  # 0.1 * 2.5^2 and 0.1 * 1.05^23 exceed 0.3
        "sgd": [[], ["leaves at 23"]],
        "adam": [[], []],
        "wild": [["leaves at 1"], ["leaves at 2"]],
    }


def test_thinned_path_keeps_all_that_looks_apart_in_a_picture_and_its_end():
    path = np.cumsum(np.random.default_rng(0).normal(0, 0.001, (300, 2)), axis=0)
    steps, points = trajectories.thin(path, HALF)
    kept = points[np.searchsorted(steps, np.arange(300), side="right") - 1]
    assert len(steps) < 150
    assert steps[-1] == 299
    assert np.abs(path - kept).max() <= HALF / trajectories.PARTS


def test_table_of_thinned_paths_is_read_as_it_was_written():
    points = np.random.default_rng(0).random((3, 2))
    written = [trajectories.Path("bowl", name, 10**0.5, np.array([0, 2, 9]), points) for name in ("adam", "sgd")]
    for path, other in zip(written, trajectories.parse(trajectories.csv_text(written), "paths.csv"), strict=True):
        assert other[:2] == path[:2]
        assert other.factor == pytest.approx(path.factor, rel=1e-5)
        assert other.steps.tolist() == path.steps.tolist()
        np.testing.assert_allclose(other.points, path.points, rtol=1e-3)
    with pytest.raises(InputError, match=r"^paths\.csv: damaged"):
        trajectories.parse("", "paths.csv")
