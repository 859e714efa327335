"""Judges a training from its measurements alone; knows nothing of optimizers or networks."""

import json
from collections.abc import Mapping, Sequence

import numpy as np

from descent.data.datasets import Dataset
from descent.training.run import HISTORY, LOSSES, MEASUREMENTS, Run
from descent.training.settings import TrainingParameters


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
        history: for each of run.MEASUREMENTS an array [epochs, runs]; nan once a run diverged.
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
    history = {name: np.stack([run.history[name] for run in runs], axis=1) for name in MEASUREMENTS}
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
    lines = [",".join(HISTORY)]
    for epoch in range(len(runs[0].history["loss"])):
        for run in runs:
            values = (f"{run.history[name][epoch]:.6g}" for name in MEASUREMENTS)
            lines.append(f"{run.seed},{epoch + 1},{','.join(values)}")
    return ("\n".join(lines) + "\n").encode()
