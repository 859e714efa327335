"""An optimizer whose steps do not follow its learning rate is compared, and left out of the study with one line."""

import shutil

import numpy as np
import pytest
from pipeline import ROOT

from descent.core.process import write_file
from descent.runs import executor
from descent.training.measurements import MEASUREMENTS, Run
from stages import compare_tuning, tune


def runs_that_ignore_the_rate(_, wanted, **__):
    for run in wanted:
        history = dict.fromkeys(MEASUREMENTS, np.array([0.5, 0.6]))
        yield Run(run.seed, run.factor, 0.1, history, np.ones((2, 3), bool), None, None, 1.0, {"device": "CPU"})


@pytest.fixture
def tuned(tmp_path, monkeypatch, capsys):
    """A folder in which the stage `tune` ran for sgd, as if sgd had no learning rate."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "params.yaml", "params.yaml")
    monkeypatch.setattr(executor, "obtain", runs_that_ignore_the_rate)
    tune.main("sgd")
    assert capsys.readouterr().out == "sgd: its steps do not follow its learning rate: left out of the study\n"
    return tmp_path / "results/tuning"


def test_two_runs_tell_and_nothing_is_reported_of_it(tuned):
    assert (tuned / "runs/sgd.csv").read_text().count("\n") == 1
    assert (tuned / "metrics/sgd.json").read_text() == '{"left_out": true}\n'


@pytest.mark.slow
def test_the_others_are_compared_without_it(tuned, capsys):
    for path in [*ROOT.glob("results/tuning/runs/*.csv"), *ROOT.glob("results/tuning/metrics/*.json")]:
        if path.stem != "sgd":
            shutil.copy(path, tuned / path.parent.name)
    for name in ("history", "metrics"):
        shutil.copytree(ROOT / "results" / name, tuned.parent / name)
    for name in ("descent", ".dvc/plots_page"):
        (tuned.parents[1] / name).parent.mkdir(exist_ok=True)
        (tuned.parents[1] / name).symlink_to(ROOT / name)
    write_file(tuned / "paths.csv", b"surface,optimizer,factor,step,x,y\n")
    compare_tuning.main()
    printed = capsys.readouterr().out
    assert "sgd: left out of the study, since its steps do not follow its learning rate\n" in printed
    assert "Left out, since their steps do not follow a learning rate: sgd." in printed
    assert "| sgd " not in printed
