"""The tutorial's numbers beside ours: the same epochs, and agreement that is tested, not assumed."""

import math

import numpy as np
import pytest
import synthetic
from scipy import stats

from descent.analysis import tutorial


def histories(**options):
    return {name: training.history for name, training in synthetic.trainings(**options).items()}


def linear(*names, epochs=20):
    """A tutorial whose curves rise by the same step every epoch."""
    return {name: {column: np.linspace(0, 1, epochs) for column in ("val_accuracy", "val_loss")} for name in names}


def test_points_are_every_epoch_that_both_have_whatever_the_case_of_the_name():
    trained = histories(names=("adam", "own")) | {"SGD": histories(names=("sgd",))["sgd"]}
    rows = tutorial.points(trained, linear("adam", "sgd", "nadam"), 0.95)
    assert [(row.optimizer, row.epoch) for row in rows] == [
        (name, epoch) for name in ("SGD", "adam") for epoch in range(1, synthetic.EPOCHS + 1)
    ]
    assert rows[4].val_accuracy_printed == 0
    assert rows[7].val_accuracy == pytest.approx(trained["adam"]["val_accuracy"][3].mean())
    assert rows[7].val_loss_low < rows[7].val_loss < rows[7].val_loss_high


def test_replication_is_at_the_last_common_epoch_and_over_the_last_common_epochs():
    trained = histories(names=("adam",))
    rows = tutorial.replications(trained, linear("adam", epochs=3), 2)
    assert [row.epochs for row in rows] == ["3", "2 to 3"]
    assert [row.printed for row in rows] == [1.0, 0.75]
    runs = trained["adam"]["val_accuracy"][1:3].mean(axis=0)
    assert (rows[1].mean, rows[1].sd) == pytest.approx((runs.mean(), runs.std(ddof=1)))
    assert rows[1].deviation == pytest.approx((0.75 - runs.mean()) / (runs.std(ddof=1) * math.sqrt(4 / 3)))


def replications(differences):
    return [
        tutorial.Replication(str(i), "20", 0.9 + i / 100 + gap, 0.9 + i / 100, 0.01, 100 * gap, 0.1, 0.1, 0.01)
        for i, gap in enumerate(differences)
    ]


def test_agreement_is_the_published_equivalence_test():
    gaps = np.array([0.001, -0.002, 0.0005, 0.0015, -0.001, 0.0, 0.002])
    (found,) = tutorial.agreements(replications(gaps), 0.005, 0.95)
    interval = stats.ttest_1samp(gaps, 0).confidence_interval(0.95)
    assert (found.mean, found.low, found.high) == pytest.approx((gaps.mean(), interval.low, interval.high))
    # Schuirmann: equivalent at 5 % exactly where the 90 % interval lies within the margin
    ninety = stats.ttest_1samp(gaps, 0).confidence_interval(0.9)
    edge = max(-ninety.low, ninety.high)
    assert tutorial.agreements(replications(gaps), edge * 1.001, 0.95)[0].p < 0.05
    assert tutorial.agreements(replications(gaps), edge * 0.999, 0.95)[0].p > 0.05
    assert (found.largest.optimizer, found.optimizers, found.tau) == ("1", 7, pytest.approx(1))
    assert tutorial.agreements(replications([0.1, 0.0, -0.1]), 0.005, 0.95)[0].tau == pytest.approx(-1)


def test_a_diverged_optimizer_does_not_count_and_one_alone_gives_no_agreement():
    assert tutorial.agreements(replications([0.1]), 0.005, 0.95) == []
    trained = histories(diverged="adam", names=("adam", "sgd", "rmsprop"))
    found = tutorial.agreements(tutorial.replications(trained, linear("adam", "sgd", "rmsprop"), 2), 0.005, 0.95)
    assert {row.optimizers for row in found} == {2}
