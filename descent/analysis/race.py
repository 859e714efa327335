"""The race: which optimizers may still be the best, decided at planned looks at the runs.

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


def race(
    runs: np.ndarray, looks: Sequence[int], confidence: float, resolution: float, started: int | None = None
) -> Race:
    """Hold the race as far as the runs go: before a look for which one in the race lacks runs, it stands still.

    Args:
        runs: [..., optimizers, runs], in the order of the seeds, at least two optimizers; nan where there is no run.
            Leading axes are for experiments simulated side by side.
        looks: numbers of runs, rising.
        confidence: in (0, 1).
        resolution: what one image changes, in the runs' unit; > 0.
        started: optimizers that started, with those that diverged and are not among `runs`; else all of `runs`.
    """
    shape, rivals = runs.shape[:-1], runs.shape[-2] - 1
    share = rivals / (max(2, started or 0, rivals + 1) - 1) / len(looks)  # of the error, for the rivals that are here
    unknown = np.full(shape, np.nan)
    found = Race(np.ones(shape, bool), np.zeros(shape, int), unknown, np.full(shape, -np.inf), np.zeros(shape, int))
    for look in looks:
        racing = found.remains & (found.remains.sum(axis=-1, keepdims=True) > 1)
        seen = runs[..., :look]
        if look > runs.shape[-1] or not racing.any() or np.isnan(seen[racing]).any():
            break
        seen = np.where(racing[..., None], seen, 0)  # of the others nothing is read
        leads = statistics.leads_at_least(seen, 1 - share * (1 - confidence), resolution)
        leads = np.where(racing[..., :, None], leads, -np.inf)
        remains = found.remains & ~(leads > 0).any(axis=-2)  # nan exceeds nothing
        most = np.where(np.isneginf(leads), 0, -leads).swapaxes(-1, -2)  # by column, of the row's lead over it
        most = np.where(remains[..., :, None], most, 0).max(axis=-2)
        known = np.where(np.isnan(leads), -np.inf, leads)
        now = Race(remains, np.full(shape, look), np.maximum(most, 0), known.max(axis=-2), known.argmax(axis=-2))
        found = Race(*(np.where(racing, *values) for values in zip(now, found, strict=True)))
    return found


def next_look(found: Race, looks: Sequence[int]) -> int | None:
    """Return how many runs each remaining optimizer of one race needs next; None once the race is over."""
    later = [look for look in looks if look > found.runs.max()]
    return later[0] if later and found.remains.sum() > 1 else None
