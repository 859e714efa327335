"""A study: what is tried and chosen, what the grid shows, against counting by hand; its runs and its files."""

import itertools
import shutil

import numpy as np
import pytest
import synthetic_runs
from pipeline import ROOT
from report import synthetic
from synthetic_runs import JUDGING

from descent.analysis import records
from descent.core.parameters import InputError, validate
from descent.core.process import write_file
from descent.data.datasets import Dataset, Split
from descent.runs import executor
from descent.runs.metrics import with_balanced_accuracy
from descent.study import grid, selection
from descent.study.grid import TuningParameters
from descent.training.measurements import MEASUREMENTS, Run
from stages import compare_tuning, tune

NAN = np.nan
FACTORS = np.array([0.01, 0.1, 1, 10, 100])


def level(means, seeds=3):
    return np.repeat(np.array(means)[:, None], seeds, axis=1)


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        (level([0.1, 0.9, 0.5]), 1),
        (level([0.9, 0.9, 0.5]), 0),  # the smaller of equal ones
        (np.array([[0.5, 0.5], [0.9, NAN], [0.6, 0.6]]), 2),  # a run diverged
        (level([NAN, NAN, NAN]), None),
    ],
)
def test_factor_with_the_best_mean_is_chosen_among_those_at_which_no_run_diverged(scores, expected):
    assert grid.choose(scores) == expected


def test_choice_is_certain_if_scores_lie_far_apart_and_a_toss_up_if_they_are_equal():
    apart, equal = np.array([[0.5, 0.51, 0.49], [0.9, 0.91, 0.89]]), np.array([[0.9, 0.91, 0.89]] * 2)
    assert selection.certainty(apart)[1] > 0.99
    assert selection.certainty(equal)[0] == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(
    ("means", "decades", "is_open"),
    [
        ([0.5, 0.88, 0.9, 0.88, 0.5], 1, False),
        ([0.5, 0.88, 0.9, 0.9, 0.9], 2.5, True),
        ([0, 0.88, 0.9, NAN, 0], 1, False),
    ],
)
def test_good_range_is_interpolated_and_open_at_an_end(means, decades, is_open):
    assert selection.good_range(FACTORS[: len(means)], level(means)) == (pytest.approx(decades), is_open)


def test_sensitivity_is_what_is_lost_within_a_decade_and_divergence_has_learnt_nothing():
    found = selection.sensitivity(FACTORS, level([0.1, 0.8, 0.9, NAN, NAN]), chance=0.1)
    assert found == pytest.approx((0.1 + 0 + 0.8) / 3)


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


@pytest.mark.parametrize(("best", "expected"), [(0, 1.0), (-2, 0.01), (9, 1000.0)])
def test_grid_goes_on_beyond_an_end_as_long_as_the_best_is_there_and_as_far_as_it_may(best, expected):
    factors, accuracy, chosen = grid.select(
        tuning(), lambda runs: np.array([-abs(np.log10(factor) - best) for _, factor in runs])
    )
    assert factors[chosen] == pytest.approx(expected)
    assert accuracy.shape == (len(factors), 2)
    assert len(factors) <= 5


def written():
    """The two files of a study in which the largest factor was chosen, and its runs."""
    tried = [synthetic_runs.run(seed, factor, synthetic.EPOCHS) for factor in (0.1, 1, 10) for seed in (100, 101)]
    fresh = [synthetic_runs.run(seed, 10, synthetic.EPOCHS) for seed in (0, 1, 2)]
    split = Split(np.zeros((JUDGING, 2)), np.zeros(JUDGING, int))
    data = Dataset(split, split, split, 10)
    metrics = selection.document([0.1, 1, 10], level([0.5, 0.6, 0.7], 2), tried, fresh, np.full(3, 0.9), data)
    tried, fresh = ([with_balanced_accuracy(run, split.labels) for run in runs] for runs in (tried, fresh))
    return selection.runs_csv(tried, fresh).decode(), metrics.decode(), tried, fresh


def parsed(runs, metrics):
    location = "runs/adam.csv", "metrics/adam.json"
    return records.parse_study(runs, metrics, location, 3, synthetic.conditions(), tuning())


def test_study_is_read_as_it_was_written():
    runs, metrics, tried, fresh = written()
    study = parsed(runs, metrics)
    assert study.factors.tolist() == [0.1, 1, 10]
    assert study.learning_rates == pytest.approx([0.03, 0.3, 3])
    assert study.chosen == 2
    np.testing.assert_allclose(study.val_loss[1, 0], tried[2].history["val_loss"], rtol=1e-5)
    expected = tried[3].history["val_accuracy"][-synthetic.LAST_EPOCHS :].mean()
    assert study.selection_accuracy[1, 1] == pytest.approx(expected)
    assert study.test_accuracy == pytest.approx([run.test[1] for run in fresh], rel=1e-5)
    assert study.final_accuracy.shape == (3,)


@pytest.mark.parametrize("damage", [lambda runs, _: (runs, "{"), lambda runs, metrics: (runs[:500], metrics)])
def test_damaged_study_is_refused_by_the_names_of_its_files(damage):
    with pytest.raises(InputError, match=r"^runs/adam\.csv or metrics/adam\.json: damaged"):
        parsed(*damage(*written()[:2]))


@pytest.fixture
def left_out(tmp_path, monkeypatch, capsys):
    """A folder in which the stage `tune` ran for sgd, as if sgd had no learning rate."""

    def same_at_every_rate(_, wanted):
        history = dict.fromkeys(MEASUREMENTS, np.array([0.5, 0.6]))
        return [Run(*run, 0.1, history, np.ones((2, 3), bool), None, None, 1.0, {"device": "CPU"}) for run in wanted]

    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "params.yaml", "params.yaml")
    monkeypatch.setattr(executor, "obtain", same_at_every_rate)
    tune.main("sgd")
    assert capsys.readouterr().out == "sgd: its steps do not follow its learning rate: left out of the study\n"
    return tmp_path / "results/tuning"


def test_optimizer_without_a_learning_rate_is_left_out_of_the_study(left_out):
    assert parsed((left_out / "runs/sgd.csv").read_text(), (left_out / "metrics/sgd.json").read_text()) is None


@pytest.mark.slow
def test_the_others_are_compared_without_it(left_out, capsys):
    for path in [*ROOT.glob("results/tuning/runs/*.csv"), *ROOT.glob("results/tuning/metrics/*.json")]:
        if path.stem != "sgd":
            shutil.copy(path, left_out / path.parent.name)
    for name in ("results/history", "results/metrics", "descent", ".dvc/plots_page"):
        (left_out.parents[1] / name).parent.mkdir(exist_ok=True)
        (left_out.parents[1] / name).symlink_to(ROOT / name)
    write_file(left_out / "paths.csv", b"surface,optimizer,factor,step,x,y\n")
    compare_tuning.main()
    printed = capsys.readouterr().out
    assert "sgd: left out of the study, since its steps do not follow its learning rate\n" in printed
    assert "Left out, since their steps do not follow a learning rate: sgd." in printed
    assert "| sgd " not in printed
    for kind in ("runs", "metrics"):
        for path in (left_out / kind).iterdir():
            path.write_bytes((left_out / kind / f"sgd{path.suffix}").read_bytes())
    with pytest.raises(SystemExit, match="expected one whose learning rate can be tuned, got none"):
        compare_tuning.main()
