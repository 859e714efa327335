"""What a few runs can and cannot tell about which optimizer is best, and by how much; with SciPy's tests.

Runs of different optimizers are independent samples: equal seeds do not cancel noise here. What cannot be told is nan:
one run has no spread, and a spread below one image is unknown, not zero. No function takes a diverged run.

Runs of one optimizer are [..., runs]: leading axes are for experiments simulated side by side. Optimizers may have
different numbers of runs. `confidence` is in (0, 1); `resolution` is what one image changes, in the runs' unit, and 0
where runs are no counts.

The race decides at planned looks which optimizers may be the best. At a look of n runs, the optimizers still in the
race are compared by their first n runs each. Whoever is led by another one in the race leaves for good and needs no
further run. The error that is allowed in all (1 - confidence) is shared among the planned looks and, at each look,
among the rivals that an optimizer started against. So the true best leaves in at most that share of all races, however
often somebody looks, and whether or not the race is run to its end.

The outcome is a function of the runs and the planned looks alone. With one planned look it is the comparison with the
best of Hsu, Multiple Comparisons: Theory and Methods (1996), chapter 4, with Welch's errors (Biometrika 34, 1947).
"""

import math
from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from scipy import stats

from descent.runs.metrics import sample_sd


class Summary(NamedTuple):
    """Mean of n runs, their standard deviation, and the interval for the mean; in the runs' unit."""

    mean: np.ndarray
    sd: np.ndarray
    low: np.ndarray
    high: np.ndarray


def summarize(runs: np.ndarray, confidence: float, resolution: float = 0.0) -> Summary:
    """Mean, standard deviation and Student's interval for the mean over the last axis, [..., runs] -> [...]."""
    n, mean, sd = np.shape(runs)[-1], np.mean(runs, axis=-1), sample_sd(runs, resolution)
    half = stats.t.ppf((1 + confidence) / 2, n - 1) * sd / math.sqrt(n)
    return Summary(mean, sd, mean - half, mean + half)


def welch_interval(
    ahead: np.ndarray, behind: np.ndarray, confidence: float, resolution: float
) -> tuple[np.ndarray, np.ndarray]:
    """Welch's interval for the mean of `ahead` minus that of `behind`: for the race, for what tuning gains, for a diff.

    Returns:
        Low and high ends, [...]; nan where the difference is unknown.
    """
    (ahead, first_unknown), (behind, second_unknown) = (with_floor(runs, resolution) for runs in (ahead, behind))
    unknown = first_unknown & second_unknown
    if min(ahead.shape[-1], behind.shape[-1]) < 2:
        return np.full(unknown.shape, math.nan), np.full(unknown.shape, math.nan)
    interval = stats.ttest_ind(ahead, behind, axis=-1, equal_var=False).confidence_interval(confidence)
    return np.where(unknown, math.nan, interval.low), np.where(unknown, math.nan, interval.high)


def leads_at_least(runs: Sequence[np.ndarray], confidence: float, resolution: float) -> np.ndarray:
    """How far each optimizer leads each other one, at the least: lower ends of one-sided intervals.

    This is the test by which the race excludes; another one that bounds a lead may stand here.
    Each is at 1 - (1 - confidence) / (optimizers - 1), so that those of any one optimizer, the best say, hold together.

    Returns:
        [..., optimizers, optimizers], row over column; nan where unknown, -inf for an optimizer over itself alone.
    """
    k = len(runs)
    least = np.full((*np.shape(runs[0])[:-1], k, k), -np.inf)
    both_sides = 1 - 2 * (1 - confidence) / max(1, k - 1)  # one end of this two-sided interval is the one-sided one
    for i, j in combinations(range(k), 2):
        low, high = welch_interval(runs[i], runs[j], both_sides, resolution)
        least[..., i, j], least[..., j, i] = low, -high
    return least


def simultaneous(
    runs: Sequence[np.ndarray], confidence: float, resolution: float, further_error: np.ndarray
) -> np.ndarray:
    """Half widths of intervals for all differences, wide enough that all hold together (Games and Howell).

    The intervals are those of `scipy.stats.tukey_hsd(..., equal_var=False)`, which takes twice as long and no further
    error. With fewer than five runs they hold together less often than they say: docs/experiments/calibration.md.

    Args:
        runs: of each optimizer, [runs]; with fewer than three runs its intervals are unknown.
        confidence: of all intervals together.
        resolution: see above.
        further_error: [optimizers, optimizers], a standard error besides that over the runs.

    Returns:
        [2, optimizers, optimizers]: without and with the further error; nan where unknown.

    References:
        Games and Howell, Pairwise multiple comparison procedures with unequal n's and/or variances, J. Educ. Statist. 1
        (1976).
    """
    floored, unknown = zip(*(with_floor(values, resolution) for values in runs), strict=True)
    k = len(runs)
    half = np.full((2, k, k), np.nan)
    for i, j in combinations(range(k), 2):
        if min(len(runs[i]), len(runs[j])) > 2 and not (unknown[i] and unknown[j]):
            error = math.hypot(stats.sem(floored[i]), stats.sem(floored[j]))
            freedom = stats.ttest_ind(floored[i], floored[j], equal_var=False).df
            critical = stats.studentized_range.ppf(confidence, k, freedom) / math.sqrt(2)
            half[:, i, j] = half[:, j, i] = critical * np.array([error, math.hypot(error, further_error[i, j])])
    return half


def with_floor(runs: np.ndarray, resolution: float) -> tuple[np.ndarray, np.ndarray]:
    """Prepare runs [..., runs] for SciPy: those with an unknown spread get one of one image, which is more than it is.

    Returns:
        The runs, and where their spread is unknown, [...]. Two unknown spreads tell nothing about a difference.
    """
    runs = np.asarray(runs, dtype=float)
    unknown, n = np.isnan(sample_sd(runs, resolution)), runs.shape[-1]
    if n > 1 and unknown.any():
        spread = runs.mean(axis=-1, keepdims=True) + resolution * stats.zscore(np.arange(n), ddof=1)
        runs = np.where(unknown[..., None], spread, runs)
    return runs, unknown


def images_error(shares: np.ndarray) -> np.ndarray:
    """Standard error of each difference of two accuracies that other images of the same kind would make.

    All optimizers are judged by the same images, so that what is hard for all of them cancels: the error is that of the
    mean over the images of the difference in how often each was right.

    Args:
        shares: [optimizers, images], in [0, 1]: how often each image was classified right.

    Returns:
        [optimizers, optimizers], in accuracy.
    """
    shares = np.asarray(shares)
    return np.array([(shares - row).std(axis=-1, ddof=1) for row in shares]) / math.sqrt(shares.shape[-1])


class Race(NamedTuple):
    """How each optimizer stands at the last look that it took part in; arrays [..., optimizers]."""

    remains: np.ndarray  # bool: may be the best
    runs: np.ndarray  # int: that were compared at that look; 0 if there was none
    behind_at_most: np.ndarray  # by how much the best may lead it; 0 if it can only be the best, nan if unknown
    behind_at_least: np.ndarray  # lead of its clearest rival, at the least; above 0 where it left; -inf if unknown
    clearest_rival: np.ndarray  # int: index of that rival


def race(runs: Sequence[np.ndarray], looks: Sequence[int], confidence: float, resolution: float, started: int) -> Race:
    """Hold the race up to the first look for which an optimizer that is still in the race has too few runs.

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
        leads = leads_at_least([values[..., :look] for values in runs], 1 - error, resolution)
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
