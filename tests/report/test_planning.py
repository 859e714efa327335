"""How many runs it takes, against published tables and simulated experiments."""

import numpy as np
import pytest
from scipy import stats

from descent.report import planning
from descent.report.settings import ReportParameters
from descent.report.tables import Rank

REPORT = ReportParameters(note="None", confidence=0.95, power=0.8, gaps_points=[0.5, 1.0], equivalence_points=0.5)


@pytest.mark.parametrize(("effect", "runs"), [(0.2, 310), (0.5, 51), (0.8, 21)])
def test_runs_needed_are_those_of_gpower_for_cohens_small_medium_and_large_effect(effect, runs):
    # G*Power 3.1, difference between two independent means, one tail, 0.05, power 0.8, equal groups
    assert planning.runs_needed(effect, np.array([1.0, 1.0]), 0.05, 0.8) == runs


@pytest.mark.parametrize("effect", [0.3, 0.7, 1.5, 5.0])
@pytest.mark.parametrize("wanted", [0.5, 0.8, 0.95])
def test_runs_needed_is_the_smallest_number_with_the_power(effect, wanted):
    sds = np.array([0.5, 1.0])
    n = planning.runs_needed(effect, sds, 0.05, wanted)
    assert planning.power(n, effect, sds, 0.05) >= wanted
    assert n == 2 or planning.power(n - 1, effect, sds, 0.05) < wanted


def test_power_is_the_share_of_simulated_experiments_that_find_the_gap():
    generator = np.random.default_rng(3)
    ahead, behind = generator.normal(0.01, 0.008, (20000, 6)), generator.normal(0, 0.003, (20000, 6))
    found = stats.ttest_ind(ahead, behind, axis=1, equal_var=False, alternative="greater").pvalue < 0.05
    # Welch's degrees of freedom are estimated in the test and known to the formula
    assert planning.power(6, 0.01, np.array([0.008, 0.003]), 0.05) == pytest.approx(found.mean(), abs=0.02)


def test_largest_factor_bounds_the_true_spread_as_often_as_it_says():
    draws = np.random.default_rng(5).normal(size=(20000, 2, 5))
    sds = draws.std(axis=-1, ddof=1)
    bounds = [planning.largest_factor(5, pair, 0.9) * np.hypot(*pair) for pair in sds]
    assert np.mean(np.array(bounds) < np.sqrt(2)) == pytest.approx(0.05, abs=0.02)


def rank(name, sd, verdict="yes"):
    return Rank(name, verdict, 0.9, sd, 0.8, 1.0, 0.0, "", 0.0, 0.9, 0.01, 3.0, 5, 0, 5)


def test_each_rival_of_the_best_is_planned_for_at_the_level_of_the_ranking():
    rows = planning.needs([rank("a", 0.002), rank("b", 0.004), rank("c", 0.01)], REPORT)
    assert [(row.leader, row.rival, row.gap) for row in rows] == [
        ("a", rival, gap) for rival in "bc" for gap in (0.005, 0.01)
    ]
    assert rows[0].runs == planning.runs_needed(0.005, np.array([0.002, 0.004]), 0.05 / 2, 0.8)
    assert all(row.runs <= row.runs_at_most for row in rows)
    assert rows[0].runs < rows[2].runs


@pytest.mark.parametrize("ranking", [[], [rank("a", np.nan), rank("b", 0.1)], [rank("a", 0.1), rank("b", np.nan)]])
def test_nothing_is_planned_without_two_known_spreads(ranking):
    assert planning.needs(ranking, REPORT) == []
