"""Finished runs are kept: what comes back is what was kept, under the very same conditions only."""

import os
import re
from pathlib import Path

import numpy as np
import pytest
import synthetic_runs
from pipeline import Project

from descent.data import datasets
from descent.data.datasets import Dataset, Split
from descent.runs import store
from descent.runs.store import Made, Store
from descent.runs.task import SPLITS
from descent.training.measurements import Wanted
from descent.training.settings import NetworkEntry, OptimizerEntry, TrainingParameters

RUNS = Path(".dvc/tmp/runs")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder that holds what a training reads, as the current one."""
    monkeypatch.chdir(synthetic_runs.folder(tmp_path))
    return tmp_path


def opened(environment=synthetic_runs.ENVIRONMENT, name="adam", **changes):
    """The store of an optimizer, as a stage opens it in this folder."""
    return Store(synthetic_runs.task(name, **changes).made(), environment)


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
def test_run_without_test_and_of_a_schedule_comes_back_and_none_of_another_seed_or_factor():
    opened().keep(synthetic_runs.run()._replace(test=None, learning_rate=float("nan")))
    found = opened().find(Wanted(0))
    assert found.test is None
    assert np.isnan(found.learning_rate)
    assert opened().find(Wanted(1)) is None
    assert opened().find(Wanted(0, 2.0)) is None


@pytest.mark.usefixtures("folder")
def test_only_a_run_with_weights_is_found_where_they_are_wanted():
    opened().keep(synthetic_runs.run())
    assert opened().find(Wanted(0))
    assert opened().find(Wanted(0), with_weights=True) is None
    opened().keep(synthetic_runs.run(weights=b"weights"))
    assert opened().find(Wanted(0), with_weights=True).weights == b"weights"


@pytest.mark.usefixtures("folder")
def test_damaged_record_counts_for_nothing():
    reader = opened()
    reader.keep(synthetic_runs.run())
    whole, path = record().read_bytes(), record()
    for size in (0, 1, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        assert reader.find(Wanted(0)) is None
    expected = synthetic_runs.run()
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        found = reader.find(Wanted(0))  # a date of a member, say, is no part of a run
        assert found is None or all(
            np.array_equal(found.history[name], expected.history[name]) for name in found.history
        )
        assert found is None or np.array_equal(found.hits, expected.hits)


@pytest.mark.usefixtures("folder")
def test_record_of_another_environment_counts_on_a_cluster_alone():
    opened().keep(synthetic_runs.run(environment={"cpu": "another"}))
    assert opened().find(Wanted(0)) is None
    assert opened({"cpu": "another"}).find(Wanted(0))
    assert opened(None).find(Wanted(0)).environment == {"cpu": "another"}  # whose machines may differ


def other_examples(folder):
    arrays = datasets.read_archive(
        folder / SPLITS, ["x_train", "y_train", "x_validation", "y_validation", "x_test", "y_test"]
    )
    arrays["x_train"] = np.nextafter(arrays["x_train"], np.float32(2))
    datasets.write_archive(folder / SPLITS, arrays | {"classes": np.array(10)})


def other_units(folder):
    Project(folder).edit(lambda parameters: parameters["network"]["config"].update(hidden_units=[9]))


def other_rate(folder):
    Project(folder).edit(lambda parameters: parameters["optimizers"]["adam"]["config"].update(learning_rate=0.002))


def other_rule(folder):
    (folder / "results/rules/adam.py").write_text("another")


def other_network(folder):
    (folder / "networks/mlp.py").write_text("another")


@pytest.mark.parametrize("change", [other_examples, other_units, other_rate, other_rule, other_network])
def test_record_of_other_settings_code_or_data_of_the_users_counts_for_nothing(folder, change):
    opened().keep(synthetic_runs.run())
    assert opened().find(Wanted(0))
    change(folder)
    assert opened().find(Wanted(0)) is None


@pytest.mark.usefixtures("folder")
def test_record_of_other_epochs_batches_optimizer_or_code_counts_for_nothing_and_that_of_other_runs_does(monkeypatch):
    opened().keep(synthetic_runs.run())
    for change in ({"epochs": 3}, {"batch_size": 10}, {"name": "sgd"}):
        assert opened(**change).find(Wanted(0)) is None
    for change in ({"runs": 5}, {"last_epochs": 2}, {"target_val_accuracy": 0.5}):  # these change no run
        assert opened(**change).find(Wanted(0))
    monkeypatch.setattr(store, "code_digest", lambda: "another")
    assert opened().find(Wanted(0)) is None


def test_names_of_kept_runs_stay_the_same_or_everything_would_be_trained_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(store, "code_digest", lambda: "code")
    Path("networks").mkdir()
    Path("networks/mlp.py").write_text("network")
    values = {"epochs": 2, "batch_size": 4, "runs": 1, "last_epochs": 1, "target_val_accuracy": 0.9}
    entry = OptimizerEntry(class_name="Adam", config={"learning_rate": 0.001})
    network = NetworkEntry(file="networks/mlp.py", config={"hidden_units": [3]})
    split = Split(np.arange(6, dtype="float32").reshape(2, 3), np.array([0, 1], "int32"))
    made = Made(entry, b"rule", network, TrainingParameters(**values), Dataset(split, split, split, 2))
    run = synthetic_runs.run(7, 0.1, environment={"cpu": "a"})
    Store(made, None).keep(run)
    assert record().name == "828b1f52e831f2de071a4e3ce0214810-4cbdb07ccceead550716de8d012346a4.npz"


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


@pytest.fixture(scope="module")
def trained(tmp_path_factory, mnist_archive):
    """A small project in which real trainings ran; the other stages are light stand-ins."""
    folder = tmp_path_factory.mktemp("trained") / "project"
    project = Project.copy(folder, mnist_archive, stubs=["check", "trace", "compare"])
    project.repro()
    project.commit("Reproduce")
    return project


def progress(output, name):
    """What a training printed of its runs; of epochs it prints on a slow machine alone."""
    lines = re.findall(rf"^{name}(?:  run|: \d).*", output, re.MULTILINE)
    return [re.split("  seed|  val_", line)[0] for line in lines if "  epoch " not in line]


@pytest.mark.slow
def test_module_that_computes_no_run_trains_nothing(trained, tmp_path):
    project = trained.duplicate(tmp_path / "project")
    with (project.folder / "descent/runs/executor.py").open("a") as file:
        file.write("# a comment\n")
    output = project.run("dvc repro")
    assert "Running stage 'train@adam'" in output
    assert [progress(output, name) for name in ("adam", "sgd")] == [
        [f"{name}: 2 of 2 runs were kept"] for name in ("adam", "sgd")
    ]
    assert "loading TensorFlow" not in output
    assert project.run("git status --porcelain results") == ""


@pytest.mark.slow
def test_one_more_run_trains_one_run_of_each_optimizer(trained, tmp_path):
    project = trained.duplicate(tmp_path / "project")
    project.edit(lambda parameters: parameters["training"].update(runs=3))
    output = project.run("dvc repro")
    for name in ("adam", "sgd"):
        assert progress(output, name) == [f"{name}: 2 of 3 runs were kept", f"{name}  run 1/1"]
        before, after = (
            (folder / f"results/history/{name}.csv").read_text().splitlines()
            for folder in (trained.folder, project.folder)
        )
        assert [line for line in after if not line.startswith("2,")] == before
        assert len(after) == len(before) + 2  # epochs
