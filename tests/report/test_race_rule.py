"""The race: who leaves at which look, and how often it is wrong."""

import numpy as np
import pytest
from scipy import stats

from descent.analysis import statistics
from descent.analysis.statistics import next_look

LOOKS = (5, 10, 20, 40)
MEANS = np.array([94.67, 94.80, 94.34, 94.60, 94.23, 94.51, 86.93, 92.82]) / 100  # of the committed five runs each
SDS = np.array([0.06, 0.16, 0.33, 0.10, 0.21, 0.28, 0.24, 0.08]) / 100
IMAGE = 1 / 3000
REPEATS = 1500
ERROR = 3 * np.sqrt(0.05 * 0.95 / REPEATS)  # three standard errors of a share of 5 %


def drawn(means, sds, repeats, runs=LOOKS[-1]):
    means, sds = (np.array(values)[:, None] for values in (means, sds))
    return np.random.default_rng(0).normal(means, sds, (repeats, len(means), runs))


def race(runs, looks=LOOKS, started=None):
    """Hold the race of runs [..., optimizers, runs]."""
    runs = list(np.moveaxis(runs, -2, 0))
    return statistics.race(runs, looks, 0.95, IMAGE, started or len(runs))


def by_pairs(runs, looks):
    """Hold one race pair by pair with SciPy's test; returns who remains, and the runs of each."""
    racing, used = list(range(len(runs))), np.zeros(len(runs), int)
    for look in looks:
        used[racing] = look
        level = 0.05 / len(looks) / (len(runs) - 1)

        def is_led(i, look=look, level=level, rivals=tuple(racing)):
            tests = [
                stats.ttest_ind(runs[j, :look], runs[i, :look], equal_var=False, alternative="greater")
                for j in rivals
                if j != i
            ]
            return any(test.pvalue < level for test in tests)

        racing = [i for i in racing if not is_led(i)]
        if len(racing) == 1:
            break
    return racing, used


def test_race_is_that_of_pairwise_welch_tests_at_the_shared_error():
    for runs in drawn(MEANS, SDS, 8):
        found = race(runs)
        remaining, used = by_pairs(runs, LOOKS)
        assert np.flatnonzero(found.remains).tolist() == remaining
        assert found.runs.tolist() == used.tolist()
        assert ((found.behind_at_least > 0) == ~found.remains).all()


def test_one_planned_look_is_the_comparison_with_the_best():
    [runs] = drawn(MEANS, SDS, 1, runs=5)
    found = race(runs, [5])
    remaining, _ = by_pairs(runs, [5])
    assert np.flatnonzero(found.remains).tolist() == remaining
    assert next_look(found, [5]) is None
    for i, most in enumerate(found.behind_at_most):  # the largest upper end over those that may be the best
        tests = [stats.ttest_ind(runs[j], runs[i], equal_var=False, alternative="less") for j in remaining if j != i]
        assert most == pytest.approx(max(0, *(test.confidence_interval(1 - 0.05 / 7).high for test in tests)))


def test_who_left_needs_no_further_run():
    [runs] = drawn(MEANS, SDS, 1)
    whole = race(runs)
    found = statistics.race([values[:n] for values, n in zip(runs, whole.runs, strict=True)], LOOKS, 0.95, IMAGE, 8)
    assert [values.tolist() for values in found] == [values.tolist() for values in whole]


def test_race_stands_at_the_look_before_while_one_of_it_lacks_runs():
    [runs] = drawn(MEANS, SDS, 1)
    at_five = race(runs[:, :5])
    numbers = np.where(at_five.remains, 10, 5)
    numbers[at_five.remains.argmax()] = 9
    standing = statistics.race([values[:n] for values, n in zip(runs, numbers, strict=True)], LOOKS, 0.95, IMAGE, 8)
    assert standing.remains.tolist() == at_five.remains.tolist()
    assert standing.runs.max() == 5
    assert next_look(standing, LOOKS) == 10


@pytest.mark.parametrize("sds", [np.full(8, 0.002), SDS], ids=["equal spreads", "our spreads"])
def test_a_best_leaves_in_at_most_5_percent_of_races_between_equals(sds):
    left = 1 - race(drawn(np.full(8, 0.94), sds, REPEATS)).remains.mean(axis=0)
    assert (left <= 0.05 + ERROR).all()
    assert left.mean() > 0.005  # and the test is not so strict that it never speaks
