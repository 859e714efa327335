"""The tables of the learning-rate study, in numbers: each is a list of named tuples whose fields are the CSV columns.

Accuracies are in [0, 1]; unknown numbers are nan.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from descent.analysis import statistics
from descent.analysis.settings import Conditions
from descent.runs import metrics
from descent.study import selection
from descent.study.columns import Tuning
from descent.study.settings import TuningParameters


class SensitivityPoint(NamedTuple):
    """A row of sensitivity.csv: one optimizer at one learning rate, over the selection seeds."""

    optimizer: str
    factor: float  # on the entry's own learning rate
    learning_rate: float  # nan for a schedule
    mean: float  # validation accuracy
    low: float
    high: float
    runs: int
    diverged: int


class BestOfK(NamedTuple):
    """A row of best_of_k.csv: what to expect of the best of k learning rates of the grid."""

    optimizer: str
    k: int
    val_accuracy: float


class Tuned(NamedTuple):
    """A row of tuned.csv: one optimizer at its default and at its chosen learning rate, best tuned first."""

    optimizer: str
    factor: float
    learning_rate: float
    trials: int  # runs that the choice took
    certainty: float  # share of redrawn studies that choose this rate
    default: float  # validation accuracy of the comparison's runs
    default_sd: float
    val_accuracy: float  # of the fresh runs at the chosen rate
    val_accuracy_sd: float
    val_accuracy_low: float
    val_accuracy_high: float
    may_be_best: str  # of the tuned: yes; no; unknown; diverged
    cost_at_most: float
    gain: float  # tuned minus default
    gain_low: float
    gain_high: float
    test_accuracy: float
    good_range_decades: float
    good_range_open: int  # 1: it goes on beyond the grid
    sensitivity: float
    at_edge: int
    diverged: int


def endpoints(values: np.ndarray, images: int, last_epochs: int) -> np.ndarray:
    """By what runs are judged: [..., seeds, epochs] -> [..., seeds]."""
    return metrics.final_accuracy(np.moveaxis(values, -1, 0), images, last_epochs)


def sensitivity(
    tunings: Mapping[str, Tuning], conditions: Conditions, parameters: TuningParameters
) -> list[SensitivityPoint]:
    """Mean and interval over the selection seeds of every factor, sorted by optimizer, factor."""
    rows = []
    for name, tuning in sorted(tunings.items()):
        runs = selected(tuning, conditions, parameters)
        for factor, rate, values in zip(tuning.factors, tuning.learning_rates, runs, strict=True):
            summary = statistics.summarize(values, conditions.report.confidence, 1 / parameters.selection_size)
            ends = (np.clip(summary.low, 0, 1), np.clip(summary.high, 0, 1))
            counts = (len(values), int(np.isnan(values).sum()))
            rows.append(SensitivityPoint(name, float(factor), float(rate), *map(float, (summary.mean, *ends)), *counts))
    return rows


def best_of_k(tunings: Mapping[str, Tuning], conditions: Conditions, parameters: TuningParameters) -> list[BestOfK]:
    """What to expect of the best of k factors of the grid that is the same for all, without its extensions."""
    rows = []
    for name, tuning in sorted(tunings.items()):
        half = parameters.points // 2
        places = np.rint(np.log10(tuning.factors) / parameters.step_decades)
        shared = (places >= -half) & (places < parameters.points - half)
        expected = selection.best_of_k(selected(tuning, conditions, parameters)[shared], tuning.chance)
        rows += [BestOfK(name, k, float(value)) for k, value in enumerate(expected, 1)]
    return rows


def selected(tuning: Tuning, conditions: Conditions, parameters: TuningParameters) -> np.ndarray:
    """By what the runs that choose are judged, [factors, seeds]."""
    accuracy = tuning.selection["val_accuracy"]
    return endpoints(accuracy, parameters.selection_size, conditions.training.last_epochs)


def reported(tunings: Mapping[str, Tuning], conditions: Conditions) -> dict[str, np.ndarray]:
    """By what the fresh runs are judged, optimizer -> [seeds]; nan where one diverged or no rate could be chosen."""
    images, last_epochs, n = conditions.data.validation_size, conditions.training.last_epochs, conditions.training.seeds
    return {
        name: np.full(len(n), np.nan)
        if tuning.report is None
        else endpoints(tuning.report["val_accuracy"], images, last_epochs)
        for name, tuning in tunings.items()
    }


def tuned(
    tunings: Mapping[str, Tuning],
    defaults: Mapping[str, np.ndarray],
    conditions: Conditions,
) -> list[Tuned]:
    """Compare the tuned optimizers with each other, and each with its default.

    Args:
        tunings: of all optimizers.
        defaults: by what the comparison's runs are judged, optimizer -> [seeds].
        conditions: of the comparison.
    """
    confidence, resolution = conditions.report.confidence, 1 / conditions.data.validation_size
    runs = reported(tunings, conditions)
    names = sorted(name for name, values in runs.items() if np.isfinite(values).all())
    verdict = dict.fromkeys(runs, ("diverged", math.nan)) | dict.fromkeys(names, ("unknown", math.nan))
    if len(names) > 1 and len(conditions.training.seeds) > 1:
        values = np.stack([runs[name] for name in names])
        found = statistics.contest(values, confidence, resolution)
        verdict |= {
            name: ("yes" if found.kept[i] else "no", float(found.cost_at_most[i])) for i, name in enumerate(names)
        }
    rows = []
    for name, tuning in tunings.items():
        numbers, values = tuning.numbers, runs[name]
        at = tuning.chosen
        kept = at is not None and math.isclose(tuning.factors[at], 1)
        gain = (0.0, 0.0, 0.0)
        if not kept:
            ends = statistics.welch_interval(values, defaults[name], 1 - (1 - confidence) / len(runs), resolution)
            gain = (float(values.mean() - defaults[name].mean()), *ends)
        default = statistics.summarize(defaults[name], confidence, resolution)
        summary = statistics.summarize(values, confidence, resolution)
        rows.append(
            Tuned(
                name,
                math.nan if at is None else float(tuning.factors[at]),
                math.nan if at is None else float(tuning.learning_rates[at]),
                numbers["trials"], _number(numbers["certainty"]), default.mean, default.sd, *summary[:1], summary.sd,
                summary.low, summary.high, *verdict[name], *gain,
                tuning.test_accuracy.mean() if len(tuning.test_accuracy) else math.nan,
                _number(numbers["good_range_decades"]), int(numbers["good_range_open"]),
                _number(numbers["sensitivity"]), int(numbers["at_edge"]), int(np.isnan(values).sum()),
            )
        )  # fmt: skip
    return sorted(rows, key=lambda row: (math.isnan(row.val_accuracy), -row.val_accuracy, row.optimizer))


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
