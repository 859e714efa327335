"""The sentences say what the tables hold, and what cannot be said is said so."""

import math
import re

import numpy as np
import pytest
import synthetic

from descent.analysis import tutorial
from descent.report import text
from descent.training.settings import OptimizerEntry


def numbers(said):
    return list(map(float, re.findall(r"-?\d+\.\d\d", said)))


def test_answer_names_those_that_could_be_best_how_far_behind_they_can_be_and_the_lead_over_the_last():
    ranking, leads, conditions = synthetic.findings()
    said = text.answer(ranking, leads, conditions)
    assert said.startswith("Two of the four optimizers could be the best (95 % confidence, 3 runs of each): rmsprop")
    lead = next(lead for lead in leads if (lead.ahead, lead.behind) == ("rmsprop", "sgd"))
    expected = [ranking[0].behind_at_most, lead.lead, lead.low, lead.high]
    assert numbers(said) == [round(100 * value, 2) for value in expected]
    unknown = [row._replace(behind_at_most=math.nan) for row in ranking]
    assert "The true best" not in text.answer(unknown, leads, conditions)


@pytest.mark.parametrize(
    ("options", "begins", "lacks"),
    [
        ({"names": ("rmsprop", "own", "sgd")}, "rmsprop is the best of the three optimizers (95 % ", "at most"),
        ({"names": ("rmsprop", "adam"), "noise": 0.01}, "Either of the two optimizers could be the ", "is last"),
        ({"diverged": "adam"}, "rmsprop is the best of the three optimizers that never diverged (95 % ", "nan"),
        ({"names": ("adam",), "diverged": "adam"}, "Every optimizer had a run that diverged, so none can be", "nan"),
        ({"names": ("adam", "sgd"), "diverged": "adam"}, "There is nothing that sgd could be compared with.", "nan"),
        ({"runs": 1}, "One run shows no spread, so nothing can be told apart; adam ended highest.", "nan"),
        ({"runs": 2, "noise": 0.0005}, "Two of the four optimizers could be the best", "is last"),
    ],
)
def test_answer_says_what_these_runs_can_tell_and_no_more(options, begins, lacks):
    said = text.answer(*synthetic.findings(**options))
    assert said.startswith(begins)
    assert lacks not in said


def test_winner_of_a_race_is_named_with_its_lead_over_the_last_to_leave_and_the_runs_that_were_saved():
    ranking, _, conditions = synthetic.findings()
    looks = conditions.race.model_copy(update={"looks": [3, 6]})
    conditions = conditions._replace(race=looks)
    ranking[0] = ranking[0]._replace(runs=6, runs_compared=6, val_accuracy=0.951)
    left = {"may_be_best": "no", "clearest_rival": "rmsprop", "behind_at_least": 0.0012, "val_accuracy": 0.949}
    ranking[1] = ranking[1]._replace(runs=6, runs_compared=6, **left)
    assert text.verdict(ranking, conditions) == (
        "rmsprop is the best of the four optimizers (95 % confidence). It leads adam, the last to leave the race, by "
        "0.20 percentage points (at least 0.12) after 6 runs of both. "
        "The race took 18 runs; 6 runs of all four would be 24."
    )
    ranking[1] = ranking[1]._replace(behind_at_least=0.000004, val_accuracy=0.95098)
    assert "by 0.002 percentage points (at least 0.0004) after" in text.verdict(ranking, conditions)
    ranking[1] = ranking[1]._replace(runs=8, behind_at_least=0.0012)  # two more than were looked at
    assert "by at least 0.12 percentage points after 6 runs of both" in text.verdict(ranking, conditions)


def test_before_the_first_look_the_runs_that_it_needs_are_named():
    ranking, _, conditions = synthetic.findings()
    waiting = [row._replace(may_be_best="yes", runs_compared=0) for row in ranking]
    assert text.verdict(waiting, conditions) == "3 runs of each are needed to tell which optimizer is the best."


def test_conditions_begin_with_the_note_and_end_with_the_network():
    conditions = synthetic.conditions(note="Learning rates tuned by hand.")
    said = text.stated_conditions(conditions, 7000, ("1", 0.113))
    assert said.startswith("Learning rates tuned by hand. Validation accuracy is the mean over the last 2 of 4 epochs")
    for part in (
        "3 runs of each (seeds 0 to 2)",
        "first 8192 ",
        "batches of 128",
        "3000 validation and 7000 test ",
    ):
        assert part in said
    assert "looks" not in said  # at all runs that there are
    assert said.endswith('Network: networks/mlp.py (hidden_units [512, 512], activation "relu", dropout 0.2).')


def test_reading_names_what_diverged_what_ran_alike_and_what_a_wrapper_wraps():
    ranking, _, conditions = synthetic.findings(diverged="adam")
    ranking = [row._replace(same_as="own" if row.optimizer == "sgd" else row.same_as) for row in ranking]
    config = {"optimizer": "MomentumOptimizer", "learning_rate": 0.01, "momentum": 0.9}
    entry = OptimizerEntry(file="optimizers/tf1.py", class_name="TFOptimizer", config=config)
    said = text.reading(ranking, [], conditions._replace(optimizers=conditions.optimizers | {"sgd": entry}))
    assert "sgd is TensorFlow's MomentumOptimizer, momentum 0.9." in said
    assert "own and sgd had the same runs to the last digit: this is no tie." in said
    assert "Runs that diverged: 1 of 3 of adam." in said
    assert text.reading(*synthetic.findings()[:1], [], conditions).endswith("No run diverged.")


def summary(runs=3, printed=None, **options):
    ranking, _, conditions = synthetic.findings(runs, **options)
    histories = {name: training.history for name, training in synthetic.trainings(runs, **options).items()}
    rows = tutorial.replications(histories, synthetic.printed() if printed is None else printed, 2)
    return text.summary(ranking, tutorial.agreements(rows, 0.005, 0.95), conditions, 7000)


def test_intervals_of_leads_say_when_they_hold_and_when_nothing_is_known():
    def said(runs=3, **options):
        ranking, _, conditions = synthetic.findings(runs, **options)
        return text.leads_reading(ranking, conditions)

    assert "fewer than five runs" in said()
    assert "fewer than five runs" not in said(5)
    assert "these 3000 validation examples" in said()
    for unknown in (said(2), said(names=("own",)), said(names=("adam",), diverged="adam")):
        assert "cannot be bounded" in unknown


def test_missing_spread_and_a_score_unlike_the_test_accuracy_are_explained():
    ranking, _, conditions = synthetic.findings()
    ranking[0] = ranking[0]._replace(val_accuracy_sd=math.nan)
    assert "less than one validation example: rmsprop." in text.reading(ranking, [0.02], conditions)
    training = conditions.training.model_copy(update={"score": "balanced_accuracy"})
    assert "harder" not in text.reading(ranking, [0.02], conditions._replace(training=training))


@pytest.mark.parametrize(("offset", "verdict"), [(0.0001, "equivalent"), (0.1, "not shown to be equivalent")])
def test_tutorial_is_called_equivalent_only_where_the_test_shows_it(offset, verdict):
    ours = {name: training.history for name, training in synthetic.trainings().items()}
    generator, printed = np.random.default_rng(0), {}
    for name, history in ours.items():
        equal = {column: values.mean(axis=1) for column, values in history.items()}
        printed[name] = equal | {"val_accuracy": equal["val_accuracy"] + offset + generator.normal(0, 1e-5)}
    said = [sentence for sentence in summary(printed=printed) if sentence.startswith("The tutorial's")]
    assert [sentence.split(" minus ours")[0].split("accuracy ")[1] for sentence in said] == [
        "after epoch 4", "over epochs 3 to 4"
    ]  # fmt: skip
    assert all(f"This is {verdict} within ±0.5 points" in sentence for sentence in said)


def test_what_cannot_be_said_is_said_so():
    for said in (summary(1), summary(names=("own",)), summary(names=("adam",), diverged="adam", printed={})):
        assert "nan" not in " ".join(said)
    assert any("the tutorial's numbers agree with ours is unknown" in sentence for sentence in summary(names=("own",)))


def test_reading_says_which_examples_are_harder_only_where_they_are():
    ranking, _, conditions = synthetic.findings()
    assert "harder than the test examples, by 1.5 to 4.0 " in text.reading(ranking, [0.015, 0.04, math.nan], conditions)
    assert "harder" not in text.reading(ranking, [0.015, -0.001], conditions)


def test_study_of_another_machine_than_the_comparison_is_called_so():
    _, _, conditions = synthetic.findings()
    kept = synthetic.tuned_row()._replace(factor=1.0, gain=0.0)
    assert "different machines" in text.study_reading([kept], conditions)
    assert "different machines" not in text.study_reading([kept._replace(default=kept.val_accuracy)], conditions)
    assert "different machines" not in text.study_reading([synthetic.tuned_row()], conditions)


@pytest.mark.parametrize(("verdict", "said"), [("no", " It is now 2.00 behind adam."), ("yes", "")])
def test_what_gained_most_is_named_with_what_it_is_still_behind_where_it_is(verdict, said):
    _, _, conditions = synthetic.findings()
    sgd = synthetic.tuned_row()._replace(may_be_best=verdict)
    adam = sgd._replace(optimizer="adam", val_accuracy=0.97, gain=0.05, may_be_best="yes")
    answer = text.study_answer([adam, sgd], conditions)
    assert answer.endswith(f"sgd gained most from tuning: 10.00 percentage points.{said}")
    raced = text.study_answer([adam._replace(runs=40), sgd], conditions)
    assert raced.endswith("10.00 percentage points.")
    training = conditions.training.model_copy(update={"score": "loss"})
    sgd, adam = sgd._replace(val_accuracy=0.5), adam._replace(val_accuracy=0.3)
    said_of_losses = text.study_answer([adam, sgd], conditions._replace(training=training))
    assert ("It is now 0.2000 behind adam." in said_of_losses) == (verdict == "no")
