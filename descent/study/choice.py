"""Which learning rate the runs choose, how sure that is, and what the grid tells of an optimizer. Numbers only.

Arrays of accuracies are [factors, seeds], small factors first, in [0, 1], nan for a run that diverged.
"""

import math

import numpy as np

DRAWS = 10_000
NEAR = 0.01  # an accuracy this close to the best is good


def choose(accuracy: np.ndarray) -> int | None:
    """Index of the factor with the best mean; the smaller of equal ones, and none at which a run diverged."""
    means = np.mean(accuracy, axis=1)
    return None if np.isnan(means).all() else int(np.nanargmax(means))  # the first of equal ones


def certainty(accuracy: np.ndarray) -> np.ndarray:
    """How often each factor would be chosen again, [factors]: their means drawn anew with the spread that is seen.

    With a few seeds the spread is not known well: the draws are Student's, by the number of seeds.
    """
    n = accuracy.shape[1]
    means, errors = accuracy.mean(axis=1), accuracy.std(axis=1, ddof=1) / math.sqrt(n)
    drawn = means + errors * np.random.default_rng(0).standard_t(n - 1, (DRAWS, len(means)))
    winners = np.where(np.isnan(drawn), -np.inf, drawn).argmax(axis=1)
    return np.bincount(winners, minlength=len(means)) / DRAWS


def good_range(factors: np.ndarray, accuracy: np.ndarray) -> tuple[float, bool]:
    """Width of the good range around the best, in decades, and whether it goes on beyond the grid.

    Between two factors the mean accuracy is taken as straight over the logarithm; a factor at which a run diverged is
    not good, and ends the range halfway to it.
    """
    best = choose(accuracy)
    if best is None:
        return math.nan, False
    places, means = np.log10(factors), accuracy.mean(axis=1)
    least = means[best] - NEAR
    width, is_open = 0.0, False
    for step, end in ((-1, -1), (1, len(places))):
        at = best
        while at + step != end and means[at + step] >= least:
            at += step
        width += abs(places[at] - places[best])
        if at + step == end:
            is_open = True
        else:
            share = 0.5 if np.isnan(means[at + step]) else (means[at] - least) / (means[at] - means[at + step])
            width += share * abs(places[at + step] - places[at])
    return float(width), is_open


def sensitivity(factors: np.ndarray, accuracy: np.ndarray, chance: float) -> float:
    """Accuracy that is lost within a decade around the best factor, in the mean over the grid; nan without a best.

    A run that diverged has learnt nothing: it counts as `chance`.

    References:
        Wortsman et al., Small-scale proxies for large-scale Transformer training instabilities (2023), arXiv
        2309.14322, section 2.2, there for the loss.
    """
    best = choose(accuracy)
    if best is None:
        return math.nan
    near = np.abs(np.log10(factors) - np.log10(factors[best])) <= 1 + 1e-9
    lost = accuracy[best].mean() - np.where(np.isnan(accuracy), chance, accuracy).mean(axis=1)
    return float(lost[near].mean())


def best_of_k(accuracy: np.ndarray, chance: float) -> np.ndarray:
    """Accuracy to expect of the best of k factors of the grid, drawn at random, [factors] for k = 1, 2, ...

    All subsets are weighed: chosen on all seeds but one, scored on the one left out, so that luck that chooses is not
    reported. Of n factors in the order of the choice, the one at place i (from 0) is the best of C(n - 1 - i, k - 1) of
    the C(n, k) subsets. A run that diverged counts as `chance`.
    """
    runs = np.where(np.isnan(accuracy), chance, accuracy)
    n = len(runs)
    weights = np.array([[math.comb(n - 1 - i, k - 1) / math.comb(n, k) for i in range(n)] for k in range(1, n + 1)])
    expected = [
        weights @ runs[np.argsort(-np.delete(runs, seed, axis=1).mean(axis=1), kind="stable"), seed]
        for seed in range(runs.shape[1])
    ]
    return np.mean(expected, axis=0)
