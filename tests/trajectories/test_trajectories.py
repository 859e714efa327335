"""Claims about paths over surfaces: they follow the rule and the surface, and what leaves the picture is said to."""

from functools import partial
from pathlib import Path

import keras
import numpy as np
import pytest

from descent.core import parameters, style
from descent.core.parameters import ParametersError
from descent.training import optimizers
from descent.training.settings import OptimizerEntry
from descent.trajectories import figure as trajectory_figure
from descent.trajectories import paths as trajectories
from descent.trajectories import surfaces
from descent.trajectories.settings import Surface, TrajectoryParameters

ROOT = Path(__file__).parents[2]
VALLEY = {"curvatures": [1.0, 20.0], "angle_degrees": 30.0, "start": [-0.2, 0.1], "noise": 0.0}
SADDLE = {"curvatures": [1.0, -1.0], "angle_degrees": 0.0, "start": [-0.2, 0.1], "noise": 0.0}
FLAT = {"curvatures": [0.0, 0.0], "angle_degrees": 0.0, "start": [0.1, 0.1], "noise": 1.0}


def settings(**changes):
    values = {"steps": 20, "seed": 0, "half_width": 0.3, "constant_gradient": 0.5, "surfaces": {"valley": VALLEY}}
    return parameters.validate(values | changes, TrajectoryParameters, "params.yaml: trajectories")


def follow(make, chosen):
    return trajectories.follow(make, chosen, "mine")


def sgd(learning_rate=0.05):
    return keras.optimizers.SGD(learning_rate)


def built(class_name, file=None, **config):
    return partial(optimizers.build, OptimizerEntry(file=file, class_name=class_name, config=config), "mine")


def test_hessian_has_the_curvatures_along_axes_turned_by_the_angle():
    hessian = surfaces.hessian(Surface(**VALLEY))
    axis = np.array([np.cos(np.pi / 6), np.sin(np.pi / 6)])
    np.testing.assert_allclose(hessian @ axis, 1.0 * axis)
    np.testing.assert_allclose(hessian @ [-axis[1], axis[0]], 20.0 * np.array([-axis[1], axis[0]]))


def test_path_of_sgd_is_that_of_its_equation():
    path = follow(sgd, settings()).paths["valley"]
    step = np.eye(2) - 0.05 * surfaces.hessian(Surface(**VALLEY))
    expected = [np.linalg.matrix_power(step, t) @ VALLEY["start"] for t in range(21)]
    np.testing.assert_allclose(path, expected, atol=1e-6)


def test_path_uses_the_hyperparameters_of_the_entry():
    path = follow(built("Adam", learning_rate=0.02), settings(steps=1)).paths["valley"]
    np.testing.assert_allclose(np.abs(path[1] - path[0]), 0.02, rtol=1e-4)  # Adam's first step, whatever the gradient


def test_noise_is_the_same_for_every_optimizer_and_another_for_another_seed():
    def moved(learning_rate, seed=0):
        path = follow(partial(sgd, learning_rate), settings(surfaces={"flat": FLAT}, seed=seed)).paths["flat"]
        return path[1:] - path[0]

    np.testing.assert_allclose(moved(0.02), 2 * moved(0.01), atol=1e-6)
    assert np.std(np.diff(moved(1.0), axis=0)) == pytest.approx(1, abs=0.3)
    assert not np.allclose(moved(0.01), moved(0.01, seed=1))


@pytest.mark.parametrize("rule", [("Lamb", {}), ("SGD", {"global_clipnorm": 0.1})], ids=["lamb", "clipped"])
def test_surfaces_do_not_share_an_optimizers_state(rule):
    make = built(rule[0], learning_rate=0.01, **rule[1])  # its norms would mix them, too
    both = follow(make, settings(surfaces={"saddle": SADDLE, "valley": VALLEY})).paths
    assert np.array_equal(both["valley"], follow(make, settings()).paths["valley"])


def test_rule_that_fails_on_two_weights_is_left_out_with_the_reason(capsys):
    class Square(keras.optimizers.SGD):
        def update_step(self, gradient, variable, learning_rate):
            if len(variable.shape) != 2:
                raise ValueError("no matrix")
            super().update_step(gradient, variable, learning_rate)

    assert follow(Square, settings()) is None
    [line] = capsys.readouterr().out.splitlines()
    assert line.startswith("mine: left out, since it does not work on two weights: ")
    assert "ValueError: no matrix" in line


def test_optimizer_with_noise_of_its_own_takes_the_same_path_again():
    class Noisy(keras.optimizers.SGD):
        def __init__(self):
            super().__init__(0.1)
            self.generator = keras.random.SeedGenerator()

        def update_step(self, gradient, variable, learning_rate):
            noise = keras.random.normal(variable.shape, seed=self.generator)
            super().update_step(gradient + noise, variable, learning_rate)

    first, second = (follow(Noisy, settings()).paths["valley"] for _ in range(2))
    assert np.array_equal(first, second)
    assert not np.allclose(first, follow(partial(sgd, 0.1), settings()).paths["valley"])


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (sgd, lambda t: 0.05 * 0.5 + 0 * t),
        (
            built("Adagrad", "optimizers/keras2_adagrad.py", learning_rate=0.01, epsilon=1e-7),
            lambda t: 0.01 / np.sqrt(t),
        ),
        (built("SGD", learning_rate=0.1, momentum=0.9), lambda t: 0.1 * 0.5 * (1 - 0.9**t) / (1 - 0.9)),
    ],
    ids=["sgd", "adagrad", "momentum"],
)
def test_update_sizes_under_a_constant_gradient_are_those_of_the_equations(make, expected):
    np.testing.assert_allclose(follow(make, settings()).sizes, expected(np.arange(1, 21)), rtol=1e-4)


@pytest.mark.parametrize(
    ("path", "step"),
    [
        ([[0, 0], [0.3, -0.3], [0, 0]], None),
        ([[0, 0], [0, -0.31], [0, 0]], 1),
        ([[0, 0], [0, 0], [np.nan, 0]], 2),
        ([[0, 0], [np.inf, 0], [np.nan, 0]], 1),
        ([[1, 0], [0, 0], [0, 0]], 0),
    ],
)
def test_path_leaves_at_its_first_step_outside_or_not_finite(path, step):
    assert surfaces.leaves_at(np.array(path), 0.3) == step


def test_table_says_from_which_step_on_a_path_is_out_of_the_picture():
    path = np.array([[0.1, 0.2], [0.4, 0.2], [0.1, np.nan]], "float32")
    assert trajectories.paths_csv({"sgd": {"saddle": path}}, 0.3).splitlines() == [
        "surface,optimizer,step,x,y,inside",
        "saddle,sgd,0,0.1,0.2,true",
        "saddle,sgd,1,0.4,0.2,false",
        "saddle,sgd,2,0.1,nan,false",
    ]


def test_table_of_updates_counts_steps_from_one():
    assert trajectories.updates_csv({"sgd": np.array([0.5, 0.25])}) == "optimizer,step,update\nsgd,1,0.5\nsgd,2,0.25\n"


def draw(**changes):
    chosen = settings(surfaces={"narrow_valley": VALLEY, "saddle": SADDLE}, steps=40, **changes)
    makes = {"sgd": sgd, "adam": built("Adam", learning_rate=0.001), "wild": partial(sgd, 1.5)}
    paths = {name: follow(make, chosen).paths for name, make in makes.items()}
    sizes = {name: follow(make, chosen).sizes for name, make in makes.items()}
    return trajectory_figure.trajectories(paths, sizes, chosen)


def rows(figure):
    """Optimizer -> its panels: one a surface, and that of its updates."""
    panels = [figure.axes[i : i + 3] for i in range(0, len(figure.axes), 3)]
    return {row[0].get_ylabel(): row for row in panels}


@pytest.mark.slow
def test_each_optimizer_has_a_path_of_its_own_over_each_surface_which_says_when_it_leaves():
    def said(**changes):
        found = rows(draw(**changes))
        for row in found.values():
            assert all(len(axes.lines) == 1 + 1 for axes in row[:2])  # and the star
        return {name: [[text.get_text() for text in axes.texts] for axes in row[:2]] for name, row in found.items()}

    assert said() == {  # 0.1 * 2.5^2 and 0.1 * 1.05^23 exceed 0.3
        "sgd": [[], ["leaves at 23"]],
        "adam": [[], []],
        "wild": [["leaves at 1"], ["leaves at 2"]],
    }
    assert said(half_width=1e30)["wild"][1] == []


@pytest.mark.slow
def test_updates_are_drawn_among_those_of_the_others_on_one_scale():
    figure = draw()
    figure.draw_without_rendering()
    titles = [axes.get_title() for axes in figure.axes[:3]]
    assert titles == ["narrow valley", "saddle", "size of update,\ngradient 0.5"]
    updates = {name: row[-1] for name, row in rows(figure).items()}
    for name, size in {"sgd": 0.05 * 0.5, "adam": 0.001, "wild": 1.5 * 0.5}.items():
        *among, own = (line.get_ydata() for line in updates[name].lines)
        np.testing.assert_allclose(own, size, rtol=1e-4)
        assert len(among) == 3
    low, high = {axes.get_ylim() for axes in updates.values()}.pop()
    assert all(axes.get_ylim() == (low, high) for axes in updates.values())
    assert low < 0.001 < 0.75 < high


@pytest.mark.slow
def test_equal_parameters_give_equal_bytes():
    assert style.png(draw()) == style.png(draw())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"step": 3}, "unknown key 'step'"),
        ({"steps": 0}, "trajectories.steps: expected at least 1, got 0"),
        ({"half_width": 0.0}, "trajectories.half_width: expected more than 0, got 0.0"),
        ({"surfaces": {}}, "trajectories.surfaces: expected a dictionary to have at least 1 item"),
        ({"surfaces": {"a.b": VALLEY}}, "expected a name of letters, digits, - and _"),
        ({"surfaces": {"v": VALLEY | {"noise": -1.0}}}, "surfaces.v.noise: expected at least 0"),
        ({"surfaces": {"v": VALLEY | {"start": [0.1]}}}, "surfaces.v.start: expected a list to have at least 2 items"),
        ({"surfaces": {"v": VALLEY | {"curvatures": ["a", 1]}}}, "surfaces.v.curvatures.0: expected a"),
    ],
)  # fmt: skip
def test_impossible_parameters_are_refused_with_their_key_path(changes, message):
    with pytest.raises(ParametersError) as caught:
        settings(**changes)
    assert message in str(caught.value)


def test_surfaces_of_params_yaml_are_a_valley_a_saddle_and_a_noisy_bowl():
    drawn = parameters.read(ROOT / "params.yaml", "trajectories", TrajectoryParameters).surfaces
    low, high = sorted(drawn["narrow_valley"].curvatures)
    assert 0 < 100 * low <= high
    assert np.prod(drawn["saddle"].curvatures) < 0
    assert min(drawn["noisy_bowl"].curvatures) > 0
    assert [surface.noise > 0 for surface in drawn.values()] == [False, False, True]
