"""The tables of the learning-rate study, in numbers: each is a list of named tuples whose fields are the CSV columns.

Accuracies are in [0, 1], losses in nats; unknown numbers are nan. Where a column is called val_accuracy it holds, as
measured, what training.score names, and its file calls it so.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from descent.analysis import statistics
from descent.analysis.records import Study
from descent.analysis.settings import Conditions
from descent.analysis.tables import scored_by, summary_columns, verdicts
from descent.runs.metrics import SCORES, Score
from descent.study import grid, selection
from descent.study.grid import TuningParameters


class Tuned(NamedTuple):
    """A row of tuned.csv: one optimizer at its default and at its chosen learning rate, best tuned first."""

    optimizer: str
    factor: float
    learning_rate: float
    trials: int  # runs that the choice took
    certainty: float  # share of redrawn studies that choose this rate
    default: float  # score of the comparison's runs
    default_sd: float
    val_accuracy: float  # of the fresh runs at the chosen rate
    val_accuracy_sd: float
    val_accuracy_low: float
    val_accuracy_high: float
    may_be_best: str  # of the tuned: yes; no; unknown; diverged
    behind_at_most: float
    clearest_rival: str
    behind_at_least: float
    runs: int  # fresh ones
    runs_compared: int  # at the last look of the race that it took part in
    gain: float  # of tuned over default, above 0 where tuned is better
    gain_low: float
    gain_high: float
    test_accuracy: float
    good_range_decades: float
    good_range_open: int  # 1: it goes on beyond the grid
    sensitivity: float
    at_edge: int
    diverged: int


class SensitivityPoint(NamedTuple):
    """A row of sensitivity.csv: one optimizer at one learning rate, over the selection seeds."""

    optimizer: str
    factor: float  # on the entry's own learning rate
    learning_rate: float  # nan for a schedule
    mean: float  # of the score
    low: float
    high: float
    runs: int
    diverged: int


class BestOfK(NamedTuple):
    """A row of best_of_k.csv: what to expect of the best of k learning rates of the grid."""

    optimizer: str
    k: int
    val_accuracy: float


def tuned(studies: Mapping[str, Study], defaults: Mapping[str, np.ndarray], conditions: Conditions) -> list[Tuned]:
    """Compare the tuned optimizers with each other, and each with its default.

    Args:
        studies: of all optimizers that have one.
        defaults: optimizer -> turned scores of the comparison's runs, [runs].
        conditions: of the comparison.
    """
    confidence, (score, resolution) = conditions.report.confidence, scored_by(conditions)
    level, rows = 1 - (1 - confidence) / len(studies), []
    verdict_of = verdicts({name: study.final_accuracy for name, study in studies.items()}, conditions)
    for name, study in studies.items():
        numbers = {key: math.nan if value is None else value for key, value in study.numbers.items()}
        values, of_default, is_chosen = study.final_accuracy, defaults[name], study.chosen is not None
        factor = study.factors[study.chosen] if is_chosen else math.nan
        gain, ends = values.mean() - of_default.mean(), statistics.welch_interval(values, of_default, level, resolution)
        if math.isclose(factor, 1):
            gain, ends = 0.0, (0.0, 0.0)
        default = statistics.summarize(score.turned(of_default), confidence, resolution)
        rows.append(
            Tuned(
                optimizer=name,
                factor=factor,
                learning_rate=study.learning_rates[study.chosen] if is_chosen else math.nan,
                trials=numbers["trials"],
                certainty=float(numbers["certainty"]),
                default=default.mean,
                default_sd=default.sd,
                **summary_columns("val_accuracy", statistics.summarize(score.turned(values), confidence, resolution)),
                **verdict_of[name]._asdict(),
                runs=len(values),
                gain=gain,
                gain_low=ends[0],
                gain_high=ends[1],
                test_accuracy=study.test_accuracy.mean() if len(study.test_accuracy) else math.nan,
                good_range_decades=float(numbers["good_range_decades"]),
                good_range_open=int(numbers["good_range_open"]),
                sensitivity=float(numbers["sensitivity"]),
                at_edge=int(numbers["at_edge"]),
                diverged=int(np.isnan(values).sum()),
            )
        )
    return sorted(rows, key=lambda row: (math.isnan(row.val_accuracy), -score.turned(row.val_accuracy), row.optimizer))


def sensitivity(
    studies: Mapping[str, Study], conditions: Conditions, parameters: TuningParameters
) -> list[SensitivityPoint]:
    """Mean and interval over the selection seeds of every factor, sorted by optimizer, factor."""
    rows, score = [], SCORES[conditions.training.score]
    resolution, most = score.resolution(parameters.selection_size), 1 if score.direction > 0 else math.inf
    for name, study in sorted(studies.items()):
        scores = score.turned(study.selection_accuracy)
        mean, _, *ends = statistics.summarize(scores, conditions.report.confidence, resolution)
        low, high = np.clip(ends, 0, most)
        diverged = np.isnan(scores).sum(axis=1).tolist()
        runs = [scores.shape[1]] * len(scores)
        columns = study.factors, study.learning_rates, mean, low, high, runs, diverged
        rows += [SensitivityPoint(name, *values) for values in zip(*columns, strict=True)]
    return rows


def best_of_k(
    studies: Mapping[str, Study], parameters: TuningParameters, score: Score = SCORES["accuracy"]
) -> list[BestOfK]:
    """What to expect of the best of k factors of the grid that is the same for all, without its extensions."""
    rows = []
    for name, study in sorted(studies.items()):
        shared = np.isclose(study.factors[:, None], grid.factors(parameters), rtol=1e-4).any(axis=1)
        expected = score.turned(selection.best_of_k(study.selection_accuracy[shared], study.chance))
        rows += [BestOfK(optimizer=name, k=k, val_accuracy=value) for k, value in enumerate(expected, 1)]
    return rows
