"""Follows optimizers over surfaces of two weights, where a picture can show what an update rule does.

Every surface is a quadratic, which is what any smooth loss is near a point: a narrow valley, a saddle and a bowl differ
only in their two curvatures. The scale is that of the network: its weights start within some +-0.1 of zero.
Keras takes seconds to load, so only `follow` imports it.
"""

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, NamedTuple

import numpy as np
from pydantic import Field

from descent.core import user_code
from descent.core.parameters import Finite, InputError, NotNegative, ParametersError, Positive, Section
from descent.training.settings import OptimizerEntry, OptimizerName, rule_path

PARTS = 150  # of half a picture's width: points that are closer look like one
COLUMNS = ("surface", "optimizer", "factor", "step", "x", "y")  # of results/tuning/paths.csv
_Pair = Annotated[list[Finite], Field(min_length=2, max_length=2)]


class Surface(Section):
    """f(p) = p' H p / 2: H has these curvatures along axes turned by this angle. And how a path starts."""

    curvatures: _Pair
    angle_degrees: Annotated[float, Field(ge=-360, le=360)]
    start: _Pair
    noise: NotNegative


class TrajectoryParameters(Section):
    """The section `trajectories` of params.yaml."""

    steps: Annotated[int, Field(ge=1, le=10000)]
    seed: Annotated[int, Field(ge=0, lt=2**31)]
    plot_range: Positive
    constant_gradient: Positive
    surfaces: Annotated[dict[OptimizerName, Surface], Field(min_length=1, max_length=12)]


class Followed(NamedTuple):
    """Where an optimizer went."""

    paths: dict[str, np.ndarray]  # surface -> positions [steps + 1, 2], float32, from the start on; any size, or nan
    sizes: np.ndarray  # of each update of one weight whose gradient stays at `constant_gradient`; float32 [steps]


class Path(NamedTuple):
    """The part of a path that a picture shows; its last point is outside, or nan, where the path leaves the picture."""

    surface: str
    optimizer: str
    factor: float  # on the optimizer's learning rate
    steps: np.ndarray  # int [points], from 0 on
    points: np.ndarray  # [points, 2]


def hessian(surface: Surface) -> np.ndarray:
    """Second derivatives of a surface, [2, 2]; its gradient at p is H p."""
    angle = np.radians(surface.angle_degrees)
    axes = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return axes @ np.diag(surface.curvatures) @ axes.T


def survey(surface: Surface, plot_range: float, points: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Measure a surface between - and + plot_range, at this number of points along each axis.

    Returns:
        Coordinates along an axis, [points]; heights, [points, points]; levels at which contour lines are drawn.
    """
    line = np.linspace(-plot_range, plot_range, points)
    grid = np.stack(np.meshgrid(line, line), axis=-1)
    heights = np.einsum("...i,ij,...j->...", grid, hessian(surface), grid) / 2
    # Levels that grow with the square are equally far apart in the plane.
    return line, heights, np.abs(heights).max() * np.linspace(-1, 1, 19) * np.abs(np.linspace(-1, 1, 19))


def leaves_at(path: np.ndarray, plot_range: float) -> int | None:
    """First step at which a path [steps + 1, 2] is beyond plot_range of zero, or nan; None if it never is."""
    outside = ~(np.abs(path) <= plot_range).all(axis=1)  # so that nan counts as outside
    return int(outside.argmax()) if outside.any() else None


def follow_entry(
    name: str, entry: OptimizerEntry, parameters: TrajectoryParameters, factor: float = 1.0
) -> Followed | None:
    """Follow the optimizer of an entry of params.yaml with its learning rate times a factor; see `follow`."""
    from descent.training import optimizers

    def fresh():
        made = optimizers.build(entry, f"params.yaml: optimizers.{name}", rule_path(name))
        return optimizers.scale(made, factor)

    return follow(fresh, parameters, name)


def follow(fresh: Callable[[], Any], parameters: TrajectoryParameters, name: str) -> Followed | None:
    """Follow an optimizer down each surface, and under a gradient that stays the same.

    The noise added to the gradient at step t is the same for every optimizer, so that only their rules differ.

    Args:
        fresh: returns a new Keras optimizer.
        parameters: surfaces, start points, steps.
        name: of the optimizer.

    Returns:
        None, after a line with the reason, if the rule fails on two weights: some need matrices, or the names of the
        network's layers.
    """
    same = np.full((parameters.steps, 2), parameters.constant_gradient)
    courses = []
    for surface in parameters.surfaces.values():
        noise = np.random.default_rng(parameters.seed).normal(0, surface.noise, (parameters.steps, 2))
        courses.append((hessian(surface), surface.start, noise))
    courses.append((np.zeros((2, 2)), [0, 0], same))
    fresh()  # what fails here has nothing to do with the surfaces
    try:
        with user_code.refused(lambda reason: f"{name}: left out, since it does not work on two weights: {reason}"):
            *found, straight = _walk(fresh, courses)
    except ParametersError as error:
        print(error, flush=True)
        return None
    return Followed(dict(zip(parameters.surfaces, found, strict=True)), np.abs(np.diff(straight[:, 0])))


def _walk(
    fresh: Callable[[], Any], courses: Sequence[tuple[np.ndarray, Sequence[float], np.ndarray]]
) -> list[np.ndarray]:
    """Walk several courses at once, in one program, since compiling takes most of the time.

    Each course has its own tensor of weights, which no rule mixes with another; only the norm of all gradients does.

    Args:
        fresh: returns a new optimizer.
        courses: matrix H, start p, and disturbances [steps, 2]: the gradient of step t is H p + disturbance t.

    Returns:
        Positions [steps + 1, 2] of each.
    """
    import keras
    import tensorflow as tf

    if len(courses) > 1 and fresh().global_clipnorm:
        return [path for course in courses for path in _walk(fresh, [course])]
    keras.utils.set_random_seed(0)  # for noise inside an optimizer of the user's own
    hessians, starts, disturbances = zip(*courses, strict=True)
    with tf.device("CPU"):  # a few numbers keep no GPU busy
        optimizer = fresh()
        weights = [keras.Variable(start, dtype="float32") for start in starts]
        optimizer.build(weights)
        curvatures = [tf.constant(matrix, "float32") for matrix in hessians]
        added = tf.constant(np.stack(disturbances, axis=1), "float32")

        @tf.function
        def run():
            positions = tf.TensorArray(tf.float32, len(added))
            for step in tf.range(len(added)):
                here = [weight.value for weight in weights]
                slopes = [tf.linalg.matvec(*place) for place in zip(curvatures, here, strict=True)]
                gradients = [slope + added[step, i] for i, slope in enumerate(slopes)]
                optimizer.apply_gradients(zip(gradients, weights, strict=True))
                positions = positions.write(step, tf.stack([weight.value for weight in weights]))
            return positions.stack()

        # Each optimizer needs a program of its own; run() would warn of that.
        walked = run.get_concrete_function()().numpy()
    return [np.vstack([np.float32(start), walked[:, i]]) for i, start in enumerate(starts)]


def thin(path: np.ndarray, plot_range: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the steps and points of a `Path`: those that look apart in a picture, and none after the path has left it.

    The first point outside is moved along its line to a place near the picture.

    Args:
        path: positions [steps + 1, 2] from the start on.
        plot_range: the picture shows - to + this.
    """
    left, path = leaves_at(path, plot_range), path.astype("float64")
    end = len(path) - 1 if left is None else left
    steps = [0]
    for step in range(1, end):
        if np.abs(path[step] - path[steps[-1]]).max() >= plot_range / PARTS:
            steps.append(step)
    steps = np.array([*steps, end] if end else [0])
    points = path[steps]
    if left and np.isfinite(points[-1]).all():
        leap = points[-1] - points[-2]
        points[-1] = points[-2] + leap * min(1, 3 * plot_range / np.abs(leap).max())
    return steps, points


def paths_csv(found: Mapping[str, Followed], plot_range: float) -> bytes:
    """Write results/trajectories/paths.csv: a row for each step of each path; `inside`: the picture shows it."""
    lines = ["surface,optimizer,step,x,y,inside"]
    for optimizer, followed in found.items():
        for surface, path in followed.paths.items():
            left = leaves_at(path, plot_range)
            for step, (x, y) in enumerate(path):
                inside = "true" if left is None or step < left else "false"
                lines.append(f"{surface},{optimizer},{step},{x:.6g},{y:.6g},{inside}")
    return ("\n".join(lines) + "\n").encode()


def updates_csv(found: Mapping[str, Followed]) -> bytes:
    """Write results/trajectories/updates.csv: a row for each update under the constant gradient."""
    lines = ["optimizer,step,update"]
    for optimizer, followed in found.items():
        lines += [f"{optimizer},{step},{update:.6g}" for step, update in enumerate(followed.sizes, start=1)]
    return ("\n".join(lines) + "\n").encode()


def csv_text(paths: Iterable[Path]) -> str:
    """Write results/tuning/paths.csv: a row for each point."""
    lines = [",".join(COLUMNS)]
    for path in paths:
        head = f"{path.surface},{path.optimizer},{path.factor:.6g}"
        lines += [f"{head},{step},{x:.4g},{y:.4g}" for step, (x, y) in zip(path.steps, path.points, strict=True)]
    return "\n".join(lines) + "\n"


def parse(text: str, location: str) -> list[Path]:
    """Read what `csv_text` wrote; `location` is the file, for messages.

    Raises:
        InputError: if it is another table.
    """
    found: dict[tuple[str, str, float], list[list[float]]] = {}
    try:
        header, *rows = csv.reader(io.StringIO(text))
        if tuple(header) != COLUMNS:
            raise ValueError(f"expected the columns {','.join(COLUMNS)}")
        for surface, optimizer, factor, *point in rows:
            found.setdefault((surface, optimizer, float(factor)), []).append([float(number) for number in point])
        tables = {key: np.array(points).reshape(-1, 3) for key, points in found.items()}
    except ValueError as error:
        raise InputError(f"{location}: damaged: {error}; run dvc repro tuning/dvc.yaml") from None
    return [Path(*key, table[:, 0].astype(int), table[:, 1:]) for key, table in tables.items()]
