"""The table of what reruns, row by row, with real DVC; and what clones, branches and a team do to it."""

import re
import shutil

import numpy as np
import pytest
from pipeline import ROOT, Project, stages_run

TRAINS = ["train@adam", "train@sgd"]


def assign(path, value):
    """Return a change of the parameters: the value of one key path; twice as fast as `dvc exp run -S` for the same."""
    *sections, key = path.split(".")

    def change(parameters):
        for section in sections:
            parameters = parameters[section]
        parameters[key] = value

    return change


@pytest.fixture
def project(light, tmp_path):
    """A copy to change: what reruns is DVC's to decide, and the stages are tested elsewhere."""
    return light.duplicate(tmp_path / "project")


def add_lion(parameters):
    parameters["optimizers"]["lion"] = {"class_name": "Lion", "config": {"learning_rate": 0.001}}


def five_runs(parameters):
    parameters["training"]["runs"], parameters["race"]["looks"] = 5, [5]


def reverse(parameters):
    parameters["optimizers"] = dict(reversed(list(parameters["optimizers"].items())))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param(lambda _: None, [], id="nothing"),
        pytest.param(reverse, [], id="order"),
        pytest.param(
            assign("optimizers.adam.config.learning_rate", 0.003),
            ["check", "compare", "trace", "train@adam"], id="hyperparameter",
        ),
        pytest.param(add_lion, ["check", "compare", "trace", "train@lion"], id="added optimizer"),
        pytest.param(assign("tuning.seeds", [200, 201]), ["check"], id="tuning", marks=pytest.mark.slow),
        # Each of which trains the further runs alone: tests/test_store.py.
        pytest.param(five_runs, ["check", "compare", *TRAINS], id="more runs", marks=pytest.mark.slow),
        pytest.param(
            assign("optimizers.adam.runs", 5), ["check", "compare", "train@adam"], id="more runs of adam"
        ),
        pytest.param(
            assign("training.epochs", 1), ["check", "compare", *TRAINS], id="epochs", marks=pytest.mark.slow
        ),
        pytest.param(
            assign("data.train_size", 128),
            ["check", "compare", "prepare", *TRAINS], id="train size", marks=pytest.mark.slow,
        ),
        pytest.param(assign("report.confidence", 0.9), ["check", "compare"], id="report", marks=pytest.mark.slow),
    ],
)  # fmt: skip
def test_change_of_params_yaml_reruns_what_depends_on_it(change, expected, project):
    project.edit(change)
    assert project.repro() == expected


# Code that changes no result stops there: equal bytes come out. Of which no training trains: tests/test_store.py.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("descent/report/figures.py", ["compare"]),
        ("stages/train.py", TRAINS),
        ("descent/runs/executor.py", ["compare", *TRAINS]),
        ("descent/core/process.py", ["check", "compare", "download@mnist", "prepare", "trace", *TRAINS]),
        ("descent/training/program.py", ["check", "compare", "trace", *TRAINS]),
        ("networks/mlp.py", ["check", *TRAINS]),
    ],
)
def test_comment_in_code_reruns_the_stages_that_may_import_it(name, expected, project):
    with (project.folder / name).open("a") as file:
        file.write("# a comment\n")
    assert project.repro() == expected


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


def test_removed_optimizer_reruns_compare_and_leaves_its_files_unread(project):
    before = (project.folder / "results/metrics/sgd.json").read_bytes()
    project.edit(lambda parameters: parameters["optimizers"].pop("sgd"))
    assert project.repro() == ["check", "compare", "trace"]
    assert (project.folder / "results/metrics/sgd.json").read_bytes() == before
    assert "sgd" not in (project.folder / "results/report/ranking.md").read_text()


@pytest.mark.slow
def test_own_optimizer_and_its_file_rerun_that_optimizer_and_compare(project):
    entry = {"file": "optimizers/lion.py", "class_name": "Lion"}
    entry["config"] = {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.99}
    project.edit(assign("optimizers.my-lion", entry))
    assert project.repro() == ["check", "compare", "trace", "train@my-lion"]
    path = project.folder / "optimizers/lion.py"
    path.write_text(path.read_text().replace("* direction)", "* direction * 2)"))
    assert project.repro() == ["check", "compare", "trace", "train@my-lion"]
    path.write_text("# a comment\n" + path.read_text())
    assert project.repro() == ["check", "trace", "train@my-lion"]  # and not compare: equal bytes came out


def test_spelling_and_comments_in_params_yaml_rerun_nothing(project):
    path = project.folder / "params.yaml"
    text = path.read_text()
    assert "learning_rate: 0.001" in text
    path.write_text("# a comment\n" + text.replace("learning_rate: 0.001", "learning_rate: 1e-3"))
    assert project.repro() == []


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
def test_network_reruns_every_train_and_compare(project):
    path = project.folder / "networks/mlp.py"
    path.write_text(path.read_text().replace(", layers.Dropout(dropout)]", "]"))
    assert project.repro() == ["check", "compare", *TRAINS]


@pytest.mark.slow
def test_earlier_values_come_from_the_run_cache(project):
    project.edit(assign("optimizers.adam.config.learning_rate", 0.003))
    project.edit(assign("optimizers.sgd.config.learning_rate", 0.1))
    assert project.repro() == ["check", "compare", "trace", *TRAINS]
    project.run("git checkout --quiet params.yaml")
    assert project.repro() == []
    assert project.run("git status --porcelain") == ""


@pytest.mark.slow
def test_fresh_clone_without_a_remote_and_shallow_gives_the_committed_bytes(project, tmp_path):
    project.run(f"git clone --quiet --depth 1 file://{project.folder} {tmp_path / 'clone'}")
    clone = Project(tmp_path / "clone")
    assert clone.repro() == ["check", "compare", "download@mnist", "prepare", "trace", *TRAINS]
    assert clone.run("git status --porcelain") == ""


@pytest.mark.slow
def test_clone_on_another_machine_says_so_and_goes_back_to_a_baseline_of_its_own(project, tmp_path):
    lock, history = project.folder / "dvc.lock", project.folder / "results/history/adam.csv"
    weights = re.search(r"adam\.weights\.h5\n +hash: md5\n +md5: (\w+)", lock.read_text())[1]
    lock.write_text(lock.read_text().replace(weights, weights[::-1]))  # of another machine, whose cache is not here
    history.write_text(re.sub(r"(?<=\n1,2,)[\d.]+", "0.5", history.read_text()))
    project.commit("Reproduce elsewhere")
    project.run(f"git clone --quiet . {tmp_path / 'clone'}")
    clone = Project(tmp_path / "clone")
    clone.repro()
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


def results(project):
    files = [path for path in (project.folder / "results").rglob("*") if path.is_file()]
    return {path.relative_to(project.folder): path.read_bytes() for path in files}


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
    merged = results(project)

    project.run("git checkout --quiet main")
    project.run("dvc checkout --quiet dvc.yaml")
    for name in ("adam", "sgd"):
        project.edit(assign(f"optimizers.{name}.config.learning_rate", 0.05))
    project.repro()
    assert results(project) == merged


@pytest.mark.slow
def test_downloaded_archive_needs_git_and_says_so(light, tmp_path):
    shutil.copytree(light.folder, tmp_path / "project", ignore=shutil.ignore_patterns(".git"))
    done = Project(tmp_path / "project").attempt(f"export GIT_CEILING_DIRECTORIES={tmp_path}; python -m stages.repro")
    assert done.returncode != 0
    output = done.stdout + done.stderr
    assert output.splitlines()[-1].endswith("is not a git repository")
    assert "Traceback" not in output
