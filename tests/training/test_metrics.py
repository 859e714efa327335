"""Claims about the numbers that judge a training."""

import json

import numpy as np
import pytest

from descent.runs import metrics
from descent.training.run import Epoch
from descent.training.settings import TrainingParameters

NAN = float("nan")


def history(val_accuracy):
    """A history in which every measurement moves like val_accuracy, [epochs][runs]."""
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


def settings(last_epochs, target, seeds=(0, 1)):
    values = {"epochs": 3, "batch_size": 1, "seeds": list(seeds), "last_epochs": last_epochs}
    return TrainingParameters(**values, target_val_accuracy=target)


def test_summary_is_of_the_last_epochs_and_its_spread_that_of_the_runs():
    runs = history([[0.1, 0.2], [0.4, 0.8], [0.6, 0.6]])
    summary = metrics.summarize(runs, np.array([0.3, 0.5]), np.array([0.8, 0.9]), settings(2, 0.6))
    assert summary == {
        "loss": 0.4,
        "accuracy": 0.6,
        "val_loss": 0.4,
        "val_accuracy": 0.6,
        "val_accuracy_sd": 0.141421,  # of 0.5 and 0.7
        "test_loss": 0.4,
        "test_accuracy": 0.85,
        "epochs_to_target": 2,
        "diverged": 0,
    }


def test_diverged_run_is_counted_and_never_averaged_away():
    runs = history([[0.9, 0.2], [0.9, 0.3], [0.9, NAN]])
    summary = metrics.summarize(runs, np.array([0.3, NAN]), np.array([0.8, NAN]), settings(1, 0.6))
    assert summary["diverged"] == 1
    assert summary["val_accuracy"] is summary["test_accuracy"] is summary["val_accuracy_sd"] is None
    assert summary["epochs_to_target"] == 1


def test_one_run_has_no_spread():
    summary = metrics.summarize(history([[0.5]]), np.array([0.3]), np.array([0.8]), settings(1, 0.6, [0]))
    assert summary["val_accuracy"] == 0.5
    assert summary["val_accuracy_sd"] is None
    assert summary["epochs_to_target"] is None


def epoch(val_accuracy, val_hits):
    values = np.array(val_accuracy, dtype=float)
    return Epoch(dict.fromkeys(metrics.MEASUREMENTS, values), np.array(val_hits, dtype=bool))


def document(*epochs, last_epochs=2):
    test = np.array([0.25, 0.5])
    written = metrics.document(
        epochs, test, test, {"train": 5, "test": 4}, settings(last_epochs, 0.6), {"device": "CPU"}
    )
    return json.loads(written)


def test_details_stand_in_a_list_and_count_the_hits_of_the_last_epochs():
    none, one, both = [[0, 0, 0]] * 2, [[1, 0, 0], [0, 0, 0]], [[1, 1, 0]] * 2
    written = document(epoch([0.1, 0.1], both), epoch([0.2, 0.3], one), epoch([0.4, 0.5], both), last_epochs=2)
    [details] = written["details"]
    assert details["val_hits"] == [3, 2, 0]
    assert details["test_accuracy"] == [0.25, 0.5]
    assert details["environment"] == {"device": "CPU"}
    assert written["val_accuracy"] == pytest.approx(0.35)
    assert document(epoch([0.1, 0.1], none), last_epochs=1)["details"][0]["val_hits"] == [0, 0, 0]


def test_hits_and_test_figures_of_a_diverged_run_are_not_told():
    [details] = document(epoch([0.2, 0.3], [[1], [1]]), epoch([0.2, NAN], [[1], [0]]))["details"]
    assert details["val_hits"] is None
    assert details["test_accuracy"] == [0.25, None]


def test_history_rows_are_one_per_seed():
    rows = metrics.history_rows(3, [0, 7], {"loss": np.array([0.123456789, NAN]), "accuracy": np.array([1, 0.5])})
    assert rows == "0,3,0.123457,1\n7,3,nan,0.5\n"


def test_progress_tells_the_time_left_once_an_epoch_ran_that_did_not_compile_and_who_diverged():
    epochs = [epoch([1.0, 1.0], [[0], [0]]), *[epoch([0.5, NAN], [[0], [0]])] * 2]
    line = metrics.progress_line("adam", epochs, 10, [30, 2, 2])
    measured = "loss 0.5000  val_accuracy 0.5000  means over seeds, n = 1"
    assert line == f"adam  epoch 3/10  {measured}  14 s left  1 of 2 runs diverged"
    assert "left" not in metrics.progress_line("adam", epochs[:1], 10, [30])
