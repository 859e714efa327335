"""The study of one optimizer: which factors to try, the run that is next, the numbers in the end. Without Keras."""

import json
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from descent.report import statistics
from descent.tuning import choice, grid
from descent.tuning.settings import TuningParameters


def select(
    parameters: TuningParameters, accuracy_of: Callable[[Sequence[tuple[float, int]]], np.ndarray]
) -> tuple[list[float], np.ndarray, int | None]:
    """Try the factors of the grid, and beyond an end of it as long as the best is there.

    Args:
        parameters: grid, seeds, how far beyond.
        accuracy_of: trains runs that do not wait for each other, each a factor and a seed; returns for each by what it
            is judged, nan where it diverged.

    Returns:
        The factors, small ones first; accuracies [factors, seeds]; index of the chosen factor, None where at every
        factor a run diverged.
    """
    found: dict[float, np.ndarray] = {}

    def look(factors: Sequence[float]) -> None:
        judged = accuracy_of([(factor, seed) for factor in factors for seed in parameters.seeds])
        found.update(zip(factors, judged.reshape(len(factors), -1), strict=True))

    look(grid.factors(parameters))
    tried = {True: 0, False: 0}
    while True:
        factors = sorted(found)
        accuracy = np.array([found[factor] for factor in factors])
        best = choice.choose(accuracy)
        if best not in (0, len(factors) - 1):
            return factors, accuracy, best
        upwards = best != 0
        further = grid.beyond(parameters, tried[upwards], upwards)
        if further is None:
            return factors, accuracy, best
        tried[upwards] += 1
        look([further])


def merged(environments: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Describe what computed a study, where machines may differ: all values of what differs, with | between them."""
    keys = dict.fromkeys(key for environment in environments for key in environment)
    every = {key: dict.fromkeys(environment.get(key, "") for environment in environments) for key in keys}
    return {key: " | ".join(sorted(values)) for key, values in every.items()}


def document(
    factors: Sequence[float],
    accuracy: np.ndarray,
    base: float,
    report: np.ndarray,
    test_accuracy: np.ndarray,
    resolution: float,
    classes: int,
    environment: Mapping[str, str],
) -> bytes:
    """Write results/tuning/metrics/*.json; what is not known is null.

    Args:
        factors: that were tried.
        accuracy: of the runs that chose, [factors, seeds].
        base: learning rate at factor 1; nan for a schedule.
        report: validation accuracy of the fresh runs at the chosen factor, [seeds]; empty without one.
        test_accuracy: of the same runs.
        resolution: what one validation example changes.
        classes: of the data set; a network that has learnt nothing is right once in so many times.
        environment: what computed the results.
    """
    best = choice.choose(accuracy)
    width, is_open = choice.good_range(np.array(factors), accuracy)
    diverged = int(np.isnan(report).sum())
    known, chance = best is not None and not diverged, 1 / classes
    numbers = {
        "factor": None if best is None else _round(factors[best]),
        "learning_rate": None if best is None else _round(base * factors[best]),
        "val_accuracy": _round(report.mean()) if known else None,
        "val_accuracy_sd": _round(float(statistics.spread(report, resolution))) if known else None,
        "test_accuracy": _round(test_accuracy.mean()) if known else None,
        "selection_accuracy": None if best is None else _round(accuracy[best].mean()),
        "certainty": None if best is None else _round(choice.certainty(accuracy)[best]),
        "good_range_decades": _round(width),
        "good_range_open": is_open,
        "sensitivity": _round(choice.sensitivity(np.array(factors), accuracy, chance)),
        "at_edge": best in (0, len(factors) - 1),
        "trials": int(accuracy.size),
        "diverged": diverged,
        "selection_diverged": int(np.isnan(accuracy).sum()),
    }
    tests = [_round(value) for value in test_accuracy]
    details = {"environment": dict(environment), "chance": _round(chance), "test_accuracy": tests}
    return (json.dumps(numbers | {"details": [details]}, indent=2) + "\n").encode()


def _round(value: float) -> float | None:
    return float(f"{value:.6g}") if math.isfinite(value) else None
