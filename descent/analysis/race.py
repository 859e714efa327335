"""The race: which optimizers may be the best, decided at planned looks at the runs.

At a look of n runs, the optimizers still in the race are compared by their first n runs each. Whoever is led by another
one in the race leaves for good and needs no further run. The error that is allowed in all (1 - confidence) is shared
among the planned looks and, at each look, among the rivals that an optimizer started against. So the true best leaves
in at most that share of all races, however often somebody looks, and whether or not the race is run to its end.

The outcome is a function of the runs and the planned looks alone. With one planned look it is the comparison with the
best of Hsu, Multiple Comparisons: Theory and Methods (1996), chapter 4, with Welch's errors (Biometrika 34, 1947).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from descent.analysis import statistics


class Race(NamedTuple):
    """How each optimizer stands at the last look that it took part in; arrays [..., optimizers]."""

    remains: np.ndarray  # bool: may be the best
    runs: np.ndarray  # int: that were compared at that look; 0 if there was none
    behind_at_most: np.ndarray  # by how much the best may lead it; 0 if it can only be the best, nan if unknown
    behind_at_least: np.ndarray  # lead of its clearest rival, at the least; above 0 where it left; -inf if unknown
    clearest_rival: np.ndarray  # int: index of that rival


def race(runs: Sequence[np.ndarray], looks: Sequence[int], confidence: float, resolution: float, started: int) -> Race:
    """Hold the race as far as the runs go: before a look for which one in the race lacks runs, it stands still.

    Args:
        runs: of each optimizer, at least two, [..., runs] in the order of the seeds; some may have more than others.
            Leading axes are for experiments simulated side by side.
        looks: numbers of runs, rising.
        confidence: in (0, 1).
        resolution: what one image changes, in the runs' unit; > 0.
        started: optimizers that started: those of `runs`, and those that diverged.
    """
    shape = (*np.shape(runs[0])[:-1], len(runs))
    error = (1 - confidence) / len(looks) * (len(runs) - 1) / (started - 1)
    unknown = np.full(shape, np.nan)
    found = Race(np.ones(shape, bool), np.zeros(shape, int), unknown, np.full(shape, -np.inf), np.zeros(shape, int))
    for look in looks:
        racing = found.remains & (found.remains.sum(axis=-1, keepdims=True) > 1)
        lacks = np.array([np.shape(values)[-1] < look for values in runs])
        if not racing.any() or (racing & lacks).any():
            break
        leads = statistics.leads_at_least([values[..., :look] for values in runs], 1 - error, resolution)
        leads = np.where(racing[..., :, None], leads, -np.inf)  # who left leads nobody
        remains = found.remains & ~(leads > 0).any(axis=-2)  # nan exceeds nothing
        others = remains[..., None, :] & ~np.isneginf(leads)
        known = np.where(np.isnan(leads), -np.inf, leads)
        now = Race(
            remains=remains,
            runs=np.full(shape, look),
            behind_at_most=np.where(others, -leads, 0).max(axis=-1, initial=0),
            behind_at_least=known.max(axis=-2),
            clearest_rival=known.argmax(axis=-2),
        )
        found = Race(*(np.where(racing, *values) for values in zip(now, found, strict=True)))
    return found


def next_look(found: Race, looks: Sequence[int]) -> int | None:
    """Return how many runs each remaining optimizer of one race needs next; None once the race is over."""
    later = [look for look in looks if look > found.runs.max()]
    return later[0] if later and found.remains.sum() > 1 else None
