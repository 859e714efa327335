"""The study of one optimizer: which factors to try, the run that is next, the numbers in the end. Without Keras."""

import json
import math
from collections.abc import Callable, Sequence

import numpy as np

from descent.data.datasets import Dataset
from descent.runs import metrics
from descent.study import choice, grid
from descent.study.settings import TuningParameters
from descent.training.run import Run, Wanted

LEFT_OUT = b'{"left_out": true}\n'  # metrics of an optimizer without a learning rate that scales its steps


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
    found: dict[float, np.ndarray] = {}

    def look(factors: Sequence[float]) -> None:
        judged = accuracy_of([Wanted(seed, factor) for factor in factors for seed in parameters.seeds])
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


def ends(parameters: TuningParameters) -> list[Wanted]:
    """The runs of the first seed at both ends of the grid."""
    factors = grid.factors(parameters)
    return [Wanted(parameters.seeds[0], factor) for factor in (factors[0], factors[-1])]


def is_rateless(runs: Sequence[Run]) -> bool:
    """Tell whether two runs with one seed and different learning rates are the same run: then there is none to tune."""
    first, second = (run.history["loss"] for run in runs)
    return bool(np.isfinite(first).all()) and np.array_equal(first, second)


def document(
    factors: Sequence[float],
    accuracy: np.ndarray,
    tried: Sequence[Run],
    fresh: Sequence[Run],
    report: np.ndarray,
    data: Dataset,
) -> bytes:
    """Write results/tuning/metrics/*.json; what is not known is null.

    Args:
        factors: that were tried.
        accuracy: of the runs that chose, [factors, seeds].
        tried: the runs that chose.
        fresh: the runs at the chosen factor; none without one.
        report: validation accuracy of these, [seeds].
        data: that trained and judged the fresh runs.
    """
    base, resolution = tried[0].learning_rate, 1 / len(data.validation.labels)
    test_accuracy = np.array([run.test[1] for run in fresh])
    best = choice.choose(accuracy)
    width, is_open = choice.good_range(np.array(factors), accuracy)
    diverged = int(np.isnan(report).sum())
    known, chance = best is not None and not diverged, 1 / data.classes
    numbers = {
        "factor": None if best is None else _round(factors[best]),
        "learning_rate": None if best is None else _round(base * factors[best]),
        "val_accuracy": _round(report.mean()) if known else None,
        "val_accuracy_sd": _round(float(metrics.sample_sd(report, resolution))) if known else None,
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
    measured_by = metrics.merged([run.environment for run in [*tried, *fresh]])
    details = {"environment": measured_by, "chance": _round(chance), "test_accuracy": tests}
    return (json.dumps(numbers | {"details": [details]}, indent=2) + "\n").encode()


def _round(value: float) -> float | None:
    return float(f"{value:.6g}") if math.isfinite(value) else None
