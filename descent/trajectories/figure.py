"""Draws the paths of optimizers over surfaces, and the size of their updates; never saves."""

import textwrap
from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MultipleLocator, NullLocator, StrMethodFormatter

from descent.core import plot_style
from descent.trajectories.paths import Followed, TrajectoryParameters, leaves_at, survey

PANEL, LEFT, RIGHT, TOP, BOTTOM, DPI = 1.0, 0.85, 0.55, 0.95, 0.45, 200  # inches, pixels per inch
GAP = 0.12  # between panels, of a panel
MARKS = 6  # on each line, so that equal times can be compared
PLAIN = {"linestyle": "-", "marker": "o", "markersize": 3}  # a line alone in its panel needs no dashes
GROUND = {"facecolor": "white", "linewidth": 0, "pad": 1}  # below a text


@plot_style.in_house
def trajectories(found: Mapping[str, Followed], parameters: TrajectoryParameters) -> Figure:
    """Draw a row of panels for each optimizer: its path over each surface, and the sizes of its updates.

    Args:
        found: optimizer -> where it went.
        parameters: what the paths were computed with.
    """
    every, width = max(1, parameters.steps // MARKS), parameters.plot_range
    surfaces, steps = parameters.surfaces, np.arange(1, parameters.steps + 1)
    maps = {name: survey(surface, width, 101) for name, surface in surfaces.items()}
    every_size = np.concatenate([followed.sizes for followed in found.values()])
    known = every_size[np.isfinite(every_size) & (every_size > 0)]
    # With three surfaces as narrow as the report's figures, for a phone. A layout by matplotlib would cost a second.
    wide, high = LEFT + PANEL * (len(surfaces) + 1) + RIGHT, TOP + PANEL * len(found) + BOTTOM
    figure = Figure(figsize=(wide, high), dpi=DPI)
    edges = {"left": LEFT / wide, "right": 1 - RIGHT / wide, "bottom": BOTTOM / high, "top": 1 - TOP / high}
    panels = figure.subplots(
        len(found), len(surfaces) + 1, squeeze=False, sharex="col", gridspec_kw=edges | {"wspace": GAP, "hspace": GAP}
    )

    for (optimizer, look), row in zip(plot_style.looks(found).items(), panels, strict=True):
        for axes, (name, surface) in zip(row, surfaces.items(), strict=False):
            path = found[optimizer].paths[name]
            left = leaves_at(path, width)
            _draw_map(axes, maps[name], width)
            axes.plot(*path[: None if left is None else left + 1].T, **look | PLAIN, linewidth=1.2, markevery=every)
            axes.plot(*surface.start, "*", color="black", markersize=8, markeredgecolor="white", zorder=4)
            if left is not None:
                axes.text(0.97, 0.04, f"leaves at {left}", ha="right", transform=axes.transAxes, bbox=GROUND, size=8)
        for other in found.values():
            row[-1].plot(steps, other.sizes, color="#BBBBBB", linewidth=0.7)
        row[-1].plot(steps, found[optimizer].sizes, **look | PLAIN, markevery=every)
        _scale_logarithmically(row[-1])
        if known.size:
            row[-1].set_ylim(known.min() / 1.5, known.max() * 1.5)
        row[0].set_ylabel(textwrap.fill(optimizer, 14), color=look["color"], fontsize=10, weight="bold")

    for axes, name in zip(panels[0], surfaces, strict=False):
        axes.set_title(name.replace("_", " "))
    panels[0, -1].set_title(f"size of update,\ngradient {parameters.constant_gradient:g}")
    for axes in panels[-1]:
        axes.set_xlabel("first weight")
    panels[-1, -1].set_xlabel("step")
    title = (
        f"{parameters.steps} steps from the star, a dot every {every}; where a path leaves, at which step. "
        "Second weight upwards. Hyperparameters as in training, tuned to nothing here."
    )
    figure.suptitle(textwrap.fill(title, int(14 * wide)), fontsize=9, y=1 - 0.08 / high, va="top")
    return figure


def _draw_map(axes: Axes, surveyed: tuple[np.ndarray, np.ndarray, np.ndarray], plot_range: float) -> None:
    line, heights, levels = surveyed
    if (np.diff(levels) > 0).all():  # not if the surface is flat, or nearly so
        axes.contour(line, line, heights, levels=levels, colors="#CCCCCC", linewidths=0.5, linestyles="solid")
    axes.set(xlim=(-plot_range, plot_range), ylim=(-plot_range, plot_range), aspect="equal")
    axes.grid(False)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MultipleLocator(plot_range * 2 / 3))
        axis.set_major_formatter(StrMethodFormatter("{x:.2g}"))
    axes.tick_params(labelleft=axes.get_subplotspec().is_first_col())


def _scale_logarithmically(axes: Axes) -> None:
    axes.set(xscale="log", yscale="log", box_aspect=1)
    axes.yaxis.tick_right()
    axes.tick_params(axis="y", length=0)
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.set_minor_locator(NullLocator())
