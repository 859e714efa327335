"""What changed between two revisions of the results by more than noise, and the conditions in which they differ."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from tabulate import tabulate

from descent.analysis import records, statistics, tables
from descent.analysis.records import Results
from descent.core.parameters import Section
from descent.report import display_tables
from descent.report.text import percent
from descent.runs import metrics

FEW = 3  # with fewer runs, noise hides nearly any difference
_OF_CPU = ("device_name", "cpu", "vector_extensions", "caches")  # one of them is enough to say that the CPU is another


class Change(NamedTuple):
    """One optimizer, before and after."""

    optimizer: str
    before: np.ndarray  # scores as measured, [runs]
    after: np.ndarray
    change: float  # after - before
    low: float  # all intervals of a comparison hold at once
    high: float
    verdict: str  # same runs, within noise, beyond noise, diverged, N runs cannot tell, unknown


def changes(before: Results, after: Results) -> list[Change]:
    """Compare each optimizer that both revisions have; the intervals of those that differ hold together.

    That all of them hold has the confidence of `after`: each is Welch's at 1 - (1 - confidence) / their number.
    """
    both = {name: (of, after.trainings[name]) for name, of in before.trainings.items() if name in after.trainings}
    same = {name for name, pair in both.items() if records.are_same(*pair)}
    level = 1 - (1 - after.conditions.report.confidence) / max(1, len(both) - len(same))
    (score, resolution), (_, other) = (tables.scored_by(results.conditions) for results in (after, before))
    rows = []
    for name, pair in both.items():
        first, second = (score.turned(training.final_accuracy) for training in pair)
        low, high = statistics.welch_interval(second, first, level, max(resolution, other))
        fewest = min(len(first), len(second))
        if name in same:
            verdict, low, high = "same runs", 0.0, 0.0
        elif np.isnan([*first, *second]).any():
            verdict = "diverged"
        elif low > 0 or high < 0:
            verdict = "beyond noise"
        elif fewest < FEW:
            verdict = f"{fewest} run{'s' * (fewest > 1)} cannot tell"
        else:
            verdict = "unknown" if math.isnan(low) else "within noise"
        rows.append(Change(name, first, second, float(second.mean() - first.mean()), low, high, verdict))
    return rows


def differing_parameters(before: Results, after: Results, names: tuple[str, str]) -> list[str]:
    """Name every parameter that decides results and differs, with both values, and optimizers that one side lacks."""
    deciding = [results.conditions._replace(report={}, race={})._asdict() for results in (before, after)]
    first, second = (dict(_leaves(sections)) for sections in deciding)
    lone = before.trainings.keys() ^ after.trainings.keys()
    found = [f"{name} only in {names[name in after.trainings]}" for name in sorted(lone)]
    for path in dict.fromkeys((*first, *second)):
        is_of_lone = path[0] == "optimizers" and path[1] in lone
        if first.get(path) != second.get(path) and not is_of_lone:
            found.append(f"{'.'.join(path)}: {first.get(path, 'none')} -> {second.get(path, 'none')}")
    return found


def differing_environment(before: Results, after: Results) -> list[str]:
    """Name every property of what computed the results that differs, with both values, and for which optimizers."""
    common = [name for name in before.trainings if name in after.trainings]
    found: dict[str, list[str]] = {}
    for name in common:
        first, second = before.trainings[name].environment, after.trainings[name].environment
        for key in dict.fromkeys((*first, *second)):
            one, other = (side.get(key, "not recorded") for side in (first, second))
            if one != other:
                found.setdefault(f"{key}: {one} -> {other}", []).append(name)
    return [text if len(of) == len(common) else f"{text} ({', '.join(of)})" for text, of in found.items()]


def render_table(before: Results, after: Results, names: tuple[str, str], form: str) -> str:
    """Write a table of the optimizers that changed, then name those that did not and the conditions that differ.

    `names` are those of the two revisions; `form` is "simple" for a terminal or "pipe" for Markdown (see tabulate).
    """
    score, resolution = tables.scored_by(after.conditions)
    level, rows = percent(after.conditions.report.confidence), changes(before, after)

    def mean(runs: np.ndarray) -> str:
        sd = metrics.sample_sd(runs, resolution)
        return f"{display_tables.accuracy(float(runs.mean()), float(sd), score)} (n = {len(runs)})"

    cells = [
        [
            row.optimizer,
            mean(row.before),
            mean(row.after),
            "–" if math.isnan(row.change) else f"{score.factor * row.change:+.{score.digits}f}",
            display_tables.points(row.low, row.high, score),
            row.verdict,
        ]
        for row in rows
        if row.verdict != "same runs"
    ]
    heads = [score.heading, *names, f"Change, {score.difference.split()[-1]}", level, "Verdict"]
    parts = [tabulate(cells, heads, form, disable_numparse=True)] if cells else []
    lists = {
        "Same runs to the last digit: ": ", ".join(row.optimizer for row in rows if row.verdict == "same runs"),
        "Parameters: ": "; ".join(differing_parameters(before, after, names)),
        "Environment: ": "; ".join(differing_environment(before, after)),
    }
    return "\n\n".join([*parts, *(f"{what}{named}." for what, named in lists.items() if named)])


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


def _leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The values of a tree of sections, each with its key path; a key that the file leaves out has none."""
    if isinstance(value, Section):
        value = value.model_dump(exclude_unset=True)
    if isinstance(value, Mapping):
        for key, member in value.items():
            yield from _leaves(member, (*path, str(key)))
    else:
        yield path, value
