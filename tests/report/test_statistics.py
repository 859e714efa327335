"""Statistics against SciPy's own tests where it has them, and against counting and simulating by brute force."""

import math

import numpy as np
import pytest
from scipy import stats

from descent.analysis import statistics
from descent.runs import metrics

IMAGE = 1 / 3000
NOTHING = np.zeros((4, 4))  # no further error


def runs(seed=0, means=(0.95, 0.949, 0.944, 0.93), sds=(0.002, 0.006, 0.001, 0.004), n=5):
    return np.random.default_rng(seed).normal(np.array(means)[:, None], np.array(sds)[:, None], (len(means), n))


def test_endpoint_is_the_mean_of_the_last_epochs_counted_in_images():
    counted = np.array([[2700, 2700], [2850, 2790], [2853, 2793]])
    written = np.array([[float(f"{hits / 3000:.6g}") for hits in epoch] for epoch in counted])
    assert metrics.final_accuracy(written, 3000, 2).tolist() == [2851.5 / 3000, 2791.5 / 3000]
    assert metrics.final_accuracy(written, 3000, 1).tolist() == [0.951, 0.931]


def test_endpoint_of_a_diverged_run_is_nan():
    assert np.isnan(metrics.final_accuracy([[0.9, 0.9], [0.9, math.nan]], 3000, 2)).tolist() == [False, True]


def test_spread_below_one_image_is_unknown_and_one_image_is_a_spread():
    below, one = [0.9, 0.9 + 0.9 * IMAGE], [0.9, 0.9 + IMAGE]
    found = metrics.sample_sd([below, one], IMAGE)
    assert math.isnan(found[0])
    assert found[1] == pytest.approx(IMAGE / math.sqrt(2))


def test_summary_is_students_of_the_published_differences():
    # Student (1908), hours of sleep gained with one drug more than with the other; R: t.test(..., paired = TRUE)
    gained = np.array([1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4])
    assert statistics.summarize(gained, 0.95) == pytest.approx((1.58, 1.229995, 0.7001142, 2.4598858), abs=1e-6)


def test_numbers_that_are_no_counts_have_a_spread_however_small():
    assert statistics.summarize([0.1, 0.2, 0.3], 0.95).sd == pytest.approx(0.1)


def test_rows_of_a_summary_do_not_touch_each_other_and_a_diverged_run_is_never_averaged_away():
    both = statistics.summarize([[1.0, 2.0, 4.0], [1.0, np.nan, 3.0]], 0.95)
    alone = statistics.summarize([1.0, 2.0, 4.0], 0.95)
    assert [float(column[0]) for column in both] == pytest.approx([float(value) for value in alone])
    assert np.isnan([column[1] for column in both]).all()


def test_one_run_has_a_mean_and_no_spread():
    summary = statistics.summarize([[0.5], [0.7]], 0.95)
    assert summary.mean.tolist() == [0.5, 0.7]
    assert np.isnan([summary.sd, summary.low, summary.high]).all()
    assert metrics.sample_sd(np.ones((2, 3, 1)), IMAGE).shape == (2, 3)


def test_optimizers_are_out_where_scipys_welch_test_against_any_rival_says_so():
    kept, out = 0, 0
    for seed in range(20):
        values = runs(seed)
        found = statistics.best_set(values, 0.95, IMAGE).in_best_set
        rejected = [
            any(
                stats.ttest_ind(rival, own, equal_var=False, alternative="greater").pvalue <= 0.05 / 3
                for rival in values
                if rival is not own
            )
            for own in values
        ]
        assert found.tolist() == [not reject for reject in rejected]
        kept, out = kept + found.sum(), out + (~found).sum()
    assert min(kept, out) > 10


@pytest.mark.parametrize("k", [2, 4])
def test_cost_is_the_largest_upper_end_over_those_kept(k):
    values = runs(1)[:k]
    found = statistics.best_set(values, 0.95, IMAGE)
    for i, own in enumerate(values):
        ends = [
            stats.ttest_ind(values[j], own, equal_var=False, alternative="less")
            .confidence_interval(1 - 0.05 / (k - 1))
            .high
            for j in np.flatnonzero(found.in_best_set)
            if j != i
        ]
        assert found.behind_at_most[i] == pytest.approx(max(0, *ends))


def test_the_only_one_kept_costs_nothing():
    values = runs(means=(0.95, 0.9, 0.9, 0.9), sds=(0.001,) * 4)
    found = statistics.best_set(values, 0.95, IMAGE)
    assert found.in_best_set.tolist() == [True, False, False, False]
    assert found.behind_at_most[0] == 0


def test_who_is_out_is_behind_its_clearest_rival():
    values = runs(means=(0.95, 0.949, 0.9), sds=(0.02, 0.0005, 0.0005))
    found = statistics.best_set(values, 0.95, IMAGE)
    assert found.in_best_set.tolist() == [True, True, False]
    assert found.clearest_rival[2] == 1  # less noisy than the first
    interval = stats.ttest_ind(values[1], values[2], equal_var=False, alternative="greater").confidence_interval(0.975)
    assert found.behind_at_least[2] == pytest.approx(interval.low)


def test_experiments_side_by_side_are_those_alone():
    both = np.stack([runs(1), runs(2)], axis=1)[:, None]  # [optimizers, 1, experiments, runs]
    for i in (0, 1):
        pairs = zip(statistics.best_set(both, 0.95, IMAGE), statistics.best_set(runs(i + 1), 0.95, IMAGE), strict=True)
        assert all(np.array_equal(stacked[0, i], single, equal_nan=True) for stacked, single in pairs)


def test_two_without_spread_are_not_told_apart_however_far_apart_they_are():
    values = np.array([[0.95] * 3, [0.9] * 3])
    found = statistics.best_set(values, 0.95, IMAGE)
    assert found.in_best_set.all()
    assert np.isnan(found.behind_at_most).all()
    assert np.isnan(statistics.simultaneous(values, 0.95, IMAGE, NOTHING[:2, :2])[0]).all()


def test_who_is_behind_is_so_by_the_rivals_of_which_that_is_known():
    found = statistics.best_set(np.array([[0.95] * 3, [0.9] * 3, [0.94, 0.945, 0.95]]), 0.95, IMAGE)
    assert found.in_best_set.tolist() == [True, False, True]
    assert found.clearest_rival[1] == 2
    assert 0 < found.behind_at_least[1] < 0.045
    assert found.behind_at_least[0] < 0


def test_one_without_spread_is_told_apart_from_one_that_has_it():
    found = statistics.best_set(np.array([[0.95, 0.952, 0.954], [0.098] * 3]), 0.95, IMAGE)
    assert found.in_best_set.tolist() == [True, False]
    assert np.isfinite(found.behind_at_most).all()


def test_one_run_of_each_tells_nothing():
    found = statistics.best_set(np.array([[0.95], [0.1]]), 0.95, IMAGE)
    assert found.in_best_set.all()
    assert np.isnan(found.behind_at_most).all()


@pytest.mark.parametrize(("k", "n"), [(4, 3), (4, 5), (2, 3)])
def test_simultaneous_intervals_are_those_of_scipy(k, n):
    values = runs(3, n=n)[:k]
    low, high, *_ = statistics.simultaneous(values, 0.95, IMAGE, NOTHING[:k, :k])
    expected = stats.tukey_hsd(*values, equal_var=False).confidence_interval(0.95)
    others = ~np.eye(len(values), dtype=bool)
    assert low[others] == pytest.approx(expected.low[others])
    assert high[others] == pytest.approx(expected.high[others])


def test_one_optimizer_differs_from_no_other():
    assert np.isnan(statistics.simultaneous(runs()[:1], 0.95, IMAGE, NOTHING[:1, :1])).all()


def test_two_runs_give_no_simultaneous_interval():
    assert np.isnan(statistics.simultaneous(runs(n=2), 0.95, IMAGE, NOTHING)).all()


def test_a_further_error_widens_the_intervals_and_moves_no_mean():
    low, high, wider_low, wider_high = statistics.simultaneous(runs(), 0.95, IMAGE, np.full((4, 4), 0.001))
    others = ~np.eye(4, dtype=bool)
    assert (wider_low[others] < low[others]).all()
    assert (wider_low + wider_high)[others] == pytest.approx((low + high)[others])


def test_error_over_images_is_that_of_the_difference_image_by_image():
    first, second = np.array([4, 4, 0, 0, 4]), np.array([4, 2, 0, 1, 4])
    errors = statistics.images_error([first / 4, second / 4])
    assert errors[0, 1] == errors[1, 0] == pytest.approx(stats.sem((first - second) / 4))
    assert errors[0, 0] == 0


def test_error_over_images_is_what_drawing_other_images_shows():
    generator = np.random.default_rng(4)
    hard = generator.uniform(size=200000)
    first, second = (generator.uniform(size=200000) < chance for chance in (hard, np.sqrt(hard)))
    samples = generator.integers(0, 200000, (2000, 500))
    drawn = (second[samples].mean(axis=1) - first[samples].mean(axis=1)).std()
    found = statistics.images_error(1.0 * np.array([first[:500], second[:500]]))[0, 1]
    assert found == pytest.approx(drawn, rel=0.1)
