"""Follows optimizers over surfaces of two weights, where a picture can show what an update rule does.

Every surface is a quadratic, which is what any smooth loss is near a point: a narrow valley, a saddle and a bowl differ
in their two curvatures alone. Scales are those of the network: its weights start within some +-0.1 of zero.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from descent.core import user_code
from descent.core.parameters import ParametersError
from descent.trajectories.settings import TrajectoryParameters
from descent.trajectories.surfaces import hessian, leaves_at


class Course(NamedTuple):
    """What a path goes by: at position p the gradient of step t is H p + disturbance t."""

    hessian: np.ndarray  # H, [2, 2]
    start: np.ndarray  # [2]
    disturbances: np.ndarray  # [steps, 2]


class Followed(NamedTuple):
    """Where an optimizer went."""

    paths: dict[str, np.ndarray]  # surface -> positions [steps + 1, 2], float32, from the start on; any size, or nan
    sizes: np.ndarray  # of each update of one weight whose gradient stays at `constant_gradient`; float32 [steps]


def follow(
    fresh: Callable[[], keras.optimizers.Optimizer], parameters: TrajectoryParameters, name: str
) -> Followed | None:
    """Follow an optimizer down each surface, and under a gradient that stays the same.

    The noise added to the gradient at step t is the same for every optimizer, so that paths differ by their rule alone.

    Args:
        fresh: makes the optimizer anew.
        parameters: surfaces, start points, steps.
        name: of the optimizer.

    Returns:
        None, after a line that says why, for a rule that fails on two weights: one may need matrices, or the network's
        names.
    """
    fresh()  # what fails here is no fault of the surfaces
    try:
        with user_code.refused(lambda reason: f"{name}: left out, since it does not work on two weights: {reason}"):
            return _follow(fresh, parameters)
    except ParametersError as error:
        print(error, flush=True)
        return None


def _follow(fresh: Callable[[], keras.optimizers.Optimizer], parameters: TrajectoryParameters) -> Followed:
    courses = {}
    for name, surface in parameters.surfaces.items():
        noise = np.random.default_rng(parameters.seed).normal(0, surface.noise, (parameters.steps, 2))
        courses[name] = Course(hessian(surface), np.array(surface.start), noise)
    same = np.full((parameters.steps, 2), parameters.constant_gradient)
    *found, straight = _walk(fresh, [*courses.values(), Course(np.zeros((2, 2)), np.zeros(2), same)])
    return Followed(dict(zip(courses, found, strict=True)), np.abs(np.diff(straight[:, 0])))


def paths_csv(found: Mapping[str, Mapping[str, np.ndarray]], plot_range: float) -> str:
    """Table of paths: optimizer -> surface -> [steps + 1, 2] as one row a step; `inside` says if the picture has it."""
    lines = ["surface,optimizer,step,x,y,inside"]
    for optimizer, by_surface in found.items():
        for surface, path in by_surface.items():
            left = leaves_at(path, plot_range)
            for step, (x, y) in enumerate(path):
                inside = "true" if left is None or step < left else "false"
                lines.append(f"{surface},{optimizer},{step},{x:.6g},{y:.6g},{inside}")
    return "\n".join(lines) + "\n"


def updates_csv(sizes: Mapping[str, np.ndarray]) -> str:
    """Table of update sizes: optimizer -> [steps] as one row a step."""
    lines = ["optimizer,step,update"]
    for optimizer, updates in sizes.items():
        lines += [f"{optimizer},{step},{update:.6g}" for step, update in enumerate(updates, start=1)]
    return "\n".join(lines) + "\n"


def _walk(fresh: Callable[[], keras.optimizers.Optimizer], courses: Sequence[Course]) -> list[np.ndarray]:
    """Walk courses side by side, in one program, which takes most of the time to make; positions [steps + 1, 2] each.

    Each is a tensor of weights of its own, which no rule mixes with another; only the norm of all gradients does.
    """
    if len(courses) > 1 and fresh().global_clipnorm:
        return [path for course in courses for path in _walk(fresh, [course])]
    keras.utils.set_random_seed(0)  # for noise inside an optimizer of the user's own
    with tf.device("CPU"):  # a few numbers keep no GPU busy
        optimizer = fresh()
        weights = [keras.Variable(course.start, dtype="float32") for course in courses]
        optimizer.build(weights)
        curvatures = [tf.constant(course.hessian, "float32") for course in courses]
        added = tf.constant(np.stack([course.disturbances for course in courses], axis=1), "float32")

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

        # One program for each optimizer is meant: TensorFlow would warn of it in run().
        walked = run.get_concrete_function()().numpy()
    return [np.vstack([np.float32(course.start), walked[:, i]]) for i, course in enumerate(courses)]
