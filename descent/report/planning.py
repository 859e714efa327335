"""How many runs a comparison takes: the power of the test by which an optimizer is ruled out."""

import math
from collections.abc import Sequence
from itertools import count
from typing import NamedTuple

import numpy as np
from scipy import stats

from descent.report.settings import ReportParameters
from descent.report.tables import Rank


class Need(NamedTuple):
    """Runs of each of two optimizers that it takes to find a true gap between them."""

    leader: str
    rival: str
    gap: float  # in accuracy
    runs: int
    runs_at_most: int  # if the spreads are as large as their interval allows


def needs(ranking: Sequence[Rank], report: ReportParameters) -> list[Need]:
    """Plan for the leader and each rival: how many runs rule the rival out, at the level of the ranking's own test.

    Args:
        ranking: its rows; an optimizer whose spread is unknown is left out.
        report: the gaps, the power and the confidence asked for.
    """
    known = [row for row in ranking if math.isfinite(row.val_accuracy_sd)]
    if len(known) < 2 or known[0].optimizer != ranking[0].optimizer:
        return []
    best, *rivals = known
    level = (1 - report.confidence) / (sum(row.may_be_best != "diverged" for row in ranking) - 1)
    rows = []
    for rival in rivals:
        sds = np.array([best.val_accuracy_sd, rival.val_accuracy_sd])
        for gap in report.gaps_points:
            few, many = (
                runs_needed(gap / 100, spread, level, report.power)
                for spread in (sds, largest_factor(best.runs, sds, report.confidence) * sds)
            )
            rows.append(Need(best.optimizer, rival.optimizer, gap / 100, few, many))
    return rows


def power(n: int, gap: float, sds: np.ndarray, level: float) -> float:
    """Chance that Welch's one-sided test finds a true gap, with n runs of each of two optimizers.

    Args:
        n: runs of each, at least 2.
        gap: true difference, > 0, in the unit of `sds`.
        sds: [2], standard deviation over the runs of each.
        level: of the test, in (0, 1).

    References:
        Cohen, Statistical Power Analysis for the Behavioral Sciences, 2nd ed. (1988), chapter 2: the noncentral t.
    """
    squares = np.square(sds)
    freedom = (n - 1) * squares.sum() ** 2 / (squares**2).sum()
    return float(stats.nct.sf(stats.t.ppf(1 - level, freedom), freedom, gap * math.sqrt(n / squares.sum())))


def runs_needed(gap: float, sds: np.ndarray, level: float, wanted: float) -> int:
    """Smallest number of runs of each of two optimizers with which Welch's test finds a gap with the power wanted."""
    z = stats.norm.ppf(1 - level) + stats.norm.ppf(wanted)
    fewest = max(2, math.floor((z / gap) ** 2 * np.square(sds).sum()))  # would do if the spreads were known
    return next(n for n in count(fewest) if power(n, gap, sds, level) >= wanted)


def largest_factor(n: int, sds: np.ndarray, confidence: float) -> float:
    """By how much the two true standard deviations may exceed the measured ones: upper end of an interval.

    Args:
        n: runs of each, at least 2.
        sds: [2], measured standard deviations.
        confidence: of the two-sided interval for the variance of the difference, in (0, 1).
    """
    squares = np.square(sds)
    freedom = (n - 1) * squares.sum() ** 2 / (squares**2).sum()
    return math.sqrt(freedom / stats.chi2.ppf((1 - confidence) / 2, freedom))
