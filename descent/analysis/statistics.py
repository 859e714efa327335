"""What a few runs can and cannot tell about which optimizer is best, and by how much; with SciPy's tests.

Runs of different optimizers are independent samples: equal seeds do not cancel noise here. What cannot be told is nan:
one run has no spread, and a spread below one image is unknown, not zero. No function takes a diverged run.

Runs of one optimizer are [..., runs]: leading axes are for experiments simulated side by side. Optimizers may have
different numbers of runs. `confidence` is in (0, 1); `resolution` is what one image changes, in the runs' unit, and 0
where runs are no counts.
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
    """Welch's interval for the mean of `ahead` minus that of `behind`: the test that every comparison here rests on.

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

    Each is at 1 - (1 - confidence) / (optimizers - 1), so that those of any one optimizer, the best say, hold together.

    Returns:
        [..., optimizers, optimizers], row over column; nan where unknown, -inf for an optimizer over itself.
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
