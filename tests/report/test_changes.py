"""Two revisions compared: what is more than noise, and which conditions differ."""

import json
import re

import pytest
import synthetic
from ruamel.yaml import YAML
from scipy import stats

from descent.analysis import records
from descent.core.parameters import InputError
from descent.report import changes
from descent.report.changes import render_line, render_table

NAMES = ("adam", "rmsprop", "sgd")


def files(levels=None, runs=3, environment=None, noise=0.001, **parameters):
    """Path -> content of a revision with these optimizers at these levels."""
    levels = dict.fromkeys(NAMES) | (levels or {})
    document = YAML(typ="safe").load(synthetic.ROOT / "params.yaml")
    document["training"] |= {"epochs": synthetic.EPOCHS, "last_epochs": synthetic.LAST_EPOCHS, "runs": runs}
    document["race"]["looks"] = [runs]
    document["optimizers"] = {name: {"class_name": "SGD", "config": {"momentum": 0.0}} for name in levels}
    for path, value in parameters.items():
        *sections, key = path.split("__")
        section = document
        for name in sections:
            section = section[name]
        section[key] = value
    found = {"params.yaml": json.dumps(document)}  # JSON is YAML
    details = {"environment": environment} if environment else {}
    for name, level in levels.items():
        level = level or synthetic.LEVELS[name]
        found[f"results/history/{name}.csv"] = synthetic.history_text(level, runs, noise=noise)
        found[f"results/metrics/{name}.json"] = synthetic.metrics_text(level, runs, **details)
    return found


def revision(changed=(), **options):
    return records.read_results((files(**options) | dict(changed)).__getitem__)


def verdicts(before, after):
    return {row.optimizer: row.verdict for row in changes.changes(before, after)}


def test_equal_runs_are_the_same_whatever_the_spelling_of_numbers():
    other = revision(training__target_val_accuracy=9.3e-1)
    assert verdicts(revision(), other) == dict.fromkeys(NAMES, "same runs")


def test_a_change_beyond_noise_is_told_from_one_within_at_a_level_shared_by_those_that_differ():
    before, after = revision(), revision(levels={"adam": 0.9502, "sgd": 0.87})
    assert verdicts(before, after) == {"adam": "within noise", "rmsprop": "same runs", "sgd": "beyond noise"}
    (row,) = [row for row in changes.changes(before, after) if row.optimizer == "sgd"]
    expected = stats.ttest_ind(row.after, row.before, equal_var=False).confidence_interval(1 - 0.05 / 2)
    assert (row.low, row.high) == pytest.approx((expected.low, expected.high))
    assert row.change == pytest.approx(0.02, abs=0.002)


def test_unequal_numbers_of_runs_are_compared():
    more = revision(levels={"sgd": 0.87}, runs=5)
    text = render_table(revision(), more, ("main", "more"), "simple")
    assert verdicts(revision(), more)["sgd"] == "beyond noise"
    assert all(number in text for number in ("(n = 3)", "(n = 5)"))


def test_a_change_that_few_runs_cannot_confirm_is_not_called_noise():
    far = revision(levels={"sgd": 0.3}, runs=1, noise=0.2)
    assert verdicts(revision(), far)["sgd"] == "1 run cannot tell"
    line = render_line(revision(), far._replace(conditions=revision().conditions), ("HEAD", "workspace"))
    assert re.search("too few runs to tell for .*sgd; commit", line)


def test_a_diverged_run_is_said_and_not_averaged_away():
    diverged = revision(
        {
            "results/history/sgd.csv": synthetic.history_text(0.85, diverged_seed=1),
            "results/metrics/sgd.json": synthetic.metrics_text(0.85, diverged_seed=1),
        }
    )
    assert verdicts(revision(), diverged)["sgd"] == "diverged"
    assert "nan" not in render_table(revision(), diverged, ("main", "other"), "simple")
    assert "sgd" in render_line(revision(), diverged, ("main", "other")).split("but not ")[1]


def test_parameters_that_differ_are_named_with_both_values_but_for_those_that_decide_no_result():
    undecided = {"report__confidence": 0.9, "race__looks": [3, 6], "trajectories__steps": 7}
    config = {"momentum": 0.9, "nesterov": True}
    other = revision(optimizers__adam__config=config, data__train_size=100, **undecided)
    assert changes.differing_parameters(revision(), other, ("main", "lion")) == [
        "data.train_size: 8192 -> 100",
        "optimizers.adam.config.momentum: 0.0 -> 0.9",
        "optimizers.adam.config.nesterov: none -> True",
    ]


def test_an_optimizer_that_one_side_lacks_is_named_and_not_compared():
    more = revision(levels={"own": None})
    assert set(verdicts(revision(), more)) == set(NAMES)
    for sides, names in (((revision(), more), ("main", "lion")), ((more, revision()), ("lion", "main"))):
        assert changes.differing_parameters(*sides, names) == ["own only in lion"]


def test_environment_that_differs_is_named_with_both_values_and_the_optimizers():
    other = revision(environment={"device": "GPU", "avx512": True})
    assert changes.differing_environment(revision(), other) == [
        "cpu family: 6 -> not recorded",
        "device: CPU -> GPU",
    ]
    of_sgd = synthetic.metrics_text(0.85, environment={**synthetic.ENVIRONMENT, "n": 2})
    partly = revision({"results/metrics/sgd.json": of_sgd})
    assert changes.differing_environment(revision(), partly) == ["n: not recorded -> 2 (sgd)"]


def test_report_of_the_workspace_takes_the_place_of_one_with_other_keys():
    old = files(report={"old_key": 1}).__getitem__
    with pytest.raises(InputError, match="old_key"):
        records.read_results(old)
    report = revision().conditions.report
    assert records.read_results(old, report).conditions.report is report


def test_table_holds_what_changed_and_the_rest_is_named():
    other = revision(levels={"sgd": 0.87}, training__batch_size=64)
    text = render_table(revision(), other, ("main", "lr"), "pipe")
    head, _, row, _, same, _, parameters = text.splitlines()
    heads = ["Validation accuracy, %", "main", "lr", "Change, points", "95 %", "Verdict"]
    assert [cell.strip() for cell in head.strip("|").split("|")] == heads
    assert row.startswith("| sgd ")
    assert row.endswith("| beyond noise |")
    assert same == "Same runs to the last digit: adam, rmsprop."
    assert parameters == "Parameters: training.batch_size: 128 -> 64."


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({}, ""),
        (
            {"environment": synthetic.ENVIRONMENT | {"caches": "L2 1K", "device_name": "other"}},
            "Results equal the committed ones to the last digit (device_name: not recorded -> other).",
        ),
        (
            {"environment": synthetic.ENVIRONMENT | {"device": "GPU"}, "levels": {"adam": 0.9502, "sgd": 0.8502}},
            "Results differ from the committed ones (device: CPU -> GPU): 3 of 3 optimizers agree within noise; commit "
            "yours as the baseline, then compare.",
        ),
        (
            {"levels": {"sgd": 0.87}},
            "Results differ from the committed ones (no recorded condition does): 2 of 3 optimizers agree within "
            "noise, but not sgd; commit yours as the baseline, then compare.",
        ),
        (
            {"training__batch_size": 64},
            "Parameters differ from those of the committed results (training.batch_size: 128 -> 64): "
            "python -m stages.diff HEAD shows what that changed.",
        ),
    ],
    ids=["same", "other CPU, named once", "agree elsewhere", "unexplained", "other parameters"],
)
def test_line_says_whether_results_agree_with_the_committed_ones(options, line):
    assert render_line(revision(), revision(**options), ("HEAD", "workspace")) == line
