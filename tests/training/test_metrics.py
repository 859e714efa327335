"""Claims about the numbers that judge a training."""

import json

import numpy as np
import pytest

from descent.data.datasets import Dataset, Split
from descent.runs import metrics
from descent.training.measurements import MEASUREMENTS, Run
from descent.training.settings import TrainingParameters

NAN = float("nan")


def test_final_accuracy_is_the_mean_of_the_last_epochs_counted_in_images():
    counted = np.array([[2700, 2700], [2850, 2790], [2853, 2793]])
    written = np.array([[float(f"{hits / 3000:.6g}") for hits in epoch] for epoch in counted])
    of_runs = metrics.SCORES["accuracy"].of_runs
    assert of_runs(written, 3000, 2).tolist() == [2851.5 / 3000, 2791.5 / 3000]
    assert of_runs(written, 3000, 1).tolist() == [0.951, 0.931]
    assert np.isnan(of_runs([[0.9, 0.9], [0.9, NAN]], 3000, 2)).tolist() == [False, True]


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


def run(seed, accuracies, hits=((False,) * 3,) * 3):
    """A run whose every measurement is the accuracy of the epoch, and that classified these examples."""
    values = np.array(accuracies, dtype=float)
    history = dict.fromkeys(MEASUREMENTS, values)
    last = values[-1]
    return Run(seed, 1.0, 0.1, history, np.array(hits, dtype=bool), (1 - last, last), None, 1.0, {"device": "CPU"})


def document(*runs, last_epochs=2):
    values = {"epochs": 3, "batch_size": 1, "runs": 2, "last_epochs": last_epochs}
    parameters = TrainingParameters(**values, target_val_accuracy=0.6)
    examples = Split(np.zeros((3, 2), "float32"), np.zeros(3, "int32"))
    return json.loads(metrics.document(runs, Dataset(examples, examples, examples, 2), parameters))


def test_numbers_are_of_the_last_epochs_and_their_spread_that_of_the_runs():
    written = document(run(0, [0.1, 0.4, 0.6]), run(1, [0.2, 0.8, 0.6]))
    del written["details"]
    assert written == {
        "loss": 0.6,
        "accuracy": 0.6,
        "val_loss": 0.6,
        "val_accuracy": 0.6,
        "val_accuracy_sd": 0.141421,  # of 0.5 and 0.7
        "test_loss": 0.4,
        "test_accuracy": 0.6,
        "epochs_to_target": 2,
        "diverged": 0,
    }


def test_diverged_run_is_counted_and_never_averaged_away():
    written = document(run(0, [0.9, 0.9, 0.9]), run(1, [0.2, 0.3, NAN]), last_epochs=1)
    assert (written["diverged"], written["epochs_to_target"]) == (1, 1)
    assert written["val_accuracy"] is written["test_accuracy"] is written["val_accuracy_sd"] is None
    [details] = written["details"]
    assert details["val_hits"] is None
    assert details["test_accuracy"] == [0.9, None]


def test_validation_hits_are_counted_over_all_runs_in_the_last_epochs():
    none, one, both = [False] * 3, [True, False, False], [True, True, False]
    written = document(run(0, [0.1, 0.2, 0.4], [both, one, both]), run(1, [0.1, 0.3, 0.5], [both, none, both]))
    [details] = written["details"]
    assert details["val_hits"] == [3, 2, 0]
    assert details["examples"] == {"train": 3, "validation": 3, "test": 3}
    assert details["test_accuracy"] == [0.4, 0.5]
    assert details["environment"] == {"device": "CPU"}


def test_history_has_a_row_for_each_epoch_and_seed():
    lines = metrics.history_csv([run(0, [0.123456789, NAN], []), run(7, [1, 0.5], [])]).decode().splitlines()
    assert lines[0] == ",".join(["seed", "epoch", *MEASUREMENTS])
    assert [line.split(",")[:3] for line in lines[1:]] == [
        ["0", "1", "0.123457"], ["7", "1", "1"], ["0", "2", "nan"], ["7", "2", "0.5"],
    ]  # fmt: skip
