"""Kept runs are taken, the others are trained, and lines say how far they are."""

from pathlib import Path

import numpy as np
import pytest
import synthetic_runs

from descent.runs import executor
from descent.runs import task as training
from descent.training.measurements import Wanted

WANTED = [Wanted(0), Wanted(1), Wanted(2)]


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """What was asked for of each training, which takes no time here and is of this machine."""
    monkeypatch.chdir(synthetic_runs.folder(tmp_path))
    monkeypatch.setattr(executor, "PROGRESS_SECONDS", -1.0)
    asked = []

    def train(task, runs, weights_of=None, after_epoch=None):
        asked.append(runs)
        for run in runs:
            after_epoch(1, {"loss": 0.25, "val_accuracy": 0.5})
            after_epoch(task.settings.epochs, {"loss": 0.2, "val_accuracy": 0.75})
            weights = b"weights" if run.seed == weights_of else None
            yield synthetic_runs.run(run.seed, run.factor, weights=weights, environment=executor.environment())

    monkeypatch.setattr(training, "train", train)
    return asked


def test_every_run_is_trained_once(asked, capsys):
    task = synthetic_runs.task()
    assert [run.seed for run in executor.obtain(task, WANTED[:2], weights_of=0)] == [0, 1]
    capsys.readouterr()
    found = list(executor.obtain(task, WANTED, weights_of=0))
    assert [run.seed for run in found] == [0, 1, 2]
    assert found[0].weights == b"weights"
    assert asked == [WANTED[:2], WANTED[2:]]
    assert capsys.readouterr().out.startswith("adam: 2 of 3 runs were kept\nadam  run 1/1  epoch 1/2  loss 0.2500")


def test_runs_that_are_all_kept_need_no_training(asked, capsys):
    task = synthetic_runs.task()
    list(executor.obtain(task, WANTED))
    capsys.readouterr()
    assert len(list(executor.obtain(task, WANTED))) == 3
    assert capsys.readouterr().out == "adam: 3 of 3 runs were kept\n"
    assert len(asked) == 1


def test_what_is_finished_is_kept_whatever_comes_next(asked):
    task = synthetic_runs.task()
    runs = executor.obtain(task, WANTED)
    next(runs)
    runs.close()  # as Ctrl-C does
    list(executor.obtain(task, WANTED))
    assert asked == [WANTED, WANTED[1:]]


@pytest.mark.usefixtures("asked")
def test_lines_say_which_run_how_far_and_when_all_are_done(capsys):
    list(executor.obtain(synthetic_runs.task(), [Wanted(0), Wanted(1, 10**-0.5)]))
    first, second = (synthetic_runs.run(seed).history["val_accuracy"][-1] for seed in (0, 1))
    assert capsys.readouterr().out.splitlines() == [
        "adam  run 1/2  epoch 1/2  loss 0.2500  val_accuracy 0.5000  0 s left",
        f"adam  run 1/2  seed 0  val_accuracy {first:.4f}  took 0.3 s  0 s left",
        "adam  run 2/2  epoch 1/2  loss 0.2500  val_accuracy 0.5000  0 s left",
        f"adam  run 2/2  seed 1  learning rate x 0.3162  val_accuracy {second:.4f}  took 0.3 s  0 s left",
    ]


@pytest.mark.usefixtures("asked")
def test_diverged_run_is_said_to_be_one(capsys):
    progress = executor._Progress(synthetic_runs.task(), 1)
    run = synthetic_runs.run(3)
    run.history["val_accuracy"][:] = np.nan
    progress.after_epoch(1, {})
    progress.after_run(run)
    assert capsys.readouterr().out == "adam  run 1/1  seed 3  diverged  took 0.3 s  0 s left\n"


@pytest.mark.usefixtures("asked")
def test_folder_of_the_kept_runs_is_not_one_of_git():
    list(executor.obtain(synthetic_runs.task(), WANTED))
    assert len(list(Path(".dvc/tmp/runs").glob("*.npz"))) == 3
    assert "/tmp" in (Path(__file__).parents[1] / ".dvc/.gitignore").read_text().splitlines()
