"""The table of what reruns, row by row, with real DVC; and what clones, branches and a team do to it."""

import re
import shutil

import numpy as np
import pytest
from pipeline import ROOT, Project, stages_run

TRAINS = ["train@adam", "train@sgd"]


@pytest.fixture
def project(light, tmp_path):
    """A copy to change: what reruns is DVC's to decide, and the stages are tested elsewhere."""
    return light.duplicate(tmp_path / "project")


def assign(path, value):
    """Return a change of the parameters: the value of one key path; twice as fast as `dvc exp run -S` for the same."""
    *sections, key = path.split(".")

    def change(parameters):
        for section in sections:
            parameters = parameters[section]
        parameters[key] = value

    return change


def add(project, name, text="# a comment\n"):
    """Add text at the end of a file."""
    with (project.folder / name).open("a", encoding="utf-8") as file:
        file.write(text)


def replace(project, name, old, new):
    """Replace text of a file."""
    path = project.folder / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def reverse(parameters):
    parameters["optimizers"] = dict(reversed(list(parameters["optimizers"].items())))


def test_change_of_an_optimizer_reruns_its_training_and_earlier_values_come_back_from_the_run_cache(project):
    """Each change upon the one before; of more runs only the further ones train (tests/test_own_case.py)."""
    project.edit(reverse)
    replace(project, "params.yaml", "learning_rate: 0.001", "learning_rate: 1e-3")
    add(project, "params.yaml")
    assert project.repro() == []

    project.edit(assign("optimizers.adam.config.learning_rate", 0.003))
    assert project.repro() == ["check", "compare", "trace", "train@adam"]

    project.edit(assign("optimizers.adam.runs", 5))
    assert project.repro() == ["check", "compare", "train@adam"]

    project.run("git checkout --quiet params.yaml")
    assert project.repro() == []
    assert project.run("git status --porcelain") == ""


def test_added_optimizer_alone_is_trained_and_of_a_removed_one_nothing_is_read(project):
    rates = {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.99}
    project.edit(assign("optimizers.lion", {"class_name": "Lion", "config": {"learning_rate": 0.001}}))
    project.edit(assign("optimizers.mine", {"file": "optimizers/lion.py", "class_name": "Lion", "config": rates}))
    assert project.repro() == ["check", "compare", "trace", "train@lion", "train@mine"]

    before = (project.folder / "results/metrics/sgd.json").read_bytes()
    project.edit(lambda parameters: parameters["optimizers"].pop("sgd"))
    assert project.repro() == ["check", "compare", "trace"]
    assert (project.folder / "results/metrics/sgd.json").read_bytes() == before
    assert "sgd" not in (project.folder / "results/report/ranking.md").read_text()


@pytest.mark.slow
def test_change_of_another_section_reruns_what_reads_it(project):
    for path, value, expected in (
        ("report.confidence", 0.9, ["check", "compare"]),
        ("training.epochs", 1, ["check", "compare", *TRAINS]),
        ("data.train_size", 128, ["check", "compare", "prepare", *TRAINS]),
    ):
        project.edit(assign(path, value))
        assert project.repro() == expected, path


@pytest.mark.slow
def test_change_of_code_reruns_the_stages_that_may_import_it(project):
    """A comment changes no result, so what depends on the results stays; what trains then: tests/test_own_case.py."""
    rates = {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.99}
    project.edit(assign("optimizers.mine", {"file": "optimizers/lion.py", "class_name": "Lion", "config": rates}))
    project.repro()
    trains = ["train@adam", "train@mine", "train@sgd"]

    add(project, "descent/report/figures.py")
    assert project.repro() == ["compare"]
    replace(project, "networks/mlp.py", ", layers.Dropout(dropout)]", "]")
    assert project.repro() == ["check", "compare", *trains]
    add(project, "optimizers/lion.py")
    assert project.repro() == ["check", "trace", "train@mine"]


@pytest.mark.slow
def test_hyperparameter_written_as_dvc_writes_it_is_a_number_and_the_experiment_can_be_compared(project):
    ran = stages_run(project.run("dvc exp run -S optimizers.adam.config.learning_rate=0.000001 -n slow"))
    assert ran == ["check", "compare", "trace", "train@adam"]
    assert "1e-06" in (project.folder / "params.yaml").read_text()
    table = project.run("dvc metrics diff main slow --md")
    assert "results/metrics/adam.json" in table
    assert "| val_loss " in table  # the accuracy of a stand-in may be 1 in both
    assert "sgd" not in table
    assert "optimizers.adam.config.learning_rate" in project.run("dvc params diff main slow --md")


@pytest.mark.slow
def test_own_archive_reruns_from_prepare_and_downloads_nothing(project):
    arrays = {name: array[:2000] for name, array in np.load(project.folder / "data/raw/mnist.npz").items()}
    np.savez(project.folder / "data/own.npz", **arrays)
    project.edit(assign("data.file", "data/own.npz"))
    project.edit(assign("download", {}))
    assert project.repro() == ["check", "compare", "prepare", *TRAINS]
    np.savez(project.folder / "data/own.npz", **arrays | {"x_train": 255 - arrays["x_train"]})
    assert project.repro() == ["compare", "prepare", *TRAINS]


@pytest.mark.slow
def test_shallow_clone_on_another_machine_says_so_and_goes_back_to_a_baseline_of_its_own(project, tmp_path):
    lock, history = project.folder / "dvc.lock", project.folder / "results/history/adam.csv"
    weights = re.search(r"adam\.weights\.h5\n +hash: md5\n +md5: (\w+)", lock.read_text())[1]
    lock.write_text(lock.read_text().replace(weights, weights[::-1]))  # of another machine, whose cache is not here
    history.write_text(re.sub(r"(?<=\n1,2,)[\d.]+", "0.5", history.read_text()))
    project.commit("Reproduce elsewhere")
    project.run(f"git clone --quiet --depth 1 file://{project.folder} {tmp_path / 'clone'}")
    clone = Project(tmp_path / "clone")
    assert clone.repro() == ["check", "compare", "download@mnist", "prepare", "trace", *TRAINS]
    changed = clone.run("git status --porcelain").splitlines()
    assert changed == [" M dvc.lock", " M results/history/adam.csv"]  # all else has the committed bytes
    assert clone.run("python -m stages.diff HEAD --brief").startswith("Results differ from the committed ones")
    clone.commit("Baseline")
    assert clone.run("python -m stages.diff HEAD --brief") == ""

    clone.edit(assign("optimizers.adam.config.learning_rate", 0.003))
    clone.repro()
    clone.run("git checkout --quiet .")
    clone.run("dvc checkout --quiet dvc.yaml")
    assert clone.repro() == []
    assert clone.run("git status --porcelain") == ""


@pytest.mark.slow
def test_what_a_colleague_has_pushed_is_not_run_again(project, tmp_path):
    clone = Project(tmp_path / "clone")
    project.run(f"dvc remote add --default team {tmp_path / 'team'}")
    project.run("dvc push --quiet")
    project.commit("Name our remote")
    project.run(f"git clone --quiet . {clone.folder}")

    assert clone.repro("--pull --allow-missing") == []
    assert not (clone.folder / "data/raw/mnist.npz").exists()  # nor was anything fetched that nothing needs
    clone.edit(assign("optimizers.adam.config.learning_rate", 0.003))
    assert clone.repro("--pull --allow-missing") == ["check", "compare", "trace", "train@adam"]
    clone.run("dvc pull --quiet")
    for path in ("data/raw/mnist.npz", "data/prepared/splits.npz", "results/models/sgd.weights.h5"):
        assert (clone.folder / path).read_bytes() == (project.folder / path).read_bytes()


@pytest.mark.slow
def test_branches_that_each_changed_another_optimizer_merge_and_nothing_trains_again(project):
    """By the commands of docs/trust.md."""
    text = (ROOT / "docs/trust.md").read_text(encoding="utf-8").split("\n### Two branches\n")[1]
    commands = text.split("```sh\n")[1].split("```")[0]
    for name in ("adam", "sgd"):
        project.run(f"git checkout --quiet -b {name} main")
        project.run("dvc checkout --quiet dvc.yaml")
        project.edit(assign(f"optimizers.{name}.config.learning_rate", 0.05))
        assert project.repro() == ["check", "compare", "trace", f"train@{name}"]
        project.commit(f"Change {name}")
    output = project.run("set +e\n" + commands.replace("OTHER", "adam"))
    assert "Running stage 'train@" not in output  # both come from the run-cache
    assert project.run("git status --porcelain") == ""
    assert project.repro() == []
    for name in ("adam", "sgd"):
        assert project.run(f"git diff {name} -- results/metrics/{name}.json results/history/{name}.csv") == ""


@pytest.mark.slow
def test_downloaded_archive_needs_git_and_says_so(light, tmp_path):
    shutil.copytree(light.folder, tmp_path / "project", ignore=shutil.ignore_patterns(".git"))
    done = Project(tmp_path / "project").attempt(f"export GIT_CEILING_DIRECTORIES={tmp_path}; python -m stages.repro")
    assert done.returncode != 0
    output = done.stdout + done.stderr
    assert output.splitlines()[-1].endswith("is not a git repository")
    assert "Traceback" not in output
