"""Draws the paths of optimizers over surfaces, and the size of their updates; never saves."""

import math
import textwrap
from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

from descent import style
from descent.trajectories.settings import Surface, TrajectoryParameters
from descent.trajectories.surfaces import leaves_at, survey

COLUMNS = 2
MARKS = 6  # on each line, so that equal times can be compared


@style.in_house
def trajectories(
    paths: Mapping[str, Mapping[str, np.ndarray]], sizes: Mapping[str, np.ndarray], parameters: TrajectoryParameters
) -> Figure:
    """One panel a surface with the path of every optimizer, and one with the size of their updates.

    Args:
        paths: optimizer -> surface -> positions [steps + 1, 2].
        sizes: optimizer -> size of each update under a constant gradient, [steps].
        parameters: what they were computed with.
    """
    look = style.looks(paths)
    every = max(1, parameters.steps // MARKS)
    n_lines = math.ceil((len(parameters.surfaces) + 1) / COLUMNS)
    figure = Figure(figsize=(10, 0.8 + 5.2 * n_lines), layout="constrained")
    panels = figure.subplots(n_lines, COLUMNS, squeeze=False)
    *maps, last = panels.flat[: len(parameters.surfaces) + 1]
    for axes in panels.flat[len(parameters.surfaces) + 1 :]:
        axes.set_visible(False)

    for axes, (name, surface) in zip(maps, parameters.surfaces.items(), strict=True):
        _draw_surface(axes, surface, parameters.half_width)
        left = {}
        for optimizer, by_surface in paths.items():
            left[optimizer] = leaves_at(by_surface[name], parameters.half_width)
            end = parameters.steps if left[optimizer] is None else left[optimizer]
            axes.plot(*by_surface[name][: end + 1].T, **look[optimizer], linewidth=1.1, markevery=every)
        axes.plot(*surface.start, "*", color="black", markersize=13, markeredgecolor="white", zorder=4)
        gone = sorted((step, optimizer) for optimizer, step in left.items() if step is not None)
        note = "leave the picture at step: " + ", ".join(f"{optimizer} {step}" for step, optimizer in gone)
        axes.set_title(name.replace("_", " "))
        axes.set_xlabel("first weight\n" + textwrap.fill(note if gone else "no path leaves the picture", 70))

    steps = np.arange(1, parameters.steps + 1)
    for optimizer, updates in sizes.items():
        last.plot(steps, updates, **look[optimizer], markevery=every, label=optimizer)
    last.set_title(f"size of the update, for a gradient of {parameters.constant_gradient:g} at every step")
    last.set(xlabel="step, log scale", ylabel="change of the weight, log scale", xscale="log", yscale="log")
    last.set_box_aspect(1)
    for axis in (last.xaxis, last.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.set_minor_locator(NullLocator())
    figure.legend(loc="outside lower center", ncols=math.ceil(len(sizes) / 2), frameon=False, handlelength=5)
    figure.suptitle(
        f"{parameters.steps} steps from the star, a mark every {every}. "
        "Hyperparameters as in training, tuned to nothing here.",
        fontsize=10,
    )
    return figure


def _draw_surface(axes: Axes, surface: Surface, half_width: float) -> None:
    line, heights, levels = survey(surface, half_width, 201)
    axes.contour(line, line, heights, levels=levels, colors="#BBBBBB", linewidths=0.6, linestyles="solid")
    axes.set(xlim=(-half_width, half_width), ylim=(-half_width, half_width), aspect="equal", ylabel="second weight")
    axes.grid(False)
