"""Draws the figures of both reports; never saves. Equal tables give equal pictures.

Every optimizer has its colour, line and marker, the same in every figure: told apart in colour, in grey and by its
name. All figures are narrow, so that a phone shows them whole and legible.

A new figure is a function from `Findings` or `Study` to a `Picture` that `FIGURES` or `STUDY_FIGURES` names, at the end
of this file, and a place in comparison.html or study.html: $NAME_svg.
"""

import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import (
    Formatter,
    FuncFormatter,
    LogFormatterSciNotation,
    LogLocator,
    MaxNLocator,
    NullLocator,
    StrMethodFormatter,
)
from scipy.optimize import isotonic_regression

from descent.analysis.study_tables import BestOfK, SensitivityPoint
from descent.analysis.tables import CurvePoint, DiagnosticsPoint, Lead, Rank
from descent.analysis.tutorial import TutorialPoint
from descent.core import plot_style
from descent.report import text
from descent.runs.metrics import SCORES, Score
from descent.training.measurements import DIAGNOSTICS
from descent.trajectories.paths import Path, TrajectoryParameters

WIDTH = 5.2  # inches
DPI = 200
PANELS = {  # of diagnostics: column -> title, scale; a column that is not here has its name for a title
    "distance": ("Distance moved, L2 norm", "log"),
    "weight_norm": ("Weights, L2 norm", "linear"),
    "relative_change": ("Relative change, ratio", "log"),
    "unchanged_weights": ("Unchanged weights, %", "from zero"),
}
TRAJECTORIES = (  # in words; the stage `trace` draws it
    "A line of panels for each optimizer: its path over each surface, on contour lines, and the size of its updates "
    "among those of the others."
)
OF = "optimizer:"  # and its name: the address of what is drawn for it, from which `svg` makes an attribute
INK, OTHERS, IN_THE_SET = "#222222", "#C6C6C6", "#E4E4E4"
LABEL_GAP = 0.07  # of a panel's height: one line of text in the smallest panel
STEPS = [1, 2, 5, 10]  # between the labels of an axis
TICKS = (0.1, 0.5, 0.7, 0.8, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99, 0.995, 0.999)  # of accuracies, scaled by their error
LOSS_TICKS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)  # nats
LEAST_ERROR = 1e-4  # what that scale takes for an error of 0: one image of 10000


class Findings(NamedTuple):
    """What the figures of the comparison draw: rows of its tables, and what they are of."""

    ranking: Sequence[Rank]
    runs: Mapping[str, np.ndarray]  # optimizer -> [runs], score of each as measured, nan where it diverged
    leads: Sequence[Lead]
    curves: Sequence[CurvePoint]
    diagnostics: Sequence[DiagnosticsPoint]
    tutorial: Sequence[TutorialPoint]
    confidence: float  # of the intervals, in (0, 1)
    score: Score = SCORES["accuracy"]  # by which the ranking is
    largest: tuple[str, float] = ("", 0.0)  # the largest class, and its share of the validation examples


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


class Picture(NamedTuple):
    """A figure, and what it shows in words, for those who cannot see it."""

    figure: Figure
    alternative: str


@plot_style.in_house
def ranking(found: Findings) -> Picture:
    """One line an optimizer, best on top; what may be the best stands on grey, who left the race is faded.

    An optimizer so far behind that it would press the others together is an arrow at the edge, with its number.
    """
    rows, level, score = found.ranking, text.percent(found.confidence), found.score
    figure, (left, right) = _panels(2, 2, 1.75 + 0.36 * len(rows), sharey=True, width_ratios=(5, 4))
    looks = plot_style.looks([row.optimizer for row in rows])
    leads = {lead.behind: lead for lead in found.leads if lead.ahead == rows[0].optimizer}
    # Far behind: three times what three quarters of the rivals stay within.
    far = 3 * np.quantile([lead.lead for lead in leads.values()], 0.75) if leads else math.inf
    right.axvline(0, color=INK, linewidth=0.8)
    for y, row in enumerate(rows):
        lead, color, opacity = leads.get(row.optimizer), looks[row.optimizer]["color"], 1.0
        if row.may_be_best == "yes":
            for axes in (left, right):
                axes.axhspan(y - 0.5, y + 0.5, color=IN_THE_SET, linewidth=0, zorder=0)
        elif row.may_be_best == "no":
            opacity = 0.45
        if lead and lead.lead > far:
            interval = f"\n({_short(lead.low, score)} to {_short(lead.high, score)})" if np.isfinite(lead.low) else ""
            _arrow(left, 0, y, f"\N{LEFTWARDS ARROW} {_short(row.val_accuracy, score)}")
            _arrow(right, 1, y, f"{_short(lead.lead, score)} \N{RIGHTWARDS ARROW}{interval}")
            continue
        bar = {"color": color, "linewidth": 5, "solid_capstyle": "butt"}
        mark = {"color": color, "alpha": opacity, "markersize": 14, "markeredgewidth": 2}
        circles = {"color": color, "alpha": opacity, "markerfacecolor": "white", "zorder": 3}
        left.plot([row.val_accuracy_low, row.val_accuracy_high], [y, y], alpha=0.35 * opacity, **bar)
        left.plot(row.val_accuracy, y, "|", **mark)
        left.plot(found.runs[row.optimizer], [y] * row.runs, "o", **circles)
        if row.diverged:
            _arrow(left, 0, y, f"diverged: {row.diverged} of {row.runs}")
        right.plot([max(0, row.behind_at_least), row.behind_at_most], [y, y], alpha=0.5 * opacity, **bar)
        if lead:
            right.plot([lead.low, lead.high], [y, y], color=color, alpha=opacity, linewidth=1.2)
            right.plot(lead.lead, y, "|", **mark)
    for axes in (left, right):
        axes.xaxis.set_major_locator(MaxNLocator(4, steps=STEPS))
        axes.xaxis.set_major_formatter(ticks(score))
        axes.grid(visible=False, axis="y")
    always = _draw_largest(left, found)
    if score.direction < 0:
        left.invert_xaxis()  # the better, the farther right
    left.set_yticks(range(len(rows)), [row.optimizer for row in rows])
    left.set_ylim(len(rows) - 0.5, -0.5)
    left.set_title(score.heading)
    right.set_title("Behind the best" if score.factor > 1 else f"Behind the best, {score.difference}")
    right.tick_params(left=False)
    figure.supxlabel(
        f"On grey: could be the best, at {level} confidence.\nLeft: single runs, their mean, its {level} interval.\n"
        f"Right: bar, how far it can be behind the best;\n"
        f"line, the lead of {rows[0].optimizer}, {level} for all pairs at once.\n{always}".rstrip(),
        x=0.02, ha="left", fontsize=8.5,
    )  # fmt: skip
    extremes = _extremes({row.optimizer: score.factor * row.val_accuracy for row in rows})
    return Picture(
        figure,
        "Two panels, one line for each optimizer, best on top. Left, its runs, their mean and its interval: means in "
        f"{score.unit}, {extremes}. Right, how far the best leads it. {always}".rstrip(),
    )


@plot_style.in_house
def curves(found: Findings) -> Picture:
    """Validation accuracy, training and validation loss of every optimizer, mean and interval over the runs.

    The accuracy is the balanced one where that compares the optimizers.
    """
    shown = found.score if found.score.unit == "%" else SCORES["accuracy"]
    figure, panels = _panels(3, 1, 3)
    contents = (
        ("val", shown.column.removeprefix("val_"), shown.title, "linear"),
        ("train", "loss", "Training loss", "log"),
        ("val", "loss", "Validation loss", "log"),
    )
    for axes, (split, column, title, scale) in zip(panels, contents, strict=True):
        lines = by_optimizer([row for row in found.curves if row.split == split])
        look = plot_style.looks(lines)
        for name, line in lines.items():
            band = {"color": look[name]["color"], "alpha": 0.15, "linewidth": 0, "url": OF + name}
            axes.fill_between(line["epoch"], line[f"{column}_low"], line[f"{column}_high"], **band)
        _draw_lines(axes, lines, column, scale)
        _name_lines(axes, lines, column)
        axes.set(title=title, xlabel="epoch", ylabel="%" if scale == "linear" else "cross-entropy in nats, log scale")
        if scale == "linear":
            axes.yaxis.set_major_formatter(FuncFormatter(percent))
    level = text.percent(found.confidence)
    figure.supxlabel(f"Lines: means over the runs. Bands: {level} intervals for the mean.", fontsize=9)
    losses = {row.optimizer: row.loss for row in found.curves if row.split == "val"}  # the last epoch comes last
    return Picture(
        figure,
        "Three panels by epoch, one line for each optimizer with a band around it: "
        f"{shown.title.lower()}, training loss, validation loss. Validation loss after the last epoch in nats, "
        f"{_extremes(losses)}.",
    )


@plot_style.in_house
def diagnostics(found: Findings) -> Picture:
    """What `DIAGNOSTICS` of descent/training/measurements.py lists, a panel each, means over the runs."""
    figure, panels = _panels(len(DIAGNOSTICS), 2, 3)
    figure.get_layout_engine().set(h_pad=0.08)  # inches
    lines, titles = by_optimizer(found.diagnostics), []
    for axes, column in zip(panels, DIAGNOSTICS, strict=False):
        title, scale = PANELS.get(column, (column.replace("_", " ").capitalize(), "linear"))
        titles.append(title)
        _draw_lines(axes, lines, column, scale)
        axes.set(title=title, xlabel="epoch")
        axes.xaxis.set_major_locator(epochs(4))
        if title.endswith("%"):
            axes.yaxis.set_major_formatter(FuncFormatter(percent))
    _legend(figure, *panels[0].get_legend_handles_labels(), ncols=4, handlelength=3)
    changes = {row.optimizer: row.relative_change for row in found.diagnostics}
    return Picture(
        figure,
        f"{len(titles)} panels by epoch, one line for each optimizer: {'; '.join(titles)}. Relative change in the last "
        f"epoch, {_extremes(changes)}.",
    )


@plot_style.in_house
def tutorial(found: Findings) -> Picture:
    """The tutorial's printed run over ours: validation accuracy and loss, a line of panels for each optimizer."""
    lines = by_optimizer(found.tutorial)
    figure, panels = _panels(2 * max(1, len(lines)), 2, 1.35, 1, sharex=True)
    interval, look = f"{text.percent(found.confidence)} interval for the mean", plot_style.looks(lines)
    for i, (name, line) in enumerate(lines.items()):
        for axes, column in zip(panels[2 * i : 2 * i + 2], ("val_accuracy", "val_loss"), strict=True):
            color = look[name]["color"]
            band = {"color": color, "alpha": 0.25, "linewidth": 0, "label": interval}
            axes.fill_between(line["epoch"], line[f"{column}_low"], line[f"{column}_high"], **band)
            axes.plot(line["epoch"], line[column], color=color, label="ours, mean")
            dots = {"color": INK, "markerfacecolor": "none", "markersize": 3, "label": "tutorial"}
            axes.plot(line["epoch"], line[f"{column}_printed"], "o", **dots)
            axes.yaxis.set_major_locator(MaxNLocator(4))
            axes.ticklabel_format(axis="y", style="plain", useOffset=False)
            axes.xaxis.set_major_locator(epochs(5))
        panels[2 * i].yaxis.set_major_formatter(FuncFormatter(percent))
        panels[2 * i].set_ylabel(name)
    panels[0].set_title("Validation accuracy, %")
    panels[1].set_title("Validation loss, nats")
    figure.align_ylabels(panels[::2])
    for axes in panels[-2:]:
        axes.set_xlabel("epoch")
    _legend(figure, *panels[0].get_legend_handles_labels(), ncols=3)
    return Picture(
        figure,
        "Validation accuracy and validation loss by epoch, two panels for each optimizer that the tutorial ran too "
        f"({', '.join(sorted(lines)) or 'none'}): its printed points over our mean and its band.",
    )


@plot_style.in_house
def sensitivity(study: Study) -> Picture:
    """The score against the learning rate: a panel an optimizer, in it all the others in grey.

    A schedule has no one learning rate, and so no panel. Where a run diverged there is no mean: the other runs alone
    would flatter. Hollow triangles at the foot stand there, with how many did.
    """
    rows = sorted(study.sensitivity, key=lambda row: row.factor)
    curves = {name: curve for name, curve in by_optimizer(rows).items() if np.isfinite(curve["learning_rate"]).all()}
    converged = {name: np.where(curve["diverged"] == 0, curve["mean"], np.nan) for name, curve in curves.items()}
    look = plot_style.looks(curves)
    figure, panels = _panels(len(curves), 2, 1.4, 1.3, sharex=True, sharey=True)
    _scale_by_error(panels[0], [row.mean for row in rows], study.score, foot=any(row.diverged for row in rows))
    panels[0].set_xscale("log")
    panels[0].xaxis.set_major_locator(LogLocator(numticks=5))
    panels[0].xaxis.set_major_formatter(LogFormatterSciNotation(minor_thresholds=(np.inf, np.inf)))  # label every tick
    panels[0].xaxis.set_minor_locator(NullLocator())
    for axes, (name, curve) in zip(panels, curves.items(), strict=False):
        for other in [other for other in curves if other != name]:
            axes.plot(curves[other]["learning_rate"], converged[other], color=OTHERS, linewidth=0.9, zorder=1)
        color, rates, means, diverged = look[name]["color"], curve["learning_rate"], converged[name], curve["diverged"]
        band = {"where": diverged == 0, "color": color, "alpha": 0.3, "linewidth": 0}
        axes.fill_between(rates, curve["low"], curve["high"], **band)
        axes.plot(rates, means, color=color, marker=".", markersize=3)
        at = np.isclose(curve["factor"], study.chosen.get(name, np.nan))
        star = {"markersize": 17, "markeredgecolor": "white", "zorder": 3, "clip_on": False}
        axes.plot(rates[at], means[at], "*", color=color, **star)
        at = np.isclose(curve["factor"], 1)
        axes.plot(rates[at], means[at], "o", color=color, markersize=6, markeredgecolor=INK, zorder=4)
        lost, foot = np.flatnonzero(diverged), axes.get_xaxis_transform()
        triangles = {"color": color, "markerfacecolor": "none", "markersize": 6, "transform": foot}
        axes.plot(rates[lost], np.full(len(lost), 0.06), "v", **triangles)
        if len(lost):
            counts = " to ".join(f"{count:g}" for count in sorted({diverged[lost].min(), diverged[lost].max()}))
            middle = math.sqrt(rates[lost[0]] * rates[lost[-1]])
            axes.text(middle, 0.13, f"{counts} of {curve['runs'][0]:g}", transform=foot, ha="center", fontsize=8)
        axes.set_title(name, loc="left", fontweight="bold", pad=4)
    figure.suptitle(f"{study.score.heading}, by learning rate; all else at its default", fontsize=10)
    marks = {"color": INK, "linestyle": "none"}
    handles = [
        Line2D([], [], marker="*", markersize=12, **marks, label="best"),
        Line2D([], [], marker="o", markersize=6, **marks, label="default"),
        Line2D([], [], marker="v", markerfacecolor="none", markersize=6, **marks, label="diverged"),
        Patch(color=INK, alpha=0.3, linewidth=0, label=f"{text.percent(study.confidence)} interval"),
        Line2D([], [], color=OTHERS, label="the others"),
    ]
    _legend(figure, handles=handles, ncols=5, columnspacing=1, handletextpad=0.3, handlelength=1.2)
    return Picture(
        figure, f"{study.score.title} by learning rate, a panel for each optimizer. The table below has the numbers."
    )


@plot_style.in_house
def best_of_k(study: Study) -> Picture:
    """Expected score of the best of k learning rates tried, over k."""
    rows = sorted(study.best_of_k, key=lambda row: row.k)
    lines, title = by_optimizer(rows), study.score.title.lower()
    look = plot_style.looks(lines)
    figure, [axes] = _panels(1, 1, 4)
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


def svg(figure: Figure) -> str:
    """Render a figure as an `svg` element in which what is drawn for an optimizer has the attribute data-optimizer."""
    marked = rf'<a xlink:href="{OF}([^"]*)"[^>]*>(.*?)</a>'
    return re.sub(marked, r'<g data-optimizer="\1">\2</g>', plot_style.svg(figure), flags=re.DOTALL)


def label_places(heights: Mapping[str, float], gap: float) -> dict[str, float]:
    """Move labels as little as need be (least squares) so that neighbours are a gap apart and all stay on the axis.

    Heights are in [0, 1] of the axis; the result is sorted by them. The gap shrinks where the labels would not fit.
    """
    if not heights:
        return {}
    order = sorted(heights, key=heights.get)
    ladder = min(gap, 1 / len(order)) * np.arange(len(order))
    # Above a ladder with one gap a rung, the places may only rise: that is an isotonic regression.
    rises = isotonic_regression([heights[name] for name in order] - ladder).x
    return dict(zip(order, np.clip(rises, 0, 1 - ladder[-1]) + ladder, strict=True))


def percent(share: float, _position: int = 0) -> str:
    """Write a tick of an axis whose unit is a share: in percent, never with an exponent."""
    return np.format_float_positional(round(100 * share, 10), trim="-")


def ticks(score: Score) -> Formatter:
    """Make the labels of an axis of a score."""
    return FuncFormatter(percent) if score.unit == "%" else StrMethodFormatter("{x:g}")


def epochs(most: int = 10) -> MaxNLocator:
    """Find the ticks of an axis of epochs, about `most`: each a whole number, and at least one of one epoch."""
    return MaxNLocator(most, steps=STEPS, integer=True, min_n_ticks=1)


def name_ends(
    axes: Axes,
    ends: Mapping[str, tuple[float, float]],
    look: Mapping[str, Mapping[str, Any]],
    diverged: Collection[str] = (),
) -> None:
    """Write the name of each line at its end, right of the axes; `ends`: in data, once the limits stand."""
    axes.set_xlim(axes.get_xlim())
    on_axes = {name: (axes.transScale + axes.transLimits).transform(end).clip(0, 1) for name, end in ends.items()}
    for name, place in label_places({name: y for name, (_, y) in on_axes.items()}, LABEL_GAP).items():
        (x, y), color, lost = on_axes[name], look[name]["color"], name in diverged
        leader = {"color": color, "linestyle": (0, (1, 4)) if lost else "-", "linewidth": 1, "url": OF + name}
        axes.plot([x, 1.05], [y, place], transform=axes.transAxes, clip_on=False, **leader)
        label = f"{name}\n(diverged)" if lost else name
        axes.text(1.06, place, label, transform=axes.transAxes, verticalalignment="center", url=OF + name)


def by_optimizer(rows: Sequence[Any]) -> dict[str, dict[str, np.ndarray]]:
    """Split a table into columns [epochs] for each optimizer."""
    groups = {name: [row for row in rows if row.optimizer == name] for name in sorted({row.optimizer for row in rows})}
    return {
        name: dict(zip(group[0]._fields, map(np.array, zip(*group, strict=True)), strict=True))
        for name, group in groups.items()
    }


def _panels(count: int, columns: int, height: float, margin: float = 0, **options: Any) -> tuple[Figure, list[Axes]]:
    """Make a figure of panels, of which those beyond `count` are hidden; height of a line of panels, in inches."""
    lines = max(1, math.ceil(count / columns))
    figure = Figure(figsize=(WIDTH, margin + height * lines), dpi=DPI, layout="constrained")
    panels = list(figure.subplots(lines, columns, squeeze=False, **options).flat)
    for axes in panels[count:]:
        axes.set_visible(False)
    return figure, panels


def _legend(figure: Figure, *entries: Any, **options: Any) -> None:
    figure.legend(*entries, loc="outside lower center", frameon=False, **options)


def _draw_lines(axes: Axes, lines: Mapping[str, Mapping[str, np.ndarray]], column: str, scale: str) -> None:
    """Draw one line an optimizer; where a run diverged it ends with a cross."""
    look = plot_style.looks(lines)
    for name, line in lines.items():
        marks = max(1, len(line["epoch"]) // 5)
        axes.plot(line["epoch"], line[column], **look[name], markevery=marks, label=name, url=OF + name)
        drawn = np.flatnonzero(np.isfinite(line[column]))
        if 0 < len(drawn) < len(line["epoch"]):
            cross = {"color": look[name]["color"], "markersize": 8, "markeredgewidth": 2, "url": OF + name}
            axes.plot(line["epoch"][drawn[-1]], line[column][drawn[-1]], "x", **cross)
    if scale == "log":
        axes.set_yscale(scale)
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        axes.ticklabel_format(axis="y", style="plain", useOffset=False)
    if scale == "from zero":
        axes.update_datalim([(0, 0)], updatex=False)
        axes.autoscale_view()
        axes.set_ylim(bottom=0)  # without a margin below, with one above
    axes.margins(x=0.02)
    axes.xaxis.set_major_locator(epochs())


def _name_lines(axes: Axes, lines: Mapping[str, Mapping[str, np.ndarray]], column: str) -> None:
    """Write the names at the ends of the lines, and the names of those that have none below."""
    values = np.concatenate([line[column] for line in lines.values()])
    values = values[np.isfinite(values)]
    if len(set(values)) > 1:  # the means alone set the range, not the bands
        scale = axes.yaxis.get_transform()
        low, high = scale.transform([min(values), max(values)])
        margin = 0.05 * (high - low)
        axes.set_ylim(*scale.inverted().transform([low - margin, high + margin]))
    drawn = {name: np.flatnonzero(np.isfinite(line[column])) for name, line in lines.items()}
    ends = {name: (lines[name]["epoch"][i[-1]], lines[name][column][i[-1]]) for name, i in drawn.items() if len(i)}
    diverged = {name for name in ends if len(drawn[name]) < len(lines[name]["epoch"])}
    name_ends(axes, ends, plot_style.looks(lines), diverged)
    if absent := sorted(set(lines) - set(ends)):
        axes.text(0.5, 0.02, f"diverged in the first epoch: {', '.join(absent)}", transform=axes.transAxes, ha="center")


def _draw_largest(axes: Axes, found: Findings) -> str:
    """Draw the accuracy of always answering the largest class, where it is near what is shown; return its legend."""
    (low, high), (name, share) = axes.get_xlim(), found.largest
    is_near = axes.has_data() and share >= low - (high - low) / 2
    if found.score.column != "val_accuracy" or not is_near:
        return ""
    axes.axvline(share, color=INK, linewidth=0.8, linestyle=(0, (2, 2)))
    return f"Dashed: always answering {name}, the largest class, {percent(round(share, 4))} %."


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
    least, most = sorted([value(low - 0.06 * room), value(high + 0.06 * room)])
    marks = [tick for tick in (TICKS if score.unit == "%" else LOSS_TICKS) if least <= tick <= most]
    if len(marks) < 2:  # too short an axis for these: round numbers at equal distances
        marks = [tick for tick in MaxNLocator(4, steps=STEPS).tick_values(least, most) if least <= tick <= most]
    axes.set_yticks(marks)
    axes.yaxis.set_major_formatter(ticks(score))
    axes.yaxis.set_minor_locator(NullLocator())


def _short(value: float, score: Score) -> str:
    return f"{score.factor * value:.{score.digits - 1}f}"


def _arrow(axes: Axes, x: float, y: float, words: str) -> None:
    place = {"ha": "right" if x else "left", "xytext": (-3 if x else 3, 0), "textcoords": "offset points"}
    axes.annotate(words, (x, y), xycoords=("axes fraction", "data"), va="center", fontsize=8, **place)


def _extremes(values: Mapping[str, float]) -> str:
    known = sorted((value, name) for name, value in values.items() if math.isfinite(value))
    if not known:
        return "unknown, since every optimizer had a run that diverged"
    (low, lowest), (high, highest) = known[0], known[-1]
    return f"from {low:.4g} ({lowest}) to {high:.4g} ({highest})"


FIGURES: dict[str, Callable[[Findings], Picture]] = {
    "curves": curves,
    "diagnostics": diagnostics,
    "ranking": ranking,
    "tutorial": tutorial,
}
STUDY_FIGURES: dict[str, Callable[[Study], Picture]] = {"sensitivity": sensitivity, "best_of_k": best_of_k}
