"""Claims about the figures that judge a training."""

import numpy as np
import pytest

from descent.training import metrics

NAN = float("nan")


def history(val_accuracy):
    """A history in which every figure moves like val_accuracy, [epochs][runs]."""
    values = np.array(val_accuracy, dtype=float)
    return {"loss": 1 - values, "accuracy": values, "val_loss": 1 - values, "val_accuracy": values}


def test_first_epoch_at_the_target_counts():
    epochs = metrics.epochs_to_target(np.array([[0.5, 0.9, 0.1], [0.9, 0.8, 0.2], [0.95, 0.7, 0.3]]), 0.9)
    assert epochs.tolist() == [2, 1, np.inf]


def test_diverged_epoch_reaches_nothing():
    assert metrics.epochs_to_target(np.array([[0.5], [NAN], [NAN]]), 0.5).tolist() == [1]
    assert metrics.epochs_to_target(np.array([[0.4], [NAN], [NAN]]), 0.5).tolist() == [np.inf]


@pytest.mark.parametrize(
    ("epochs", "median"),
    [([3], 3), ([3, np.inf], 3), ([np.inf, 3, np.inf], np.inf), ([5, 2, 4], 4), ([2, 4, 6, 8], 4)],
)
def test_median_is_the_epoch_by_which_half_of_the_runs_were_there(epochs, median):
    assert metrics.median_epochs(np.array(epochs, dtype=float)) == median


def test_summary_takes_means_and_spread_over_runs_at_the_last_epoch():
    summary = metrics.summarize(history([[0.1, 0.2], [0.5, 0.7]]), np.array([0.3, 0.5]), np.array([0.8, 0.9]), 0.6)
    assert summary == {
        "loss": 0.4,
        "accuracy": 0.6,
        "val_loss": 0.4,
        "val_accuracy": 0.6,
        "val_accuracy_sd": 0.141421,
        "test_loss": 0.4,
        "test_accuracy": 0.85,
        "test_accuracy_sd": 0.070711,
        "epochs_to_target": 2,
        "diverged": 0,
    }


def test_diverged_run_is_counted_and_never_averaged_away():
    summary = metrics.summarize(history([[0.9, 0.2], [0.9, NAN]]), np.array([0.3, NAN]), np.array([0.8, NAN]), 0.6)
    assert summary["diverged"] == 1
    assert summary["val_accuracy"] is summary["test_accuracy"] is summary["val_accuracy_sd"] is None
    assert summary["epochs_to_target"] == 1


def test_one_run_has_no_spread():
    summary = metrics.summarize(history([[0.5]]), np.array([0.3]), np.array([0.8]), 0.6)
    assert summary["val_accuracy"] == 0.5
    assert summary["val_accuracy_sd"] is None
    assert summary["epochs_to_target"] is None


def test_history_rows_are_one_per_seed():
    rows = metrics.history_rows(3, [0, 7], {"loss": np.array([0.123456789, NAN]), "accuracy": np.array([1, 0.5])})
    assert rows == "0,3,0.123457,1\n7,3,nan,0.5\n"


def test_progress_tells_the_time_left_and_who_diverged():
    epochs = [
        {"loss": np.array([1.0, NAN]), "val_loss": np.array([1.0, NAN]), "val_accuracy": np.array([0.5, NAN])}
    ] * 3
    line = metrics.progress_line("adam", epochs, 10, [0, 30, 32, 34])
    assert line == "adam  epoch 3/10  loss 1.0000  val_accuracy 0.5000  14 s left  1 of 2 runs diverged"
