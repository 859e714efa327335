"""Statistics against SciPy's own tests where it has them, and against counting and simulating by brute force."""

import math
from itertools import combinations, permutations

import numpy as np
import pytest
from scipy import stats

from descent.analysis import statistics
from descent.runs import metrics

IMAGE = 1 / 3000
SIZES = (5, 5, 5, 5), (3, 8, 5, 20)  # runs of each optimizer


def runs(seed=0, means=(0.95, 0.949, 0.944, 0.93), sds=(0.002, 0.006, 0.001, 0.004), sizes=SIZES[0]):
    random = np.random.default_rng(seed)
    return [random.normal(mean, sd, n) for mean, sd, n in zip(means, sds, sizes, strict=False)]


def simultaneous(values, further_error=0.0):
    """Half widths without and with the further error, [2, optimizers, optimizers]."""
    return statistics.simultaneous(values, 0.95, IMAGE, np.full((len(values), len(values)), further_error))


def test_spread_below_one_image_is_unknown_and_one_image_is_a_spread():
    below, one = [0.9, 0.9 + 0.9 * IMAGE], [0.9, 0.9 + IMAGE]
    assert metrics.sample_sd([below, one], IMAGE) == pytest.approx([math.nan, IMAGE / math.sqrt(2)], nan_ok=True)
    assert metrics.sample_sd(below, 0) == pytest.approx(0.9 * IMAGE / math.sqrt(2))  # no counts


def test_summary_is_students_of_the_published_differences():
    # Student (1908), hours of sleep gained with one drug more than with the other; R: t.test(..., paired = TRUE)
    gained = np.array([1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4])
    assert statistics.summarize(gained, 0.95) == pytest.approx((1.58, 1.229995, 0.7001142, 2.4598858), abs=1e-6)


def test_a_diverged_run_is_never_averaged_away_and_one_run_has_no_spread():
    both = statistics.summarize([[1.0, 2.0, 4.0], [1.0, np.nan, 3.0]], 0.95)
    assert [column[0] for column in both] == pytest.approx([float(of) for of in statistics.summarize([1, 2, 4], 0.95)])
    assert np.isnan([column[1] for column in both]).all()
    one = statistics.summarize([[0.5], [0.7]], 0.95)
    assert one.mean.tolist() == [0.5, 0.7]
    assert np.isnan([one.sd, one.low, one.high]).all()


@pytest.mark.parametrize("sizes", [*SIZES, (5, 5)])
def test_leads_are_those_of_scipys_welch_test_at_the_error_that_the_rivals_share(sizes):
    values = runs(1, sizes=sizes)
    found, level = statistics.leads_at_least(values, 0.95, IMAGE), 1 - 0.05 / (len(sizes) - 1)
    for i, j in permutations(range(len(sizes)), 2):
        test = stats.ttest_ind(values[i], values[j], equal_var=False, alternative="greater")
        assert found[i, j] == pytest.approx(test.confidence_interval(level).low)
        assert (found[i, j] > 0) == (test.pvalue < 1 - level)


def test_experiments_side_by_side_are_those_alone():
    both = statistics.leads_at_least(np.stack([runs(1), runs(2)], axis=1), 0.95, IMAGE)  # of [optimizers, experiments]
    for i in (0, 1):
        np.testing.assert_array_equal(both[i], statistics.leads_at_least(runs(i + 1), 0.95, IMAGE))


@pytest.mark.parametrize("values", [[[0.95] * 3, [0.9] * 3], [[0.95], [0.1]]], ids=["no spread", "one run"])
def test_without_any_spread_nothing_is_told_however_far_apart_they_are(values):
    values = list(map(np.array, values))
    assert np.isnan(statistics.leads_at_least(values, 0.95, IMAGE)[[0, 1], [1, 0]]).all()
    assert np.isnan(simultaneous(values)).all()


def test_one_without_spread_is_told_apart_from_those_that_have_it():
    values = list(map(np.array, ([0.95] * 3, [0.9] * 3, [0.94, 0.945, 0.95])))
    found = statistics.leads_at_least(values, 0.95, IMAGE)
    assert 0 < found[2, 1] < 0.045
    assert np.isfinite(found[2, 0])
    assert np.isnan(found[0, 1])


@pytest.mark.parametrize("sizes", [(3, 3, 3, 3), SIZES[1], (3, 3)])
def test_simultaneous_intervals_are_those_of_scipy(sizes):
    values = runs(3, sizes=sizes)
    half, _ = simultaneous(values)
    expected = stats.tukey_hsd(*values, equal_var=False).confidence_interval(0.95)
    for i, j in combinations(range(len(sizes)), 2):
        difference = values[i].mean() - values[j].mean()
        ends = (expected.low[i, j], expected.high[i, j])
        assert (difference - half[i, j], difference + half[i, j]) == pytest.approx(ends)
        assert half[i, j] == half[j, i]


def test_two_runs_give_no_simultaneous_interval_and_a_further_error_a_wider_one():
    assert np.isnan(simultaneous(runs(sizes=(2, 2, 2, 2)))).all()
    here, elsewhere = simultaneous(runs(), 0.001)
    assert (elsewhere > here)[~np.eye(4, dtype=bool)].all()


def test_error_over_images_is_that_of_the_difference_image_by_image():
    first, second = np.array([4, 4, 0, 0, 4]) / 4, np.array([4, 2, 0, 1, 4]) / 4
    errors = statistics.images_error([first, second])
    assert errors[0, 1] == errors[1, 0] == pytest.approx(stats.sem(first - second))
    assert errors[0, 0] == 0
