"""The tables of the report, in numbers, from synthetic trainings."""

import json
import math

import numpy as np
import pytest
import synthetic

from descent.analysis import statistics, tables
from descent.training.run import DIAGNOSTICS


def histories(**options):
    return {name: training.history for name, training in synthetic.trainings(**options).items()}


def ranked(trained, seeds=(0, 1, 2)):
    """What the tables are made from: final accuracies, trainings and conditions."""
    return tables.best_first(trained), trained, synthetic.conditions(seeds)


def judged(seeds=(0, 1, 2), **options):
    return ranked(synthetic.trainings(seeds, **options), seeds)


def test_curves_are_sorted_and_hold_mean_and_interval_of_each_epoch():
    trained = histories()
    rows = tables.curves(trained, 0.95)
    assert [row[:3] for row in rows] == sorted(
        (name, split, epoch)
        for name in synthetic.LEVELS
        for split in ("train", "val")
        for epoch in range(1, synthetic.EPOCHS + 1)
    )
    (row,) = [row for row in rows if row[:3] == ("adam", "val", 3)]
    runs = trained["adam"]["val_accuracy"][2]
    half = 4.302653 * runs.std(ddof=1) / math.sqrt(3)  # Student's t at 97.5 % and 2 degrees of freedom
    assert (row.accuracy, row.accuracy_low, row.accuracy_high) == pytest.approx(
        (runs.mean(), runs.mean() - half, runs.mean() + half)
    )
    assert row.loss == pytest.approx(trained["adam"]["val_loss"][2].mean())


def test_curves_of_a_diverged_optimizer_end_where_it_diverged():
    rows = [row for row in tables.curves(histories(diverged="adam"), 0.95) if row[:2] == ("adam", "val")]
    assert [math.isnan(row.accuracy) for row in rows] == [False, False, True, True]


def test_diagnostics_are_means_over_the_runs():
    trained = histories()
    (row,) = [row for row in tables.diagnostics(trained) if row[:2] == ("own", 2)]
    assert row._asdict() == {"optimizer": "own", "epoch": 2} | {
        name: trained["own"][name][1].mean() for name in DIAGNOSTICS
    }


def test_final_accuracies_come_best_first_and_the_diverged_last():
    runs, trained, _ = judged(diverged="rmsprop")
    assert list(runs) == ["adam", "own", "sgd", "rmsprop"]
    last_two = trained["adam"].history["val_accuracy"][-2:]
    assert runs["adam"] == pytest.approx(last_two.mean(axis=0), abs=1e-6)


def test_ranking_says_who_may_be_best_and_what_each_may_cost():
    rows = {row.optimizer: row for row in tables.ranking(*judged())}
    assert list(rows) == ["rmsprop", "adam", "own", "sgd"]
    assert [row.may_be_best for row in rows.values()] == ["yes", "yes", "no", "no"]
    assert rows["sgd"].behind_at_least > rows["own"].behind_at_least > 0.04
    assert 0 < rows["adam"].behind_at_most < 0.01 < rows["own"].behind_at_most < rows["sgd"].behind_at_most
    assert rows["sgd"].clearest_rival in ("rmsprop", "adam")


def test_a_diverged_run_disqualifies_and_the_rest_is_compared_as_if_it_were_not_there():
    with_it = {row.optimizer: row for row in tables.ranking(*judged(diverged="adam"))}
    without = {row.optimizer: row for row in tables.ranking(*judged(names=("sgd", "rmsprop", "own")))}
    diverged = with_it.pop("adam")
    assert with_it == without
    assert (diverged.may_be_best, diverged.diverged, diverged.runs) == ("diverged", 1, 3)
    assert np.isnan([diverged.val_accuracy, diverged.behind_at_most, diverged.test_accuracy]).all()


@pytest.mark.parametrize("options", [{"seeds": (5,)}, {"names": ("adam",)}], ids=["one run", "one optimizer"])
def test_without_runs_or_rivals_nothing_is_known(options):
    rows = tables.ranking(*judged(**options))
    assert {row.may_be_best for row in rows} == {"unknown"}
    assert np.isnan([row.behind_at_most for row in rows]).all()


def test_ranking_counts_the_runs_that_reach_the_target_and_misses_as_infinite():
    rows = {row.optimizer: row for row in tables.ranking(*judged())}
    assert (rows["adam"].reached, rows["adam"].epochs_to_target) == (3, 4)
    assert (rows["sgd"].reached, rows["sgd"].epochs_to_target, rows["sgd"].runs) == (0, math.inf, 3)


def test_optimizers_with_the_same_runs_are_named():
    trained = synthetic.trainings()
    trained |= {"twin": trained["adam"], "another": trained["adam"]}
    rows = {row.optimizer: row.same_as for row in tables.ranking(*ranked(trained))}
    assert rows.pop("adam") == "another, twin"
    assert rows.pop("twin") == "adam, another"
    assert set(rows) - {"another"} == {name for name, same_as in rows.items() if same_as == ""}


def test_test_accuracy_is_summed_up_over_its_runs():
    (row,) = [row for row in tables.ranking(*judged()) if row.optimizer == "adam"]
    assert (row.test_accuracy, row.test_accuracy_sd) == pytest.approx((0.971, 0.001))


def test_leads_are_positive_and_of_every_pair_once():
    rows = tables.leads(*judged())
    order = ["rmsprop", "adam", "own", "sgd"]
    assert [(row.ahead, row.behind) for row in rows] == [
        (ahead, behind) for i, ahead in enumerate(order) for behind in order[i + 1 :]
    ]
    for row in rows:
        assert row.lead >= 0
        assert (
            row.low_other_images <= row.low < row.at_least < row.lead < row.at_most < row.high <= row.high_other_images
        )


def test_other_images_make_leads_less_sure_where_optimizers_differ_on_images():
    rows = {(row.ahead, row.behind): row for row in tables.leads(*judged())}
    added = rows["rmsprop", "sgd"].low - rows["rmsprop", "sgd"].low_other_images
    assert added > 0.01  # a tenth of the images is right under one and wrong under the other


def test_two_runs_give_the_set_and_no_simultaneous_interval():
    rows = tables.leads(*judged((0, 1)))
    assert np.isfinite([row.at_least for row in rows]).all()
    assert np.isnan([(row.low, row.high, row.low_other_images) for row in rows]).all()


def test_a_diverged_optimizer_leads_none_and_is_led_by_none():
    rows = tables.leads(*judged(diverged="adam"))
    assert len(rows) == 3
    assert "adam" not in {name for row in rows for name in row[:2]}


def test_levels_are_those_of_the_confidence():
    runs, trained, conditions = judged()
    wider = conditions._replace(report=conditions.report.model_copy(update={"confidence": 0.99}))
    for usual, other in zip(tables.leads(runs, trained, conditions), tables.leads(runs, trained, wider), strict=True):
        assert other.at_least < usual.at_least
        assert other.low < usual.low


def test_only_optimizers_without_a_diverged_run_are_compared():
    runs = {"a": np.array([0.9, math.nan]), "b": np.array([0.8, 0.9])}
    assert list(tables.compared_of(runs)) == ["b"]


def test_accuracies_in_percent_are_sorted_by_name_and_without_the_diverged():
    rows = tables.ranking(*judged(diverged="adam"))
    found = json.loads(tables.accuracy_json(rows))
    assert list(found) == ["own", "rmsprop", "sgd"]
    assert found == {row.optimizer: round(100 * row.val_accuracy, 2) for row in rows if row.optimizer in found}


def test_csv_says_that_it_has_no_rows_and_holds_numbers_that_read_back():
    assert tables.csv_text(("a", "b"), []) == "a,b\nnone,none\n"  # DVC would fail to plot a header alone
    text = tables.csv_text(("name", "x", "n"), [("q", 1 / 3, 3), ("r", math.nan, 4), ("s", math.inf, 5)])
    assert text == "name,x,n\nq,0.333333,3\nr,nan,4\ns,inf,5\n"


def test_leads_and_set_agree():
    runs, trained, conditions = judged()
    found = statistics.best_set(list(runs.values()), 0.95, 1 / synthetic.IMAGES)
    out = {row.behind for row in tables.leads(runs, trained, conditions) if row.at_least > 0}
    assert out == {name for name, is_in in zip(runs, found.in_best_set, strict=True) if not is_in}
