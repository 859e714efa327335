"""Finished runs are kept: what comes back is what was kept, under the very same conditions only."""

import os
from pathlib import Path

import numpy as np
import pytest
import synthetic_runs
from pipeline import Project

from descent.data import datasets
from descent.runs import store
from descent.runs.store import Store
from descent.training.measurements import Wanted

RUNS = Path(".dvc/tmp/runs")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder that holds what a training reads, as the current one."""
    monkeypatch.chdir(synthetic_runs.folder(tmp_path))
    return tmp_path


def opened(environment=synthetic_runs.ENVIRONMENT, name="adam"):
    """The store of an optimizer, as a stage opens it in this folder."""
    task = synthetic_runs.task(name)
    return Store(task, task.load(), environment)


def record():
    """The only file that is there."""
    [path] = RUNS.iterdir()
    return path


@pytest.mark.usefixtures("folder")
def test_run_comes_back_to_the_bit():
    run = synthetic_runs.run(7, factor=10**-0.5, weights=b"weights")
    run.history["loss"][-1] = np.nan
    opened().keep(run)
    found = opened().find(Wanted(7, 10**-0.5))
    assert found._replace(history={}, hits=None) == run._replace(history={}, hits=None)
    assert found.hits.dtype == bool
    assert np.array_equal(found.hits, run.hits)
    assert found.history.keys() == run.history.keys()
    assert all(found.history[name].tobytes() == values.tobytes() for name, values in run.history.items())


@pytest.mark.usefixtures("folder")
def test_only_a_run_with_weights_is_found_where_they_are_wanted():
    opened().keep(synthetic_runs.run())
    assert opened().find(Wanted(0))
    assert opened().find(Wanted(0), with_weights=True) is None
    opened().keep(synthetic_runs.run(weights=b"weights"))
    assert opened().find(Wanted(0), with_weights=True).weights == b"weights"


@pytest.mark.usefixtures("folder")
def test_damaged_record_counts_for_nothing():
    reader, run = opened(), synthetic_runs.run()
    reader.keep(run)
    whole, loss = record().read_bytes(), run.history["loss"].tobytes()
    assert loss in whole
    for damaged in (b"", whole[: len(whole) // 2], whole[:-1], whole.replace(loss, loss[::-1])):
        record().write_bytes(damaged)
        assert reader.find(Wanted(0)) is None


def edit(**values):
    """Change the sections of params.yaml of the current folder."""

    def change(parameters):
        for section, members in values.items():
            parameters[section].update(members)

    Project(Path.cwd()).edit(change)


def other_examples():
    arrays = datasets.read_archive(
        datasets.SPLITS, [f"{a}_{kind}" for a in "xy" for kind in ("train", "validation", "test")]
    )
    arrays["x_train"] = np.nextafter(arrays["x_train"], np.float32(2))
    datasets.write_archive(datasets.SPLITS, arrays | {"classes": np.array(10)})


OTHER_RATE = {"class_name": "Adam", "config": {"learning_rate": 0.002}}


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    "change",
    [
        other_examples,
        lambda: edit(network={"config": {"hidden_units": [9], "activation": "relu", "dropout": 0.2}}),
        lambda: edit(optimizers={"adam": OTHER_RATE}),
        lambda: edit(training={"epochs": 3}),
        lambda: edit(training={"batch_size": 10}),
        lambda: Path("results/rules/adam.py").write_text("another"),
        lambda: Path("networks/mlp.py").write_text("another"),
    ],
    ids=["data", "network's config", "learning rate", "epochs", "batches", "rule", "network's file"],
)
def test_record_of_other_settings_code_or_data_counts_for_nothing(change):
    opened().keep(synthetic_runs.run())
    edit(training={"runs": 5, "last_epochs": 2, "target_val_accuracy": 0.5})  # these change no run
    assert opened().find(Wanted(0))
    assert opened().find(Wanted(1)) is None
    assert opened().find(Wanted(0, 2.0)) is None
    assert opened(name="sgd").find(Wanted(0)) is None
    change()
    assert opened().find(Wanted(0)) is None


@pytest.mark.usefixtures("folder")
def test_record_of_another_environment_counts_on_a_cluster_alone():
    opened().keep(synthetic_runs.run(environment={"cpu": "another"}))
    assert opened().find(Wanted(0)) is None
    assert opened({"cpu": "another"}).find(Wanted(0))
    assert opened(None).find(Wanted(0)).environment == {"cpu": "another"}  # whose machines may differ


def test_code_is_that_which_computes_runs(tmp_path, monkeypatch):
    names = ["descent/training/program.py", "descent/training/settings.py", "descent/runs/store.py"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    monkeypatch.setattr(store, "__file__", str(tmp_path / names[-1]))
    before = store.code_digest()
    for name, counts in zip(names, (True, False, False), strict=True):  # a schema and the store compute none
        (tmp_path / name).write_text("# changed")
        assert (store.code_digest() != before) is counts
        (tmp_path / name).write_text("")
    (tmp_path / names[0]).rename(tmp_path / "descent/training/renamed.py")
    assert store.code_digest() != before


@pytest.mark.usefixtures("folder")
def test_runs_that_were_used_last_stay(monkeypatch):
    assert store.MOST >= 1000  # a study and two races
    monkeypatch.setattr(store, "MOST", 3)
    kept = opened()
    for seed in range(3):
        kept.keep(synthetic_runs.run(seed))
        for path in RUNS.iterdir():  # or they might be of one moment
            os.utime(path, (path.stat().st_atime, path.stat().st_mtime - 10))
    assert kept.find(Wanted(0))  # which uses it
    kept.keep(synthetic_runs.run(3))
    assert [seed for seed in range(4) if kept.find(Wanted(seed))] == [0, 2, 3]
    assert len(list(RUNS.iterdir())) == 3


def test_experiment_in_a_folder_of_its_own_uses_the_runs_of_its_repository(folder, monkeypatch):
    opened().keep(synthetic_runs.run())
    inner = folder / ".dvc/tmp/exps/standalone/one"
    inner.mkdir(parents=True)
    monkeypatch.chdir(synthetic_runs.folder(inner))
    assert opened().find(Wanted(0))
    opened().keep(synthetic_runs.run(1))
    assert not RUNS.exists()
    monkeypatch.chdir(folder)
    assert opened().find(Wanted(1))
