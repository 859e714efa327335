"""What changed between two revisions of the results by more than noise, and the conditions in which they differ."""

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from descent.analysis import records, statistics
from descent.analysis.records import Results
from descent.core.parameters import Section
from descent.runs.metrics import SCORES

FEW = 3  # with fewer runs, noise hides nearly any difference


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
    names = [name for name in before.trainings if name in after.trainings]
    same = {name for name in names if records.are_same(before.trainings[name], after.trainings[name])}
    level = 1 - (1 - after.conditions.report.confidence) / max(1, len(names) - len(same))
    score = SCORES[after.conditions.training.score]
    resolution = score.resolution(min(results.conditions.data.validation_size for results in (before, after)))
    rows = []
    for name in names:
        first, second = (score.turned(results.trainings[name].final_accuracy) for results in (before, after))
        low, high = (0.0, 0.0) if name in same else statistics.welch_interval(second, first, level, resolution)
        fewest = min(len(first), len(second))
        if name in same:
            verdict = "same runs"
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
    """Name every parameter that decides results and differs, with both values, and optimizers that one side lacks.

    Args:
        before: one revision.
        after: the other.
        names: of the two revisions.
    """
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
            values = [side.get(key, "not recorded") for side in (first, second)]
            if values[0] != values[1]:
                found.setdefault(f"{key}: {values[0]} -> {values[1]}", []).append(name)
    return [text if len(of) == len(common) else f"{text} ({', '.join(of)})" for text, of in found.items()]


def _leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The values of a tree of sections, each with its key path; a key that the file leaves out has none."""
    if isinstance(value, Section):
        value = value.model_dump(exclude_unset=True)
    if isinstance(value, Mapping):
        for key, member in value.items():
            yield from _leaves(member, (*path, str(key)))
    else:
        yield path, value
