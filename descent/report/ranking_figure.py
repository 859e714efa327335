"""Draws the ranking: single runs and means in one panel, what choosing it may cost in the next."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from descent.analysis.tables import Lead, Rank
from descent.core import style
from descent.report.figures import DPI, WIDTH, percent

IN_THE_SET = "#E4E4E4"


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
        bar = [max(0, row.behind_at_least), row.cost_at_most]
        axes.plot(bar, [y, y], color=color, linewidth=5, alpha=0.5, solid_capstyle="butt")
        if lead:
            axes.plot([lead.low, lead.high], [y, y], color=color, linewidth=1.2)
            axes.plot(lead.lead, y, "|", color=color, markersize=14, markeredgewidth=2)


def _arrow(axes: Axes, x: float, y: float, text: str) -> None:
    place = {"ha": "right" if x else "left", "xytext": (-3 if x else 3, 0), "textcoords": "offset points"}
    axes.annotate(text, (x, y), xycoords=("axes fraction", "data"), va="center", fontsize=8, **place)
