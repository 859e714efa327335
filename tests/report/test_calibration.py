"""The report's statements hold as often as they say, for the means and spreads that were measured."""

import numpy as np
import pytest
from pipeline import ROOT

from tools import calibration

REPEATS = 2000
ERROR = 3 * np.sqrt(0.05 * 0.95 / REPEATS)  # three standard errors of a share of 5 %


@pytest.fixture(scope="module")
def real():
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        return calibration.measured()


@pytest.fixture(scope="module")
def five(real):
    return calibration.calibrate(real, 5, REPEATS)


def test_the_best_is_ruled_out_in_at_most_5_percent_and_sgd_nearly_always_and_bounds_hold(real, five):
    assert ((real.means > 0.5) & (real.means < 1) & (real.sds > 0) & (real.sds < 0.05)).all()
    assert all(five.out[real.names.index(name)] > 0.99 for name in ("sgd", "tfoptimizer"))
    assert (five.out_if_equal <= 0.05 + ERROR).all()  # whichever the best is
    assert five.out_if_equal.mean() <= 0.05
    assert five.out[real.means.argmax()] <= 0.05
    assert five.bound_exceeded <= 0.05 + ERROR


def test_races_of_normal_runs_exclude_a_best_as_rarely_as_they_say_and_those_of_skewed_runs_do_not(real):
    normal, skewed = (calibration.races(real, real.all_best(), 1000, is_skewed) for is_skewed in (False, True))
    assert normal.best_out.mean() <= 0.05
    assert (normal.best_out <= 0.05 + ERROR * np.sqrt(REPEATS / 1000)).all()
    assert skewed.best_out.max() > 2 * normal.best_out.max()  # which the page says
    assert max(normal.one_left, skewed.one_left) < 0.05 < calibration.races(real, real.means, 200, False).one_left


def test_simultaneous_intervals_hold_in_nine_of_ten_experiments_below_five_runs_and_more_often_from_there(real, five):
    assert calibration.calibrate(real, 3, REPEATS).all_pairs_hold == pytest.approx(0.9, abs=0.025)
    assert five.all_pairs_hold > 0.91


def test_study_is_as_sure_as_a_choice_is_made_again_where_rates_differ_by_an_sd_and_less_where_by_more():
    told, again = calibration.sureness(1, 3, 500)
    assert told == pytest.approx(again, abs=0.05)
    told, again = calibration.sureness(2, 3, 500)
    assert told < again
