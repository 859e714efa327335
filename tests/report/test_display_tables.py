"""The tables as people read them."""

import math

import pytest
import synthetic

from descent.report import display_tables


def cells(table):
    return {row[0]: dict(zip(table.heads, row, strict=True)) for row in table.rows}


def test_ranking_says_who_could_be_best_and_how_far_each_is_behind():
    ranking, _, conditions = synthetic.findings()
    rows, by_name = cells(display_tables.ranking(ranking, conditions)), {row.optimizer: row for row in ranking}
    assert rows["adam"]["Could be best?"] == "yes"
    assert rows["adam"]["Behind the best"] == f"at most {100 * by_name['adam'].behind_at_most:.2f}"
    assert rows["sgd"]["Could be best?"] == f"no, {by_name['sgd'].clearest_rival} leads"
    assert rows["sgd"]["Behind the best"] == f"at least {100 * by_name['sgd'].behind_at_least:.2f}"
    assert rows["sgd"]["Epochs to 93 %"] == "> 4"


def test_runs_are_counted_where_optimizers_have_unequal_numbers_of_them_or_miss_the_target():
    ranking, _, conditions = synthetic.findings()
    assert "Runs" not in display_tables.ranking(ranking, conditions).heads
    ranking[0] = ranking[0]._replace(runs=10, reached=7)
    rows = cells(display_tables.ranking(ranking, conditions))
    assert [row["Runs"] for row in rows.values()] == ["10", "3", "3", "3"]
    assert rows["rmsprop"]["Epochs to 93 %"].endswith(" (7 of 10)")


def test_what_is_not_known_is_a_dash():
    ranking, _, conditions = synthetic.findings(diverged="adam")
    row = cells(display_tables.ranking(ranking, conditions))["adam"]
    assert list(row.values())[1:5] == ["no, diverged", "–", "–", "–"]
    ranking, _, conditions = synthetic.findings(1)  # one run shows no spread
    table = display_tables.ranking(ranking, conditions)
    assert "±" not in display_tables.markdown(table)
    assert {row["Could be best?"] for row in cells(table).values()} == {"unknown"}
    assert display_tables.leads([], conditions).rows == []


@pytest.mark.parametrize(
    ("mean", "sd", "written"),
    [(0.95063, 0.00238, "95.06 ± 0.24"), (0.9, math.nan, "90.00"), (math.nan, math.nan, "–"), (math.nan, 0.1, "–")],
)
def test_accuracy_is_percent_with_its_spread_as_far_as_known(mean, sd, written):
    assert display_tables.accuracy(mean, sd) == written
