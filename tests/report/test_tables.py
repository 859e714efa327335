"""The tables of the comparison, in numbers, from synthetic trainings."""

import json
import math

import numpy as np
import pytest
import synthetic
from scipy import stats

from descent.analysis import tables
from descent.training.measurements import DIAGNOSTICS


def histories(**options):
    return {name: training.history for name, training in synthetic.trainings(**options).items()}


def ranking(*arguments, **options):
    """Optimizer -> its row."""
    return {row.optimizer: row for row in synthetic.findings(*arguments, **options)[0]}


def leads(*arguments, **options):
    return synthetic.findings(*arguments, **options)[1]


def test_curves_are_sorted_and_hold_mean_and_interval_of_each_epoch():
    trained = histories()
    rows = tables.curves(trained, 0.95)
    epochs = range(1, synthetic.EPOCHS + 1)
    expected = [(name, split, epoch) for name in synthetic.LEVELS for split in ("train", "val") for epoch in epochs]
    assert [row[:3] for row in rows] == sorted(expected)
    (row,) = [row for row in rows if row[:3] == ("adam", "val", 3)]
    runs = trained["adam"]["val_accuracy"][2]
    interval = stats.ttest_1samp(runs, 0).confidence_interval(0.95)
    assert (row.accuracy, row.accuracy_low, row.accuracy_high) == pytest.approx((runs.mean(), *interval))
    assert row.loss == pytest.approx(trained["adam"]["val_loss"][2].mean())


def test_curves_of_a_diverged_optimizer_end_where_it_diverged():
    rows = [row for row in tables.curves(histories(diverged="adam"), 0.95) if row[:2] == ("adam", "val")]
    assert [math.isnan(row.accuracy) for row in rows] == [False, False, True, True]


def test_diagnostics_are_means_over_the_runs():
    trained = histories()
    (row,) = [row for row in tables.diagnostics(trained) if row[:2] == ("own", 2)]
    means = {name: trained["own"][name][1].mean() for name in DIAGNOSTICS}
    assert row._asdict() == {"optimizer": "own", "epoch": 2} | means


def test_ranking_says_who_may_be_best_and_how_far_each_may_be_behind():
    rows = ranking()
    assert {name: row.may_be_best for name, row in rows.items()} == {
        "rmsprop": "yes", "adam": "yes", "own": "no", "sgd": "no",
    }  # fmt: skip
    assert rows["sgd"].behind_at_least > rows["own"].behind_at_least > 0.04
    assert 0 < rows["adam"].behind_at_most < 0.01 < rows["own"].behind_at_most < rows["sgd"].behind_at_most
    assert rows["sgd"].clearest_rival in ("rmsprop", "adam")
    assert (rows["adam"].test_accuracy, rows["adam"].test_accuracy_sd) == pytest.approx((0.971, 0.001))
    assert (rows["adam"].reached, rows["adam"].epochs_to_target) == (3, 4)
    assert (rows["sgd"].reached, rows["sgd"].epochs_to_target, rows["sgd"].runs) == (0, math.inf, 3)


def test_optimizers_may_have_unequal_numbers_of_runs():
    trained = synthetic.trainings() | synthetic.trainings(5, names=("adam", "sgd"))
    runs, asked = tables.best_first(trained), synthetic.conditions()
    rows = {row.optimizer: row for row in tables.ranking(runs, trained, asked)}
    assert {name: (row.runs, row.runs_compared) for name, row in rows.items()} == {
        "rmsprop": (3, 3), "adam": (5, 3), "own": (3, 3), "sgd": (5, 3),
    }  # fmt: skip
    first = {name: row.behind_at_least for name, row in ranking().items()}
    assert {name: row.behind_at_least for name, row in rows.items()} == first  # a look compares equal numbers of runs
    assert all(row.low < row.lead < row.high for row in tables.leads(runs, trained, asked))


def test_a_diverged_run_disqualifies_and_the_rest_is_compared_among_itself_more_strictly():
    rows = ranking(diverged="adam")
    assert list(rows) == ["rmsprop", "own", "sgd", "adam"]
    diverged, alone = rows.pop("adam"), ranking(names=("sgd", "rmsprop", "own"))
    for name, row in rows.items():
        assert row.behind_at_least < alone[name].behind_at_least  # it was a rival, too, when the race started
        assert row.behind_at_most >= alone[name].behind_at_most
        bounds = {key: getattr(alone[name], key) for key in ("behind_at_least", "behind_at_most")}
        assert row._replace(**bounds) == alone[name]
    assert (diverged.may_be_best, diverged.diverged, diverged.runs) == ("diverged", 1, 3)
    assert np.isnan([diverged.val_accuracy, diverged.behind_at_most, diverged.test_accuracy]).all()
    assert "adam" not in {name for row in leads(diverged="adam") for name in (row.ahead, row.behind)}


@pytest.mark.parametrize("options", [{"runs": 1}, {"names": ("adam",)}], ids=["one run", "one optimizer"])
def test_without_runs_or_rivals_nothing_is_known(options):
    rows = ranking(**options).values()
    assert {row.may_be_best for row in rows} == {"unknown"}
    assert np.isnan([row.behind_at_most for row in rows]).all()


def test_optimizers_with_the_same_runs_are_named():
    trained = synthetic.trainings()
    trained |= {"twin": trained["adam"], "another": trained["adam"]}
    rows = tables.ranking(tables.best_first(trained), trained, synthetic.conditions())
    twins = {"adam": "another, twin", "another": "adam, twin", "twin": "adam, another"}
    assert {row.optimizer: row.same_as for row in rows} == dict.fromkeys(trained, "") | twins


def test_leads_are_of_every_pair_once_and_surer_here_than_on_other_images():
    rows, order = leads(), ["rmsprop", "adam", "own", "sgd"]
    assert [(row.ahead, row.behind) for row in rows] == [
        (ahead, behind) for i, ahead in enumerate(order) for behind in order[i + 1 :]
    ]
    for row in rows:
        assert row.low_other_images <= row.low < row.lead < row.high <= row.high_other_images
    assert rows[2].low - rows[2].low_other_images > 0.01  # a tenth of the images is right under rmsprop alone


def test_two_runs_give_verdicts_and_no_simultaneous_interval():
    assert np.isfinite([row.behind_at_least for row in ranking(2).values()]).all()
    assert np.isnan([(row.low, row.high, row.low_other_images) for row in leads(2)]).all()


def test_scores_for_dvc_are_in_percent_sorted_by_name_and_without_the_diverged():
    rows = ranking(diverged="adam")
    found = json.loads(tables.score_json(list(rows.values())))
    assert list(found) == ["own", "rmsprop", "sgd"]
    assert found == {name: round(100 * rows[name].val_accuracy, 2) for name in found}


def test_csv_says_that_it_has_no_rows_and_holds_numbers_that_read_back():
    assert tables.csv_text(("a", "b"), []) == "a,b\nnone,none\n"  # DVC would fail to plot a header alone
    text = tables.csv_text(("name", "x", "n"), [("q", 1 / 3, 3), ("r", math.nan, 4), ("s", math.inf, 5)])
    assert text == "name,x,n\nq,0.333333,3\nr,nan,4\ns,inf,5\n"
