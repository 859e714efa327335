"""The stages that train, on a cluster of real processes: the same bytes as here; and what a lost worker leaves."""

import shutil
from types import SimpleNamespace

import numpy as np
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


def test_cluster_makes_the_bytes_that_are_made_here(cluster, tmp_path, mnist_archive):
    project = Project.copy(tmp_path / "project", mnist_archive, smaller)
    project.run("dvc repro train@adam && dvc repro --single-item tuning/dvc.yaml:tune@adam")
    here = results(project.folder)
    shutil.rmtree(project.folder / ".dvc/cache/runs", ignore_errors=True)

    for _ in range(2):  # the study in two shares
        cluster.worker(root=project.folder)
    there = f"export DESCENT_CLUSTER={cluster.address}"
    project.run(f"{there}; dvc repro --force --single-item train@adam")
    project.run(f'{there}; python -c "{WAITING.format(stage="tune")}"')

    assert results(project.folder) == here
    logs = "".join(path.read_text() for path in cluster.folder.glob("*.log"))
    assert logs.count("adam: loading TensorFlow") >= 4  # a training, what describes the study, two shares


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
    once = ["compiling", *enumerate(epochs, 1), trained]

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
