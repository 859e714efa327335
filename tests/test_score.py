"""What compares the optimizers: the accuracy, the balanced accuracy or the loss, in every place that ranks them."""

import json
import math
import re

import numpy as np
import pytest
from report import synthetic

from descent.analysis import records, study_tables, tables
from descent.data.datasets import Dataset, Description, Split
from descent.report import changes, figures, render
from descent.runs import metrics
from descent.runs.metrics import BALANCED, SCORES
from descent.study import grid, selection
from descent.study.grid import TuningParameters
from descent.training.measurements import DIAGNOSTICS, Run

EPOCHS, LAST = synthetic.EPOCHS, synthetic.LAST_EPOCHS
LABELS = np.array([0] * 980 + [1] * 20, "int32")  # a class of 2 %
EXAMPLES = len(LABELS)
SEEN = Description("float32", (8,), False, -3.0, 4.5, ["healthy", "ill"], "healthy", 0.98, {})


def run(seed, right, loss=0.1, factor=1.0):
    """A run that is right for these shares of the two classes, a little better or worse by its seed."""
    hits = np.zeros((EPOCHS, EXAMPLES), bool)
    for label, share in enumerate(right):
        size = int((label == LABELS).sum())
        hits[:, np.flatnonzero(label == LABELS)[: round(share * size) - seed % 2]] = True
    history = {name: np.full(EPOCHS, 0.5) for name in ("loss", "accuracy")}
    history |= {"val_loss": np.full(EPOCHS, loss + 0.001 * seed), "val_accuracy": hits.mean(axis=1)}
    history |= {name: np.full(EPOCHS, 0.5) for name in DIAGNOSTICS}
    measured = Run(seed, factor, 0.1, history, hits, (loss, 0.9), None, 1.0, {"device": "none"})
    return metrics.with_balanced_accuracy(measured, LABELS)


def asked(score, names):
    """Conditions of a comparison by this score."""
    found = synthetic.conditions(names=names)
    training = found.training.model_copy(update={"score": score})
    data = found.data.model_copy(update={"file": "data/own.npz", "validation_size": EXAMPLES})
    return found._replace(training=training, data=data)


def results(score, by_name):
    """What a revision holds whose optimizers have these runs."""
    conditions, split = asked(score, tuple(by_name)), Split(np.zeros((EXAMPLES, 8)), LABELS)
    data, trainings = Dataset(split, split, split, 2), {}
    for name, runs in by_name.items():
        texts = metrics.history_csv(runs), metrics.document(runs, data, conditions.training)
        location = (f"{name}.csv", f"{name}.json")
        trainings[name] = records.parse_training(*(text.decode() for text in texts), location, 3, conditions)
    return records.Results(conditions, trainings)


def ranked(found):
    return tables.ranking(tables.best_first(found.trainings), found.trainings, found.conditions)


def rare(score):
    """`lazy` nearly always answers the large class, `fair` finds most of the rare one; `lazy` has the lower loss."""
    by_name = {
        "lazy": [run(seed, (1.0, 0.1), loss=0.2) for seed in range(3)],
        "fair": [run(seed, (0.95, 0.9), loss=0.4) for seed in range(3)],
    }
    return results(score, by_name)


def test_balanced_accuracy_is_the_mean_over_the_classes_that_are_there():
    hits = np.array([[1, 1, 1, 0, 1, 0], [1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 1, 1]], bool)
    history = {"val_loss": np.array([0.5, 0.4, math.nan])}
    measured = Run(0, 1.0, 0.1, history, hits, None, None, 1.0, {})
    found = metrics.with_balanced_accuracy(measured, np.array([0, 0, 0, 0, 3, 3]))
    assert found.history[BALANCED][:2].tolist() == [(3 / 4 + 1 / 2) / 2, (1 + 0) / 2]
    assert math.isnan(found.history[BALANCED][2])  # the run diverged


@pytest.mark.parametrize(
    ("score", "winner", "unit"),
    [("accuracy", "lazy", "percentage points"), ("balanced_accuracy", "fair", "percentage points"),
     ("loss", "lazy", "nats")],
)  # fmt: skip
def test_winner_is_that_of_the_score_and_told_in_its_unit(score, winner, unit):
    found = rare(score)
    first, last = ranked(found)
    assert (first.optimizer, first.may_be_best, last.may_be_best) == (winner, "yes", "no")
    assert last.behind_at_least > 0
    files = render.comparison(found, {}, "<svg></svg>", SEEN, 1234)
    page, text = files["index.html"].decode(), files["ranking.md"].decode()
    for words in (
        "2: healthy, ill",
        "[8], float32",
        "-3 to 4.5",
        "98\N{NO-BREAK SPACE}% of the validation",
        "1,234",
    ):
        assert words in page
    assert f"**{winner} is the best of the two optimizers" in text
    assert re.search(rf" {unit} \(at least [.\d]+\) after 3 runs of both\.", text)
    assert SCORES[score].heading in text


def test_lower_loss_wins_and_is_shown_as_it_was_measured():
    found = rare("loss")
    first, last = ranked(found)
    assert (first.val_accuracy, last.val_accuracy) == pytest.approx((0.201, 0.401))
    assert first.val_accuracy_low < first.val_accuracy < first.val_accuracy_high
    [lead] = tables.leads(tables.best_first(found.trainings), found.trainings, found.conditions)
    assert lead.lead == pytest.approx(0.2)
    assert math.isnan(lead.low_other_images)
    header = tables.csv_text(tables.Rank._fields, [first, last], SCORES["loss"]).splitlines()[0]
    assert "val_loss,val_loss_sd,val_loss_low" in header
    assert json.loads(tables.score_json([first, last], SCORES["loss"])) == {"lazy": 0.201, "fair": 0.401}


def test_lower_loss_is_a_change_for_the_better_in_both_forms_of_the_diff():
    before = results("loss", {"a": [run(seed, (1.0, 0.1), loss=0.4) for seed in range(3)]})
    after = results("loss", {"a": [run(seed, (1.0, 0.1), loss=0.2) for seed in range(3)]})
    [row] = changes.changes(before, after)
    assert row.change == pytest.approx(-0.2)
    assert (row.verdict, row.low < row.change < row.high < 0) == ("beyond noise", True)
    table = changes.render_table(before, after, ("old", "new"), "pipe")
    assert "Validation loss, nats" in table
    assert "Change, nats" in table
    assert "-0.2000" in table


def test_older_history_without_balanced_accuracy_is_read_and_refused_only_where_that_is_the_score():
    runs = [run(seed, (0.95, 0.9)) for seed in range(3)]
    older = [
        one._replace(history={name: one.history[name] for name in one.history if name != BALANCED}) for one in runs
    ]
    new, old = results("accuracy", {"a": runs}), results("accuracy", {"a": older})
    assert [changes.changes(*pair)[0].verdict for pair in ((old, new), (new, old))] == ["same runs"] * 2
    with pytest.raises(records.InputError, match=rf"^a\.csv: damaged, .*{BALANCED}"):
        results("balanced_accuracy", {"a": older})


def test_study_chooses_the_rate_with_the_lower_loss():
    losses, score = {0.1: 0.2, 1.0: 0.5, 10.0: 0.9}, SCORES["loss"]
    parameters = TuningParameters(grid_size=3, step_decades=1.0, max_extra=0, seeds=[100, 102], selection_size=EXAMPLES)
    tried = [run(seed, (1.0, 0.1), losses[factor], factor) for factor in losses for seed in parameters.seeds]

    def scores_of(runs):
        return score.of_runs(np.stack([one.history["val_loss"] for one in runs], axis=1), EXAMPLES, LAST)

    factors, scores, best = grid.select(parameters, lambda _: scores_of(tried))
    assert factors[best] == 0.1
    split = Split(np.zeros((EXAMPLES, 8)), LABELS)
    fresh = [run(seed, (1.0, 0.1), 0.25) for seed in range(3)]
    data = Dataset(split, split, split, 2)
    written = selection.document(factors, scores, tried, fresh, scores_of(fresh), data, score)
    numbers = json.loads(written)
    assert (numbers["val_loss"], numbers["selection_loss"]) == pytest.approx((0.251, 0.301))
    assert numbers["sensitivity"] == pytest.approx((0 + 0.3) / 2)
    assert numbers["details"][0]["chance"] == pytest.approx(math.log(2), abs=1e-5)

    location, conditions = ("runs.csv", "metrics.json"), asked("loss", ("a",))
    runs_csv = selection.runs_csv(tried, fresh).decode()
    study = records.parse_study(runs_csv, written.decode(), location, 3, conditions, parameters)
    assert study.factors[study.chosen] == 0.1
    assert study.chance == pytest.approx(-math.log(2), abs=1e-5)
    [row] = study_tables.tuned({"a": study}, {"a": np.array([-0.4, -0.401, -0.402])}, conditions)
    assert (row.default, row.val_accuracy, row.gain) == pytest.approx((0.401, 0.251, 0.15))
    expected = [row.val_accuracy for row in study_tables.best_of_k({"a": study}, parameters, score)]
    assert expected == sorted(expected, reverse=True)  # the more are tried, the lower the loss of the best


@pytest.mark.parametrize(("score", "is_near"), [("accuracy", True), ("balanced_accuracy", False), ("loss", False)])
def test_better_is_on_the_right_of_the_figure_and_the_largest_class_is_a_line_near_accuracies(score, is_near):
    found = rare(score)
    runs = {name: SCORES[score].turned(values) for name, values in tables.best_first(found.trainings).items()}
    findings = figures.Findings(
        ranked(found), runs, [], [], [], [], 0.95, SCORES[score], largest=("healthy", 0.98 if is_near else 0.5)
    )
    picture = figures.ranking(findings)
    assert ("always answering healthy" in picture.alternative) == is_near
    first, last = (picture.figure.axes[0].transData.transform((row.val_accuracy, 0))[0] for row in findings.ranking)
    assert first > last
