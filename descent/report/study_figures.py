"""Draws the figures of the learning-rate study; never saves. Equal tables give equal pictures."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import LogFormatterSciNotation, MaxNLocator, NullLocator

from descent.analysis.study_tables import BestOfK, SensitivityPoint
from descent.core import style
from descent.report.figures import DPI, OF, WIDTH, LogTicks, Picture, by_optimizer, enough, name_ends, ticks
from descent.runs.metrics import SCORES, Score
from descent.trajectories.paths import Path, TrajectoryParameters

COLUMNS = 2
OTHERS = "#C6C6C6"
INK = "#222222"
TICKS = (0.1, 0.5, 0.7, 0.8, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99, 0.995, 0.999)  # of accuracies
LOSS_TICKS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)  # nats
LEAST_ERROR = 1e-4  # what the scale takes for an error of 0: one image of 10000


class Study(NamedTuple):
    """What the figures and the page of the study draw."""

    sensitivity: Sequence[SensitivityPoint]  # rows of sensitivity.csv
    chosen: Mapping[str, float]  # optimizer -> its best factor, for those that have one
    best_of_k: Sequence[BestOfK]  # rows of best_of_k.csv
    losses: Mapping[tuple[str, float], np.ndarray]  # optimizer, factor -> validation loss, mean over the runs, [epochs]
    paths: Sequence[Path]
    trajectories: TrajectoryParameters  # what the paths were computed with
    confidence: float  # of the intervals, in (0, 1)
    score: Score = SCORES["accuracy"]


@style.in_house
def sensitivity(study: Study) -> Picture:
    """The score against the learning rate: a panel an optimizer, in it all the others in grey.

    A schedule has no one learning rate, and so no panel.
    """
    rows = sorted(study.sensitivity, key=lambda row: row.factor)
    curves = {name: curve for name, curve in by_optimizer(rows).items() if np.isfinite(curve["learning_rate"]).all()}
    look = style.looks(curves)
    lines = max(1, math.ceil(len(curves) / COLUMNS))
    figure = Figure(figsize=(WIDTH, 1.3 + 1.4 * lines), dpi=DPI, layout="constrained")
    panels = list(figure.subplots(lines, COLUMNS, sharex=True, sharey=True, squeeze=False).flat)
    _scale_by_error(panels[0], [row.mean for row in rows], study.score, foot=any(row.diverged for row in rows))
    panels[0].set_xscale("log")
    panels[0].xaxis.set_major_locator(LogTicks(numticks=5))
    panels[0].xaxis.set_major_formatter(LogFormatterSciNotation(minor_thresholds=(np.inf, np.inf)))  # label every tick
    panels[0].xaxis.set_minor_locator(NullLocator())
    for axes, (name, curve) in zip(panels, curves.items(), strict=False):
        for other in [other for other in curves if other != name]:
            axes.plot(curves[other]["learning_rate"], _converged(curves[other]), color=OTHERS, linewidth=0.9, zorder=1)
        color, rates, means = look[name]["color"], curve["learning_rate"], _converged(curve)
        known = curve["diverged"] == 0
        axes.fill_between(rates, curve["low"], curve["high"], where=known, color=color, alpha=0.3, linewidth=0)
        axes.plot(rates, means, color=color, marker=".", markersize=3)
        at = np.isclose(curve["factor"], study.chosen.get(name, np.nan))
        star = {"markersize": 17, "markeredgecolor": "white", "zorder": 3, "clip_on": False}
        axes.plot(rates[at], means[at], "*", color=color, **star)
        at = np.isclose(curve["factor"], 1)
        axes.plot(rates[at], means[at], "o", color=color, markersize=6, markeredgecolor=INK, zorder=4)
        _draw_diverged(axes, curve, color)
        axes.set_title(name, loc="left", fontweight="bold", pad=4)
    for axes in panels[len(curves) :]:
        axes.set_visible(False)
    figure.suptitle(f"{study.score.heading}, by learning rate; all else at its default", fontsize=10)
    marks = {"color": INK, "linestyle": "none"}
    handles = [
        Line2D([], [], marker="*", markersize=12, **marks, label="best"),
        Line2D([], [], marker="o", markersize=6, **marks, label="default"),
        Line2D([], [], marker="v", markerfacecolor="none", markersize=6, **marks, label="diverged"),
        Patch(color=INK, alpha=0.3, linewidth=0, label=f"{100 * study.confidence:g} % interval"),
        Line2D([], [], color=OTHERS, label="the others"),
    ]
    places = {"loc": "outside lower center", "ncols": 5, "frameon": False}
    figure.legend(handles=handles, **places, columnspacing=1, handletextpad=0.3, handlelength=1.2)
    return Picture(
        figure, f"{study.score.title} by learning rate, a panel for each optimizer. The table below has the numbers."
    )


@style.in_house
def best_of_k(study: Study) -> Picture:
    """Expected score of the best of k learning rates tried, over k."""
    rows = sorted(study.best_of_k, key=lambda row: row.k)
    lines, title = by_optimizer(rows), study.score.title.lower()
    look = style.looks(lines)
    figure = Figure(figsize=(WIDTH, 4), dpi=DPI, layout="constrained")
    axes = figure.subplots()
    _scale_by_error(axes, [row.val_accuracy for row in rows], study.score, foot=False)
    for name, line in lines.items():
        axes.plot(line["k"], line["val_accuracy"], **look[name], url=OF + name)
    axes.margins(x=0.02)
    axes.xaxis.set_major_locator(MaxNLocator(10, integer=True))
    axes.set(xlabel="learning rates tried, k", ylabel=f"{title} of the best of k, {study.score.unit}")
    axes.set_title("What to expect of k trials; all else at its default")
    name_ends(axes, {name: (line["k"][-1], line["val_accuracy"][-1]) for name, line in lines.items()}, look)
    return Picture(
        figure,
        f"Expected {title} of the best of k learning rates, a line for each optimizer. The table below has the "
        "numbers.",
    )


def _converged(curve: Mapping[str, np.ndarray]) -> np.ndarray:
    """Means [factors], nan where a run diverged: the others alone would flatter."""
    return np.where(curve["diverged"] == 0, curve["mean"], np.nan)


def _draw_diverged(axes: Axes, curve: Mapping[str, np.ndarray], color: str) -> None:
    """Draw hollow triangles at the foot where runs diverged, and how many did, once for each stretch of neighbours."""
    at, rates = np.flatnonzero(curve["diverged"]), curve["learning_rate"]
    look = {"color": color, "markerfacecolor": "none", "markersize": 6}
    foot = axes.get_xaxis_transform()
    axes.plot(rates[at], np.full(len(at), 0.06), "v", **look, transform=foot)
    for stretch in np.split(at, np.flatnonzero(np.diff(at) > 1) + 1):
        if len(stretch):
            counts = curve["diverged"][stretch]
            least, most = f"{counts.min():g}", f"{counts.max():g}"
            text = f"{least if least == most else f'{least} to {most}'} of {curve['runs'][stretch[0]]:g}"
            middle = math.sqrt(rates[stretch[0]] * rates[stretch[-1]])
            axes.text(middle, 0.13, text, transform=foot, horizontalalignment="center", fontsize=8)


def _scale_by_error(axes: Axes, values: Sequence[float], score: Score, foot: bool) -> None:
    """Scale the axis of a score by its error: half the error is one step up, from 80 to 90 % as from 90 to 95 %.

    So one picture shows the collapse at a wrong rate and the last half point at the right one. The axis reaches over
    the values that are known; a foot is for what diverged. A loss is an error, so small ones stand on top.
    """

    def height(values: Any) -> np.ndarray:
        return -score.direction * np.log(np.maximum(score.error(np.asarray(values)), LEAST_ERROR))

    def value(height: Any) -> np.ndarray:
        return score.error(np.exp(-score.direction * np.asarray(height)))

    axes.set_yscale("function", functions=(height, value))
    heights = height(np.array([value for value in values if math.isfinite(value)] or [0.1, 0.9]))
    low, high = sorted([heights.min(), heights.max()], reverse=score.direction < 0)
    room = score.direction * max(0.05, abs(high - low))
    axes.set_ylim(value(low - (0.22 if foot else 0.06) * room), value(high + 0.1 * room))
    ends = sorted([value(low - 0.06 * room), value(high + 0.06 * room)])
    axes.set_yticks(enough(TICKS if score.unit == "%" else LOSS_TICKS, *ends))
    axes.yaxis.set_major_formatter(ticks(score))
    axes.yaxis.set_minor_locator(NullLocator())


FIGURES: dict[str, Callable[[Study], Picture]] = {"sensitivity": sensitivity, "best_of_k": best_of_k}
