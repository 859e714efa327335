"""Claims about paths over surfaces: they follow the rule and the surface, and what leaves the picture is said to."""

from functools import partial

import keras
import numpy as np
import pytest

from descent.core import parameters, plot_style
from descent.core.parameters import ParametersError
from descent.training import optimizers
from descent.training.settings import OptimizerEntry
from descent.trajectories import figure as trajectory_figure
from descent.trajectories import paths as trajectories
from descent.trajectories import surfaces
from descent.trajectories.settings import Surface, TrajectoryParameters

VALLEY = {"curvatures": [1.0, 20.0], "angle_degrees": 30.0, "start": [-0.2, 0.1], "noise": 0.0}
SADDLE = {"curvatures": [1.0, -1.0], "angle_degrees": 0.0, "start": [-0.2, 0.1], "noise": 0.0}
FLAT = {"curvatures": [0.0, 0.0], "angle_degrees": 0.0, "start": [0.1, 0.1], "noise": 1.0}


def settings(**changes):
    values = {"steps": 20, "seed": 0, "plot_range": 0.3, "constant_gradient": 0.5, "surfaces": {"valley": VALLEY}}
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


def draw(**changes):
    chosen = settings(surfaces={"narrow_valley": VALLEY, "saddle": SADDLE}, steps=40, **changes)
    makes = {"sgd": sgd, "adam": built("Adam", learning_rate=0.001), "wild": partial(sgd, 1.5)}
    found = {name: follow(make, chosen) for name, make in makes.items()}
    paths, sizes = ({name: both[part] for name, both in found.items()} for part in (0, 1))
    return trajectory_figure.trajectories(paths, sizes, chosen)


@pytest.mark.slow
def test_figure_says_for_each_optimizer_and_surface_at_which_step_the_path_leaves_in_equal_bytes():
    figure = draw()
    rows = [figure.axes[i : i + 3] for i in range(0, len(figure.axes), 3)]  # a panel a surface, and that of its updates
    said = {row[0].get_ylabel(): [[text.get_text() for text in axes.texts] for axes in row[:2]] for row in rows}
    assert said == {  # 0.1 * 2.5^2 and 0.1 * 1.05^23 exceed 0.3
        "sgd": [[], ["leaves at 23"]],
        "adam": [[], []],
        "wild": [["leaves at 1"], ["leaves at 2"]],
    }
    assert plot_style.png(figure) == plot_style.png(draw())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"step": 3}, "unknown key 'step'"),
        ({"plot_range": 0.0}, "trajectories.plot_range: expected more than 0, got 0.0"),
        ({"surfaces": {}}, "trajectories.surfaces: expected a dictionary to have at least 1 item"),
        ({"surfaces": {"v": VALLEY | {"noise": -1.0}}}, "surfaces.v.noise: expected at least 0"),
        ({"surfaces": {"v": VALLEY | {"start": [0.1]}}}, "surfaces.v.start: expected a list to have at least 2 items"),
        ({"surfaces": {"v": VALLEY | {"curvatures": ["a", 1]}}}, "surfaces.v.curvatures.0: expected a"),
    ],
)  # fmt: skip
def test_impossible_parameters_are_refused_with_their_key_path(changes, message):
    with pytest.raises(ParametersError) as caught:
        settings(**changes)
    assert message in str(caught.value)
