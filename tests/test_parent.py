"""A stage ends with the DVC that started it, and one that is started by hand does not."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from pipeline import ROOT, Project, shrink

from descent.core import process

STAGE = """
import time
from descent.core import process
check = process.die_with_parent()
print("started", flush=True)
while True:
    time.sleep(0.05)
    check()
"""
DVC = """
import subprocess, sys
stage = subprocess.Popen([sys.executable, "-c", sys.argv[1]])
print(stage.pid, flush=True)
stage.wait()
"""


def ends(found):
    """Wait until these processes have ended."""
    _, alive = psutil.wait_procs(found, timeout=60)
    return not alive


@pytest.mark.parametrize(("variables", "dies"), [({"DVC_STAGE": "train@adam"}, True), ({}, False)])
def test_stage_ends_when_dvc_alone_is_killed(variables, dies):
    command, environment = [sys.executable, "-c", DVC, STAGE], {**os.environ, **variables}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as dvc:
        stage = psutil.Process(int(dvc.stdout.readline()))
        assert dvc.stdout.readline() == "started\n"
        dvc.kill()
        if not dies:
            time.sleep(0.5)
            assert stage.is_running()
            stage.kill()
    assert ends([stage])


def test_stage_whose_dvc_is_gone_ends_before_it_writes(monkeypatch):
    monkeypatch.setenv("DVC_STAGE", "train@adam")
    monkeypatch.setattr(process.sys, "platform", "darwin")
    check = process.die_with_parent()
    check()
    monkeypatch.setattr(process.os, "getppid", lambda: 1)
    with pytest.raises(SystemExit, match="train@adam: dvc is gone"):
        check()


# The shell that DVC starts a command with is that of the user; some stay beside the command, some make room for it.
@pytest.mark.slow
def test_training_ends_with_the_dvc_that_started_it(tmp_path, mnist_archive):
    def last_long(parameters):
        shrink(parameters)
        parameters["training"]["epochs"] = 10**6

    project = Project.copy(tmp_path / "project", mnist_archive, last_long, stubs=["check"])
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "SHELL": "/bin/sh"}
    command = ["dvc", "repro", "--quiet", "train@adam"]
    with subprocess.Popen(command, cwd=project.folder, env=environment, stdout=subprocess.PIPE, text=True) as dvc:
        assert any(line.startswith("adam  run 1/2  epoch ") for line in dvc.stdout)
        trainings = psutil.Process(dvc.pid).children(recursive=True)
        assert trainings
        dvc.kill()  # and nobody else
    try:
        assert ends(trainings)
        assert not (project.folder / "results/history/adam.csv").exists()
    finally:
        for training in trainings:  # a million epochs
            if training.is_running():
                training.kill()
