"""Judges a training from its measurements alone; knows nothing of optimizers or networks."""

import json
import math
from collections.abc import Mapping, Sequence
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
        """Title and unit."""
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
        if self.column == "val_accuracy":
            return final_accuracy(values, examples, last_epochs)
        return self.turned(np.asarray(values)[-last_epochs:].mean(axis=0))


_SHARE = ("%", "percentage points", 100, 2, 1, 0.01)
SCORES = {  # by `training.score`
    "accuracy": Score("val_accuracy", "Validation accuracy", *_SHARE),
    "balanced_accuracy": Score(BALANCED, "Balanced validation accuracy", *_SHARE),
    "loss": Score("val_loss", "Validation loss", "nats", "nats", 1, 4, -1, 0.05),
}


def with_balanced_accuracy(run: Run, labels: np.ndarray) -> Run:
    """Add the balanced accuracy to a run's history: the mean over the classes of the share that is right, in [0, 1].

    Classes without an example are left out; nan from the epoch at which the run diverged.

    Args:
        run: that was measured.
        labels: of the examples that judged it.
    """
    shares = [run.hits[:, labels == label].mean(axis=1) for label in np.unique(labels)]
    balanced = np.where(np.isnan(run.history["val_loss"]), np.nan, np.mean(shares, axis=0))
    return run._replace(history=run.history | {BALANCED: balanced})


def final_accuracy(accuracy: np.ndarray, images: int, last_epochs: int) -> np.ndarray:
    """Score each run: its accuracy, averaged over its last epochs.

    Accuracies are counts of images, of which a file keeps six digits: counted, equal runs are equal again.

    Args:
        accuracy: [epochs, runs], in [0, 1]; nan once a run diverged.
        images: that the accuracy was measured on.
        last_epochs: how many of the epochs are averaged.
    """
    return np.rint(np.asarray(accuracy) * images)[-last_epochs:].mean(axis=0) / images


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
    """Count the epochs that each run needs to reach the target; a run that never does needs infinitely many.

    Args:
        val_accuracy: [epochs, runs], in [0, 1]; nan from the epoch at which a run diverged.
        target: validation accuracy to reach, in (0, 1].

    Returns:
        [runs] float64: number of the first epoch (from 1) at or above the target, inf for a miss.
    """
    reached = np.asarray(val_accuracy) >= target  # nan compares false: a diverged epoch reaches nothing
    return np.where(reached.any(axis=0), reached.argmax(axis=0) + 1.0, np.inf)


def median_epochs(epochs: np.ndarray) -> float:
    """Find the epoch by which at least half of the runs had reached the target; inf if fewer than half ever do.

    The lower median: with half of the runs missing, the mean of a number and infinity would say nothing.
    """
    return float(np.quantile(epochs, 0.5, method="inverted_cdf"))


def summarize(
    history: Mapping[str, np.ndarray],
    test_loss: np.ndarray,
    test_accuracy: np.ndarray,
    parameters: TrainingParameters,
) -> dict[str, float | int | None]:
    """Reduce the runs of one optimizer to the numbers of results/metrics/*.json.

    Loss and accuracy are means over the last `last_epochs` epochs of all runs: the last epoch alone jitters. If any run
    diverged there is no such mean, and the others alone would flatter the optimizer: the means are None then, and
    `diverged` says how many.

    Args:
        history: for each column of a history an array [epochs, runs]; nan once a run diverged.
        test_loss: [runs].
        test_accuracy: [runs], in [0, 1].
        parameters: last epochs and target.

    Returns:
        Rounded to 6 digits. The sd (n - 1, over the runs' own means) is None with one run; `epochs_to_target` is
        `median_epochs`, and None if fewer than half of the runs reach the target.
    """
    diverged = int(np.isnan(history["val_loss"][-1]).sum())
    runs = {name: history[name][-parameters.last_epochs :].mean(axis=0) for name in LOSSES}
    runs |= {"test_loss": test_loss, "test_accuracy": test_accuracy}
    summary: dict[str, float | int | None] = {}
    for name, values in runs.items():
        summary[name] = None if diverged else round(float(np.mean(values)), 6)
        if name == "val_accuracy":
            known = not diverged and len(values) > 1
            summary["val_accuracy_sd"] = round(float(np.std(values, ddof=1)), 6) if known else None
    if BALANCED in history:
        balanced = history[BALANCED][-parameters.last_epochs :].mean()
        summary[BALANCED] = None if diverged else round(float(balanced), 6)
    median = median_epochs(epochs_to_target(history["val_accuracy"], parameters.target_val_accuracy))
    summary["epochs_to_target"] = int(median) if np.isfinite(median) else None
    summary["diverged"] = diverged
    return summary


def document(runs: Sequence[Run], data: Dataset, parameters: TrainingParameters) -> bytes:
    """Write results/metrics/*.json: the numbers of `summarize`, and `details` for the report.

    The details stand in a list, which DVC's tables leave out: the environment, numbers of examples, test loss and
    accuracy of each run in the order of the seeds, and for each validation example how often it was classified right,
    of all runs in all of the last epochs.

    Args:
        runs: of one optimizer, in the order of the seeds.
        data: that trained and judged them.
        parameters: last epochs and target.
    """
    history = {name: np.stack([run.history[name] for run in runs], axis=1) for name in runs[0].history}
    test_loss, test_accuracy = np.array([run.test for run in runs]).T
    summary = summarize(history, test_loss, test_accuracy, parameters)
    hits = np.sum([run.hits[-parameters.last_epochs :] for run in runs], axis=(0, 1))
    details = {
        "environment": merged([run.environment for run in runs]),
        "examples": {kind: len(split.labels) for kind, split in data.splits().items()},
        "test_loss": _rounded(test_loss),
        "test_accuracy": _rounded(test_accuracy),
        "val_hits": None if summary["diverged"] else hits.tolist(),
    }
    numbers = json.dumps(summary, indent=2).removesuffix("\n}")
    lines = ",\n    ".join(f'"{name}": {json.dumps(value)}' for name, value in details.items())
    return f'{numbers},\n  "details": [{{\n    {lines}\n  }}]\n}}\n'.encode()


def merged(environments: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Describe what computed runs, where machines may differ: all values of what differs, with | between them."""
    keys = dict.fromkeys(key for environment in environments for key in environment)
    every = {key: dict.fromkeys(environment.get(key, "") for environment in environments) for key in keys}
    return {key: " | ".join(sorted(values)) for key, values in every.items()}


def _rounded(values: np.ndarray) -> list[float | None]:
    return [round(float(value), 6) if np.isfinite(value) else None for value in values]


def history_csv(runs: Sequence[Run]) -> bytes:
    """Write results/history/*.csv: of each epoch a row for each run, measurements to 6 significant digits."""
    columns = list(runs[0].history)
    lines = [",".join(["seed", "epoch", *columns])]
    for epoch in range(len(runs[0].history["loss"])):
        for run in runs:
            values = (f"{run.history[name][epoch]:.6g}" for name in columns)
            lines.append(f"{run.seed},{epoch + 1},{','.join(values)}")
    return ("\n".join(lines) + "\n").encode()
