"""What the study tries: the same factors on every optimizer's own learning rate, and more where the best is at an end.

A factor has a place: 0 is the rate of the entry itself, and the places count the steps from there.
"""

from collections.abc import Callable, Sequence

import numpy as np

from descent.study.settings import TuningParameters
from descent.training.measurements import Run, Wanted


def factors(parameters: TuningParameters) -> list[float]:
    """Factors of the grid, small ones first, a step apart, around 1."""
    return [_factor(parameters, place) for place in _places(parameters)]


def select(
    parameters: TuningParameters, accuracy_of: Callable[[Sequence[Wanted]], np.ndarray]
) -> tuple[list[float], np.ndarray, int | None]:
    """Try the factors of the grid, and beyond an end of it as long as the best is there.

    Args:
        parameters: grid, seeds, how far beyond.
        accuracy_of: trains runs that do not wait for each other; returns the score of each, nan where it diverged.

    Returns:
        The factors, small ones first; accuracies [factors, seeds]; index of the chosen factor, None where at every
        factor a run diverged.
    """
    found: dict[int, np.ndarray] = {}  # place -> [seeds]
    places = _places(parameters)
    lowest, highest = places[0] - parameters.max_extra, places[-1] + parameters.max_extra
    while True:
        runs = [Wanted(seed, _factor(parameters, place)) for place in places for seed in parameters.seeds]
        found.update(zip(places, accuracy_of(runs).reshape(len(places), -1), strict=True))
        tried = sorted(found)
        accuracy = np.array([found[place] for place in tried])
        best = choose(accuracy)
        beyond = {0: tried[0] - 1, len(tried) - 1: tried[-1] + 1}.get(best)
        if beyond is None or not lowest <= beyond <= highest:
            return [_factor(parameters, place) for place in tried], accuracy, best
        places = [beyond]


def choose(accuracy: np.ndarray) -> int | None:
    """Index of the factor with the best mean; the smaller of equal ones, and none at which a run diverged."""
    means = np.mean(accuracy, axis=1)
    return None if np.isnan(means).all() else int(np.nanargmax(means))  # the first of equal ones


def ends(parameters: TuningParameters) -> list[Wanted]:
    """The runs of the first seed at both ends of the grid."""
    first, *_, last = factors(parameters)
    return [Wanted(parameters.seeds[0], factor) for factor in (first, last)]


def is_rateless(runs: Sequence[Run]) -> bool:
    """Tell whether two runs with one seed and different learning rates are the same run: then there is none to tune."""
    first, second = (run.history["loss"] for run in runs)
    return bool(np.isfinite(first).all()) and np.array_equal(first, second)


def _places(parameters: TuningParameters) -> Sequence[int]:
    half = parameters.grid_size // 2
    return range(-half, parameters.grid_size - half)


def _factor(parameters: TuningParameters, place: int) -> float:
    return 10 ** (parameters.step_decades * place)
