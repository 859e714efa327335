"""Claims about the numbers that judge a training."""

import json

import numpy as np
import pytest

from descent.data.datasets import Dataset, Split
from descent.runs import metrics
from descent.training.measurements import MEASUREMENTS, Run
from descent.training.settings import TrainingParameters

NAN = float("nan")


def history(val_accuracy):
    """A history in which every measurement moves like val_accuracy, [epochs][runs]."""
    values = np.array(val_accuracy, dtype=float)
    return {"loss": 1 - values, "accuracy": values, "val_loss": 1 - values, "val_accuracy": values}


def test_first_epoch_at_the_target_counts_and_a_diverged_one_reaches_nothing():
    epochs = metrics.epochs_to_target(np.array([[0.5, 0.9, 0.1], [0.9, 0.8, 0.2], [0.95, 0.7, 0.3]]), 0.9)
    assert epochs.tolist() == [2, 1, np.inf]
    assert metrics.epochs_to_target(np.array([[0.4], [NAN], [NAN]]), 0.5).tolist() == [np.inf]


@pytest.mark.parametrize(
    ("epochs", "median"),
    [([3], 3), ([3, np.inf], 3), ([np.inf, 3, np.inf], np.inf), ([5, 2, 4], 4), ([2, 4, 6, 8], 4)],
)
def test_median_is_the_epoch_by_which_half_of_the_runs_were_there(epochs, median):
    assert metrics.median_epochs(np.array(epochs, dtype=float)) == median


def settings(last_epochs, target, runs=2):
    values = {"epochs": 3, "batch_size": 1, "runs": runs, "last_epochs": last_epochs}
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
    summary = metrics.summarize(history([[0.5]]), np.array([0.3]), np.array([0.8]), settings(1, 0.6, 1))
    assert summary["val_accuracy"] == 0.5
    assert summary["val_accuracy_sd"] is None
    assert summary["epochs_to_target"] is None


def run(seed, accuracies, hits):
    """A run whose every measurement is the accuracy of the epoch, and that classified these examples."""
    values = np.array(accuracies, dtype=float)
    history = dict.fromkeys(MEASUREMENTS, values)
    last = values[-1]
    return Run(seed, 1.0, 0.1, history, np.array(hits, dtype=bool), (1 - last, last), None, 1.0, {"device": "CPU"})


def document(*runs, last_epochs=2):
    parameters = settings(last_epochs, 0.6)
    examples = Split(np.zeros((3, 2), "float32"), np.zeros(3, "int32"))
    return json.loads(metrics.document(runs, Dataset(examples, examples, examples, 2), parameters))


def test_validation_hits_are_counted_over_all_runs_in_the_last_epochs():
    none, one, both = [False] * 3, [True, False, False], [True, True, False]
    written = document(run(0, [0.1, 0.2, 0.4], [both, one, both]), run(1, [0.1, 0.3, 0.5], [both, none, both]))
    [details] = written["details"]
    assert details["val_hits"] == [3, 2, 0]
    assert details["examples"] == {"train": 3, "validation": 3, "test": 3}
    assert details["test_accuracy"] == [0.4, 0.5]
    assert details["environment"] == {"device": "CPU"}


def test_nothing_is_told_of_a_diverged_run():
    [details] = document(run(0, [0.2, 0.2], [[1] * 3] * 2), run(1, [0.3, NAN], [[1] * 3] * 2))["details"]
    assert details["val_hits"] is None
    assert details["test_accuracy"] == [0.2, None]


def test_history_has_a_row_for_each_epoch_and_seed():
    lines = metrics.history_csv([run(0, [0.123456789, NAN], []), run(7, [1, 0.5], [])]).decode().splitlines()
    assert (
        lines[0]
        == "seed,epoch,loss,accuracy,val_loss,val_accuracy,distance,weight_norm,relative_change,unchanged_weights"
    )
    assert [line.split(",")[:3] for line in lines[1:]] == [
        ["0", "1", "0.123457"], ["7", "1", "1"], ["0", "2", "nan"], ["7", "2", "0.5"],
    ]  # fmt: skip


def test_machines_that_differ_are_all_named():
    found = metrics.merged([{"cpu": "a", "python": "3"}, {"cpu": "b", "python": "3"}])
    assert found == {"cpu": "a | b", "python": "3"}
