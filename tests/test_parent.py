"""A stage whose DVC is gone ends, and leaves what a newer run put in place."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pipeline import ROOT, Project, shrink

from descent.core import process

STAGE = """
import sys, time
from descent.core import process
check = process.die_with_parent()
print("started", flush=True)
while True:
    time.sleep(0.05)
    check()
    open(sys.argv[1], "a").write("old")
"""
DVC = """
import os, subprocess, sys
os.environ["DVC_STAGE"] = "train@adam"
stage = subprocess.Popen([sys.executable, "-c", {stage!r}, sys.argv[1]])
print(stage.pid, flush=True)
stage.wait()
"""


def is_alive(pid):
    """Tell whether a process runs; a zombie, which nobody has waited for yet, does not."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return state[:1] not in ("", "Z")


def wait_for(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def started(tmp_path):
    """A process in the place of DVC, the number of its stage, and the file that the stage keeps writing."""
    path = tmp_path / "results"
    command = [sys.executable, "-c", DVC.format(stage=STAGE), str(path)]
    dvc = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    stage = int(dvc.stdout.readline())
    assert dvc.stdout.readline() == "started\n"
    wait_for(path.exists)
    yield dvc, stage, path
    for pid in (dvc.pid, stage):
        if is_alive(pid):
            os.kill(pid, signal.SIGKILL)
    dvc.stdout.close()
    dvc.wait()


def test_stage_ends_when_dvc_alone_is_killed(started):
    dvc, stage, _ = started
    dvc.kill()
    dvc.wait()
    wait_for(lambda: not is_alive(stage))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a stopped process with its parent")
def test_orphan_that_was_stopped_never_wakes_to_overwrite_a_newer_run(started):
    dvc, stage, path = started
    os.kill(stage, signal.SIGSTOP)
    dvc.kill()
    dvc.wait()
    path.write_text("newer")
    if is_alive(stage):
        os.kill(stage, signal.SIGCONT)
    wait_for(lambda: not is_alive(stage))
    assert path.read_text() == "newer"


def test_check_alone_ends_the_stage_where_the_system_does_not(monkeypatch):
    monkeypatch.setenv("DVC_STAGE", "train@adam")
    monkeypatch.setattr(process.sys, "platform", "darwin")
    check = process.die_with_parent()
    check()
    monkeypatch.setattr(process.os, "getppid", lambda: 1)
    with pytest.raises(SystemExit, match="train@adam: dvc is gone"):
        check()


def test_stage_that_somebody_runs_by_hand_may_outlive_its_shell(monkeypatch):
    monkeypatch.delenv("DVC_STAGE", raising=False)
    check = process.die_with_parent()
    monkeypatch.setattr(process.os, "getppid", lambda: 1)
    check()


# The shell that DVC starts a command with is that of the user; some stay beside the command, some make room for it.
@pytest.mark.slow
def test_training_ends_with_the_dvc_that_started_it(tmp_path, mnist_archive):
    def last_long(parameters):
        shrink(parameters)
        parameters["training"]["epochs"] = 10**6

    project = Project.copy(tmp_path / "project", mnist_archive, last_long, stubs=["check"])
    history = project.folder / "results/history/adam.csv"
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    dvc = subprocess.Popen(
        ["dvc", "repro", "--quiet", "train@adam"], cwd=project.folder,
        env={**os.environ, "PATH": path, "SHELL": "/bin/sh"}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert any(line.startswith("adam  run 1/2  epoch ") for line in dvc.stdout)
        dvc.kill()  # and nobody else
        dvc.wait()
        wait_for(lambda: not trainings_in(project.folder))
        assert not history.exists()
    finally:
        dvc.kill()
        dvc.stdout.close()
        for pid in trainings_in(project.folder):  # a million epochs
            os.kill(pid, signal.SIGKILL)


def trainings_in(folder):
    """Return the trainings that run in a folder."""
    command = ["pgrep", "--full", "stages.train adam"]
    found = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()
    return [int(pid) for pid in found if Path(f"/proc/{pid}/cwd").resolve() == folder.resolve()]
