"""Draws the tables of the report; never saves. Rendered `looks.in_house_style`, equal tables give equal pictures.

Every optimizer has its colour, line and marker, the same in every figure: told apart in colour, in grey and by its
name, which stands at the end of its line.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator, StrMethodFormatter
from scipy.optimize import isotonic_regression

from descent.report.tables import CurvePoint, DiagnosticsPoint, Rank, Replication
from descent.style import in_house_style, looks

LABEL_GAP = 0.055  # of a panel's height: one line of text in the smallest panel


def _by_optimizer(rows: Sequence[Any]) -> dict[str, dict[str, np.ndarray]]:
    """Split a table into columns [epochs] for each optimizer."""
    names = sorted({row.optimizer for row in rows})
    groups = {name: [row for row in rows if row.optimizer == name] for name in names}
    return {
        name: dict(zip(group[0]._fields, map(np.array, zip(*group, strict=True)), strict=True))
        for name, group in groups.items()
    }


def label_places(heights: Mapping[str, float], gap: float) -> dict[str, float]:
    """Move labels as little as need be (least squares) so that neighbours are a gap apart and all stay on the axis.

    Args:
        heights: label -> where it should stand, in [0, 1] of the axis.
        gap: least distance; it shrinks where the labels would not fit.

    Returns:
        Label -> where it stands, in [0, 1], in the order of `heights`.
    """
    if not heights:
        return {}
    order = sorted(heights, key=heights.get)
    ladder = min(gap, 1 / len(order)) * np.arange(len(order))
    # Above a ladder with one gap a rung, the places may only rise: that is an isotonic regression.
    rises = isotonic_regression([heights[name] for name in order] - ladder).x
    return dict(zip(order, np.clip(rises, 0, 1 - ladder[-1]) + ladder, strict=True))


def _draw_lines(axes: Axes, rows: Sequence[Any], column: str, title: str, unit: str, scale: str) -> None:
    """Draw one line an optimizer, its name at its end; where a run diverged the line ends with a cross."""
    lines = _by_optimizer(rows)
    look = looks(lines)
    for name, line in lines.items():
        axes.plot(line["epoch"], line[column], **look[name], markevery=max(1, len(line["epoch"]) // 5))
    if scale == "log":
        axes.set_yscale(scale)
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.yaxis.set_minor_locator(NullLocator())
    axes.margins(x=0.02)
    axes.set(xlim=axes.get_xlim(), ylim=axes.get_ylim())  # the means alone set the range
    axes.xaxis.set_major_locator(MaxNLocator(steps=[1, 2, 5, 10], integer=True))
    axes.set(title=title, xlabel="epoch", ylabel=unit)

    drawn = {name: np.flatnonzero(np.isfinite(line[column])) for name, line in lines.items()}
    ends = {name: (i[-1] + 1, lines[name][column][i[-1]]) for name, i in drawn.items() if len(i)}
    on_axes = {name: (axes.transScale + axes.transLimits).transform(end).clip(0, 1) for name, end in ends.items()}
    for name, place in label_places({name: y for name, (_, y) in on_axes.items()}, LABEL_GAP).items():
        (x, y), color = on_axes[name], look[name]["color"]
        diverged = drawn[name][-1] + 1 < len(lines[name]["epoch"])
        if diverged:
            axes.plot(*ends[name], "x", color=color, markersize=8, markeredgewidth=2)
        leader = {"color": color, "linestyle": (0, (1, 4)) if diverged else "-", "linewidth": 1}
        axes.plot([x, 1.05], [y, place], transform=axes.transAxes, clip_on=False, **leader)
        label = f"{name} (diverged)" if diverged else name
        axes.text(1.06, place, label, transform=axes.transAxes, verticalalignment="center")
    if absent := sorted(set(lines) - set(ends)):
        axes.set_xlabel(f"epoch (diverged in the first: {', '.join(absent)})")


def _percent(share: float, _position: int) -> str:
    return f"{100 * share:g}"


@in_house_style
def tutorial(curves: Sequence[CurvePoint], confidence: float) -> Figure:
    """The tutorial's own figure: training and validation loss of every optimizer, mean and interval over the runs.

    Args:
        curves: rows of curves.csv.
        confidence: of the intervals in it, in (0, 1).
    """
    figure = Figure(figsize=(10, 5), layout="constrained")
    panels = zip(figure.subplots(1, 2), (("train", "Training loss"), ("val", "Validation loss")), strict=True)
    for axes, (split, title) in panels:
        rows = [row for row in curves if row.split == split]
        _draw_lines(axes, rows, "loss", title, "cross-entropy in nats, log scale", "log")
        look = looks([row.optimizer for row in rows])
        for name, line in _by_optimizer(rows).items():
            color = look[name]["color"]
            axes.fill_between(line["epoch"], line["loss_low"], line["loss_high"], color=color, alpha=0.15, linewidth=0)
    figure.supxlabel(f"Lines: means over the runs. Bands: {100 * confidence:g} % intervals for the mean.", fontsize=9)
    return figure


@in_house_style
def diagnostics(rows: Sequence[DiagnosticsPoint]) -> Figure:
    """What the last update of each epoch did: gradient, update, their relation to the weights, weights left unmoved.

    Args:
        rows: rows of diagnostics.csv.
    """
    figure = Figure(figsize=(10, 8.5), layout="constrained")
    panels = (
        ("gradient_norm", "Gradient", "L2 norm, log scale", "log"),
        ("update_norm", "Update", "L2 norm, log scale", "log"),
        ("update_to_weight", "Update relative to the weights", "ratio of L2 norms, log scale", "log"),
        ("unmoved_share", "Weights that the update left exactly as they were", "share of all weights, %", "linear"),
    )
    for axes, panel in zip(figure.subplots(2, 2).flat, panels, strict=True):
        _draw_lines(axes, rows, *panel)
    axes.yaxis.set_major_formatter(FuncFormatter(_percent))
    figure.supxlabel("Means over the runs; the last update of each epoch.", fontsize=9)
    return figure


@in_house_style
def accuracy(rows: Sequence[Rank], runs: Mapping[str, np.ndarray], confidence: float) -> Figure:
    """Validation accuracy after the last epoch: every run, the mean, its interval, the ties; best on top.

    Args:
        rows: rows of ranking.csv.
        runs: optimizer -> [runs], accuracy in [0, 1], nan where a run diverged.
        confidence: of the intervals in `rows`, in (0, 1).
    """
    figure = Figure(figsize=(8, 1.6 + 0.42 * len(rows)), layout="constrained")
    axes = figure.subplots()
    look = looks([row.optimizer for row in rows])
    for y, row in enumerate(rows):
        color = look[row.optimizer]["color"]
        axes.plot([row.val_accuracy_low, row.val_accuracy_high], [y, y], color=color, linewidth=5, alpha=0.35)
        axes.plot(row.val_accuracy, y, "|", color=color, markersize=16, markeredgewidth=2)
        axes.plot(runs[row.optimizer], np.full(row.runs, y), "o", color=color, markerfacecolor="white", zorder=3)
        mean = f"{100 * row.val_accuracy:.2f}   {row.ties}"
        note = f"diverged: {row.diverged} of {row.runs}" if row.diverged else mean
        axes.annotate(note, (1.02, y), xycoords=("axes fraction", "data"), va="center", annotation_clip=False)
    axes.xaxis.set_major_formatter(FuncFormatter(_percent))
    axes.set_yticks(range(len(rows)), [row.optimizer for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlabel("validation accuracy after the last epoch, %")
    caption = f"Circles: single runs. Bars: {100 * confidence:g} % intervals for the mean."
    for x, text in ((0, caption), (1.02, "mean, %   ties")):
        axes.annotate(text, (x, 1.01), xycoords="axes fraction")
    return figure


@in_house_style
def replication(
    rows: Sequence[Replication],
    curves: Sequence[CurvePoint],
    printed: Mapping[str, Mapping[str, np.ndarray]],
    confidence: float,
) -> Figure:
    """The tutorial's printed curves over ours, and where one further run of ours would end.

    Args:
        rows: rows of tutorial.csv.
        curves: rows of curves.csv.
        printed: the tutorial's: optimizer in lower case -> column -> [epochs].
        confidence: of the intervals in `rows` and `curves`, in (0, 1).
    """
    n_columns = 4
    n_lines = max(1, math.ceil(len(rows) / 2 / n_columns))  # of panels, for each of the two figures
    figure = Figure(figsize=(10, 1 + 4 * n_lines), layout="constrained")
    panels = figure.subplots(2 * n_lines, n_columns, squeeze=False)
    blocks = {"val_accuracy": iter(panels[:n_lines].flat), "val_loss": iter(panels[n_lines:].flat)}
    units = {"val_accuracy": (100, "validation accuracy, %"), "val_loss": (1, "validation loss, nats")}
    look = looks([row.optimizer for row in rows])
    ours = _by_optimizer([row for row in curves if row.split == "val"])
    for row in rows:
        axes, column, color = next(blocks[row.figure]), row.figure.removeprefix("val_"), look[row.optimizer]["color"]
        factor, unit = units[row.figure]
        means, theirs = ours[row.optimizer], factor * printed[row.optimizer.lower()][row.figure]
        low, high = factor * means[f"{column}_low"], factor * means[f"{column}_high"]
        axes.plot(means["epoch"], factor * means[column], color=color, label="ours, mean over the runs")
        axes.fill_between(
            means["epoch"],
            low,
            high,
            color=color,
            alpha=0.25,
            linewidth=0,
            label=f"{100 * confidence:g} % interval for the mean",
        )
        axes.plot(
            np.arange(len(theirs)) + 1,
            theirs,
            "o",
            color="#222222",
            markerfacecolor="none",
            markersize=3,
            label="tutorial, as printed",
        )
        axes.plot(
            [row.epoch] * 2,
            [factor * row.low, factor * row.high],
            color="#222222",
            label=f"{100 * confidence:g} % prediction interval for one further run of ours",
        )
        axes.set_title({"true": "inside", "false": "outside"}.get(row.inside, ""), loc="right", fontsize=8)
        axes.set_title(row.optimizer, loc="left")
        axes.set_ylabel(unit)
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10], integer=True))
    for axes in panels.flat:
        axes.set_visible(bool(axes.lines))
        axes.set_xlabel("epoch")
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
    return figure
