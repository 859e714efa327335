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
    assert list(row.values())[1:5] == ["–", "no, diverged", "–", "–"]
    ranking, _, conditions = synthetic.findings(1)  # one run shows no spread
    table = display_tables.ranking(ranking, conditions)
    assert "±" not in display_tables.markdown(table)
    assert {row["Could be best?"] for row in cells(table).values()} == {"unknown"}
    assert display_tables.leads([], conditions).rows == []


def test_tuned_stand_beside_their_defaults_and_how_their_rates_were_chosen():
    row = synthetic.tuned_row()
    kept = row._replace(optimizer="adam", factor=1.0, at_edge=0, may_be_best="yes", runs=10)
    assert display_tables.tuned([kept, row]).rows == [
        ["adam", "95.00 ± 0.20", "yes", "at most 2.00", "0.1", "85.00 ± 0.10", "default kept", "96.00", "10"],
        [
            "sgd", "95.00 ± 0.20", "no, adam leads", "at least 0.10", "≥ 0.1", "85.00 ± 0.10",
            "10.00 (9.00 to 11.00)", "96.00", "5",
        ],
    ]  # fmt: skip
    barely = display_tables.tuned([kept, row._replace(behind_at_least=0.00002)]).rows
    assert barely[1][3] == "at least 0.002"
    assert display_tables.choices([row]).rows == [["sgd", "≥ 0.1", "80 %", "≥ 1.0", "2.00"]]


@pytest.mark.parametrize(
    ("mean", "sd", "written"),
    [(0.95063, 0.00238, "95.06 ± 0.24"), (0.9, math.nan, "90.00"), (math.nan, math.nan, "–"), (math.nan, 0.1, "–")],
)
def test_accuracy_is_percent_with_its_spread_as_far_as_known(mean, sd, written):
    assert display_tables.accuracy(mean, sd) == written
