"""What trainings leave is read strictly: each damage is refused, by the name of the file."""

import csv
import io
import re

import numpy as np
import pytest
import synthetic

from descent.analysis import records
from descent.core.parameters import InputError


def parse(history=None, metrics=None):
    texts = (history or synthetic.history_text(0.9), metrics or synthetic.metrics_text(0.9))
    return records.parse_training(*texts, ("history/adam.csv", "metrics/adam.json"), 3, synthetic.conditions())


def test_history_is_read_by_epoch_and_seed_in_whatever_order_it_stands():
    head, *lines = synthetic.history_text(0.9).splitlines()
    history = parse("\n".join([head, *lines[::-1]])).history
    rows = {(row["seed"], row["epoch"]): row for row in csv.DictReader(io.StringIO("\n".join([head, *lines])))}
    assert history["val_loss"].shape == (synthetic.EPOCHS, 3)
    assert history["val_loss"][2, 1] == float(rows["1", "3"]["val_loss"])
    assert history["unchanged_weights"][0, 2] == float(rows["2", "1"]["unchanged_weights"])


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: "\n",
        lambda text: text[: len(text) // 2],
        lambda text: text.rsplit("\n", 2)[0] + "\n",  # an epoch less of a run
        lambda text: text.replace(",val_loss,", ",loss_of_another,"),
        lambda text: text.replace("0.25", "abc", 1),
        lambda text: text.replace("\n0,1,", "\n7,1,"),  # another seed
        lambda text: text.replace("\n0,1,", "\n1,1,"),  # one seed twice
        lambda text: text.splitlines()[0] + "\n",
    ],
)
def test_a_damaged_history_is_refused_by_name(damage):
    with pytest.raises(InputError, match=r"^history/adam\.csv: damaged, or of other parameters: .*; run dvc repro$"):
        parse(history=damage(synthetic.history_text(0.9)))


@pytest.mark.parametrize(
    ("metrics", "reason"),
    [
        ("{", "line 1"),
        ('{"val_accuracy": 0.9}', "details"),
        (synthetic.metrics_text(0.9, test_accuracy=[0.9, "x", 0.9]), "'x'"),
        (synthetic.metrics_text(0.9, test_accuracy=[0.9, 0.9]), "of 3 runs"),
        (synthetic.metrics_text(0.9, val_hits=[1, 2, 3]), "of 3000 examples"),
        (synthetic.metrics_text(0.9, val_hits=[7] * 3000), "at most 6"),
        (synthetic.metrics_text(0.9, diverged_seed=1), "val_hits"),  # but the history has no such run
    ],
)
def test_damaged_metrics_are_refused_by_name_and_reason(metrics, reason):
    with pytest.raises(InputError, match=rf"^metrics/adam\.json: damaged.*{re.escape(reason)}.*; run dvc repro$"):
        parse(metrics=metrics)


def test_a_diverged_run_has_no_test_accuracy_and_leaves_no_hits():
    diverged = parse(synthetic.history_text(0.9, diverged_seed=1), synthetic.metrics_text(0.9, diverged_seed=1))
    assert diverged.val_shares is None
    assert np.isnan(diverged.test_accuracy).tolist() == [False, True, False]


def test_tutorial_names_are_read_in_lower_case_with_the_last_printed_epoch():
    printed = synthetic.printed()
    assert sorted(printed) == ["adadelta", "adagrad", "adam", "adamax", "nadam", "rmsprop", "sgd"]
    assert (printed["sgd"]["val_accuracy"][-1], printed["rmsprop"]["val_loss"][0]) == (0.8733, 0.3857)
    with pytest.raises(InputError, match=r"^reference\.csv: damaged.* take it from Git again$"):
        records.parse_tutorial("optimizer,epoch\nsgd,1\n", "reference.csv")
