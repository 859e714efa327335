"""What a kill leaves is repaired by `make repair` and `make repro`, down to the bytes."""

import os
import signal
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path

import psutil
import pytest
import zc.lockfile

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def project(light, tmp_path_factory):
    return light.duplicate(tmp_path_factory.mktemp("repair") / "project")


def made(project):
    """Content of what the stages made and of what DVC recorded."""
    paths = [*(project.folder / "results").rglob("*"), *project.folder.glob("data/**/*.npz")]
    return {path: path.read_bytes() for path in [*paths, project.folder / "dvc.lock"] if path.is_file()}


def repair(project):
    return project.run("python -m stages.repair").splitlines()


def test_good_lock_file_that_is_not_committed_stays(project):
    path = project.folder / "dvc.lock"
    committed = path.read_bytes()
    path.write_bytes(committed.replace(b"schema: '2.0'", b'schema: "2.0"'))
    good = made(project)
    assert repair(project) == []
    assert made(project) == good
    path.write_bytes(committed)


@pytest.mark.parametrize("share", [0, 0.3])
def test_cut_off_files_are_repaired(share, project):
    before, path = made(project), project.folder / "dvc.lock"
    path.write_bytes(before[path][: int(share * len(before[path]))] + b"\n  - : [" * (share > 0))
    half, record = "results/metrics/.adam.json.999999999.part", ".dvc/tmp/rwlock"
    (project.folder / half).write_bytes(b"{")
    (project.folder / record).write_bytes(b'{"results": {"wri')
    assert repair(project) == [
        "dvc.lock was cut off: restored from Git", f"{record} was cut off: removed", f"{half} was half written: removed"
    ]  # fmt: skip
    assert project.repro() == []
    assert made(project) == before


def test_cut_off_lock_file_that_git_does_not_have_is_removed_and_nothing_trains_again(project, tmp_path):
    before, project = made(project).values(), project.duplicate(tmp_path / "project")
    project.run("git rm --quiet --cached dvc.lock && git commit --quiet --message Without")
    path = project.folder / "dvc.lock"
    path.write_text(path.read_text().split("train@adam:")[0] + "train@adam:\n")  # still YAML, but no lock file
    assert repair(project) == ["dvc.lock was cut off: removed"]
    assert project.repro() == []  # all is in the run-cache
    assert [*made(project).values()] == [*before]


def test_nothing_is_touched_while_dvc_works(project):
    record = project.folder / ".dvc/tmp/rwlock"
    record.write_bytes(b"{")
    with closing(zc.lockfile.LockFile(str(project.folder / ".dvc/tmp/lock"))):
        done = project.attempt("python -m stages.repair")
    assert done.returncode == 1
    assert done.stderr == "DVC is running here, so nothing was changed: stop it, then repair\n"
    assert record.read_bytes() == b"{"
    record.unlink()


def test_killed_at_any_moment_repaired_and_reproduced_everything_is_as_if_nothing_had_been(project):
    """Two power cuts kill every process, then SIGTERM stops `make repro`; the parameters change each time."""
    before = made(project)
    command = [sys.executable, "-m", "stages.repro", "--jobs", "2"]
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    for number, (seconds, kill) in enumerate([(2, signal.SIGKILL), (4, signal.SIGKILL), (3, signal.SIGTERM)]):
        project.edit(lambda of, number=number: of["training"].update(epochs=3 + number))
        running = subprocess.Popen(
            command, cwd=project.folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(seconds)
        others = psutil.Process(running.pid).children(recursive=True) if kill == signal.SIGKILL else []
        for process in (running, *others):
            with suppress(psutil.NoSuchProcess):
                process.send_signal(kill)
        running.wait()
    project.run("git checkout params.yaml")
    deadline = time.monotonic() + 30  # for what the killed runs started
    while project.attempt("python -m stages.repair").returncode and time.monotonic() < deadline:
        time.sleep(0.5)
    project.run("python -m stages.repro")
    assert made(project) == before
