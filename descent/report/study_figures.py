"""Draws the tables of the learning-rate study; never saves. Rendered in_house, equal tables give equal pictures."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from descent.analysis.study_tables import BestOfK, SensitivityPoint
from descent.core import style
from descent.report.figures import DPI, LABEL_GAP, WIDTH, label_places, percent
from descent.report.layout import times

COLUMNS = 2
OTHERS = "#C6C6C6"
INK = "#222222"
TICKS = (0.1, 0.5, 0.7, 0.8, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99, 0.995, 0.999)  # of accuracies
LEAST_ERROR = 1e-4  # what the scale takes for an error of 0: one image of 10000


@style.in_house
def sensitivity(rows: Sequence[SensitivityPoint], chosen: Mapping[str, float], confidence: float) -> Figure:
    """Validation accuracy against learning rate: a panel an optimizer, in it all the others in grey.

    Args:
        rows: rows of sensitivity.csv. A schedule has no one learning rate, and so no panel.
        chosen: optimizer -> its best factor, for those that have one.
        confidence: of the intervals in the rows, in (0, 1).
    """
    curves = {name: curve for name, curve in _curves(rows).items() if np.isfinite(curve["learning_rate"]).all()}
    look = style.looks(curves)
    lines = max(1, math.ceil(len(curves) / COLUMNS))
    figure = Figure(figsize=(WIDTH, 1.3 + 1.4 * lines), dpi=DPI, layout="constrained")
    panels = list(figure.subplots(lines, COLUMNS, sharex=True, sharey=True, squeeze=False).flat)
    _scale_by_error(panels[0], [row.mean for row in rows], foot=any(row.diverged for row in rows))
    panels[0].set_xscale("log")
    panels[0].xaxis.set_major_locator(LogLocator(numticks=5))
    panels[0].xaxis.set_minor_locator(NullLocator())
    for axes, (name, curve) in zip(panels, curves.items(), strict=False):
        for other in [other for other in curves if other != name]:
            axes.plot(curves[other]["learning_rate"], _converged(curves[other]), color=OTHERS, linewidth=0.9, zorder=1)
        color, rates, means = look[name]["color"], curve["learning_rate"], _converged(curve)
        known = curve["diverged"] == 0
        axes.fill_between(rates, curve["low"], curve["high"], where=known, color=color, alpha=0.3, linewidth=0)
        axes.plot(rates, means, color=color, marker=".", markersize=3)
        at = np.isclose(curve["factor"], chosen.get(name, np.nan))
        axes.plot(
            rates[at], means[at], "*", color=color, markersize=17, markeredgecolor="white", zorder=3, clip_on=False
        )
        _draw_default(axes, curve, rates, color)
        _draw_diverged(axes, curve, rates, color, 0.06)
        _count_diverged(axes, curve, rates, 0.13)
        axes.set_title(name, loc="left", fontweight="bold", pad=4)
    for axes in panels[len(curves) :]:
        axes.set_visible(False)
    figure.suptitle("Validation accuracy, %, by learning rate; all else at its default", fontsize=10)
    marks = {"color": INK, "linestyle": "none"}
    handles = [
        Line2D([], [], marker="*", markersize=12, **marks, label="best"),
        Line2D([], [], marker="o", markersize=6, **marks, label="default"),
        Line2D([], [], marker="v", markerfacecolor="none", markersize=6, **marks, label="diverged"),
        Patch(color=INK, alpha=0.3, linewidth=0, label=f"{100 * confidence:g} % interval"),
    ]
    handles += [Line2D([], [], color=OTHERS, label="the others")]
    places = {"loc": "outside lower center", "ncols": 5, "frameon": False}
    figure.legend(handles=handles, **places, columnspacing=1, handletextpad=0.3, handlelength=1.2)
    return figure


@style.in_house
def relative(rows: Sequence[SensitivityPoint], chosen: Mapping[str, float]) -> Figure:
    """The same against the rate relative to the best, all in one panel, so that the widths can be compared.

    Args:
        rows: rows of sensitivity.csv.
        chosen: optimizer -> its best factor; those without one are left out.
    """
    curves = {name: curve for name, curve in _curves(rows).items() if name in chosen}
    look = style.looks(curves)
    figure = Figure(figsize=(WIDTH, 4.8), dpi=DPI, layout="constrained")
    axes = figure.subplots()
    _scale_by_error(axes, [row.mean for row in rows], foot=any(row.diverged for row in rows))
    axes.set_xscale("log")
    axes.axvline(1, color=INK, linewidth=0.8, zorder=1)
    lost = [name for name, curve in curves.items() if curve["diverged"].any()]
    for name, curve in curves.items():
        x = curve["factor"] / chosen[name]
        axes.plot(x, _converged(curve), **look[name])
        _draw_default(axes, curve, x, look[name]["color"])
        if name in lost:
            _draw_diverged(axes, curve, x, look[name]["color"], 0.03 + 0.12 * lost.index(name) / len(lost))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda factor, _: times(factor)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set(xlabel="learning rate, times the best one, log scale", ylabel="validation accuracy, %")
    axes.set_title("How wrong the learning rate may be; all else at its default")
    handles = [Line2D([], [], **look[name], label=name) for name in curves]
    handles += [Line2D([], [], color=INK, marker="o", markersize=6, linestyle="none", label="default")]
    if lost:
        marker = {"marker": "v", "markerfacecolor": "none", "markersize": 6, "linestyle": "none"}
        handles += [Line2D([], [], color=INK, **marker, label="diverged")]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False, handlelength=3)
    return figure


@style.in_house
def best_of_k(rows: Sequence[BestOfK]) -> Figure:
    """Expected accuracy of the best of k learning rates tried, over k.

    Args:
        rows: rows of best_of_k.csv.
    """
    names = sorted({row.optimizer for row in rows})
    look = style.looks(names)
    figure = Figure(figsize=(WIDTH, 4), dpi=DPI, layout="constrained")
    axes = figure.subplots()
    _scale_by_error(axes, [row.val_accuracy for row in rows], foot=False)
    ends = {}
    for name in names:
        line = sorted((row.k, row.val_accuracy) for row in rows if row.optimizer == name)
        axes.plot(*zip(*line, strict=True), **look[name])
        ends[name] = line[-1]
    axes.margins(x=0.02)
    axes.xaxis.set_major_locator(MaxNLocator(10, integer=True))
    axes.set(xlabel="learning rates tried, k", ylabel="validation accuracy of the best of k, %")
    axes.set_title("What to expect of k trials; all else at its default")
    axes.set_xlim(axes.get_xlim())
    on_axes = {name: (axes.transScale + axes.transLimits).transform(end) for name, end in ends.items()}
    for name, place in label_places({name: y for name, (_, y) in on_axes.items()}, LABEL_GAP).items():
        x, y = on_axes[name]
        axes.plot(
            [x, 1.05], [y, place], transform=axes.transAxes, clip_on=False, color=look[name]["color"], linewidth=1
        )
        axes.text(1.06, place, name, transform=axes.transAxes, verticalalignment="center")
    return figure


def _curves(rows: Sequence[SensitivityPoint]) -> dict[str, dict[str, np.ndarray]]:
    """Split the table into columns [factors] for each optimizer, small factors first."""
    found = {}
    for name in sorted({row.optimizer for row in rows}):
        of_name = sorted((row for row in rows if row.optimizer == name), key=lambda row: row.factor)
        found[name] = dict(zip(SensitivityPoint._fields, map(np.array, zip(*of_name, strict=True)), strict=True))
    return found


def _converged(curve: Mapping[str, np.ndarray]) -> np.ndarray:
    """Means [factors], nan where a run diverged: the others alone would flatter."""
    return np.where(curve["diverged"] == 0, curve["mean"], np.nan)


def _draw_default(axes: Axes, curve: Mapping[str, np.ndarray], x: np.ndarray, color: str) -> None:
    at = np.isclose(curve["factor"], 1)
    axes.plot(x[at], _converged(curve)[at], "o", color=color, markersize=6, markeredgecolor=INK, zorder=4)


def _draw_diverged(axes: Axes, curve: Mapping[str, np.ndarray], x: np.ndarray, color: str, height: float) -> None:
    """Draw hollow triangles where runs diverged, at this height in the panel."""
    at = np.flatnonzero(curve["diverged"])
    look = {"color": color, "markerfacecolor": "none", "markersize": 6}
    axes.plot(x[at], np.full(len(at), height), "v", **look, transform=axes.get_xaxis_transform())


def _count_diverged(axes: Axes, curve: Mapping[str, np.ndarray], x: np.ndarray, height: float) -> None:
    """Write how many runs diverged, once for each stretch of neighbours."""
    at = np.flatnonzero(curve["diverged"])
    for stretch in np.split(at, np.flatnonzero(np.diff(at) > 1) + 1):
        if len(stretch):
            counts = curve["diverged"][stretch]
            least, most = f"{counts.min():g}", f"{counts.max():g}"
            text = f"{least if least == most else f'{least} to {most}'} of {curve['runs'][stretch[0]]:g}"
            middle = math.sqrt(x[stretch[0]] * x[stretch[-1]])
            placed = {"transform": axes.get_xaxis_transform(), "horizontalalignment": "center", "fontsize": 8}
            axes.text(middle, height, text, **placed)


def _scale_by_error(axes: Axes, accuracies: Sequence[float], foot: bool) -> None:
    """Scale the axis of accuracies by their error: half the error is one step up, from 80 to 90 % as from 90 to 95 %.

    So one picture shows the collapse at a wrong rate and the last half point at the right one. The axis reaches over
    the accuracies that are known; a foot is for what diverged.
    """
    axes.set_yscale("function", functions=(_height, lambda height: 1 - np.exp(-np.asarray(height))))
    heights = _height(np.array([accuracy for accuracy in accuracies if math.isfinite(accuracy)] or [0.1, 0.9]))
    low, high = heights.min(), heights.max()
    room = max(0.05, high - low)
    axes.set_ylim(*(1 - np.exp(-np.array([low - (0.22 if foot else 0.06) * room, high + 0.1 * room]))))
    axes.set_yticks([tick for tick in TICKS if low - 0.06 * room <= _height(tick) <= high + 0.06 * room])
    axes.yaxis.set_major_formatter(FuncFormatter(percent))
    axes.yaxis.set_minor_locator(NullLocator())


def _height(accuracy: Any) -> np.ndarray:
    return -np.log(np.maximum(1 - np.asarray(accuracy), LEAST_ERROR))
