"""What changed between two revisions of the results by more than noise, as a table or in one line."""

import math
from typing import NamedTuple

import numpy as np
from tabulate import tabulate

from descent.analysis import statistics
from descent.analysis.records import Training
from descent.analysis.revisions import Revision, differing_environment, differing_parameters
from descent.report import display_tables
from descent.report.text import percent
from descent.runs import metrics


class Change(NamedTuple):
    """One optimizer, before and after."""

    optimizer: str
    before: np.ndarray  # [runs] in [0, 1]
    after: np.ndarray
    change: float
    low: float  # all intervals of a comparison hold at once
    high: float
    verdict: str  # same runs, within noise, beyond noise, diverged, unknown


def changes(before: Revision, after: Revision, confidence: float) -> list[Change]:
    """Compare each optimizer that both revisions have; the intervals of those that differ hold together.

    Args:
        before: one revision.
        after: the other.
        confidence: that all intervals hold, in (0, 1): each is Welch's at 1 - (1 - confidence) / their number.
    """
    names = [name for name in before.runs if name in after.runs]
    same = {name for name in names if _are_equal(before.trainings[name], after.trainings[name])}
    level = 1 - (1 - confidence) / max(1, len(names) - len(same))
    resolution = max(before.resolution, after.resolution)
    rows = []
    for name in names:
        runs = (before.runs[name], after.runs[name])
        low, high = (0.0, 0.0) if name in same else statistics.welch_interval(*runs[::-1], level, resolution)
        if name in same:
            verdict = "same runs"
        elif np.isnan(np.concatenate(runs)).any():
            verdict = "diverged"
        elif math.isnan(low):
            verdict = "unknown"
        else:
            verdict = "within noise" if low <= 0 <= high else "beyond noise"
        rows.append(Change(name, *runs, float(runs[1].mean() - runs[0].mean()), low, high, verdict))
    return rows


def told(before: Revision, after: Revision, confidence: float, form: str) -> str:
    """Tell what changed: a table of the optimizers that did, those that did not, and the conditions that differ.

    Args:
        before: one revision.
        after: the other.
        confidence: that all intervals hold at once, in (0, 1).
        form: of the table, as tabulate calls it: "simple" for a terminal, "pipe" for Markdown.
    """
    rows = changes(before, after, confidence)
    heads = ["Validation accuracy, %", before.name, after.name, "Change, points", percent(confidence), "Verdict"]
    cells = [
        [
            row.optimizer,
            *(f"{_summed_up(runs, before.resolution)} (n = {len(runs)})" for runs in (row.before, row.after)),
            "–" if math.isnan(row.change) else f"{100 * row.change:+.2f}",
            display_tables.points(row.low, row.high),
            row.verdict,
        ]
        for row in rows
        if row.verdict != "same runs"
    ]
    same = [row.optimizer for row in rows if row.verdict == "same runs"]
    parts = [tabulate(cells, heads, form, disable_numparse=True)] if cells else []
    parts += [f"Same runs to the last digit: {', '.join(same)}."] if same else []
    for what, found in (
        ("Parameters", differing_parameters(before, after)),
        ("Environment", differing_environment(before, after)),
    ):
        parts += [f"{what}: {'; '.join(found)}."] if found else []
    return "\n\n".join(parts)


def brief(committed: Revision, ours: Revision, confidence: float) -> str:
    """Tell in one line whether results agree with the committed ones; nothing where they are the same."""
    parameters, environment = differing_parameters(committed, ours), differing_environment(committed, ours)
    rows = changes(committed, ours, confidence)
    if parameters:
        return (
            f"Parameters differ from those of the committed results ({'; '.join(parameters)}): "
            f"python -m stages.diff {committed.name} tells what that changed."
        )
    other = f" ({'; '.join(environment)})" if environment else ""
    if all(row.verdict == "same runs" for row in rows):
        return f"Results equal the committed ones to the last digit{other}." if other else ""
    disagreeing = [row.optimizer for row in rows if row.verdict not in ("same runs", "within noise")]
    agreeing = f"{len(rows) - len(disagreeing)} of {len(rows)} optimizers agree within noise"
    return (
        f"Results differ from the committed ones{other or ' (no recorded condition does)'}: {agreeing}"
        + (f", but not {', '.join(disagreeing)}" if disagreeing else "")
        + "; commit yours as the baseline, then compare."
    )


def _summed_up(runs: np.ndarray, resolution: float) -> str:
    return display_tables.accuracy(float(runs.mean()), float(metrics.sample_sd(runs, resolution)))


def _are_equal(first: Training, second: Training) -> bool:
    return np.array_equal(first.test_accuracy, second.test_accuracy, equal_nan=True) and all(
        np.array_equal(first.history[column], second.history[column], equal_nan=True) for column in first.history
    )
