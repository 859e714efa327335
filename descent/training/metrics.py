"""Judges a training from its measurements alone; knows nothing of optimizers or networks."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from descent.training.columns import LOSSES, MEASUREMENTS
from descent.training.settings import TrainingParameters


class Epoch(NamedTuple):
    """What was measured of every run in one epoch."""

    measurements: dict[str, np.ndarray]  # each of columns.MEASUREMENTS -> float64 [runs]; nan once a run diverged
    val_hits: np.ndarray  # bool [runs, validation examples]: classified right after the epoch


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
        history: for each of columns.MEASUREMENTS an array [epochs, runs]; nan once a run diverged.
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


def document(
    epochs: Sequence[Epoch],
    test_loss: np.ndarray,
    test_accuracy: np.ndarray,
    examples: Mapping[str, int],
    parameters: TrainingParameters,
    environment: Mapping[str, str],
) -> bytes:
    """Write results/metrics/*.json: the numbers of `summarize`, and `details` for the report.

    The details stand in a list, which DVC's tables leave out: the environment, numbers of examples, test loss and
    accuracy of each run in the order of the seeds, and for each validation example how often it was classified right,
    of all runs in all of the last epochs.

    Args:
        epochs: all of them.
        test_loss: [runs].
        test_accuracy: [runs], in [0, 1].
        examples: how many there are to train, validate and test with.
        parameters: of the training.
        environment: what computed the results.
    """
    history = {name: np.stack([epoch.measurements[name] for epoch in epochs]) for name in MEASUREMENTS}
    summary = summarize(history, test_loss, test_accuracy, parameters)
    alive = np.isfinite(history["val_loss"][-1])
    hits = np.sum([epoch.val_hits for epoch in epochs[-parameters.last_epochs :]], axis=(0, 1))
    details = {
        "environment": dict(environment),
        "examples": dict(examples),
        "test_loss": _rounded(np.where(alive, test_loss, np.nan)),
        "test_accuracy": _rounded(np.where(alive, test_accuracy, np.nan)),
        "val_hits": hits.tolist() if alive.all() else None,
    }
    numbers = json.dumps(summary, indent=2).removesuffix("\n}")
    lines = ",\n    ".join(f'"{name}": {json.dumps(value)}' for name, value in details.items())
    return f'{numbers},\n  "details": [{{\n    {lines}\n  }}]\n}}\n'.encode()


def _rounded(values: np.ndarray) -> list[float | None]:
    return [round(float(value), 6) if np.isfinite(value) else None for value in values]


def clock_document(seconds: Sequence[float]) -> bytes:
    """Write logs/*.json: seconds of every epoch."""
    return (json.dumps({"epoch_seconds": np.round(seconds, 3).tolist()}) + "\n").encode()


def read_clock(log: Path) -> list[float]:
    """Read the seconds of every epoch from what `clock_document` wrote; nothing where there is none."""
    try:
        return [float(seconds) for seconds in json.loads(log.read_text(encoding="utf-8"))["epoch_seconds"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def history_rows(epoch: int, seeds: Sequence[int], measurements: Mapping[str, np.ndarray]) -> str:
    """Write one epoch as CSV: for each run a row of seed, epoch and measurements [runs] to 6 significant digits."""
    runs = zip(*measurements.values(), strict=True)
    rows = (f"{seed},{epoch},{','.join(f'{v:.6g}' for v in run)}\n" for seed, run in zip(seeds, runs, strict=True))
    return "".join(rows)


def progress_line(name: str, epochs: Sequence[Epoch], total: int, seconds: Sequence[float]) -> str:
    """Say how far a training is: means over the runs that have not diverged, and the time left.

    Args:
        name: of the optimizer.
        epochs: those so far.
        total: epochs to come in all.
        seconds: that each of them took.
    """
    latest = epochs[-1].measurements
    going = np.isfinite(latest["val_loss"])
    means = {key: latest[key][going].mean() if going.any() else np.nan for key in ("loss", "val_accuracy")}
    line = f"{name}  epoch {len(epochs)}/{total}  loss {means['loss']:.4f}  val_accuracy {means['val_accuracy']:.4f}"
    line += f"  means over seeds, n = {going.sum()}"
    if len(epochs) > 1:  # the first epoch includes compilation
        line += f"  {np.median(seconds[1:]) * (total - len(epochs)):.0f} s left"
    return line if going.all() else f"{line}  {np.sum(~going)} of {going.size} runs diverged"
