"""What the runs of a study choose: a learning rate, how certain that is, what the grid shows; and the study's files.

Arrays of scores are [factors, seeds], small factors first, turned so that higher is better (`metrics.Score`), nan for a
run that diverged.
"""

import json
import math
from collections.abc import Sequence

import numpy as np

from descent.data.datasets import Dataset
from descent.runs import metrics
from descent.runs.metrics import SCORES, Score
from descent.study import grid
from descent.training.measurements import LOSSES, Run

DRAWS = 10_000
SELECTION, REPORT = "selection", "report"  # roles of a run
LEFT_OUT = b'{"left_out": true}\n'  # metrics of an optimizer without a learning rate that scales its steps


def certainty(scores: np.ndarray) -> np.ndarray:
    """How often each factor would be chosen again, [factors], if other seeds were drawn.

    With a few seeds the standard deviation is not known well, so the means are drawn from Student's t distribution.
    """
    n = scores.shape[1]
    means, errors = scores.mean(axis=1), scores.std(axis=1, ddof=1) / math.sqrt(n)
    drawn = means + errors * np.random.default_rng(0).standard_t(n - 1, (DRAWS, len(means)))
    winners = np.where(np.isnan(drawn), -np.inf, drawn).argmax(axis=1)
    return np.bincount(winners, minlength=len(means)) / DRAWS


def good_range(factors: np.ndarray, scores: np.ndarray, near: float = 0.01) -> tuple[float, bool]:
    """Width in decades of the range around the best that is at most `near` worse, and whether it leaves the grid.

    Between two factors the mean score is interpolated over their logarithms. A factor at which a run diverged is not
    good: the range ends halfway to it.
    """
    best = grid.choose(scores)
    if best is None:
        return math.nan, False
    width, is_open, least = 0.0, False, scores.mean(axis=1)[best] - near
    for step in (-1, 1):  # away from the best, to both sides
        places, means = np.log10(factors)[best::step], scores.mean(axis=1)[best::step]
        bad = np.flatnonzero(~(means >= least))  # nan is not good
        good = bad[0] - 1 if bad.size else len(means) - 1
        width += abs(places[good] - places[0])
        is_open |= not bad.size
        if bad.size:
            lost = means[good] - means[good + 1]
            share = 0.5 if np.isnan(lost) else (means[good] - least) / lost
            width += share * abs(places[good + 1] - places[good])
    return float(width), is_open


def sensitivity(factors: np.ndarray, scores: np.ndarray, chance: float) -> float:
    """Mean score that is lost at the factors within a decade of the best; nan without a best.

    A run that diverged has learnt nothing: it counts as `chance`.

    References:
        Wortsman et al., Small-scale proxies for large-scale Transformer training instabilities (2023), arXiv
        2309.14322, section 2.2, there for the loss.
    """
    best = grid.choose(scores)
    if best is None:
        return math.nan
    near = np.abs(np.log10(factors) - np.log10(factors[best])) <= 1 + 1e-9
    lost = scores[best].mean() - np.where(np.isnan(scores), chance, scores).mean(axis=1)
    return float(lost[near].mean())


def best_of_k(scores: np.ndarray, chance: float) -> np.ndarray:
    """Expected score of the best of k factors of the grid, drawn at random, [factors] for k = 1, 2, ...

    It is the mean over all subsets. All seeds but one choose and the other one is scored, so that the luck of the
    choice is not reported. Of n sorted factors, the one at index i is the best of C(n - 1 - i, k - 1) of the C(n, k)
    subsets. A run that diverged counts as `chance`.
    """
    runs = np.where(np.isnan(scores), chance, scores)
    n = len(runs)
    weights = np.array([[math.comb(n - 1 - i, k - 1) / math.comb(n, k) for i in range(n)] for k in range(1, n + 1)])
    expected = [
        weights @ runs[np.argsort(-np.delete(runs, seed, axis=1).mean(axis=1), kind="stable"), seed]
        for seed in range(runs.shape[1])
    ]
    return np.mean(expected, axis=0)


def runs_csv(selection: Sequence[Run], report: Sequence[Run]) -> bytes:
    """Write results/tuning/runs/*.csv: a row for each epoch of each run; a schedule's learning rate stays empty."""
    columns = [*LOSSES, metrics.BALANCED]
    rows = []
    for role, run in [*((SELECTION, run) for run in selection), *((REPORT, run) for run in report)]:
        rate = "" if math.isnan(run.learning_rate) else run.learning_rate * run.factor
        by_epoch = zip(*(run.history[name] for name in columns), strict=True)
        rows += [(role, run.factor, rate, run.seed, epoch, *values) for epoch, values in enumerate(by_epoch, 1)]
    return metrics.csv_text(["role", "factor", "learning_rate", "seed", "epoch", *columns], rows).encode()


def document(
    factors: Sequence[float],
    scores: np.ndarray,
    tried: Sequence[Run],
    fresh: Sequence[Run],
    report: np.ndarray,
    data: Dataset,
    score: Score = SCORES["accuracy"],
) -> bytes:
    """Write results/tuning/metrics/*.json; what is not known is null.

    Args:
        factors: that were tried.
        scores: of the runs that chose, [factors, seeds].
        tried: the runs that chose.
        fresh: the runs at the chosen factor; none without one.
        report: their scores, [seeds].
        data: that trained and judged the fresh runs.
        score: what the scores are.
    """
    best, chance = grid.choose(scores), score.chance(data.classes)
    factor = certain = chosen = mean = test_mean = math.nan
    test_accuracy = np.array([run.test[1] for run in fresh])
    if best is not None:
        factor, certain, chosen = factors[best], certainty(scores)[best], score.turned(scores[best].mean())
        mean, test_mean = score.turned(report.mean()), test_accuracy.mean()  # nan if a run diverged
    width, is_open = good_range(np.array(factors), scores, score.near)
    numbers = {
        "factor": _round(factor),
        "learning_rate": _round(tried[0].learning_rate * factor),
        score.column: _round(mean),
        f"{score.column}_sd": _round(metrics.sample_sd(report, score.resolution(len(data.validation.labels)))),
        "test_accuracy": _round(test_mean),
        score.column.replace("val", "selection"): _round(chosen),
        "certainty": _round(certain),
        "good_range_decades": _round(width),
        "good_range_open": is_open,
        "sensitivity": _round(sensitivity(np.array(factors), scores, score.turned(chance))),
        "at_edge": best in (0, len(factors) - 1),
        "trials": int(scores.size),
        "diverged": int(np.isnan(report).sum()),
        "selection_diverged": int(np.isnan(scores).sum()),
    }
    details = {
        "environment": metrics.merged([run.environment for run in [*tried, *fresh]]),
        "chance": _round(chance),
        "test_accuracy": [_round(value) for value in test_accuracy],
    }
    return (json.dumps(numbers | {"details": [details]}, indent=2) + "\n").encode()


def _round(value: float) -> float | None:
    return float(f"{value:.6g}") if math.isfinite(value) else None
