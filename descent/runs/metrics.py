"""Judges a training from its measurements alone; knows nothing of optimizers or networks."""

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from descent.data.datasets import Dataset
from descent.training.measurements import LOSSES, Run
from descent.training.settings import TrainingParameters

BALANCED = "val_balanced_accuracy"  # the column of a history that is computed here; a training measures the others


class Score(NamedTuple):
    """What compares the optimizers, and how people read it.

    Files and tables hold a score as it is measured. Where optimizers are compared it is `turned`: higher is better.
    """

    column: str  # of a history
    title: str
    unit: str
    difference: str  # unit of a difference
    factor: float  # from the column to the unit
    digits: int  # behind the point, in the unit
    direction: int  # 1 where higher is better, -1 where lower is
    near: float  # a learning rate whose score is this close to the best is good

    @property
    def heading(self) -> str:
        """Return title and unit."""
        return f"{self.title}, {self.unit}"

    def turned(self, values: Any) -> Any:
        """Turn values so that higher is better, or turned values back."""
        return self.direction * values

    def error(self, value: float) -> float:
        """How far a value is from a perfect one."""
        return 1 - value if self.direction > 0 else value

    def resolution(self, examples: int) -> float:
        """What one of the examples changes, on average over them; 0 for the loss, which is no count."""
        return 1 / examples if self.direction > 0 else 0.0

    def chance(self, classes: int) -> float:
        """The score of a network that has learnt nothing: it gives every class the same probability."""
        return 1 / classes if self.direction > 0 else math.log(classes)

    def text(self, value: float) -> str:
        """Write a value, or a difference, in its unit."""
        return f"{self.factor * value:.{self.digits}f}"

    def of_runs(self, values: np.ndarray, examples: int, last_epochs: int) -> np.ndarray:
        """Score each run: the mean over its last epochs, turned.

        Args:
            values: of the column, [epochs, ...]; nan once a run diverged.
            examples: that were judged.
            last_epochs: how many of the epochs are averaged.
        """
        last = np.asarray(values)[-last_epochs:]
        if self.column == "val_accuracy":  # files keep six digits: counted in examples, equal runs are equal again
            return np.rint(last * examples).mean(axis=0) / examples
        return self.turned(last.mean(axis=0))


_SHARE = ("%", "percentage points", 100, 2, 1, 0.01)
SCORES = {  # by `training.score`
    "accuracy": Score("val_accuracy", "Validation accuracy", *_SHARE),
    "balanced_accuracy": Score(BALANCED, "Balanced validation accuracy", *_SHARE),
    "loss": Score("val_loss", "Validation loss", "nats", "nats", 1, 4, -1, 0.05),
}


def with_balanced_accuracy(run: Run, labels: np.ndarray) -> Run:
    """Add the balanced accuracy to a run's history: the mean over the classes of the share that is right, in [0, 1].

    Classes without an example are left out; nan from the epoch at which the run diverged. `labels`: of the examples
    that judged it.
    """
    shares = [run.hits[:, labels == label].mean(axis=1) for label in np.unique(labels)]
    balanced = np.where(np.isnan(run.history["val_loss"]), np.nan, np.mean(shares, axis=0))
    return run._replace(history=run.history | {BALANCED: balanced})


def sample_sd(runs: np.ndarray, resolution: float) -> np.ndarray:
    """Standard deviation (n - 1) over the last axis; nan where the runs lie closer together than the resolution.

    The resolution is what one image changes, in the runs' unit; 0 where runs are no counts.
    """
    runs = np.asarray(runs, dtype=float)
    if runs.shape[-1] < 2:
        return np.full(runs.shape[:-1], np.nan)
    seen = np.ptp(runs, axis=-1) >= resolution * (1 - 1e-9)  # one image in float64 may be a little less than one
    return np.where(seen, runs.std(axis=-1, ddof=1), np.nan)


def epochs_to_target(val_accuracy: np.ndarray, target: float) -> np.ndarray:
    """Return the first epoch of [epochs, runs] at or above the target, from 1; inf for a run that never reaches it."""
    reached = np.asarray(val_accuracy) >= target  # nan compares false: a diverged epoch reaches nothing
    return np.where(reached.any(axis=0), reached.argmax(axis=0) + 1.0, np.inf)


def median_epochs(epochs: np.ndarray) -> float:
    """Return the epoch by which at least half of the runs had reached the target; inf if fewer than half ever do."""
    return float(np.quantile(epochs, 0.5, method="inverted_cdf"))


def document(runs: Sequence[Run], data: Dataset, parameters: TrainingParameters) -> bytes:
    """Write results/metrics/*.json.

    Loss and accuracy are means over the last `last_epochs` epochs of all runs: the last epoch alone jitters. If any run
    diverged they are null, since the others alone would flatter the optimizer; `diverged` counts such runs. The sd
    (n - 1) is that of the runs' own means. `epochs_to_target` is `median_epochs`.

    The `details` stand in a list, which DVC's tables leave out: the environment, numbers of examples, test loss and
    accuracy of each run, and for each validation example how often it was classified right, of all runs in all of the
    last epochs.

    Args:
        runs: of one optimizer, in the order of the seeds.
        data: that trained and judged them.
        parameters: last epochs and target.
    """
    history = {name: np.stack([run.history[name] for run in runs], axis=1) for name in runs[0].history}
    last = {name: values[-parameters.last_epochs :].mean(axis=0) for name, values in history.items()}
    test_loss, test_accuracy = np.array([run.test for run in runs]).T
    diverged = int(np.isnan(history["val_loss"][-1]).sum())
    median = median_epochs(epochs_to_target(history["val_accuracy"], parameters.target_val_accuracy))
    summary = {name: last[name].mean() for name in LOSSES}
    summary["val_accuracy_sd"] = last["val_accuracy"].std(ddof=1) if len(runs) > 1 else math.nan
    summary |= {"test_loss": test_loss.mean(), "test_accuracy": test_accuracy.mean()}
    if BALANCED in last:
        summary[BALANCED] = last[BALANCED].mean()
    summary = {name: None if diverged else _rounded(value) for name, value in summary.items()}
    summary |= {"epochs_to_target": int(median) if math.isfinite(median) else None, "diverged": diverged}
    hits = np.sum([run.hits[-parameters.last_epochs :] for run in runs], axis=(0, 1))
    details = {
        "environment": merged([run.environment for run in runs]),
        "examples": {kind: len(split.labels) for kind, split in data.splits().items()},
        "test_loss": list(map(_rounded, test_loss)),
        "test_accuracy": list(map(_rounded, test_accuracy)),
        "val_hits": None if diverged else hits.tolist(),
    }
    numbers = json.dumps(summary, indent=2).removesuffix("\n}")
    lines = ",\n    ".join(f'"{name}": {json.dumps(value)}' for name, value in details.items())
    return f'{numbers},\n  "details": [{{\n    {lines}\n  }}]\n}}\n'.encode()


def merged(environments: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Describe what computed runs, where machines may differ: all values of what differs, with | between them."""
    keys = dict.fromkeys(key for environment in environments for key in environment)
    every = {key: dict.fromkeys(environment.get(key, "") for environment in environments) for key in keys}
    return {key: " | ".join(sorted(values)) for key, values in every.items()}


def _rounded(value: float) -> float | None:
    return round(float(value), 6) if math.isfinite(value) else None


def history_csv(runs: Sequence[Run]) -> bytes:
    """Write results/history/*.csv: of each epoch a row for each run."""
    columns = list(runs[0].history)
    epochs = range(len(runs[0].history["loss"]))
    rows = [(run.seed, i + 1, *(run.history[name][i] for name in columns)) for i in epochs for run in runs]
    return csv_text(["seed", "epoch", *columns], rows).encode()


def csv_text(columns: Iterable[str], rows: Iterable[Sequence]) -> str:
    """Write a table as CSV: six significant digits, so that equal results are equal bytes; nan and inf as such."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([f"{cell:.6g}" if isinstance(cell, float | np.ndarray) else cell for cell in row] for row in rows)
    return stream.getvalue()
