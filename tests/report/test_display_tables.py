"""The tables as people read them."""

import math

import pytest
import synthetic

from descent.analysis import tables, tutorial
from descent.report import display_tables
from descent.training.settings import OptimizerEntry


def findings(seeds=(0, 1, 2), **options):
    trained, conditions = synthetic.trainings(seeds, **options), synthetic.conditions(seeds)
    runs = tables.endpoints(trained, conditions)
    return tables.ranking(runs, trained, conditions), tables.leads(runs, trained, conditions), conditions


def cells(table):
    return {row[0]: dict(zip(table.heads, row, strict=True)) for row in table.rows}


def test_markdown_is_a_table_of_equal_lines_with_numbers_at_the_right():
    ranking, _, conditions = findings()
    lines = display_tables.markdown(display_tables.ranking(ranking, conditions)).splitlines()
    assert len({len(line) for line in lines}) == 1
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert rows[0] == list(display_tables.ranking(ranking, conditions).heads)
    assert [cell.endswith(":") for cell in rows[1]] == [False, False, True, True, True, True, True]
    assert [row[0] for row in rows[2:]] == ["rmsprop", "adam", "own", "sgd"]


def test_ranking_says_who_is_out_by_how_much_and_what_each_costs_at_most():
    ranking, _, conditions = findings()
    rows = cells(display_tables.ranking(ranking, conditions))
    assert rows["rmsprop"]["May be best"] == "yes"
    by_name = {row.optimizer: row for row in ranking}
    sgd = by_name["sgd"]
    assert rows["sgd"]["May be best"] == f"no: at least {100 * sgd.behind_at_least:.2f} behind {sgd.rival}"
    assert rows["adam"]["Costs at most, points"] == f"{100 * by_name['adam'].cost_at_most:.2f}"
    assert rows["sgd"]["Epochs to 93 %"] == "> 4 (0 of 3)"
    assert rows["adam"]["Validation accuracy, % (n = 3)"].startswith("92.")


def test_wrapper_is_named_with_what_it_wraps_wherever_its_name_stands_in_params():
    ranking, leads, conditions = findings()
    config = {"optimizer": "MomentumOptimizer", "learning_rate": 0.01, "momentum": 0.9}
    entry = OptimizerEntry(file="optimizers/tf1.py", class_name="TFOptimizer", config=config)
    conditions = conditions._replace(optimizers=conditions.optimizers | {"sgd": entry})
    name = "sgd: TensorFlow's MomentumOptimizer, momentum 0.9"
    assert list(cells(display_tables.ranking(ranking, conditions))) == ["rmsprop", "adam", "own", name]
    assert list(cells(display_tables.leads(leads, conditions))) == ["adam", "own", name]


def test_a_diverged_optimizer_is_out_and_has_no_numbers_but_how_many_diverged():
    ranking, _, conditions = findings(diverged="adam")
    row = cells(display_tables.ranking(ranking, conditions))["adam"]
    assert list(row.values())[1:5] == ["no: diverged", "–", "–", "–"]
    assert row["Diverged"] == "1 of 3"


def test_one_run_shows_no_spread_and_no_cost():
    ranking, _, conditions = findings((5,))
    text = display_tables.markdown(display_tables.ranking(ranking, conditions))
    assert "±" not in text
    assert {row["May be best"] for row in cells(display_tables.ranking(ranking, conditions)).values()} == {"unknown"}


def test_leads_are_those_of_the_best_in_points():
    _, leads, conditions = findings()
    table = display_tables.leads(leads, conditions)
    assert table.caption.startswith("By how much rmsprop leads")
    assert [row[0] for row in table.rows] == ["adam", "own", "sgd"]
    low, high = map(float, table.rows[-1][2].split(" to "))
    assert low < float(table.rows[-1][1]) < high
    assert (low, high) == (round(100 * leads[2].low, 2), round(100 * leads[2].high, 2))
    assert display_tables.leads([], conditions).rows == []


def test_tutorials_numbers_stand_beside_ours():
    row = tutorial.Replication("sgd", "16 to 20", 0.8733, 0.8706, 0.0006, 3.9, 0.4436, 0.44, 0.001)
    assert display_tables.replications([row]).rows == [
        ["sgd", "16 to 20", "87.33", "87.06 ± 0.06", "3.9", "0.4436", "0.4400 ± 0.0010"]
    ]


def test_settings_are_every_key_of_the_sections_that_hold_for_all():
    rows = dict(display_tables.settings(synthetic.conditions()).rows)
    assert rows["training.seeds"] == "[0, 1, 2]"
    assert rows["network.file"] == '"networks/mlp.py"'
    assert not any(key.startswith("optimizers") for key in rows)


def test_optimizers_name_their_class_and_their_own_file():
    entries = {
        "sgd": OptimizerEntry(class_name="RMSprop", config={"rho": 0.9, "epsilon": 1e-07}),
        "own": OptimizerEntry(class_name="Mine", config={}, file="optimizers/mine.py"),
        "adam": OptimizerEntry(class_name="Lion", config={"name": "x"}),
    }
    assert display_tables.optimizers(entries).rows == [
        ["adam", "Lion", 'name "x"'],
        ["own", "Mine of optimizers/mine.py", ""],
        ["sgd", "RMSprop", "epsilon 1e-07, rho 0.9"],
    ]


def test_environments_that_differ_say_who_has_what():
    same = {"adam": {"device": "CPU"}, "sgd": {"device": "CPU"}}
    assert display_tables.environment(same).rows == [["device", "CPU"]]
    other = {"sgd": {"device": "GPU"}, "adam": {"device": "CPU", "python": "3"}, "own": {"device": "CPU"}}
    assert display_tables.environment(other).rows == [
        ["device", "CPU (adam, own); GPU (sgd)"],
        ["python", "3 (adam); not recorded (own, sgd)"],
    ]


@pytest.mark.parametrize(
    ("mean", "sd", "text"),
    [(0.95063, 0.00238, "95.06 ± 0.24"), (0.9, math.nan, "90.00"), (math.nan, math.nan, "–"), (math.nan, 0.1, "–")],
)
def test_accuracy_is_percent_with_its_spread_as_far_as_known(mean, sd, text):
    assert display_tables.accuracy(mean, sd) == text
