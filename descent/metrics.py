"""Judges a training from its figures alone; knows nothing of optimizers or networks."""

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
