"""The whole small project, trained for real: side by side as in turn, and no training runs what is not its own."""

import shutil

import pytest
from pipeline import Project


@pytest.fixture(scope="module")
def reproduced(tmp_path_factory, mnist_archive):
    """A small project, reproduced stage by stage, and committed."""
    project = Project.copy(tmp_path_factory.mktemp("reproduced") / "project", mnist_archive)
    project.repro()
    project.commit("Reproduce")
    return project


@pytest.fixture
def project(reproduced, tmp_path):
    """A copy to change, alike down to the times of the files."""
    shutil.copytree(reproduced.folder, tmp_path / "project", symlinks=True)
    return Project(tmp_path / "project")


def test_training_of_one_own_optimizer_does_not_run_the_file_of_another(project):
    traces = "import pathlib, keras\nwith pathlib.Path('ran').open('a') as file: file.write('ran')\n"
    (project.folder / "optimizers/other.py").write_text(f"{traces}class Other(keras.optimizers.SGD): pass\n")
    entry = {"file": "optimizers/lion.py", "class_name": "Lion"}
    entry["config"] = {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.99}
    other = {"file": "optimizers/other.py", "class_name": "Other", "config": {}}
    project.edit(lambda parameters: parameters.update(own_optimizers={"lion": entry, "other": other}))
    assert project.repro("train@adam train_own@lion") == ["check", "train_own@lion"]
    assert (project.folder / "ran").read_text() == "ran"  # in the check, once


def test_trainings_side_by_side_give_the_bytes_of_the_serial_run(reproduced, tmp_path):
    reproduced.run(f"git clone --quiet . {tmp_path / 'clone'}")
    clone = Project(tmp_path / "clone")
    clone.run("rm -r dvc.lock results && python -m stages.repro --jobs 2")
    assert clone.run("git status --porcelain") == ""  # of what Git does not hold, dvc.lock has the sums
