"""Kept runs are taken, the others are trained, and lines say how far they are."""

import numpy as np
import pytest
import synthetic_runs

from descent.runs import executor
from descent.training.measurements import Wanted

WANTED = [Wanted(0), Wanted(1), Wanted(2)]


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """What was asked for of each training, which takes no time here and is of this machine; that of seed 3 diverges."""
    monkeypatch.chdir(synthetic_runs.folder(tmp_path))
    monkeypatch.setattr(executor, "PROGRESS_SECONDS", -1.0)
    asked = []

    def train(task, runs, weights_of=None, after_epoch=None):
        asked.append(runs)
        for run in runs:
            after_epoch(1, {"loss": 0.25, "val_accuracy": 0.5})
            after_epoch(task.settings.epochs, {"loss": 0.2, "val_accuracy": 0.75})
            weights = b"weights" if run.seed == weights_of else None
            made = synthetic_runs.run(run.seed, run.factor, weights=weights, environment=executor.environment())
            if run.seed == 3:
                made.history["val_accuracy"][:] = np.nan
            yield made

    monkeypatch.setattr(executor, "train", train)
    return asked


def test_every_run_is_trained_once(asked, capsys):
    task = synthetic_runs.task()
    assert [run.seed for run in executor.obtain(task, WANTED[:2], weights_of=0)] == [0, 1]
    capsys.readouterr()
    found = list(executor.obtain(task, WANTED, weights_of=0))
    assert [run.seed for run in found] == [0, 1, 2]
    assert found[0].weights == b"weights"
    assert capsys.readouterr().out.startswith("adam: 2 of 3 runs were kept\nadam  run 1/1  epoch 1/2  loss 0.2500")
    assert len(list(executor.obtain(task, WANTED))) == 3
    assert capsys.readouterr().out == "adam: 3 of 3 runs were kept\n"
    assert asked == [WANTED[:2], WANTED[2:]]


def test_what_is_finished_is_kept_whatever_comes_next(asked):
    task = synthetic_runs.task()
    runs = executor.obtain(task, WANTED)
    next(runs)
    runs.close()  # as Ctrl-C does
    list(executor.obtain(task, WANTED))
    assert asked == [WANTED, WANTED[1:]]
