"""The tables of the report, in numbers: each is a list of named tuples whose fields are the columns of a CSV file.

Rows are sorted by what they hold, never by the order of params.yaml. Accuracies are in [0, 1]; unknown numbers are nan.
"""

import csv
import io
import json
import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from descent.analysis import statistics
from descent.analysis.records import History, Training
from descent.analysis.settings import Conditions
from descent.runs import metrics
from descent.training.run import DIAGNOSTICS


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


class DiagnosticsPoint(NamedTuple):
    """A row of diagnostics.csv: how far an epoch moved all trainable weights, means over the runs."""

    optimizer: str
    epoch: int
    distance: float  # L2 norm of (weights after the epoch - weights before it)
    weight_norm: float  # L2 norm of the weights after the epoch
    relative_change: float  # distance / weight_norm
    unchanged_weights: float  # share of the single weights that have the same value after the epoch as before it


class Rank(NamedTuple):
    """A row of ranking.csv: one optimizer, judged over its last epochs; best first, diverged last."""

    optimizer: str
    may_be_best: str  # yes; no; unknown; diverged
    val_accuracy: float
    val_accuracy_sd: float
    val_accuracy_low: float
    val_accuracy_high: float
    cost_at_most: float  # how far the best may lead it
    rival: str  # that leads it most clearly
    behind_at_least: float  # that rival, at the least; above 0 where the optimizer cannot be the best
    test_accuracy: float
    test_accuracy_sd: float
    epochs_to_target: float  # inf if fewer than half of the runs reach the target
    reached: int
    diverged: int
    runs: int


class Lead(NamedTuple):
    """A row of differences.csv: by how much one optimizer leads another in validation accuracy."""

    ahead: str
    behind: str
    lead: float
    at_least: float  # one-sided, as who may be the best is decided
    at_most: float
    low: float  # of the interval that holds for all pairs at once
    high: float
    low_other_images: float  # the same for other images of the same kind
    high_other_images: float


def curves(histories: Mapping[str, History], confidence: float) -> list[CurvePoint]:
    """Mean and interval over the runs of each epoch's loss and accuracy, sorted by optimizer, split, epoch."""
    rows = []
    for optimizer, history in sorted(histories.items()):
        for split, prefix in (("train", ""), ("val", "val_")):
            loss = statistics.summarize(history[prefix + "loss"], confidence)
            accuracy = statistics.summarize(history[prefix + "accuracy"], confidence)
            columns = (loss.mean, accuracy.mean, loss.low, loss.high, accuracy.low, accuracy.high)
            rows += [CurvePoint(optimizer, split, i, *point) for i, point in enumerate(zip(*columns, strict=True), 1)]
    return rows


def diagnostics(histories: Mapping[str, History]) -> list[DiagnosticsPoint]:
    """Mean over the runs of each epoch's diagnostics, sorted by optimizer, epoch."""
    rows = []
    for optimizer, history in sorted(histories.items()):
        means = {name: history[name].mean(axis=-1) for name in DIAGNOSTICS}
        for i in range(len(means["distance"])):
            rows.append(DiagnosticsPoint(optimizer, i + 1, **{name: mean[i] for name, mean in means.items()}))
    return rows


def endpoints(trainings: Mapping[str, Training], conditions: Conditions) -> dict[str, np.ndarray]:
    """By what each run is judged, best optimizer first, those with a diverged run (nan) last: optimizer -> [runs]."""
    images, last_epochs = conditions.data.validation_size, conditions.training.last_epochs
    runs = {
        name: metrics.final_accuracy(training.history["val_accuracy"], images, last_epochs)
        for name, training in trainings.items()
    }
    return dict(sorted(runs.items(), key=lambda item: (np.isnan(item[1].mean()), -item[1].mean(), item[0])))


def ranking(runs: Mapping[str, np.ndarray], trainings: Mapping[str, Training], conditions: Conditions) -> list[Rank]:
    """Say of each optimizer whether it may be the best, and what choosing it may cost.

    A diverged run disqualifies its optimizer: the others alone would flatter it.

    Args:
        runs: of `endpoints`, best optimizer first.
        trainings: of the same optimizers.
        conditions: of the comparison.
    """
    confidence, resolution = conditions.report.confidence, 1 / conditions.data.validation_size
    compared = compared_of(runs)
    verdicts = dict.fromkeys(runs, ("diverged", math.nan, "", math.nan)) | dict.fromkeys(
        compared, ("unknown", math.nan, "", math.nan)
    )
    if len(compared) > 1 and len(conditions.training.seeds) > 1:
        names, values = list(compared), np.stack(list(compared.values()))
        found = statistics.contest(values, confidence, resolution)
        for i, name in enumerate(names):
            word = "yes" if found.kept[i] else "no"
            verdicts[name] = (word, found.cost_at_most[i], names[found.rival[i]], found.behind_at_least[i])
    rows = []
    for name, values in runs.items():
        word, cost, rival, behind = verdicts[name]
        test = statistics.summarize(trainings[name].test_accuracy, confidence)
        epochs = metrics.epochs_to_target(
            trainings[name].history["val_accuracy"], conditions.training.target_val_accuracy
        )
        counts = (int(np.isfinite(epochs).sum()), int(np.isnan(values).sum()), len(values))
        summary = statistics.summarize(values, confidence, resolution)
        rows.append(
            Rank(name, word, *summary, cost, rival, behind, test.mean, test.sd, metrics.median_epochs(epochs), *counts)
        )
    return rows


def leads(runs: Mapping[str, np.ndarray], trainings: Mapping[str, Training], conditions: Conditions) -> list[Lead]:
    """By how much each optimizer leads each one behind it; none for optimizers with a diverged run.

    Args:
        runs: of `endpoints`, best optimizer first.
        trainings: of the same optimizers.
        conditions: of the comparison.
    """
    compared = compared_of(runs)
    if len(compared) < 2:
        return []
    confidence, resolution = conditions.report.confidence, 1 / conditions.data.validation_size
    names, values = list(compared), np.stack(list(compared.values()))
    at_least = statistics.leads_at_least(values, confidence, resolution)
    times = len(conditions.training.seeds) * conditions.training.last_epochs
    other_images = statistics.images_error([trainings[name].val_hits for name in names], times)
    intervals = statistics.simultaneous(values, confidence, resolution, other_images)
    means = values.mean(axis=-1)
    return [
        Lead(
            names[i], names[j], means[i] - means[j], at_least[i, j], -at_least[j, i],
            *(ends[i, j] for ends in intervals),
        )
        for i in range(len(names))
        for j in range(i + 1, len(names))
    ]  # fmt: skip


def compared_of(runs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The optimizers of which no run diverged, in the same order."""
    return {name: values for name, values in runs.items() if np.isfinite(values).all()}


def accuracy_json(rows: list[Rank]) -> str:
    """Write the validation accuracy of each optimizer in percent, for `dvc exp show`: one column each, sorted.

    An optimizer with a diverged run has none.
    """
    known = {row.optimizer: round(100 * row.val_accuracy, 2) for row in rows if math.isfinite(row.val_accuracy)}
    return json.dumps(known, indent=2, sort_keys=True) + "\n"


def csv_text(columns: tuple[str, ...], rows: list[tuple]) -> str:
    """Write a table as CSV: six significant digits, so that equal results are equal bytes; nan and inf as such.

    A table without rows gets one that says so: DVC fails to plot a file that has a header alone.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([f"{cell:.6g}" if isinstance(cell, float | np.ndarray) else cell for cell in row] for row in rows)
    if not rows:
        writer.writerow(["none"] * len(columns))
    return stream.getvalue()
