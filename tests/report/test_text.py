"""The sentences say what the tables hold, and what cannot be said is said so."""

import math
import re

import numpy as np
import pytest
import synthetic

from descent.analysis import tables, tutorial
from descent.report import text as texts


def findings(seeds=(0, 1, 2), **options):
    trained, conditions = synthetic.trainings(seeds, **options), synthetic.conditions(seeds)
    runs = tables.endpoints(trained, conditions)
    return tables.ranking(runs, trained, conditions), tables.leads(runs, trained, conditions), conditions


def answer(*arguments, **options):
    return texts.answer(*findings(*arguments, **options))


def numbers(text):
    return list(map(float, re.findall(r"-?\d+\.\d\d", text)))


def test_answer_names_those_that_may_be_best_their_costs_and_the_lead_over_the_last():
    ranking, leads, conditions = findings()
    text = texts.answer(ranking, leads, conditions)
    assert text.startswith("At 95 % confidence the best of the four is rmsprop or adam (3 runs each); ")
    assert "; choosing them costs at most " in text
    assert "; rmsprop leads sgd by " in text
    lead = next(lead for lead in leads if (lead.ahead, lead.behind) == ("rmsprop", "sgd"))
    expected = [ranking[0].cost_at_most, ranking[1].cost_at_most, lead.lead, lead.low, lead.high]
    assert numbers(text) == [round(100 * value, 2) for value in expected]


def test_a_single_best_costs_nothing_to_choose():
    text = answer(names=("rmsprop", "own", "sgd"))
    assert text.startswith("At 95 % confidence the best of the three is rmsprop (3 runs each); rmsprop leads sgd by ")
    assert "cost" not in text


def test_all_may_be_best_where_no_run_tells_them_apart():
    text = answer(names=("rmsprop", "adam"), noise=0.01)
    assert text.startswith("At 95 % confidence either of the two may be the best: ")
    assert "leads" not in text


def test_diverged_optimizers_are_not_counted_among_the_compared():
    assert "the best of the three that never diverged is rmsprop (3 runs each)" in answer(diverged="adam")
    assert "none can be called the best" in answer(names=("adam",), diverged="adam")
    assert answer(names=("adam", "sgd"), diverged="adam") == "There is nothing that sgd could be compared with."


def test_one_run_is_said_to_tell_nothing_apart():
    ranking, *_ = findings((0,))
    expected = f"One run each shows no spread, so nothing can be told apart; {ranking[0].optimizer} ended highest."
    assert answer((0,)) == expected


def test_two_runs_give_an_answer_without_the_simultaneous_interval():
    text = answer((0, 1), noise=0.0005)
    assert "is rmsprop" in text
    assert "nan" not in text
    assert "leads" not in text


def test_unknown_costs_are_not_called_nan():
    ranking, leads, conditions = findings()
    unknown = [row._replace(cost_at_most=math.nan) for row in ranking]
    assert "cost" not in texts.answer(unknown, leads, conditions)


def test_conditions_begin_with_the_note_and_end_with_the_network():
    conditions = synthetic.conditions(seeds=(2, 0, 1), note="Learning rates tuned by hand.")
    text = texts.stated_conditions(conditions, 7000)
    assert text.startswith("Learning rates tuned by hand. Validation accuracy: mean over the last 2 of 4 epochs, ± ")
    for part in (
        "over 3 runs (seeds 0, 1, 2)",
        "first 8192 ",
        "batches of 128",
        "3000 validation and 7000 test examples",
    ):
        assert part in text
    assert text.endswith('Network: networks/mlp.py (hidden_units [512, 512], activation "relu", dropout 0.2).')
    assert "\n" not in text


def test_reading_says_which_images_are_harder_only_where_they_are():
    harder = texts.reading([0.015, 0.04, math.nan])
    assert "Compare within a column, never across" in harder
    assert "validation examples are harder than the test examples, by 1.5 to 4.0 points" in harder
    assert "harder" not in texts.reading([0.015, -0.001])
    assert "harder" not in texts.reading([math.nan])


def summary(seeds=(0, 1, 2), printed=None, **options):
    ranking, leads, conditions = findings(seeds, **options)
    histories = {name: training.history for name, training in synthetic.trainings(seeds, **options).items()}
    rows = tutorial.replications(histories, synthetic.printed() if printed is None else printed, 2)
    return texts.summary(ranking, leads, tutorial.agreements(rows, 0.005, 0.95), conditions, 7000)


def test_summary_tells_sure_leads_here_and_on_other_images():
    here, elsewhere, *_ = summary()
    assert here.startswith("rmsprop leads own by ")
    assert "below five runs" in here
    assert "below five runs" not in summary(seeds=(0, 1, 2, 3, 4))[0]
    assert elsewhere.startswith("On other examples of the same kind rmsprop leads ")
    assert "these 3000 are a sample" in elsewhere


def test_summary_names_no_lead_that_may_be_none():
    here, *_ = summary(names=("rmsprop", "adam"), noise=0.01)
    assert here.startswith("rmsprop leads none for sure") or here.startswith("adam leads none for sure")


def test_summary_sets_the_tutorial_against_us_at_the_end_and_over_the_last_epochs():
    last, over = (sentence for sentence in summary() if sentence.startswith("Tutorial minus ours"))
    assert last.startswith("Tutorial minus ours after epoch 4: ")
    assert over.startswith("Tutorial minus ours over epochs 3 to 4: ")
    assert "mean over 3 optimizers; " in over
    assert "equivalent within ±0.5 points" in over


def test_equivalence_is_claimed_only_where_the_test_shows_it():
    ours = {name: training.history for name, training in synthetic.trainings().items()}
    equal = {name: {column: history[column].mean(axis=1) for column in history} for name, history in ours.items()}
    for offset, verdict in ((0.0001, "; equivalent within"), (0.1, "; not shown to be equivalent within")):
        generator = np.random.default_rng(0)
        printed = {
            name: columns | {"val_accuracy": columns["val_accuracy"] + offset + generator.normal(0, 1e-5)}
            for name, columns in equal.items()
        }
        assert all(verdict in sentence for sentence in summary(printed=printed) if "minus" in sentence)


def test_what_cannot_be_said_is_said_so():
    for text in (summary((0,)), summary(names=("own",)), summary(names=("adam",), diverged="adam", printed={})):
        assert "nan" not in " ".join(text)
        assert any("cannot be bounded" in sentence for sentence in text)
    assert any("tutorial's numbers agree with ours cannot be said" in sentence for sentence in summary(names=("own",)))


def test_error_of_the_test_accuracy_is_binomial_and_over_the_runs():
    (text,) = [sentence for sentence in summary(names=("adam",)) if "Standard error" in sentence]
    binomial = 100 * math.sqrt(0.971 * 0.029 / 7000)
    assert f"{binomial:.2f} to {binomial:.2f} points from the finite test set (7000 examples" in text
    assert f"{0.1 / math.sqrt(3):.2f} to {0.1 / math.sqrt(3):.2f} points from the runs" in text


@pytest.mark.parametrize(("share", "text"), [(0.95, "95 %"), (0.975, "97.5 %"), (1 - 0.95, "5 %")])
def test_percent_has_no_more_digits_than_it_needs(share, text):
    assert texts.percent(share) == text
