"""The Makefile's own .venv: made from any state in which an earlier attempt left it, or a line says why not."""

import os
import shutil
import subprocess
import sys

import pytest
from pipeline import ROOT

STAMP = ".venv/requirements.txt.installed"


@pytest.fixture
def make(tmp_path):
    """Makes .venv in a folder of its own, from a lock without a package, with the given Python."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "requirements.txt").touch()

    def run(python):
        return subprocess.run(
            ["make", STAMP, f"PYTHON={python}"], cwd=tmp_path, capture_output=True, text=True, check=False
        )

    return run


def script(path, text):
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("version", ["(3, 10, 9)", "(3, 14, 0)"])
def test_python_of_another_version_is_refused_in_one_line(make, tmp_path, version):
    code = f"import sys; sys.version_info = {version}; exec(sys.argv[1])"
    other = script(tmp_path / "other", f"exec {sys.executable} -c '{code}' \"$2\"")
    for python in (other, "python3.99"):
        done = make(python)
        assert done.returncode != 0
        assert "descent needs Python 3.11, 3.12 or 3.13; name one: make PYTHON=" in done.stderr
        assert not (tmp_path / ".venv").exists()


def test_user_of_a_container_gets_a_home_and_a_name(tmp_path):
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "bin").mkdir()
    script(tmp_path / "bin/getent", "exit 2")  # the list of users has no such entry
    environment = {"PATH": f"{tmp_path / 'bin'}:/usr/local/bin:/usr/bin:/bin", "SHELL": "/usr/sbin/nologin"}
    command = ["make", "--silent", "--eval", 'shown: ; @echo "$$HOME $$LOGNAME $$SHELL"', "shown"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == f"{tmp_path / '.dvc/tmp'} {os.getuid()} /bin/sh\n"


def test_clean_forgets_the_kept_runs_and_leaves_results_data_and_the_cache(tmp_path):
    shutil.copy(ROOT / "Makefile", tmp_path)
    left = [".dvc/cache/files/md5/00/1", ".dvc/config", "data/raw/mnist.npz", "results/metrics/adam.json"]
    for name in [*left, ".dvc/tmp/runs/1.npz", "logs/train@adam.log"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    subprocess.run(["make", "clean"], cwd=tmp_path, check=True, capture_output=True)
    files = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert files == {*left, "Makefile"}


@pytest.mark.slow
def test_venv_whose_making_was_stopped_is_completed_by_the_next_make(make, tmp_path):
    left = f"{sys.executable} -m venv --without-pip .venv"  # by Ctrl-C
    dying = script(tmp_path / "dying", f'test "$1" = -m || exec {sys.executable} "$@"; {left}; exit 130')
    assert make(dying).returncode != 0
    assert not (tmp_path / STAMP).exists()

    done = make(sys.executable)

    assert done.returncode == 0, done.stderr
    assert (tmp_path / STAMP).exists()
    subprocess.run([tmp_path / ".venv/bin/uv", "--version"], check=True, capture_output=True)
