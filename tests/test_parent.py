"""A training ends with the DVC that started it."""

import subprocess

import psutil
import pytest
from pipeline import Project, shrink


def last_long(parameters):
    shrink(parameters)
    parameters["training"]["epochs"] = 10**6


@pytest.mark.slow
def test_training_ends_with_the_dvc_that_started_it(tmp_path, mnist_archive):
    project = Project.copy(tmp_path / "project", mnist_archive, last_long, stubs=["check"])
    with project.start("dvc", "repro", "--quiet", "train@adam", stdout=subprocess.PIPE) as dvc:
        assert any(line.startswith("adam  run 1/2  epoch ") for line in dvc.stdout)
        trainings = psutil.Process(dvc.pid).children(recursive=True)
        assert trainings
        dvc.kill()  # and nobody else
    try:
        _, alive = psutil.wait_procs(trainings, timeout=60)
        assert not alive
        assert not (project.folder / "results/history/adam.csv").exists()
    finally:
        for training in trainings:  # a million epochs
            if training.is_running():
                training.kill()
