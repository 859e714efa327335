"""What a few runs can and cannot tell: spreads, intervals, paired differences, ties. SciPy where SciPy has it.

One rule holds throughout: what the runs cannot tell is nan. One run has no spread; a diverged run (nan) is never
averaged away.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import combinations, count
from typing import NamedTuple

import numpy as np
from scipy import stats

from descent.training.metrics import median_epochs

RESOLUTION = 1e-9  # differences of accuracies that agree to this are equal; float64 rounding is far below


class Summary(NamedTuple):
    """Mean of n runs, their spread, and the interval for the mean; arrays [...] or numbers, in the runs' unit."""

    mean: np.ndarray
    sd: np.ndarray
    low: np.ndarray
    high: np.ndarray


class Difference(NamedTuple):
    """First minus second optimizer over runs paired by seed, in the runs' unit."""

    first: str
    second: str
    mean: float
    sd: float
    low: float
    high: float
    p: float  # two-sided, of this pair alone
    p_holm: float  # corrected for all pairs that were compared
    n: int  # pairs in which both runs ended with a number


class TimeToTarget(NamedTuple):
    """How many runs reached the target, and the median number of epochs that it took."""

    reached: int
    runs: int
    median: float  # epochs; inf unless more than half of the runs reach the target


class AccuracyErrors(NamedTuple):
    """Two standard errors of one mean accuracy, in [0, 1]: from the finite set of images, and from the seeds."""

    sampling: float
    seeds: float


def sd(runs: np.ndarray) -> np.ndarray:
    """Sample standard deviation (n - 1) over the last axis, [..., runs] -> [...]; nan for a single run."""
    runs = np.asarray(runs, dtype=float)
    if runs.shape[-1] < 2:
        return np.full(runs.shape[:-1], np.nan)[()]
    return runs.std(axis=-1, ddof=1)


def summarize(runs: np.ndarray, confidence: float, method: str) -> Summary:
    """Mean, standard deviation and interval for the mean over the last axis.

    Args:
        runs: [..., runs]; a nan among the runs makes every figure of its row nan.
        confidence: share of such intervals that hold the true mean, in (0, 1).
        method: "t" (Student; runs that scatter normally) or "bootstrap" (percentiles of 9999 resampled means,
            seeded; no assumption about the scatter, and too narrow below some ten runs).

    Returns:
        Summary of arrays [...], float64; sd, low and high are nan for a single run.

    References:
        Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13.
    """
    runs = np.asarray(runs, dtype=float)
    n, mean, spread = runs.shape[-1], runs.mean(axis=-1), sd(runs)
    if n < 2:
        low = high = spread
    elif method == "t":
        half = stats.t.ppf((1 + confidence) / 2, n - 1) * spread / math.sqrt(n)
        low, high = mean - half, mean + half
    else:
        options = {"axis": -1, "confidence_level": confidence, "method": "percentile", "rng": 0}
        ends = stats.bootstrap((np.nan_to_num(runs),), np.mean, **options).confidence_interval  # it warns of nan
        low, high = np.where(np.isnan(mean), np.nan, ends)
    return Summary(mean, spread, low, high)


def prediction_interval(runs: np.ndarray, confidence: float) -> tuple[float, float]:
    """Where one further run falls, if runs scatter normally: mean -+ t sd sqrt(1 + 1/n).

    Args:
        runs: [runs].
        confidence: chance that the further run falls inside, in (0, 1).

    Returns:
        Low and high end in the runs' unit; nan for a single run.

    References:
        Hahn and Meeker, Statistical Intervals (1991), section 4.7.
    """
    n, mean, spread = len(runs), np.mean(runs), sd(runs)
    half = stats.t.ppf((1 + confidence) / 2, n - 1) * spread * math.sqrt(1 + 1 / n)
    return float(mean - half), float(mean + half)


def holm(p: Sequence[float]) -> np.ndarray:
    """Adjust p-values so that the chance of even one false finding among all stays below the level (Holm's step-down).

    Args:
        p: [tests], in [0, 1]; nan for a test that could not be made: it stays nan and counts for nothing.

    Returns:
        [tests] float64, in [0, 1]; reject where it is at most the level.

    References:
        Holm, A simple sequentially rejective multiple test procedure, Scand. J. Statist. 6 (1979).
    """
    p = np.asarray(p, dtype=float)
    order = np.argsort(p)[: np.isfinite(p).sum()]  # argsort puts nan last
    adjusted = np.full(p.shape, np.nan)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)))
    return adjusted


def paired_differences(runs: Mapping[str, np.ndarray], confidence: float) -> list[Difference]:
    """Compare every pair of optimizers run by run: what both owe to the seed cancels.

    Args:
        runs: optimizer -> [runs]; run i of every optimizer has the same seed, nan where it diverged.
        confidence: of the interval of each difference, in (0, 1).

    Returns:
        One Difference a pair, sorted by names. A pair with a diverged run has no mean. One run has no interval;
        one run, or differences that are all equal, show no spread to test against: p is nan.
    """
    rows = []
    for first, second in combinations(sorted(runs), 2):
        change = np.asarray(runs[first], dtype=float) - runs[second]
        summary = summarize(change, confidence, "t")
        p = stats.ttest_1samp(change, 0).pvalue if np.ptp(change) > RESOLUTION else math.nan
        n = int(np.isfinite(change).sum())
        rows.append(Difference(first, second, *map(float, summary), float(p), math.nan, n))
    adjusted = holm([row.p for row in rows])
    return [row._replace(p_holm=float(p)) for row, p in zip(rows, adjusted, strict=True)]


def tie_groups(names: Sequence[str], told_apart: set[frozenset[str]]) -> list[list[str]]:
    """Group what cannot be told apart: two names share a group exactly if their pair is not told apart.

    The compact letter display by insertion and absorption; the groups are the largest possible, so one name can be
    in several: being alike is not transitive.

    Args:
        names: in the order in which the groups and their members are to come.
        told_apart: the pairs whose difference is established.

    Returns:
        Groups of names, sorted by the places of their members in `names`.

    References:
        Piepho, An algorithm for a letter-based representation of all-pairwise comparisons, J. Comput. Graph.
        Statist. 13 (2004).
    """
    groups = {frozenset(names)}
    for pair in told_apart:
        split = {group - {name} if pair <= group else group for group in groups for name in pair}
        groups = {group for group in split if not any(group < other for other in split)}
    return sorted((sorted(group, key=names.index) for group in groups), key=lambda group: list(map(names.index, group)))


def accuracy_errors(accuracy: float, accuracy_sd: float, runs: int, images: int) -> AccuracyErrors:
    """Standard errors of a mean accuracy, from the images it was measured on and from the seeds; the larger dominates.

    Other images would move all runs together, so more seeds do not shrink the sampling error. A difference between
    two optimizers on the same images suffers less from it than either accuracy does.

    Args:
        accuracy: mean over the runs, in [0, 1].
        accuracy_sd: standard deviation over the runs, nan for a single run.
        runs: how many there are.
        images: how many images each run was scored on.
    """
    return AccuracyErrors(float(stats.binom.std(images, accuracy) / images), accuracy_sd / math.sqrt(runs))


def time_to_target(epochs: np.ndarray) -> TimeToTarget:
    """Count the runs that reached the target, and find the epoch by which half of them had; inf if fewer ever do.

    Args:
        epochs: [runs], inf for a run that never reached the target.

    References:
        Dahl et al., Benchmarking Neural Network Training Algorithms (2023), arXiv 2306.07179: a missed target costs
        infinite time.
    """
    return TimeToTarget(int(np.isfinite(epochs).sum()), len(epochs), median_epochs(epochs))


def pooled_sd(sds: Sequence[float]) -> float:
    """Root mean square of standard deviations that rest on equally many runs; nan ones are left out, nan if none."""
    known = np.asarray(sds)[np.isfinite(sds)]
    return math.sqrt(np.mean(known**2)) if len(known) else math.nan


def power_of_paired_t_test(n: int, gap: float, difference_sd: float, level: float) -> float:
    """Chance that a two-sided paired t test with n pairs finds a true gap, from the noncentral F distribution.

    Args:
        n: pairs, at least 2.
        gap: true mean difference, > 0, in the unit of `difference_sd`.
        difference_sd: standard deviation of the paired differences, > 0.
        level: of the test, in (0, 1).

    References:
        Cohen, Statistical Power Analysis for the Behavioral Sciences, 2nd ed. (1988), chapter 2.
    """
    critical = stats.t.ppf(1 - level / 2, n - 1)
    return float(stats.ncf.sf(critical**2, 1, n - 1, n * (gap / difference_sd) ** 2))


def seeds_needed(gap: float, difference_sd: float, level: float, power: float) -> int:
    """Smallest number of seeds with which a paired t test finds a true gap with the wanted power.

    Args:
        gap: true mean difference, > 0, in the unit of `difference_sd`.
        difference_sd: standard deviation of the paired differences, > 0.
        level: of the two-sided test of one pair, in (0, 1).
        power: chance to find the gap, in [0.5, 1).
    """
    z = stats.norm.ppf(1 - level / 2) + stats.norm.ppf(power)
    at_least = max(
        2, math.floor((z * difference_sd / gap) ** 2)
    )  # a known sd would need this many; a t test needs more
    return next(n for n in count(at_least) if power_of_paired_t_test(n, gap, difference_sd, level) >= power)
