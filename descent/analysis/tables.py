"""The tables of the comparison, in numbers: each is a list of named tuples whose fields are the columns of a CSV file.

Rows are sorted by what they hold, never by the order of params.yaml. Accuracies are in [0, 1], losses
in nats; unknown numbers are nan.

To add a column: add its field, and give it a value where the row is made.
"""

import json
import math
from collections.abc import Mapping
from itertools import combinations
from typing import NamedTuple

import numpy as np

from descent.analysis import records, statistics
from descent.analysis.records import History, Training
from descent.analysis.settings import Conditions
from descent.runs import metrics
from descent.runs.metrics import SCORES, Score
from descent.training.measurements import DIAGNOSTICS


class CurvePoint(NamedTuple):
    """A row of curves.csv: mean and interval over the runs."""

    optimizer: str
    split: str  # train or val
    epoch: int
    loss: float
    accuracy: float
    loss_low: float
    loss_high: float
    accuracy_low: float
    accuracy_high: float
    balanced_accuracy: float = math.nan  # of the validation examples alone
    balanced_accuracy_low: float = math.nan
    balanced_accuracy_high: float = math.nan


# A row of diagnostics.csv: the columns that descent/training/measurements.py explains, means over the runs.
DiagnosticsPoint = NamedTuple(
    "DiagnosticsPoint", [("optimizer", str), ("epoch", int), *((column, float) for column in DIAGNOSTICS)]
)


class Rank(NamedTuple):
    """A row of ranking.csv: one optimizer, judged over its last epochs; best first, diverged last."""

    optimizer: str
    may_be_best: str  # yes; no; unknown; diverged
    val_accuracy: float  # or what else training.score names, as measured; the file has the name of that column
    val_accuracy_sd: float
    val_accuracy_low: float
    val_accuracy_high: float
    behind_at_most: float  # how far the best may lead it
    clearest_rival: str  # that leads it most clearly
    behind_at_least: float  # that rival, at the least; above 0 where the optimizer cannot be the best
    test_accuracy: float
    test_accuracy_sd: float
    epochs_to_target: float  # inf if fewer than half of the runs reach the target
    reached: int
    diverged: int
    runs: int
    runs_compared: int  # at the last look of the race that it took part in; 0 if there was none
    same_as: str = ""  # the other optimizers whose runs are the same to the last digit: that is no tie


class Lead(NamedTuple):
    """A row of differences.csv: by how much one optimizer leads another, in what training.score names."""

    ahead: str
    behind: str
    lead: float
    low: float  # of the interval that holds for all pairs at once
    high: float
    low_other_images: float  # the same for other images of the same kind; nan but for the accuracy
    high_other_images: float


class Verdict(NamedTuple):
    """Whether an optimizer may be the best, and how far it may be behind the best: columns of a `Rank`."""

    may_be_best: str
    runs_compared: int = 0  # at the last look that it took part in
    behind_at_most: float = math.nan
    clearest_rival: str = ""
    behind_at_least: float = math.nan


def curves(histories: Mapping[str, History], confidence: float) -> list[CurvePoint]:
    """Mean and interval over the runs of each epoch's loss and accuracy, sorted by optimizer, split, epoch."""
    rows = []
    for optimizer, history in sorted(histories.items()):
        for split, prefix in (("train", ""), ("val", "val_")):
            found = {}
            for column in ("loss", "accuracy", "balanced_accuracy"):
                values = history.get(prefix + column, np.full_like(history["loss"], math.nan))
                found |= summary_columns(column, statistics.summarize(values, confidence))
            rows += by_epoch(CurvePoint, found, optimizer=optimizer, split=split)
    return rows


def diagnostics(histories: Mapping[str, History]) -> list[DiagnosticsPoint]:
    """Mean over the runs of each epoch's diagnostics, sorted by optimizer, epoch."""
    rows = []
    for optimizer, history in sorted(histories.items()):
        means = {name: history[name].mean(axis=-1) for name in DIAGNOSTICS}
        rows += by_epoch(DiagnosticsPoint, means, optimizer=optimizer)
    return rows


def by_epoch(kind: type, columns: Mapping[str, np.ndarray], **same: str) -> list:
    """Make a row of a kind for each epoch, of those columns [epochs] that it has; the shortest one ends them."""
    known = {name: values for name, values in columns.items() if name in kind._fields}
    rows = zip(*known.values(), strict=False)
    return [kind(**same, epoch=i, **dict(zip(known, row, strict=True))) for i, row in enumerate(rows, 1)]


def best_first(trainings: Mapping[str, Training]) -> dict[str, np.ndarray]:
    """Optimizer -> its turned scores, [runs]: the best first, those with a diverged run (nan) last."""
    runs = {name: training.final_accuracy for name, training in trainings.items()}
    return dict(sorted(runs.items(), key=lambda item: (np.isnan(item[1].mean()), -item[1].mean(), item[0])))


def ranking(runs: Mapping[str, np.ndarray], trainings: Mapping[str, Training], conditions: Conditions) -> list[Rank]:
    """Say of each optimizer whether it may be the best, and how far it may be behind the best.

    A diverged run disqualifies its optimizer: the others alone would flatter it. `runs`: of `best_first`.
    """
    confidence, (score, resolution) = conditions.report.confidence, scored_by(conditions)
    verdicts_of, rows = verdicts(runs, conditions), []
    for name, values in runs.items():
        test = statistics.summarize(trainings[name].test_accuracy, confidence)
        history = trainings[name].history["val_accuracy"]
        epochs = metrics.epochs_to_target(history, conditions.training.target_val_accuracy)
        twins = sorted(other for other in trainings if records.are_same(trainings[name], trainings[other]))
        twins.remove(name)
        rows.append(
            Rank(
                optimizer=name,
                **verdicts_of[name]._asdict(),
                **summary_columns("val_accuracy", statistics.summarize(score.turned(values), confidence, resolution)),
                test_accuracy=test.mean,
                test_accuracy_sd=test.sd,
                epochs_to_target=metrics.median_epochs(epochs),
                reached=int(np.isfinite(epochs).sum()),
                diverged=int(np.isnan(values).sum()),
                runs=len(values),
                same_as=", ".join(twins) if np.isfinite(values).all() else "",
            )
        )
    return rows


def leads(runs: Mapping[str, np.ndarray], trainings: Mapping[str, Training], conditions: Conditions) -> list[Lead]:
    """By how much each optimizer leads each one behind it, in the order of `best_first`; without the diverged."""
    (score, resolution), compared = scored_by(conditions), compared_of(runs)
    if len(compared) < 2:
        return []
    names, values, rows = list(compared), list(compared.values()), []
    other_images = np.full((len(names), len(names)), np.nan)
    if score.column == "val_accuracy":  # of single examples nothing else is known
        other_images = statistics.images_error([trainings[name].val_shares for name in names])
    halves = statistics.simultaneous(values, conditions.report.confidence, resolution, other_images)
    for i, j in combinations(range(len(names)), 2):
        lead, (half, other) = values[i].mean() - values[j].mean(), halves[:, i, j]
        rows.append(Lead(names[i], names[j], lead, lead - half, lead + half, lead - other, lead + other))
    return rows


def scored_by(conditions: Conditions) -> tuple[Score, float]:
    """Return the score of a comparison, and what one validation example changes in it."""
    score = SCORES[conditions.training.score]
    return score, score.resolution(conditions.data.validation_size)


def summary_columns(column: str, summary: statistics.Summary) -> dict[str, np.ndarray]:
    """Name a mean, its standard deviation and the ends of its interval as the columns of a table."""
    return {column: summary.mean} | {f"{column}_{part}": getattr(summary, part) for part in ("sd", "low", "high")}


def compared_of(runs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The optimizers of which no run diverged, in the same order."""
    return {name: values for name, values in runs.items() if np.isfinite(values).all()}


def verdicts(runs: Mapping[str, np.ndarray], conditions: Conditions) -> dict[str, Verdict]:
    """Judge by the race which optimizers may be the best, from the turned scores of their runs, [runs]."""
    names, found = list(compared_of(runs)), race_of(runs, conditions)
    rows = {name: Verdict("unknown" if name in names else "diverged") for name in runs}
    for i, name in enumerate(names if found else ()):
        remains, used, at_most, at_least, rival = (values[i] for values in found)
        rows[name] = Verdict("yes" if remains else "no", int(used), at_most, names[rival], at_least)
    return rows


def race_of(runs: Mapping[str, np.ndarray], conditions: Conditions) -> statistics.Race | None:
    """Hold the race of the optimizers of which no run diverged; None where their runs cannot tell anything."""
    compared, (_, resolution) = list(compared_of(runs).values()), scored_by(conditions)
    if len(compared) < 2 or min(map(len, compared)) < 2:
        return None
    return statistics.race(compared, conditions.race.looks, conditions.report.confidence, resolution, len(runs))


def score_json(rows: list[Rank], score: Score = SCORES["accuracy"]) -> str:
    """Write the score of each optimizer in its unit, for `dvc exp show`: one column each, sorted.

    An optimizer with a diverged run has none.
    """
    known = {row.optimizer: float(score.text(row.val_accuracy)) for row in rows if math.isfinite(row.val_accuracy)}
    return json.dumps(known, indent=2, sort_keys=True) + "\n"


def csv_text(columns: tuple[str, ...], rows: list[tuple], score: Score = SCORES["accuracy"]) -> str:
    """Write a table as `metrics.csv_text` does, with columns val_accuracy* called by what the score is.

    A table without rows gets one that says so: DVC fails to plot a file that has a header alone.
    """
    names = [column.replace("val_accuracy", score.column) for column in columns]
    return metrics.csv_text(names, rows or [["none"] * len(columns)])
