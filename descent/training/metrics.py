"""Judges a training from its figures alone; knows nothing of optimizers or networks."""

from collections.abc import Mapping, Sequence

import numpy as np


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
    history: Mapping[str, np.ndarray], test_loss: np.ndarray, test_accuracy: np.ndarray, target: float
) -> dict[str, float | int | None]:
    """Reduce the runs of one optimizer to the figures of results/metrics/*.json.

    Means over all runs at the last epoch. If any run diverged there is no such mean, and the others alone would flatter
    the optimizer: the means are None then, and `diverged` says how many.

    Args:
        history: for loss, accuracy, val_loss and val_accuracy an array [epochs, runs]; nan once a run diverged.
        test_loss: [runs].
        test_accuracy: [runs], in [0, 1].
        target: validation accuracy for `epochs_to_target`.

    Returns:
        Rounded to 6 digits. The sd (n - 1) is None with one run; `epochs_to_target` is `median_epochs`, and None if
        fewer than half of the runs reach the target.
    """
    diverged = int(np.isnan(history["val_loss"][-1]).sum())
    last = {name: history[name][-1] for name in ("loss", "accuracy", "val_loss", "val_accuracy")}
    last |= {"test_loss": test_loss, "test_accuracy": test_accuracy}
    summary: dict[str, float | int | None] = {}
    for name, values in last.items():
        summary[name] = None if diverged else round(float(np.mean(values, dtype=np.float64)), 6)
        if name in ("val_accuracy", "test_accuracy"):
            known = not diverged and len(values) > 1
            summary[f"{name}_sd"] = round(float(np.std(values, ddof=1, dtype=np.float64)), 6) if known else None
    median = median_epochs(epochs_to_target(history["val_accuracy"], target))
    summary["epochs_to_target"] = int(median) if np.isfinite(median) else None
    summary["diverged"] = diverged
    return summary


def history_rows(epoch: int, seeds: Sequence[int], figures: Mapping[str, np.ndarray]) -> str:
    """Write one epoch as CSV: for each run a row of seed, epoch and the figures [runs] to 6 significant digits."""
    columns = zip(*figures.values(), strict=True)
    rows = (f"{seed},{epoch},{','.join(f'{v:.6g}' for v in run)}\n" for seed, run in zip(seeds, columns, strict=True))
    return "".join(rows)


def progress_line(name: str, epochs: Sequence[Mapping[str, np.ndarray]], total: int, clock: Sequence[float]) -> str:
    """Say how far a training is: means over the runs that have not diverged, and the time left.

    Args:
        name: of the optimizer.
        epochs: figures [runs] of every epoch so far.
        total: epochs to come in all.
        clock: seconds at the start and after each epoch so far.
    """
    latest = epochs[-1]
    going = np.isfinite(latest["val_loss"])
    means = {key: latest[key][going].mean() if going.any() else np.nan for key in ("loss", "val_accuracy")}
    left = np.median(np.diff(clock)) * (total - len(epochs))  # the median: the first epoch includes compilation
    diverged = "" if going.all() else f"  {np.sum(~going)} of {going.size} runs diverged"
    return (
        f"{name}  epoch {len(epochs)}/{total}  loss {means['loss']:.4f}  val_accuracy {means['val_accuracy']:.4f}"
        f"  {left:.0f} s left{diverged}"
    )
