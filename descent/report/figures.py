"""Draws the tables of the report; never saves. Rendered `style.in_house`, equal tables give equal pictures.

Every optimizer has its colour, line and marker, the same in every figure: told apart in colour, in grey and by its
name. All figures are narrow, so that a phone shows them whole and legible.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator, StrMethodFormatter
from scipy.optimize import isotonic_regression

from descent.analysis.tables import CurvePoint, DiagnosticsPoint, Lead, Rank
from descent.analysis.tutorial import TutorialPoint
from descent.core import style

WIDTH = 5.2  # inches
DPI = 200
CURVES = (  # split, column, title, unit, scale
    ("val", "accuracy", "Validation accuracy", "%", "linear"),
    ("train", "loss", "Training loss", "nats", "log"),
    ("val", "loss", "Validation loss", "nats", "log"),
)
DIAGNOSTICS = (  # column, title, unit, scale
    ("distance", "Distance moved", "L2 norm", "log"),
    ("weight_norm", "Weights", "L2 norm", "linear"),
    ("relative_change", "Relative change", "ratio", "log"),
    ("unchanged_weights", "Unchanged weights", "%", "from zero"),
)
OF = "optimizer:"  # and its name: the address of what is drawn for it, from which `svg` makes an attribute
IN_THE_SET = "#E4E4E4"
LABEL_GAP = 0.07  # of a panel's height: one line of text in the smallest panel


@style.in_house
def ranking(rows: Sequence[Rank], runs: Mapping[str, np.ndarray], leads: Sequence[Lead], confidence: float) -> Figure:
    """One line an optimizer, best on top; what may be the best stands on grey.

    An optimizer so far behind that it would press the others together is an arrow at the edge, with its number.

    Args:
        rows: rows of ranking.csv.
        runs: optimizer -> [runs], by what each run is judged, in [0, 1], nan where it diverged.
        leads: rows of differences.csv.
        confidence: of the intervals in these tables, in (0, 1).
    """
    figure = Figure(figsize=(WIDTH, 1.75 + 0.36 * len(rows)), dpi=DPI, layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(5, 4))
    colors = {name: look["color"] for name, look in style.looks([row.optimizer for row in rows]).items()}
    for axes in (left, right):
        for y, row in enumerate(rows):
            if row.may_be_best == "yes":
                axes.axhspan(y - 0.5, y + 0.5, color=IN_THE_SET, linewidth=0, zorder=0)
        axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
        axes.xaxis.set_major_formatter(FuncFormatter(percent))
        axes.grid(visible=False, axis="y")
    _draw_runs(left, rows, runs, colors)
    _draw_costs(right, rows, leads, colors)
    left.set_yticks(range(len(rows)), [row.optimizer for row in rows])
    left.set_ylim(len(rows) - 0.5, -0.5)
    left.set_title("Validation accuracy, %")
    right.set_title("Behind the best, points")
    right.tick_params(left=False)
    level = f"{100 * confidence:g} %"
    figure.supxlabel(
        f"On grey: may be the best, at {level} confidence.\nLeft: single runs, their mean, its {level} interval.\n"
        f"Right: bar, what choosing it costs at least and at most;\n"
        f"line, the lead of {rows[0].optimizer}, {level} for all pairs at once.",
        x=0.02, ha="left", fontsize=8.5,
    )  # fmt: skip
    return figure


@style.in_house
def curves(rows: Sequence[CurvePoint], confidence: float) -> Figure:
    """Validation accuracy, training and validation loss of every optimizer, mean and interval over the runs.

    Args:
        rows: rows of curves.csv.
        confidence: of the intervals in it, in (0, 1).
    """
    figure = Figure(figsize=(WIDTH, 9), dpi=DPI, layout="constrained")
    for axes, (split, column, title, unit, scale) in zip(figure.subplots(3, 1), CURVES, strict=True):
        of_split = [row for row in rows if row.split == split]
        look = style.looks([row.optimizer for row in rows])
        for name, line in _by_optimizer(of_split).items():
            band = {"color": look[name]["color"], "alpha": 0.15, "linewidth": 0, "url": OF + name}
            axes.fill_between(line["epoch"], line[f"{column}_low"], line[f"{column}_high"], **band)
        _draw_lines(axes, of_split, column, scale)
        _name_lines(axes, of_split, column)
        axes.set(title=title, xlabel="epoch", ylabel=unit if unit == "%" else f"cross-entropy in {unit}, log scale")
        if unit == "%":
            axes.yaxis.set_major_formatter(FuncFormatter(percent))
    figure.supxlabel(f"Lines: means over the runs. Bands: {100 * confidence:g} % intervals for the mean.", fontsize=9)
    return figure


@style.in_house
def diagnostics(rows: Sequence[DiagnosticsPoint]) -> Figure:
    """How far the weights move in each epoch: distance, norm of the weights, their ratio, share of unchanged weights.

    Args:
        rows: rows of diagnostics.csv.
    """
    figure = Figure(figsize=(WIDTH, 6), dpi=DPI, layout="constrained")
    figure.get_layout_engine().set(h_pad=0.08)  # inches
    for axes, (column, title, unit, scale) in zip(figure.subplots(2, 2).flat, DIAGNOSTICS, strict=True):
        _draw_lines(axes, rows, column, scale)
        axes.set(title=f"{title}, {unit}", xlabel="epoch")
        axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10], integer=True))
        if unit == "%":
            axes.yaxis.set_major_formatter(FuncFormatter(percent))
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False, handlelength=3)
    return figure


@style.in_house
def tutorial(rows: Sequence[TutorialPoint], confidence: float) -> Figure:
    """The tutorial's printed run over ours: validation accuracy and loss, a line of panels for each optimizer.

    Args:
        rows: rows of tutorial.csv.
        confidence: of the intervals in it, in (0, 1).
    """
    lines = _by_optimizer(rows)
    figure = Figure(figsize=(WIDTH, 1 + 1.35 * max(1, len(lines))), dpi=DPI, layout="constrained")
    look = style.looks(lines)
    panels = figure.subplots(max(1, len(lines)), 2, sharex=True, squeeze=False)
    interval = f"{100 * confidence:g} % interval for the mean"
    for pair, (name, line) in zip(panels, lines.items(), strict=len(lines) > 0):
        for axes, column in zip(pair, ("val_accuracy", "val_loss"), strict=True):
            color = look[name]["color"]
            band = {"color": color, "alpha": 0.25, "linewidth": 0, "label": interval}
            axes.fill_between(line["epoch"], line[f"{column}_low"], line[f"{column}_high"], **band)
            axes.plot(line["epoch"], line[column], color=color, label="ours, mean")
            dots = {"color": "#222222", "markerfacecolor": "none", "markersize": 3, "label": "tutorial"}
            axes.plot(line["epoch"], line[f"{column}_printed"], "o", **dots)
            axes.yaxis.set_major_locator(MaxNLocator(4))
            axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10], integer=True))
        pair[0].yaxis.set_major_formatter(FuncFormatter(percent))
        pair[0].set_ylabel(name)
    for axes, title in zip(panels[0], ("Validation accuracy, %", "Validation loss, nats"), strict=True):
        axes.set_title(title)
    figure.align_ylabels(panels[:, 0])
    for axes in panels[-1]:
        axes.set_xlabel("epoch")
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    return figure


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


def percent(share: float, _position: int) -> str:
    """Write a tick of an axis whose unit is a share."""
    return f"{100 * share:g}"


def _by_optimizer(rows: Sequence[Any]) -> dict[str, dict[str, np.ndarray]]:
    """Split a table into columns [epochs] for each optimizer."""
    groups = {name: [row for row in rows if row.optimizer == name] for name in sorted({row.optimizer for row in rows})}
    return {
        name: dict(zip(group[0]._fields, map(np.array, zip(*group, strict=True)), strict=True))
        for name, group in groups.items()
    }


def _draw_lines(axes: Axes, rows: Sequence[Any], column: str, scale: str) -> None:
    """Draw one line an optimizer; where a run diverged it ends with a cross."""
    lines = _by_optimizer(rows)
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
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.yaxis.set_minor_locator(NullLocator())
    elif scale == "from zero":
        axes.update_datalim([(0, 0)], updatex=False)
        axes.autoscale_view()
        axes.set_ylim(bottom=0)  # without a margin below, with one above
    axes.margins(x=0.02)
    axes.xaxis.set_major_locator(MaxNLocator(steps=[1, 2, 5, 10], integer=True))


def _name_lines(axes: Axes, rows: Sequence[Any], column: str) -> None:
    """Write the names at the ends of the lines, and the names of those that have none below."""
    lines = _by_optimizer(rows)
    look = style.looks(lines)
    values = np.concatenate([line[column] for line in lines.values()])
    values = values[np.isfinite(values)]
    if len(set(values)) > 1:  # the means alone set the range, not the bands
        scale = axes.yaxis.get_transform()
        low, high = scale.transform([min(values), max(values)])
        margin = 0.05 * (high - low)
        axes.set_ylim(*scale.inverted().transform([low - margin, high + margin]))
    axes.set_xlim(axes.get_xlim())
    drawn = {name: np.flatnonzero(np.isfinite(line[column])) for name, line in lines.items()}
    ends = {name: (lines[name]["epoch"][i[-1]], lines[name][column][i[-1]]) for name, i in drawn.items() if len(i)}
    on_axes = {name: (axes.transScale + axes.transLimits).transform(end).clip(0, 1) for name, end in ends.items()}
    for name, place in label_places({name: y for name, (_, y) in on_axes.items()}, LABEL_GAP).items():
        (x, y), color = on_axes[name], look[name]["color"]
        diverged = len(drawn[name]) < len(lines[name]["epoch"])
        leader = {"color": color, "linestyle": (0, (1, 4)) if diverged else "-", "linewidth": 1, "url": OF + name}
        axes.plot([x, 1.05], [y, place], transform=axes.transAxes, clip_on=False, **leader)
        label = f"{name}\n(diverged)" if diverged else name
        axes.text(1.06, place, label, transform=axes.transAxes, verticalalignment="center", url=OF + name)
    if absent := sorted(set(lines) - set(ends)):
        axes.text(0.5, 0.02, f"diverged in the first epoch: {', '.join(absent)}", transform=axes.transAxes, ha="center")


def _far_behind(leads: Sequence[float]) -> float:
    """Find the lead beyond which a rival is far behind: three times what three quarters of the rivals stay within."""
    return 3 * float(np.quantile(leads, 0.75)) if len(leads) else np.inf


def _draw_runs(axes: Axes, rows: Sequence[Rank], runs: Mapping[str, np.ndarray], colors: Mapping[str, str]) -> None:
    means = np.array([row.val_accuracy for row in rows if np.isfinite(row.val_accuracy)])
    limit = means[0] - _far_behind(means[0] - means[1:]) if len(means) else -np.inf
    for y, row in enumerate(rows):
        color = colors[row.optimizer]
        if row.val_accuracy < limit:
            _arrow(axes, 0, y, f"\N{LEFTWARDS ARROW} {100 * row.val_accuracy:.1f}")
            continue
        interval = [row.val_accuracy_low, row.val_accuracy_high]
        axes.plot(interval, [y, y], color=color, linewidth=5, alpha=0.35, solid_capstyle="butt")
        axes.plot(row.val_accuracy, y, "|", color=color, markersize=14, markeredgewidth=2)
        axes.plot(runs[row.optimizer], np.full(row.runs, y), "o", color=color, markerfacecolor="white", zorder=3)
        if row.diverged:
            _arrow(axes, 0, y, f"diverged: {row.diverged} of {row.runs}")


def _draw_costs(axes: Axes, rows: Sequence[Rank], leads: Sequence[Lead], colors: Mapping[str, str]) -> None:
    of_best = {lead.behind: lead for lead in leads if lead.ahead == rows[0].optimizer}
    limit = _far_behind([lead.lead for lead in of_best.values()])
    axes.axvline(0, color="#222222", linewidth=0.8)
    for y, row in enumerate(rows):
        color, lead = colors[row.optimizer], of_best.get(row.optimizer)
        if lead and lead.lead > limit:
            line = f"\n({100 * lead.low:.1f} to {100 * lead.high:.1f})" if np.isfinite(lead.low) else ""
            _arrow(axes, 1, y, f"{100 * lead.lead:.1f} \N{RIGHTWARDS ARROW}{line}")
            continue
        bar = [max(0, row.behind_at_least), row.behind_at_most]
        axes.plot(bar, [y, y], color=color, linewidth=5, alpha=0.5, solid_capstyle="butt")
        if lead:
            axes.plot([lead.low, lead.high], [y, y], color=color, linewidth=1.2)
            axes.plot(lead.lead, y, "|", color=color, markersize=14, markeredgewidth=2)


def _arrow(axes: Axes, x: float, y: float, text: str) -> None:
    place = {"ha": "right" if x else "left", "xytext": (-3 if x else 3, 0), "textcoords": "offset points"}
    axes.annotate(text, (x, y), xycoords=("axes fraction", "data"), va="center", fontsize=8, **place)
