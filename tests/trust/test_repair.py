"""What kills and bad disks leave is put right by `stages.repair` and `dvc repro`: the bytes are those of before."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pipeline import yaml

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def project(light, tmp_path_factory):
    return light.duplicate(tmp_path_factory.mktemp("repair") / "project")


def made(project):
    """Content of what the stages made and of what DVC says of it."""
    paths = [
        *(project.folder / "results").rglob("*"),
        *(project.folder / "data").rglob("*.npz"),
        project.folder / "dvc.lock",
    ]
    return {path: path.read_bytes() for path in paths if path.is_file()}


def repair(project):
    return project.run("python -m stages.repair").splitlines()


def test_sound_repository_is_left_alone_and_so_is_what_others_are_about_to_write(project):
    before = made(project)
    others = [".dvc/cache/files/md5/00/.token.tmp", ".dvc/tmp/exps/standalone/one/results/metrics/.adam.json.part"]
    for name in others:
        (project.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (project.folder / name).write_text("{")
    assert repair(project) == ["Nothing to repair."]
    assert made(project) == before
    for name in others:
        assert (project.folder / name).read_text() == "{"
        (project.folder / name).unlink()


@pytest.mark.parametrize("share", [0, 0.3, 0.7])
def test_lock_file_that_is_cut_off_is_that_of_the_last_commit(project, share):
    before, path = made(project), project.folder / "dvc.lock"
    path.write_bytes(before[path][: int(share * len(before[path]))] + b"\n  - : [" * (share > 0))
    assert repair(project) == ["dvc.lock: damaged; now as in the last commit", "Now: make repro"]
    assert project.repro() == []
    assert made(project) == before


def test_lock_file_that_is_cut_off_and_no_commit_has_is_removed_and_nothing_trains_again(project, tmp_path):
    before, project = made(project).values(), project.duplicate(tmp_path / "project")
    project.run("git rm --quiet --cached dvc.lock && git commit --quiet --message Without")
    path = project.folder / "dvc.lock"
    path.write_text(path.read_text().split("train@adam:")[0] + "train@adam:\n")  # still YAML, but not what a lock is
    assert repair(project) == ["dvc.lock: damaged, and Git has no other; removed", "Now: make repro"]
    assert project.repro() == []  # all is in the run-cache
    assert [*made(project).values()] == [*before]


def test_damaged_object_and_half_a_file_and_half_a_record_are_removed_and_made_again(project):
    before = made(project)
    weights = project.folder / "results/models/adam.weights.h5"
    lock = yaml.load(project.folder / "dvc.lock")
    [output] = [out for out in lock["stages"]["train@adam"]["outs"] if out["path"].endswith(".h5")]
    cached = project.folder / f".dvc/cache/files/md5/{output['md5'][:2]}/{output['md5'][2:]}"
    assert cached.read_bytes() == weights.read_bytes()
    cached.chmod(0o644)
    cached.write_bytes(b"damaged")
    cached.chmod(0o444)
    weights.unlink()
    half, record = project.folder / "results/metrics/.adam.json.part", project.folder / ".dvc/tmp/rwlock"
    half.write_bytes(b"{")
    record.write_bytes(b'{"results": {"wri')

    lines = repair(project)

    assert lines == [
        ".dvc/tmp/rwlock: damaged; removed",
        "results/metrics/.adam.json.part: half written; removed",
        f"{cached}: damaged; removed, and what needs it is made again",
        "Now: make repro",
    ]
    assert not half.exists()
    assert project.repro() == ["train@adam"]
    assert made(project) == before


def test_nothing_is_touched_while_dvc_works(project):
    record = project.folder / ".dvc/tmp/rwlock"
    record.write_bytes(b"{")
    with (project.folder / ".dvc/tmp/lock").open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        done = project.attempt("python -m stages.repair")
    assert done.returncode == 1
    assert done.stderr.strip().endswith("works here: nothing was touched; end it, then repair")
    assert record.read_bytes() == b"{"
    record.unlink()


def test_killed_at_any_moment_repaired_and_reproduced_everything_is_as_if_nothing_had_been(project):
    """Three kills of what `make repro` runs, by the clock, with other parameters every time."""
    before = made(project)
    command = [sys.executable, "-m", "stages.repro", "--jobs", "2"]
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    for number, (seconds, kill) in enumerate([(1.5, signal.SIGKILL), (3, signal.SIGKILL), (2.5, signal.SIGTERM)]):
        project.edit(lambda of, number=number: of["training"].update(epochs=3 + number))
        running = subprocess.Popen(
            command, cwd=project.folder, env=environment, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        time.sleep(seconds)
        os.killpg(running.pid, kill)
        running.wait()
    project.run("git checkout params.yaml")
    deadline = time.monotonic() + 30  # for stages in sessions of their own to see that they are orphans
    while project.attempt("python -m stages.repair").returncode and time.monotonic() < deadline:
        time.sleep(0.5)
    project.repro()
    assert made(project) == before
