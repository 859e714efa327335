"""What a few runs can and cannot tell about which optimizer is best, and by how much; with SciPy's tests.

Runs of different optimizers are independent samples: equal seeds do not cancel noise here. What cannot be told is nan:
one run has no spread, and a spread below one image is unknown, not zero. No function takes a diverged run.

Arrays of runs are [..., optimizers, runs]: leading axes are for experiments simulated side by side.
"""

import math
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


class Contest(NamedTuple):
    """Which optimizers may be the best, and what choosing each may cost; arrays [..., optimizers]."""

    kept: np.ndarray  # bool: may be the best
    cost_at_most: np.ndarray  # how far the best may lead it; 0 if it can only be the best, nan if unknown
    behind_at_least: np.ndarray  # how far its clearest rival leads it, at the least; above 0 where it is not kept
    rival: np.ndarray  # int: index of that rival


def summarize(runs: np.ndarray, confidence: float, resolution: float = 0.0) -> Summary:
    """Mean, standard deviation and Student's interval for the mean over the last axis, [..., runs] -> [...]."""
    n, mean, sd = np.shape(runs)[-1], np.mean(runs, axis=-1), sample_sd(runs, resolution)
    half = stats.t.ppf((1 + confidence) / 2, n - 1) * sd / math.sqrt(n)
    return Summary(mean, sd, mean - half, mean + half)


def welch_interval(ahead: np.ndarray, behind: np.ndarray, confidence: float, resolution: float) -> tuple[float, float]:
    """Welch's interval for the mean of `ahead` minus that of `behind`, [runs] each; nan where it is unknown."""
    (ahead, first_unknown), (behind, second_unknown) = (with_floor(runs, resolution) for runs in (ahead, behind))
    if min(len(ahead), len(behind)) < 2 or (first_unknown and second_unknown):
        return math.nan, math.nan
    low, high = stats.ttest_ind(ahead, behind, equal_var=False).confidence_interval(confidence)
    return float(low), float(high)


def leads_at_least(runs: np.ndarray, confidence: float, resolution: float) -> np.ndarray:
    """How far each optimizer leads each other one, at the least: lower ends of Welch's one-sided intervals.

    Each is at 1 - (1 - confidence) / (optimizers - 1), so that those of any one optimizer, the best say, hold together.

    Args:
        runs: [..., optimizers, runs].
        confidence: in (0, 1).
        resolution: what one image changes, in the runs' unit; > 0.

    Returns:
        [..., optimizers, optimizers], row over column; nan where unknown, -inf for an optimizer over itself.
    """
    runs, unknown = with_floor(runs, resolution)
    k, n = runs.shape[-2:]
    least = np.full((*runs.shape[:-2], k, k), np.nan)
    if n > 1:
        test = stats.ttest_ind(
            runs[..., :, None, :], runs[..., None, :, :], axis=-1, equal_var=False, alternative="greater"
        )
        least = test.confidence_interval(1 - (1 - confidence) / max(1, k - 1)).low
        least = np.where(unknown[..., :, None] & unknown[..., None, :], np.nan, least)
    return np.where(np.eye(k, dtype=bool), -np.inf, least)


def contest(runs: np.ndarray, confidence: float, resolution: float) -> Contest:
    """Find the optimizers that may be the best: comparisons with the best, with unequal variances.

    An optimizer is out where some rival leads it by Welch's one-sided test at (1 - confidence) / (optimizers - 1). The
    true best is kept with the chance `confidence`, since only its own comparisons, optimizers - 1 of them, could put it
    out; and where they do not, `cost_at_most` holds for all optimizers at once.

    Args:
        runs: [..., optimizers, runs], at least two optimizers.
        confidence: in (0, 1).
        resolution: what one image changes, in the runs' unit; > 0.

    References:
        Hsu, Multiple Comparisons: Theory and Methods (1996), chapter 4; Welch, Biometrika 34 (1947).
    """
    leads = leads_at_least(runs, confidence, resolution)
    kept = ~(leads > 0).any(axis=-2)  # nan exceeds nothing
    cost = np.where(kept[..., None, :], np.where(np.isneginf(leads), 0, -leads), 0).max(axis=-1)
    known = np.where(np.isnan(leads), -np.inf, leads)
    return Contest(kept, np.maximum(cost, 0), known.max(axis=-2), known.argmax(axis=-2))


def simultaneous(
    runs: np.ndarray, confidence: float, resolution: float, further_error: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Intervals for all differences at once, each wide enough that all hold together (Games and Howell).

    These are the intervals of `scipy.stats.tukey_hsd(..., equal_var=False)`, which takes twice as long, since it looks
    at each pair from both sides, and takes no further error. With fewer than five runs they hold together less often
    than they say: docs/experiments/calibration.md.

    Args:
        runs: [optimizers, runs]; with fewer than three runs every interval is unknown.
        confidence: in (0, 1).
        resolution: what one image changes, in the runs' unit; > 0.
        further_error: [optimizers, optimizers], a standard error besides that over the runs.

    Returns:
        Low and high ends without the further error, then with it, [optimizers, optimizers], row minus column; nan for
        an optimizer and itself.

    References:
        Games and Howell, Pairwise multiple comparison procedures with unequal n's and/or variances, J. Educ. Statist. 1
        (1976).
    """
    runs, unknown = with_floor(runs, resolution)
    k, n = runs.shape
    half = np.full((2, k, k), np.nan)
    i, j = np.triu_indices(k, 1)
    if n > 2 and len(i):
        errors = stats.sem(runs, axis=-1)
        error = np.where(unknown[i] & unknown[j], np.nan, np.hypot(errors[i], errors[j]))
        freedom = stats.ttest_ind(runs[i], runs[j], axis=-1, equal_var=False).df
        critical = stats.studentized_range.ppf(confidence, k, freedom) / math.sqrt(2)
        half[:, i, j] = half[:, j, i] = critical * np.array([error, np.hypot(error, further_error[i, j])])
    difference = runs.mean(axis=-1)[:, None] - runs.mean(axis=-1)
    return difference - half[0], difference + half[0], difference - half[1], difference + half[1]


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


def images_error(hits: np.ndarray, times: int) -> np.ndarray:
    """Standard error of each difference of two accuracies that other images of the same kind would make.

    All optimizers are judged by the same images, so that what is hard for all of them cancels: the error is that of the
    mean over the images of the difference in how often each was right.

    Args:
        hits: [optimizers, images], how often each image was classified right.
        times: of how many.

    Returns:
        [optimizers, optimizers], in accuracy.
    """
    shares = np.asarray(hits) / times
    return np.array([(shares - row).std(axis=-1, ddof=1) for row in shares]) / math.sqrt(shares.shape[-1])
