"""Statistics against published values, or against counting and simulating by brute force."""

import math
from itertools import combinations, product

import numpy as np
import pytest
from scipy import stats

from descent.report import statistics

# Student (1908), hours of sleep gained with two drugs by the same ten patients; R's data set `sleep`.
DRUG_1 = np.array([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0])
DRUG_2 = np.array([1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4])


def test_paired_difference_of_students_sleep_data_is_the_published_one():
    (row,) = statistics.paired_differences({"1": DRUG_1, "2": DRUG_2}, 0.95)
    assert (row.first, row.second, row.n) == ("1", "2", 10)
    assert row.mean == pytest.approx(-1.58)
    assert (row.low, row.high) == pytest.approx((-2.4598858, -0.7001142), abs=1e-7)  # R: t.test(..., paired = TRUE)
    assert row.p == row.p_holm == pytest.approx(0.002833, abs=5e-7)


def test_summary_by_t_equals_that_of_students_differences():
    summary = statistics.summarize(DRUG_2 - DRUG_1, 0.95, "t")
    assert summary == pytest.approx((1.58, 1.229995, 0.7001142, 2.4598858), abs=1e-6)


def test_bootstrap_interval_agrees_with_all_resamples():
    runs = np.array([0.91, 0.93, 0.935, 0.94, 0.96])
    every_mean = np.array(list(product(runs, repeat=5))).mean(axis=1)
    summary = statistics.summarize(runs, 0.9, "bootstrap")
    assert (summary.low, summary.high) == pytest.approx(np.quantile(every_mean, [0.05, 0.95]), abs=0.001)


@pytest.mark.parametrize("method", ["t", "bootstrap"])
def test_rows_of_a_summary_do_not_touch_each_other_and_a_diverged_run_is_never_averaged_away(method):
    both = statistics.summarize([[1.0, 2.0, 4.0], [1.0, np.nan, 3.0]], 0.95, method)
    alone = statistics.summarize([1.0, 2.0, 4.0], 0.95, method)
    assert [float(figure[0]) for figure in both] == pytest.approx([float(figure) for figure in alone])
    assert np.isnan([figure[1] for figure in both]).all()


@pytest.mark.parametrize("method", ["t", "bootstrap"])
def test_one_run_has_a_mean_and_no_spread(method):
    summary = statistics.summarize([[0.5], [0.7]], 0.95, method)
    assert summary.mean.tolist() == [0.5, 0.7]
    assert np.isnan([summary.sd, summary.low, summary.high]).all()
    assert np.isnan(statistics.prediction_interval(np.array([0.5]), 0.95)).all()
    (row,) = statistics.paired_differences({"a": np.array([0.5]), "b": np.array([0.7])}, 0.95)
    assert row.mean == pytest.approx(-0.2)
    assert np.isnan([row.sd, row.low, row.high, row.p, row.p_holm]).all()


def test_prediction_interval_holds_the_next_run_as_often_as_it_says():
    draws = np.random.default_rng(0).normal(size=(20000, 4))
    inside = [low <= draw[3] <= high for draw in draws for low, high in [statistics.prediction_interval(draw[:3], 0.9)]]
    assert np.mean(inside) == pytest.approx(0.9, abs=0.007)  # three standard errors of 20000 draws


def test_holm_equals_the_closed_test_over_all_subsets():
    p = np.random.default_rng(1).uniform(0, 0.3, 6)
    subsets = [subset for size in range(1, 7) for subset in combinations(range(6), size)]
    closed = [max(min(1, len(s) * p[list(s)].min()) for s in subsets if i in s) for i in range(6)]
    assert statistics.holm(p) == pytest.approx(closed)


def test_holm_gives_published_values_and_leaves_out_tests_that_were_not_made():
    # What p.adjust of R gives for 0.01, 0.02, 0.03, 0.04, 0.05 with method holm.
    adjusted = statistics.holm([0.03, math.nan, 0.01, 0.05, 0.02, 0.04])
    assert adjusted == pytest.approx([0.09, math.nan, 0.05, 0.09, 0.08, 0.09], nan_ok=True)


def test_every_pair_is_compared_once_and_corrected_for_all():
    runs = {name: 0.9 + np.random.default_rng(ord(name)).normal(0, 0.01, 5) for name in "dbca"}
    rows = statistics.paired_differences(runs, 0.95)
    assert [(row.first, row.second) for row in rows] == list(combinations("abcd", 2))
    assert [row.p_holm for row in rows] == pytest.approx(statistics.holm([row.p for row in rows]).tolist())
    assert [row.p for row in rows] == pytest.approx(
        [stats.ttest_rel(runs[a], runs[b]).pvalue for a, b in combinations("abcd", 2)]
    )


def test_what_the_seed_does_to_both_cancels_in_a_paired_difference():
    seed_effect = np.array([-0.05, 0.0, 0.05])
    (row,) = statistics.paired_differences(
        {"a": 0.9 + seed_effect, "b": 0.89 + seed_effect + [0.0, 0.001, -0.001]}, 0.95
    )
    assert row.sd == pytest.approx(0.001)


@pytest.mark.parametrize("gap", [0.0, 0.01])
def test_differences_without_spread_establish_nothing(gap):
    runs = np.array([0.93, 0.94, 0.95])
    (row,) = statistics.paired_differences({"a": runs + gap, "b": runs}, 0.95)
    assert row.mean == pytest.approx(gap)
    assert math.isnan(row.p)


def test_a_pair_with_a_diverged_run_has_no_difference_and_says_how_many_pairs_are_left():
    (row,) = statistics.paired_differences({"a": np.array([0.9, np.nan, 0.8]), "b": np.array([0.7, 0.8, 0.9])}, 0.95)
    assert row.n == 2
    assert np.isnan([row.mean, row.sd, row.p]).all()


def test_tie_groups_are_all_largest_sets_without_an_established_difference():
    generator = np.random.default_rng(2)
    names = list("fbdace")
    for share in (0.1, 0.3, 0.5, 0.7, 0.9) * 4:
        apart = {frozenset(pair) for pair in combinations(names, 2) if generator.uniform() < share}
        alike = [
            set(group)
            for size in range(1, 7)
            for group in combinations(names, size)
            if not any(frozenset(pair) in apart for pair in combinations(group, 2))
        ]
        largest = [sorted(group, key=names.index) for group in alike if not any(group < other for other in alike)]
        assert statistics.tie_groups(names, apart) == sorted(largest, key=lambda group: [names.index(x) for x in group])


def test_being_alike_is_not_transitive_in_tie_groups():
    assert statistics.tie_groups(["a", "b", "c"], {frozenset("ac")}) == [["a", "b"], ["b", "c"]]


def test_sampling_error_is_binomial_and_seed_error_shrinks_with_the_runs():
    errors = statistics.accuracy_errors(0.95, 0.004, 4, 7000)
    assert errors.sampling == pytest.approx(math.sqrt(0.95 * 0.05 / 7000))
    assert errors.seeds == pytest.approx(0.002)


@pytest.mark.parametrize(
    ("epochs", "reached", "median"),
    [([4, 2, 9], 3, 4), ([4, math.inf, 2], 2, 4), ([2, math.inf, math.inf], 1, math.inf), ([math.inf], 0, math.inf)],
)
def test_a_missed_target_is_infinitely_late(epochs, reached, median):
    assert statistics.time_to_target(np.array(epochs, dtype=float)) == (reached, len(epochs), median)


def test_pooled_sd_is_the_root_mean_square_of_the_known_ones():
    assert statistics.pooled_sd([0.3, math.nan, 0.4]) == pytest.approx(math.sqrt(0.125))
    assert math.isnan(statistics.pooled_sd([math.nan]))


@pytest.mark.parametrize(("effect", "pairs"), [(0.2, 199), (0.5, 34), (0.8, 15)])
def test_seeds_needed_are_those_of_gpower_for_cohens_small_medium_and_large_effect(effect, pairs):
    # G*Power 3.1, difference between two dependent means, two tails, 0.05, power 0.8
    assert statistics.seeds_needed(effect, 1.0, 0.05, 0.8) == pairs


@pytest.mark.parametrize("effect", [0.03, 0.7, 1.5, 5.0])
@pytest.mark.parametrize("power", [0.5, 0.8, 0.95])
def test_seeds_needed_is_the_smallest_number_with_the_power(effect, power):
    n = statistics.seeds_needed(effect, 1.0, 0.05, power)
    assert statistics.power_of_paired_t_test(n, effect, 1.0, 0.05) >= power
    assert n == 2 or statistics.power_of_paired_t_test(n - 1, effect, 1.0, 0.05) < power


def test_power_is_the_share_of_simulated_experiments_that_find_the_gap():
    changes = np.random.default_rng(3).normal(0.01, 0.008, size=(20000, 6))
    found = stats.ttest_1samp(changes, 0, axis=1).pvalue < 0.05
    assert statistics.power_of_paired_t_test(6, 0.01, 0.008, 0.05) == pytest.approx(found.mean(), abs=0.011)
