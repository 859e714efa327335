"""The stages that train, on a cluster of real processes: the same bytes as here; and what a lost worker leaves."""

import os
import re
import shutil
import signal
import subprocess
import sys
from subprocess import PIPE
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
from loopback import Cluster
from pipeline import Project, shrink

from descent.training import columns, metrics, where
from descent.training import task as training
from stages import repro, train

WAITING = (
    "import sys; from stages import train, tune; {stage}.main('optimizers.adam');"
    " assert not {{'tensorflow', 'keras'}} & sys.modules.keys()"
)


def smaller(parameters):
    shrink(parameters)
    parameters["tuning"]["extension"] = 0
    del parameters["optimizers"]["sgd"]


def results(folder):
    files = [path for path in (folder / "results").rglob("*") if path.is_file() and "rules" not in path.parts]
    return {path.relative_to(folder): path.read_bytes() for path in files}


@pytest.fixture
def cluster(tmp_path):
    (tmp_path / "cluster").mkdir()
    cluster = Cluster(tmp_path / "cluster")
    yield cluster
    cluster.close()


@pytest.fixture(scope="module")
def project(tmp_path_factory, mnist_archive):
    """Adam, trained and tuned here; the tests leave it so."""
    project = Project.copy(tmp_path_factory.mktemp("project"), mnist_archive, smaller)
    project.repro("train@adam")
    project.repro("--single-item tuning/dvc.yaml:tune@adam")
    return project


def test_cluster_makes_the_bytes_that_are_made_here(cluster, project):
    here = results(project.folder)
    shutil.rmtree(project.folder / ".dvc/cache")  # else DVC takes from there what is missing

    for _ in range(2):  # the study in two shares
        cluster.worker(root=project.folder)
    there = f"export DESCENT_CLUSTER={cluster.address}"
    (project.folder / "results/metrics/adam.json").unlink()
    shown = project.run(f"{there}; python -m stages.repro train@adam")
    assert re.search(r"train@adam +\d+ s  done  epoch (\d+)/\1  loss ", shown)  # as it tells of those that train here
    project.run(f'{there}; python -c "{WAITING.format(stage="tune")}"')

    assert results(project.folder) == here
    logs = "".join(path.read_text() for path in cluster.folder.glob("*.log"))
    assert logs.count("adam: loading TensorFlow") >= 4  # a training, what describes the study, two shares


def test_ctrl_c_ends_the_stage_with_a_line_and_the_training_there(cluster, project):
    before = results(project.folder)
    worker = psutil.Process(cluster.worker(root=project.folder).pid)
    command = [sys.executable, "-m", "stages.train", "optimizers.adam"]
    environment = os.environ | {"DESCENT_CLUSTER": cluster.address}
    with subprocess.Popen(command, cwd=project.folder, env=environment, stdout=PIPE, stderr=PIPE, text=True) as stage:
        assert any("compiling" in line for line in stage.stdout)
        [training] = [child for child in worker.children() if "descent.cluster.process" in child.cmdline()]
        stage.send_signal(signal.SIGINT)
        told = stage.communicate()[1]
    assert (stage.returncode, told) == (130, "Stopped\n")
    training.wait(timeout=20)
    assert worker.is_running()
    assert results(project.folder) == before


def test_history_starts_over_where_a_training_does(tmp_path, monkeypatch):
    entry, network = SimpleNamespace(), SimpleNamespace(file="networks/mlp.py")
    settings = SimpleNamespace(seeds=[0, 1], epochs=2, last_epochs=1, target_val_accuracy=0.5)
    read = {"network": network, "training": settings}
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(train.entries, "read_entry", lambda *_: ("adam", entry))
    monkeypatch.setattr(train.parameters, "read", lambda _, key, __: read[key])
    numbers = np.array([0.25, 0.5])
    epochs = [metrics.Epoch(dict.fromkeys(columns.MEASUREMENTS, n * numbers), np.ones((2, 3), bool)) for n in (1, 2)]
    trained = training.Trained(numbers, numbers, {"test": 3}, {"cpu": "another"}, b"weights")
    once = ["compiling", (1, epochs[0], 9.0), (2, epochs[1], 2.0), trained]

    def made(events):
        monkeypatch.setattr(where, "run", lambda *_: iter(events))
        train.main("optimizers.adam")
        return results(tmp_path)

    expected = made(once)
    assert b'"cpu": "another"' in b"".join(expected.values())  # of the machine that trained, not of this one
    assert made([*once[:2], *once]) == expected  # lost after an epoch
    assert made([*once[:3], *once]) == expected


def test_jobs_are_one_a_worker(monkeypatch):
    monkeypatch.setenv("DESCENT_CLUSTER", "tls://far:8786")
    monkeypatch.setattr(where, "room", lambda: 7)
    assert repro.default_jobs(cores=2) == 7
