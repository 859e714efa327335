"""Follows optimizers over surfaces of two weights, where a picture can show what an update rule does.

Every surface is a quadratic, which is what any smooth loss is near a point: a narrow valley, a saddle and a bowl differ
in their two curvatures alone. Scales are those of the network: its weights start within some +-0.1 of zero.
"""

from collections.abc import Callable, Mapping

import keras
import numpy as np
import tensorflow as tf

from descent.trajectories.settings import TrajectoryParameters
from descent.trajectories.surfaces import hessian, leaves_at


def paths(fresh: Callable[[], keras.optimizers.Optimizer], parameters: TrajectoryParameters) -> dict[str, np.ndarray]:
    """Follow an optimizer down each surface, and under a gradient that stays the same.

    The noise added to the gradient at step t is the same for every optimizer, so that paths differ by their rule alone.

    Args:
        fresh: makes the optimizer anew; one is made for each surface.
        parameters: surfaces, start points, steps.

    Returns:
        Surface -> positions [steps + 1, 2], float32, from the start on; they may leave every bound, or be nan.
    """
    found = {}
    for name, surface in parameters.surfaces.items():
        noise = np.random.default_rng(parameters.seed).normal(0, surface.noise, (parameters.steps, 2))
        found[name] = _follow(fresh, hessian(surface), np.array(surface.start), noise)
    return found


def update_sizes(fresh: Callable[[], keras.optimizers.Optimizer], parameters: TrajectoryParameters) -> np.ndarray:
    """Size of each update of one weight whose gradient stays at `constant_gradient`; float32 [steps]."""
    gradients = np.full((parameters.steps, 2), parameters.constant_gradient)
    return np.abs(np.diff(_follow(fresh, np.zeros((2, 2)), np.zeros(2), gradients)[:, 0]))


def paths_csv(found: Mapping[str, Mapping[str, np.ndarray]], half_width: float) -> str:
    """Table of paths: optimizer -> surface -> [steps + 1, 2] as one row a step; `inside` says if the picture has it."""
    lines = ["surface,optimizer,step,x,y,inside"]
    for optimizer, by_surface in found.items():
        for surface, path in by_surface.items():
            left = leaves_at(path, half_width)
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


def _follow(
    fresh: Callable[[], keras.optimizers.Optimizer], hessian: np.ndarray, start: np.ndarray, disturbances: np.ndarray
) -> np.ndarray:
    """Take a step for each row of disturbances [steps, 2], with the gradient H p + disturbance."""
    keras.utils.set_random_seed(0)  # for noise inside an optimizer of the user's own
    with tf.device("CPU"):  # two numbers keep no GPU busy
        optimizer = fresh()
        weights = keras.Variable(start, dtype="float32")
        optimizer.build([weights])
        curvature, added = tf.constant(hessian, "float32"), tf.constant(disturbances, "float32")

        @tf.function
        def run():
            positions = tf.TensorArray(tf.float32, len(disturbances))
            for step in tf.range(len(disturbances)):
                optimizer.apply([tf.linalg.matvec(curvature, weights.value) + added[step]], [weights])
                positions = positions.write(step, weights.value)
            return positions.stack()

        # One program for each optimizer and surface is meant: TensorFlow would warn of it in run().
        path = run.get_concrete_function()().numpy()
    return np.vstack([np.float32(start), path])
