"""What changed between two revisions of the results, as a table or in one line."""

import math
from collections.abc import Sequence

import numpy as np
from tabulate import tabulate

from descent.analysis.changes import changes, differing_environment, differing_parameters
from descent.analysis.records import Results
from descent.report import display_tables
from descent.report.text import percent
from descent.runs import metrics

_OF_CPU = ("device_name", "cpu", "vector_extensions", "caches")  # one of them is enough to say that the CPU is another


def render_table(before: Results, after: Results, names: tuple[str, str], form: str) -> str:
    """Write a table of the optimizers that changed, then name those that did not and the conditions that differ.

    Args:
        before: one revision.
        after: the other; its confidence holds for all intervals at once.
        names: of the two revisions.
        form: of the table, as tabulate calls it: "simple" for a terminal, "pipe" for Markdown.
    """
    level, score = percent(after.conditions.report.confidence), metrics.SCORES[after.conditions.training.score]
    heads = [score.heading, *names, f"Change, {score.difference.split()[-1]}", level, "Verdict"]
    rows = changes(before, after)
    cells = [
        [
            row.optimizer,
            _mean(row.before, before),
            _mean(row.after, after),
            "–" if math.isnan(row.change) else f"{score.factor * row.change:+.{score.digits}f}",
            display_tables.points(row.low, row.high, score),
            row.verdict,
        ]
        for row in rows
        if row.verdict != "same runs"
    ]
    parts = [tabulate(cells, heads, form, disable_numparse=True)] if cells else []
    if same := [row.optimizer for row in rows if row.verdict == "same runs"]:
        parts.append(f"Same runs to the last digit: {', '.join(same)}.")
    if parameters := differing_parameters(before, after, names):
        parts.append(f"Parameters: {'; '.join(parameters)}.")
    if environment := differing_environment(before, after):
        parts.append(f"Environment: {'; '.join(environment)}.")
    return "\n\n".join(parts)


def render_line(committed: Results, ours: Results, names: tuple[str, str]) -> str:
    """Write in one line whether results agree with the committed ones; nothing where they are the same."""
    if parameters := differing_parameters(committed, ours, names):
        return (
            f"Parameters differ from those of the committed results ({_shortened(parameters)}): "
            f"python -m stages.diff {names[0]} shows what that changed."
        )
    environment = differing_environment(committed, ours)
    of_cpu = [text for key in _OF_CPU for text in environment if text.startswith(f"{key}: ")]
    environment = [text for text in environment if text not in of_cpu[1:]]
    other = f" ({_shortened(environment)})" if environment else ""
    verdicts = {row.optimizer: row.verdict for row in changes(committed, ours)}
    if set(verdicts.values()) <= {"same runs"}:
        return f"Results equal the committed ones to the last digit{other}." if other else ""
    undecided = [name for name, verdict in verdicts.items() if verdict.endswith("cannot tell")]
    agreeing = [name for name, verdict in verdicts.items() if verdict in ("same runs", "within noise")]
    disagreeing = [name for name in verdicts if name not in (*undecided, *agreeing)]
    return (
        f"Results differ from the committed ones{other or ' (no recorded condition does)'}: "
        f"{len(agreeing)} of {len(verdicts)} optimizers agree within noise"
        + (f", but not {', '.join(disagreeing)}" if disagreeing else "")
        + (f", too few runs to tell for {', '.join(undecided)}" if undecided else "")
        + "; commit yours as the baseline, then compare."
    )


def _shortened(texts: Sequence[str]) -> str:
    return "; ".join(texts[:3]) + (f"; {len(texts) - 3} more" if len(texts) > 3 else "")


def _mean(runs: np.ndarray, results: Results) -> str:
    score = metrics.SCORES[results.conditions.training.score]
    sd = metrics.sample_sd(runs, score.resolution(results.conditions.data.validation_size))
    return f"{display_tables.accuracy(float(runs.mean()), float(sd), score)} (n = {len(runs)})"
