"""Draws the figures of the comparison, and what those of the study share; never saves.

Every optimizer has its colour, line and marker, the same in every figure: told apart in colour, in grey and by its
name. All figures are narrow, so that a phone shows them whole and legible. Equal tables give equal pictures.

A new figure is a function from `Findings` to a `Picture` that `FIGURES` names, at the end of this file, and a section
of comparison.html that places it: $NAME_svg.
"""

import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import Formatter, FuncFormatter, LogLocator, MaxNLocator, NullLocator, StrMethodFormatter
from scipy.optimize import isotonic_regression

from descent.analysis.tables import CurvePoint, DiagnosticsPoint, Lead, Rank
from descent.analysis.tutorial import TutorialPoint
from descent.core import style
from descent.runs.metrics import SCORES, Score
from descent.training.measurements import DIAGNOSTICS

WIDTH = 5.2  # inches
DPI = 200
LOSS_CURVES = (  # split, column, title, unit, scale; above these stands an accuracy
    ("train", "loss", "Training loss", "nats", "log"),
    ("val", "loss", "Validation loss", "nats", "log"),
)
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
IN_THE_SET = "#E4E4E4"
LABEL_GAP = 0.07  # of a panel's height: one line of text in the smallest panel
STEPS = [1, 2, 5, 10]  # between the labels of an axis


class Findings(NamedTuple):
    """What the figures draw: rows of the report's tables, and what they are of."""

    ranking: Sequence[Rank]
    runs: Mapping[str, np.ndarray]  # optimizer -> [runs], score of each as measured, nan where it diverged
    leads: Sequence[Lead]
    curves: Sequence[CurvePoint]
    diagnostics: Sequence[DiagnosticsPoint]
    tutorial: Sequence[TutorialPoint]
    confidence: float  # of the intervals, in (0, 1)
    score: Score = SCORES["accuracy"]  # by which the ranking is
    largest: tuple[str, float] = ("", 0.0)  # the largest class, and its share of the validation examples


class Picture(NamedTuple):
    """A figure, and what it shows in words, for those who cannot see it."""

    figure: Figure
    alternative: str


@style.in_house
def ranking(found: Findings) -> Picture:
    """One line an optimizer, best on top; what may be the best stands on grey.

    An optimizer so far behind that it would press the others together is an arrow at the edge, with its number.
    """
    rows, level, score = found.ranking, f"{100 * found.confidence:g} %", found.score
    figure = Figure(figsize=(WIDTH, 1.75 + 0.36 * len(rows)), dpi=DPI, layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(5, 4))
    colors = {name: look["color"] for name, look in style.looks([row.optimizer for row in rows]).items()}
    for axes in (left, right):
        for y, row in enumerate(rows):
            if row.may_be_best == "yes":
                axes.axhspan(y - 0.5, y + 0.5, color=IN_THE_SET, linewidth=0, zorder=0)
        axes.xaxis.set_major_locator(MaxNLocator(4, steps=STEPS))
        axes.xaxis.set_major_formatter(ticks(score))
        axes.grid(visible=False, axis="y")
    _draw_runs(left, rows, found.runs, colors, score)
    _draw_costs(right, rows, found.leads, colors, score)
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


@style.in_house
def curves(found: Findings) -> Picture:
    """Validation accuracy, training and validation loss of every optimizer, mean and interval over the runs.

    The accuracy is the balanced one where that compares the optimizers.
    """
    figure = Figure(figsize=(WIDTH, 9), dpi=DPI, layout="constrained")
    shown = found.score if found.score.unit == "%" else SCORES["accuracy"]
    panels = (("val", shown.column.removeprefix("val_"), shown.title, "%", "linear"), *LOSS_CURVES)
    for axes, (split, column, title, unit, scale) in zip(figure.subplots(3, 1), panels, strict=True):
        lines = by_optimizer([row for row in found.curves if row.split == split])
        look = style.looks(lines)
        for name, line in lines.items():
            band = {"color": look[name]["color"], "alpha": 0.15, "linewidth": 0, "url": OF + name}
            axes.fill_between(line["epoch"], line[f"{column}_low"], line[f"{column}_high"], **band)
        _draw_lines(axes, lines, column, scale)
        _name_lines(axes, lines, column)
        axes.set(title=title, xlabel="epoch", ylabel=unit if unit == "%" else f"cross-entropy in {unit}, log scale")
        if unit == "%":
            axes.yaxis.set_major_formatter(FuncFormatter(percent))
    level = f"{100 * found.confidence:g} %"
    figure.supxlabel(f"Lines: means over the runs. Bands: {level} intervals for the mean.", fontsize=9)
    losses = {row.optimizer: row.loss for row in found.curves if row.split == "val"}  # the last epoch comes last
    return Picture(
        figure,
        "Three panels by epoch, one line for each optimizer with a band around it: "
        f"{shown.title.lower()}, training loss, validation loss. Validation loss after the last epoch in nats, "
        f"{_extremes(losses)}.",
    )


@style.in_house
def diagnostics(found: Findings) -> Picture:
    """What `DIAGNOSTICS` of descent/training/run.py lists, a panel each, means over the runs."""
    rows = math.ceil(len(DIAGNOSTICS) / 2)
    figure = Figure(figsize=(WIDTH, 3 * rows), dpi=DPI, layout="constrained")
    figure.get_layout_engine().set(h_pad=0.08)  # inches
    panels = list(figure.subplots(rows, 2, squeeze=False).flat)
    for axes in panels[len(DIAGNOSTICS) :]:
        axes.set_visible(False)
    lines, titles = by_optimizer(found.diagnostics), []
    for axes, column in zip(panels, DIAGNOSTICS, strict=False):
        title, scale = PANELS.get(column, (column.replace("_", " ").capitalize(), "linear"))
        titles.append(title)
        _draw_lines(axes, lines, column, scale)
        axes.set(title=title, xlabel="epoch")
        axes.xaxis.set_major_locator(epochs(4))
        if title.endswith("%"):
            axes.yaxis.set_major_formatter(FuncFormatter(percent))
    handles = panels[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=4, frameon=False, handlelength=3)
    changes = {row.optimizer: row.relative_change for row in found.diagnostics}
    return Picture(
        figure,
        f"{len(titles)} panels by epoch, one line for each optimizer: {'; '.join(titles)}. Relative change in the last "
        f"epoch, {_extremes(changes)}.",
    )


@style.in_house
def tutorial(found: Findings) -> Picture:
    """The tutorial's printed run over ours: validation accuracy and loss, a line of panels for each optimizer."""
    lines = by_optimizer(found.tutorial)
    figure = Figure(figsize=(WIDTH, 1 + 1.35 * max(1, len(lines))), dpi=DPI, layout="constrained")
    look = style.looks(lines)
    panels = figure.subplots(max(1, len(lines)), 2, sharex=True, squeeze=False)
    interval = f"{100 * found.confidence:g} % interval for the mean"
    for pair, (name, line) in zip(panels, lines.items(), strict=len(lines) > 0):
        for axes, column in zip(pair, ("val_accuracy", "val_loss"), strict=True):
            color = look[name]["color"]
            band = {"color": color, "alpha": 0.25, "linewidth": 0, "label": interval}
            axes.fill_between(line["epoch"], line[f"{column}_low"], line[f"{column}_high"], **band)
            axes.plot(line["epoch"], line[column], color=color, label="ours, mean")
            dots = {"color": "#222222", "markerfacecolor": "none", "markersize": 3, "label": "tutorial"}
            axes.plot(line["epoch"], line[f"{column}_printed"], "o", **dots)
            axes.yaxis.set_major_locator(MaxNLocator(4))
            axes.ticklabel_format(axis="y", style="plain", useOffset=False)
            axes.xaxis.set_major_locator(epochs(5))
        pair[0].yaxis.set_major_formatter(FuncFormatter(percent))
        pair[0].set_ylabel(name)
    for axes, title in zip(panels[0], ("Validation accuracy, %", "Validation loss, nats"), strict=True):
        axes.set_title(title)
    figure.align_ylabels(panels[:, 0])
    for axes in panels[-1]:
        axes.set_xlabel("epoch")
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    return Picture(
        figure,
        "Validation accuracy and validation loss by epoch, two panels for each optimizer that the tutorial ran too "
        f"({', '.join(sorted(lines)) or 'none'}): its printed points over our mean and its band.",
    )


def svg(figure: Figure) -> str:
    """Render a figure as an `svg` element in which what is drawn for an optimizer has the attribute data-optimizer."""
    marked = rf'<a xlink:href="{OF}([^"]*)"[^>]*>(.*?)</a>'
    return re.sub(marked, r'<g data-optimizer="\1">\2</g>', style.svg(figure), flags=re.DOTALL)


def label_places(heights: Mapping[str, float], gap: float) -> dict[str, float]:
    """Move labels as little as need be (least squares) so that neighbours are a gap apart and all stay on the axis.

    Args:
        heights: label -> where it should stand, in [0, 1] of the axis.
        gap: least distance; it shrinks where the labels would not fit.

    Returns:
        Label -> where it stands, in [0, 1], from the lowest to the highest.
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


def enough(ticks: Sequence[float], low: float, high: float) -> np.ndarray:
    """Take the ticks from low to high; where fewer than two are there, round numbers at equal distances instead."""
    within = [tick for tick in ticks if low <= tick <= high]
    if len(within) > 1:
        return np.array(within)
    ticks = MaxNLocator(4, steps=STEPS).tick_values(low, high)
    return ticks[(low <= ticks) & (ticks <= high)]


class LogTicks(LogLocator):
    """Finds the ticks of a log axis, of which at least two can be seen, however short it is."""

    def tick_values(self, vmin: float, vmax: float) -> np.ndarray:
        """Find the ticks from vmin to vmax."""
        return enough(super().tick_values(vmin, vmax), *sorted([vmin, vmax]))


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


def _draw_lines(axes: Axes, lines: Mapping[str, Mapping[str, np.ndarray]], column: str, scale: str) -> None:
    """Draw one line an optimizer; where a run diverged it ends with a cross."""
    look = style.looks(lines)
    for name, line in lines.items():
        marks = max(1, len(line["epoch"]) // 5)
        axes.plot(line["epoch"], line[column], **look[name], markevery=marks, label=name, url=OF + name)
        drawn = np.flatnonzero(np.isfinite(line[column]))
        if 0 < len(drawn) < len(line["epoch"]):
            cross = {"color": look[name]["color"], "markersize": 8, "markeredgewidth": 2, "url": OF + name}
            axes.plot(line["epoch"][drawn[-1]], line[column][drawn[-1]], "x", **cross)
    if scale == "log":
        axes.set_yscale(scale)
        axes.yaxis.set_major_locator(LogTicks(subs=(1, 2, 5)))
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
    look = style.looks(lines)
    values = np.concatenate([line[column] for line in lines.values()])
    values = values[np.isfinite(values)]
    if len(set(values)) > 1:  # the means alone set the range, not the bands
        scale = axes.yaxis.get_transform()
        low, high = scale.transform([min(values), max(values)])
        margin = 0.05 * (high - low)
        axes.set_ylim(*scale.inverted().transform([low - margin, high + margin]))
    drawn = {name: np.flatnonzero(np.isfinite(line[column])) for name, line in lines.items()}
    ends = {name: (lines[name]["epoch"][i[-1]], lines[name][column][i[-1]]) for name, i in drawn.items() if len(i)}
    name_ends(axes, ends, look, {name for name in ends if len(drawn[name]) < len(lines[name]["epoch"])})
    if absent := sorted(set(lines) - set(ends)):
        axes.text(0.5, 0.02, f"diverged in the first epoch: {', '.join(absent)}", transform=axes.transAxes, ha="center")


def _far_behind(leads: Sequence[float]) -> float:
    """Find the lead beyond which a rival is far behind: three times what three quarters of the rivals stay within."""
    return 3 * float(np.quantile(leads, 0.75)) if len(leads) else np.inf


def _draw_runs(
    axes: Axes, rows: Sequence[Rank], runs: Mapping[str, np.ndarray], colors: Mapping[str, str], score: Score
) -> None:
    means = np.array([score.turned(row.val_accuracy) for row in rows if np.isfinite(row.val_accuracy)])
    limit = means[0] - _far_behind(means[0] - means[1:]) if len(means) else -np.inf
    for y, row in enumerate(rows):
        color = colors[row.optimizer]
        if score.turned(row.val_accuracy) < limit:
            _arrow(axes, 0, y, f"\N{LEFTWARDS ARROW} {_short(row.val_accuracy, score)}")
            continue
        interval, opacity = [row.val_accuracy_low, row.val_accuracy_high], _opacity(row)
        axes.plot(interval, [y, y], color=color, linewidth=5, alpha=0.35 * opacity, solid_capstyle="butt")
        axes.plot(row.val_accuracy, y, "|", color=color, markersize=14, markeredgewidth=2, alpha=opacity)
        circles = {"color": color, "markerfacecolor": "white", "zorder": 3, "alpha": opacity}
        axes.plot(runs[row.optimizer], np.full(row.runs, y), "o", **circles)
        if row.diverged:
            _arrow(axes, 0, y, f"diverged: {row.diverged} of {row.runs}")


def _draw_costs(
    axes: Axes, rows: Sequence[Rank], leads: Sequence[Lead], colors: Mapping[str, str], score: Score
) -> None:
    of_best = {lead.behind: lead for lead in leads if lead.ahead == rows[0].optimizer}
    limit = _far_behind([lead.lead for lead in of_best.values()])
    axes.axvline(0, color="#222222", linewidth=0.8)
    for y, row in enumerate(rows):
        color, lead = colors[row.optimizer], of_best.get(row.optimizer)
        if lead and lead.lead > limit:
            interval = f"\n({_short(lead.low, score)} to {_short(lead.high, score)})" if np.isfinite(lead.low) else ""
            _arrow(axes, 1, y, f"{_short(lead.lead, score)} \N{RIGHTWARDS ARROW}{interval}")
            continue
        bar = [max(0, row.behind_at_least), row.behind_at_most]
        opacity = _opacity(row)
        axes.plot(bar, [y, y], color=color, linewidth=5, alpha=0.5 * opacity, solid_capstyle="butt")
        if lead:
            axes.plot([lead.low, lead.high], [y, y], color=color, linewidth=1.2, alpha=opacity)
            axes.plot(lead.lead, y, "|", color=color, markersize=14, markeredgewidth=2, alpha=opacity)


def _draw_largest(axes: Axes, found: Findings) -> str:
    """Draw the accuracy of always answering the largest class, where it is near what is shown; return its legend."""
    (low, high), (name, share) = axes.get_xlim(), found.largest
    is_near = axes.has_data() and share >= low - (high - low) / 2
    if found.score.column != "val_accuracy" or not is_near:
        return ""
    axes.axvline(share, color="#222222", linewidth=0.8, linestyle=(0, (2, 2)))
    return f"Dashed: always answering {name}, the largest class, {percent(round(share, 4))} %."


def _short(value: float, score: Score) -> str:
    return f"{score.factor * value:.{score.digits - 1}f}"


def _opacity(row: Rank) -> float:
    """Whoever left the race is faded."""
    return 0.45 if row.may_be_best == "no" else 1.0


def _arrow(axes: Axes, x: float, y: float, text: str) -> None:
    place = {"ha": "right" if x else "left", "xytext": (-3 if x else 3, 0), "textcoords": "offset points"}
    axes.annotate(text, (x, y), xycoords=("axes fraction", "data"), va="center", fontsize=8, **place)


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
