"""A study: what is tried, what is chosen, what the grid tells, against counting by hand; and its files."""

import itertools

import numpy as np
import pytest
import synthetic_runs
from pipeline import ROOT
from report import synthetic
from synthetic_runs import JUDGING

from descent.analysis import records
from descent.core import parameters
from descent.core.parameters import InputError, ParametersError, validate
from descent.data.datasets import Dataset, Split
from descent.runs.metrics import with_balanced_accuracy
from descent.study import grid, selection
from descent.study.settings import TuningParameters, refuse_shared_seeds

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


def tuning(**changes):
    values = {"grid_size": 3, "step_decades": 1.0, "max_extra": 2, "seeds": [100, 101], "selection_size": JUDGING}
    return validate(values | changes, TuningParameters, "params.yaml: tuning")


def test_grid_of_params_yaml_is_nine_half_decades_around_the_entry_itself():
    found = grid.factors(parameters.read(ROOT / "params.yaml", "tuning", TuningParameters))
    np.testing.assert_allclose(found, np.logspace(-2, 2, 9))
    assert found[4] == 1


@pytest.mark.parametrize(("best", "expected"), [(0, 1.0), (2, 100.0), (-2, 0.01), (9, 1000.0)])
def test_grid_goes_on_beyond_an_end_where_the_best_is_as_far_as_it_may(best, expected):
    factors, accuracy, chosen = grid.select(
        tuning(), lambda runs: np.array([-abs(np.log10(factor) - best) for _, factor in runs])
    )
    assert factors[chosen] == pytest.approx(expected)
    assert accuracy.shape == (len(factors), 2)
    assert len(factors) <= 5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"grid_size": 2}, "expected at least 3, got 2"),
        ({"grid_size": 100}, "expected at most 99, got 100"),
        ({"step_decades": 0.0}, "expected more than 0, got 0.0"),
        ({"step_decades": 2.0, "grid_size": 61}, "expected at most 0.938, so that the farthest"),
        ({"seeds": [7, 7]}, "expected distinct seeds"),
    ],
)
def test_impossible_study_is_refused_by_its_key_path(change, message):
    with pytest.raises(ParametersError, match=rf"^params\.yaml: tuning\.{next(iter(change))}: {message}"):
        tuning(**change)


def test_seeds_that_choose_do_not_report():
    refuse_shared_seeds(tuning(), 100, "params.yaml")
    with pytest.raises(ParametersError, match=r"^params\.yaml: tuning\.seeds: expected seeds from 101 on: .* 100$"):
        refuse_shared_seeds(tuning(), 101, "params.yaml")


def written(chosen):
    """The two files of a study in which the factor at this index was chosen, and its scores, [factors, seeds]."""
    tried = [synthetic_runs.run(seed, factor, synthetic.EPOCHS) for factor in (0.1, 1, 10) for seed in (100, 101)]
    scores = np.array([run.history["val_accuracy"][-synthetic.LAST_EPOCHS :].mean() for run in tried]).reshape(3, 2)
    scores[np.arange(3) != chosen] = NAN
    split = Split(np.zeros((JUDGING, 2)), np.zeros(JUDGING, int))
    fresh = [synthetic_runs.run(seed, (0.1, 1, 10)[chosen], synthetic.EPOCHS) for seed in (0, 1, 2)]
    report = np.full(3, 0.9)
    metrics = selection.document([0.1, 1, 10], scores, tried, fresh, report, Dataset(split, split, split, 10))
    tried, fresh = ([with_balanced_accuracy(run, split.labels) for run in runs] for runs in (tried, fresh))
    return selection.runs_csv(tried, fresh).decode(), metrics.decode(), tried, fresh


def parsed(runs, metrics):
    location = "runs/adam.csv", "metrics/adam.json"
    return records.parse_study(runs, metrics, location, 3, synthetic.conditions(), tuning())


def test_study_is_read_as_it_was_written():
    runs, metrics, tried, fresh = written(chosen=2)
    study = parsed(runs, metrics)
    assert study.factors.tolist() == [0.1, 1, 10]
    assert study.learning_rates == pytest.approx([0.03, 0.3, 3])
    assert study.chosen == 2
    np.testing.assert_allclose(study.val_loss[1, 0], tried[2].history["val_loss"], rtol=1e-5)
    expected = tried[3].history["val_accuracy"][-synthetic.LAST_EPOCHS :].mean()
    assert study.selection_accuracy[1, 1] == pytest.approx(expected)
    assert study.test_accuracy == pytest.approx([run.test[1] for run in fresh], rel=1e-5)
    assert study.final_accuracy.shape == (3,)


@pytest.mark.parametrize(
    "damage",
    [
        lambda runs, _: (runs, "{"),
        lambda runs, _: (runs, "{}"),
        lambda runs, metrics: (runs[: len(runs) // 2], metrics),
        lambda runs, metrics: (runs.replace("val_loss", "loss"), metrics),
    ],
)
def test_damaged_study_is_refused_by_the_names_of_its_files(damage):
    with pytest.raises(InputError, match=r"^runs/adam\.csv or metrics/adam\.json: damaged"):
        parsed(*damage(*written(chosen=2)[:2]))


def test_optimizer_that_was_left_out_of_the_study_has_none():
    assert parsed(selection.runs_csv([], []).decode(), selection.LEFT_OUT.decode()) is None
