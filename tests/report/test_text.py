"""The sentences say what the tables hold, and what cannot be said is said so."""

import math
import re

import numpy as np
import pytest
import synthetic

from descent.analysis import tables, tutorial
from descent.report import text


def findings(seeds=(0, 1, 2), **options):
    trained, conditions = synthetic.trainings(seeds, **options), synthetic.conditions(seeds)
    runs = tables.best_first(trained)
    return tables.ranking(runs, trained, conditions), tables.leads(runs, trained, conditions), conditions


def answer(*arguments, **options):
    return text.answer(*findings(*arguments, **options))


def test_answer_names_those_that_may_be_best_their_costs_and_the_lead_over_the_last():
    ranking, leads, conditions = findings()
    said = text.answer(ranking, leads, conditions)
    assert said.startswith("At 95 % confidence the best of the four is rmsprop or adam (3 runs each); ")
    lead = next(lead for lead in leads if (lead.ahead, lead.behind) == ("rmsprop", "sgd"))
    expected = [ranking[0].behind_at_most, ranking[1].behind_at_most, lead.lead, lead.low, lead.high]
    assert list(map(float, re.findall(r"-?\d+\.\d\d", said))) == [round(100 * value, 2) for value in expected]
    unknown = [row._replace(behind_at_most=math.nan) for row in ranking]
    assert "cost" not in text.answer(unknown, leads, conditions)


@pytest.mark.parametrize(
    ("options", "begins", "lacks"),
    [
        ({"names": ("rmsprop", "own", "sgd")}, "At 95 % confidence the best of the three is rmsprop (3 ", "cost"),
        ({"names": ("rmsprop", "adam"), "noise": 0.01}, "At 95 % confidence either of the two may be the ", "leads"),
        ({"diverged": "adam"}, "At 95 % confidence the best of the three that never diverged is rmsprop (3 ", "nan"),
        ({"names": ("adam",), "diverged": "adam"}, "Every optimizer had a run that diverged, so none can be", "nan"),
        ({"names": ("adam", "sgd"), "diverged": "adam"}, "There is nothing that sgd could be compared with.", "nan"),
        ({"seeds": (0,)}, "One run each shows no spread, so nothing can be told apart; ", "nan"),
        ({"seeds": (0, 1), "noise": 0.0005}, "At 95 % confidence the best of the four is rmsprop", "leads"),
    ],
)  # fmt: skip
def test_answer_says_what_these_runs_can_tell_and_no_more(options, begins, lacks):
    said = answer(**options)
    assert said.startswith(begins)
    assert lacks not in said


def test_conditions_begin_with_the_note_and_end_with_the_network():
    conditions = synthetic.conditions(seeds=(2, 0, 1), note="Learning rates tuned by hand.")
    said = text.stated_conditions(conditions, 7000)
    assert said.startswith("Learning rates tuned by hand. Validation accuracy: mean over the last 2 of 4 epochs, ± ")
    for part in ("(seeds 0, 1, 2)", "first 8192 ", "batches of 128", "3000 validation and 7000 test examples"):
        assert part in said
    assert said.endswith('Network: networks/mlp.py (hidden_units [512, 512], activation "relu", dropout 0.2).')


def test_reading_says_which_examples_are_harder_only_where_they_are():
    harder = "validation examples are harder than the test examples, by 1.5 to 4.0 points"
    assert harder in text.reading([0.015, 0.04, math.nan])
    assert "harder" not in text.reading([0.015, -0.001])
    assert "harder" not in text.reading([math.nan])


def summary(seeds=(0, 1, 2), printed=None, **options):
    ranking, leads, conditions = findings(seeds, **options)
    histories = {name: training.history for name, training in synthetic.trainings(seeds, **options).items()}
    rows = tutorial.replications(histories, synthetic.printed() if printed is None else printed, 2)
    return text.summary(ranking, leads, tutorial.agreements(rows, 0.005, 0.95), conditions, 7000)


def test_summary_tells_sure_leads_here_and_on_other_examples():
    here, elsewhere, *_ = summary()
    assert here.startswith("rmsprop leads own by ")
    assert "below five runs" in here
    assert "below five runs" not in summary(seeds=(0, 1, 2, 3, 4))[0]
    assert elsewhere.startswith("On other examples of the same kind rmsprop leads ")
    assert " leads none for sure" in summary(names=("rmsprop", "adam"), noise=0.01)[0]


@pytest.mark.parametrize(("offset", "verdict"), [(0.0001, "; equivalent"), (0.1, "; not shown to be equivalent")])
def test_tutorial_is_called_equivalent_only_where_the_test_shows_it(offset, verdict):
    ours = {name: training.history for name, training in synthetic.trainings().items()}
    generator, printed = np.random.default_rng(0), {}
    for name, history in ours.items():
        equal = {column: values.mean(axis=1) for column, values in history.items()}
        printed[name] = equal | {"val_accuracy": equal["val_accuracy"] + offset + generator.normal(0, 1e-5)}
    said = [sentence for sentence in summary(printed=printed) if sentence.startswith("Tutorial minus ours")]
    assert [sentence.split(":")[0] for sentence in said] == [
        "Tutorial minus ours after epoch 4", "Tutorial minus ours over epochs 3 to 4"
    ]  # fmt: skip
    assert all(f"{verdict} within ±0.5 points" in sentence for sentence in said)


def test_what_cannot_be_said_is_said_so():
    for said in (summary((0,)), summary(names=("own",)), summary(names=("adam",), diverged="adam", printed={})):
        assert "nan" not in " ".join(said)
        assert any("cannot be bounded" in sentence for sentence in said)
    assert any("tutorial's numbers agree with ours cannot be said" in sentence for sentence in summary(names=("own",)))


def test_error_of_the_test_accuracy_is_binomial_and_over_the_runs():
    (said,) = [sentence for sentence in summary(names=("adam",)) if "Standard error" in sentence]
    binomial = 100 * math.sqrt(0.971 * 0.029 / 7000)
    assert f"{binomial:.2f} to {binomial:.2f} points from the finite test set (7000 examples" in said
    assert f"{0.1 / math.sqrt(3):.2f} to {0.1 / math.sqrt(3):.2f} points from the runs" in said


@pytest.mark.parametrize(("share", "written"), [(0.95, "95 %"), (0.975, "97.5 %"), (1 - 0.95, "5 %")])
def test_percent_has_no_more_digits_than_it_needs(share, written):
    assert text.percent(share) == written
