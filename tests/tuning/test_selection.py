"""What chooses a learning rate, and what the grid tells, against counting by hand."""

import itertools

import numpy as np
import pytest

from descent.study import grid, selection
from descent.study.settings import TuningParameters

NAN = np.nan


def level(means, seeds=3):
    return np.repeat(np.array(means)[:, None], seeds, axis=1)


@pytest.mark.parametrize(
    ("means", "expected"), [([0.1, 0.9, 0.5], 1), ([0.9, 0.9, 0.5], 0), ([0.5, NAN, 0.6], 2), ([NAN, NAN, NAN], None)]
)
def test_best_mean_is_chosen_the_smaller_of_equal_rates_and_none_that_diverged(means, expected):
    assert grid.choose(level(means)) == expected


def test_one_diverged_run_makes_its_rate_ineligible():
    assert grid.choose(np.array([[0.5, 0.5], [0.9, NAN]])) == 0


def test_choice_is_sure_where_rates_lie_far_apart_and_a_toss_up_where_they_do_not():
    apart, equal = np.array([[0.5, 0.51, 0.49], [0.9, 0.91, 0.89]]), np.array([[0.9, 0.91, 0.89]] * 2)
    assert selection.certainty(apart)[1] > 0.99
    assert selection.certainty(equal)[0] == pytest.approx(0.5, abs=0.02)


def test_good_range_is_interpolated_and_open_at_an_end():
    factors = np.array([0.01, 0.1, 1, 10, 100])
    assert selection.good_range(factors, level([0.5, 0.88, 0.9, 0.88, 0.5])) == (pytest.approx(1), False)
    assert selection.good_range(factors, level([0.5, 0.88, 0.9, 0.9, 0.9])) == (pytest.approx(2.5), True)
    assert selection.good_range(factors, level([0.5, 0.88, 0.9, NAN, NAN])) == (pytest.approx(1), False)


def test_sensitivity_is_what_is_lost_within_a_decade_and_divergence_has_learnt_nothing():
    factors = np.array([0.01, 0.1, 1, 10, 100])
    assert selection.sensitivity(factors, level([0.1, 0.8, 0.9, NAN, NAN]), 0.1) == pytest.approx((0.1 + 0 + 0.8) / 3)


def test_best_of_k_is_the_mean_over_all_subsets_chosen_on_the_other_seeds():
    runs = np.random.default_rng(0).random((5, 3))
    found = selection.best_of_k(runs, 0.1)
    for k in range(1, 6):
        by_hand = []
        for seed in range(3):
            others = np.delete(runs, seed, axis=1).mean(axis=1)
            by_hand += [runs[max(s, key=lambda i: others[i]), seed] for s in itertools.combinations(range(5), k)]
        assert found[k - 1] == pytest.approx(np.mean(by_hand))


def settings(**changes):
    values = {"grid_size": 3, "step_decades": 1.0, "max_extra": 2, "seeds": [100, 101], "selection_size": 100}
    return TuningParameters(**values | changes)


@pytest.mark.parametrize(("best", "expected"), [(0, 1.0), (2, 100.0), (-2, 0.01), (9, 1000.0)])
def test_grid_goes_on_beyond_an_end_where_the_best_is_as_far_as_it_may(best, expected):
    factors, accuracy, chosen = grid.select(
        settings(), lambda runs: np.array([-abs(np.log10(factor) - best) for _, factor in runs])
    )
    assert factors[chosen] == pytest.approx(expected)
    assert accuracy.shape == (len(factors), 2)
    assert len(factors) <= 5
