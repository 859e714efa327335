"""Two revisions compared: what is more than noise, and which conditions differ."""

import json
import re

import numpy as np
import pytest
import synthetic
from ruamel.yaml import YAML
from scipy import stats

from descent.analysis import revisions
from descent.core.parameters import InputError
from descent.report import changes

NAMES = ("adam", "rmsprop", "sgd")


def files(levels=None, seeds=(0, 1, 2), environment=None, noise=0.001, **parameters):
    """Path -> content of a revision with these optimizers at these levels."""
    levels = dict.fromkeys(NAMES) | (levels or {})
    document = YAML(typ="safe").load(synthetic.ROOT / "params.yaml")
    document["training"] |= {"epochs": synthetic.EPOCHS, "last_epochs": synthetic.LAST_EPOCHS, "seeds": list(seeds)}
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
        found[f"results/history/{name}.csv"] = synthetic.history_text(level, seeds, noise=noise)
        found[f"results/metrics/{name}.json"] = synthetic.metrics_text(level, seeds, **details)
    return found


def revision(name="main", **options):
    return revisions.read_revision(name, files(**options).__getitem__)


def verdicts(before, after):
    return {row.optimizer: row.verdict for row in changes.changes(before, after, 0.95)}


def test_equal_revisions_have_the_same_runs():
    assert verdicts(revision(), revision()) == dict.fromkeys(NAMES, "same runs")


def test_order_of_seeds_and_spelling_of_numbers_are_no_change():
    other = revision(seeds=(2, 0, 1), training__target_val_accuracy=9.3e-1)
    assert set(verdicts(revision(), other).values()) == {"same runs"}


def test_a_change_beyond_noise_is_told_from_one_within():
    found = verdicts(revision(), revision(levels={"adam": 0.9502, "sgd": 0.87}))
    assert found == {"adam": "within noise", "rmsprop": "same runs", "sgd": "beyond noise"}


def test_interval_is_scipys_at_a_level_shared_by_those_that_differ():
    before, after = revision(), revision(levels={"adam": 0.9502, "sgd": 0.87})
    (row,) = [row for row in changes.changes(before, after, 0.95) if row.optimizer == "sgd"]
    expected = stats.ttest_ind(row.after, row.before, equal_var=False).confidence_interval(1 - 0.05 / 2)
    assert (row.low, row.high) == pytest.approx((expected.low, expected.high))
    assert row.change == pytest.approx(0.02, abs=0.002)


def test_intervals_of_equal_revisions_hold_together_as_often_as_they_say():
    generator = np.random.default_rng(0)
    before = revision()
    disagreeing = 0
    for _ in range(1000):
        drawn = [before._replace(runs={name: generator.normal(0.9, 0.01, 5) for name in NAMES}) for _ in range(2)]
        others = {name: left._replace(test_accuracy=np.zeros(3)) for name, left in before.trainings.items()}
        found = verdicts(drawn[0], drawn[1]._replace(trainings=others))
        disagreeing += "beyond noise" in found.values()
    assert disagreeing / 1000 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 1000)


def test_other_numbers_of_runs_are_compared_and_one_run_tells_nothing():
    more = revision(levels={"sgd": 0.87}, seeds=(0, 1, 2, 3, 4))
    assert verdicts(revision(), more)["sgd"] == "beyond noise"
    assert "(n = 3)" in changes.told(revision(), more, 0.95, "simple")
    assert "(n = 5)" in changes.told(revision(), more, 0.95, "simple")
    single = revision(levels={"sgd": 0.87}, seeds=(0,))
    assert verdicts(revision(), single)["sgd"] == "unknown"


def test_spreads_below_one_image_tell_nothing():
    before, after = revision(noise=0), revision(levels={"sgd": 0.87}, noise=0)
    assert verdicts(before, after)["sgd"] == "unknown"


def test_a_diverged_run_is_said_and_not_averaged_away():
    content = files()
    content["results/history/sgd.csv"] = synthetic.history_text(0.85, diverged_seed=1)
    content["results/metrics/sgd.json"] = synthetic.metrics_text(0.85, diverged_seed=1)
    diverged = revisions.read_revision("other", content.__getitem__)
    assert verdicts(revision(), diverged)["sgd"] == "diverged"
    text = changes.told(revision(), diverged, 0.95, "simple")
    assert "nan" not in text
    assert "sgd" in changes.brief(revision(), diverged, 0.95).split("but not ")[1]


def test_parameters_that_differ_are_named_with_both_values():
    other = revision(optimizers__adam__config={"momentum": 0.9, "nesterov": True}, data__train_size=100)
    assert revisions.differing_parameters(revision(), other) == [
        "data.train_size: 8192 -> 100",
        "optimizers.adam.config.momentum: 0.0 -> 0.9",
        "optimizers.adam.config.nesterov: none -> True",
    ]


def test_parameters_of_the_report_and_of_pictures_decide_no_result():
    assert revisions.differing_parameters(revision(), revision(report__confidence=0.9, trajectories__steps=7)) == []


def test_an_optimizer_that_one_side_lacks_is_named_and_not_compared():
    more = revision("lion", levels={"own": None})
    assert set(verdicts(revision(), more)) == set(NAMES)
    assert revisions.differing_parameters(revision(), more) == ["own only in lion"]
    assert revisions.differing_parameters(more, revision()) == ["own only in lion"]


def test_environment_that_differs_is_named_with_both_values_and_the_optimizers():
    other = revision(environment={"device": "GPU", "avx512": True})
    assert revisions.differing_environment(revision(), other) == [
        "cpu family: 6 -> not recorded",
        "device: CPU -> GPU",
    ]
    content = files()
    content["results/metrics/sgd.json"] = synthetic.metrics_text(0.85, environment={**synthetic.ENVIRONMENT, "n": 2})
    partly = revisions.read_revision("other", content.__getitem__)
    assert revisions.differing_environment(revision(), partly) == ["n: not recorded -> 2 (sgd)"]


@pytest.mark.parametrize(
    ("path", "content", "message"),
    [
        ("params.yaml", "[]", "params.yaml: not the parameters"),
        ("params.yaml", "{", "params.yaml: not the parameters"),
        ("params.yaml", "{}", "params.yaml: data.file: missing"),
        ("results/history/adam.csv", "", "results/history/adam.csv: expected"),
        ("results/metrics/adam.json", '{"val_accuracy": 0.9}', "results/metrics/adam.json: damaged: details"),
    ],
)
def test_what_is_damaged_is_refused_by_revision_and_file(path, content, message):
    with pytest.raises(InputError, match=f"^old: {re.escape(message)}"):
        revisions.read_revision("old", (files() | {path: content}).__getitem__)


def test_told_is_a_table_of_what_changed_and_names_the_rest():
    text = changes.told(revision(), revision("lr", levels={"sgd": 0.87}, training__batch_size=64), 0.95, "pipe")
    head, rule, row, _, same, _, parameters = text.splitlines()
    assert [cell.strip() for cell in head.strip("|").split("|")] == [
        "Validation accuracy, %", "main", "lr", "Change, points", "95 %", "Verdict",
    ]  # fmt: skip
    assert set(rule) == set("|:-")
    assert row.startswith("| sgd ")
    assert row.endswith("| beyond noise |")
    assert same == "Same runs to the last digit: adam, rmsprop."
    assert parameters == "Parameters: training.batch_size: 128 -> 64."


def test_brief_says_nothing_where_results_are_the_same():
    assert changes.brief(revision("HEAD"), revision(), 0.95) == ""


def test_brief_says_which_optimizers_agree_on_another_machine():
    other = {"device": "GPU"} | {key: synthetic.ENVIRONMENT[key] for key in ("cpu family", "avx512")}
    within = revision(levels={"adam": 0.9502, "sgd": 0.8502}, environment=other)
    assert changes.brief(revision("HEAD"), within, 0.95) == (
        "Results differ from the committed ones (device: CPU -> GPU): 3 of 3 optimizers agree within noise; "
        "commit yours as the baseline, then compare."
    )
    beyond = revision(levels={"adam": 0.9502, "sgd": 0.87}, environment=other)
    assert "2 of 3 optimizers agree within noise, but not sgd; commit" in changes.brief(revision("HEAD"), beyond, 0.95)


def test_brief_says_when_another_machine_gives_the_same_and_when_no_condition_explains_a_difference():
    same = changes.brief(revision("HEAD"), revision(environment={**synthetic.ENVIRONMENT, "device": "GPU"}), 0.95)
    assert same == "Results equal the committed ones to the last digit (device: CPU -> GPU)."
    unexplained = changes.brief(revision("HEAD"), revision(levels={"sgd": 0.87}), 0.95)
    assert unexplained.startswith("Results differ from the committed ones (no recorded condition does): 2 of 3")


def test_brief_does_not_call_a_change_of_parameters_another_baseline():
    text = changes.brief(revision("HEAD"), revision(levels={"sgd": 0.87}, training__batch_size=64), 0.95)
    assert text == (
        "Parameters differ from those of the committed results (training.batch_size: 128 -> 64): "
        "python -m stages.diff HEAD tells what that changed."
    )
