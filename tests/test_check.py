"""`check` comes first: what is not understood stops real DVC before anything is trained or removed, a line a fault."""

import json
import shutil
from pathlib import Path

import pytest
from dvc.repo import Repo
from pipeline import ROOT, Project, shrink, stages_run, yaml

from descent.training import environment
from stages import check

MARK, RULES = "results/checked.txt", "results/rules"
SGD = {"class_name": "SGD", "config": {"learning_rate": 0.1}}


@pytest.fixture(scope="module")
def reproduced(tmp_path_factory, mnist_archive):
    """A small project that is up to date for DVC: `check` ran, what the other stages would make is made by hand."""
    project = Project.copy(tmp_path_factory.mktemp("check") / "project", mnist_archive)
    assert project.repro("check") == ["check"]
    with Repo(str(project.folder)) as repo:
        outs = [project.folder / out.fs_path for out in repo.index.outs if out.stage.name != "check"]
    for path in outs:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("as it was\n")
    project.run("dvc commit --force --quiet")
    assert project.repro() == []
    project.commit("Reproduce")
    return project


@pytest.fixture
def project(reproduced, tmp_path):
    return reproduced.duplicate(tmp_path / "project")


def state(project):
    """Every file of the project with its content, but for params.yaml, DVC's and Git's own, and those of the check."""
    paths = [path for path in project.folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    names = {path.relative_to(project.folder).as_posix(): path for path in paths}
    spared = (".", "params.yaml", MARK, RULES, "results/network.json")
    return {name: path.read_bytes() for name, path in names.items() if not name.startswith(spared)}


@pytest.mark.slow
def test_experiment_with_bad_settings_stops_and_the_way_back_runs_nothing(project):
    before = state(project)
    done = project.attempt("dvc exp run -S optimizers.sgd.config.momentum=2 -S training.batch_size=257")
    assert done.returncode != 0
    assert stages_run(done.stdout) == ["check"]
    assert state(project) == before
    assert not (project.folder / MARK).exists()  # so that not even --single-item starts another stage
    assert "Traceback" not in done.stderr
    assert [line for line in done.stderr.splitlines() if line.startswith("params.yaml: ")] == [
        "params.yaml: training.batch_size: expected 1 to data.train_size, 256, got 257",
        "params.yaml: optimizers.sgd.config.momentum: expected at most 1, got 2",
    ]
    project.run("git checkout --quiet params.yaml")
    assert project.repro() == []
    assert project.run("git status --porcelain") == ""
    assert (project.folder / MARK).exists()


@pytest.mark.slow
def test_change_of_tuning_makes_the_study_out_of_date_and_nothing_else(project):
    project.edit(lambda parameters: parameters["tuning"].update(step_decades=0.25))
    assert project.repro("check") == ["check"]
    names = {f"tuning/dvc.yaml:{name}" for name in ("tune@adam", "tune@sgd", "follow", "compare_tuning")}
    assert json.loads(project.run("dvc status --json")).keys() == names


def test_every_stage_waits_for_the_check():
    with Repo(str(ROOT)) as repo:
        stages = [stage for stage in repo.index.stages if stage.cmd and stage.name != "check"]
    assert stages
    for stage in stages:
        assert MARK in [dep.def_path for dep in stage.deps], stage.name


@pytest.fixture
def faults(tmp_path, monkeypatch, capsys):
    """Changes the small parameters, runs the stage in this process, and returns the faults that it reports."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(environment, "configure", str)  # what it sets is set for the whole process, where others test
    for folder in ("networks", "optimizers"):
        shutil.copytree(ROOT / folder, folder)

    def run(change):
        parameters = yaml.load(ROOT / "params.yaml")
        shrink(parameters)
        change(parameters)
        yaml.dump(parameters, Path("params.yaml"))
        with pytest.raises(SystemExit) as ended:
            check.main()
        assert not Path(MARK).exists()
        shown = capsys.readouterr()
        print(shown.out)
        lines = [*shown.err.splitlines(), *str(ended.value.code).splitlines()]
        return [line for line in lines if line.startswith("params.yaml: ")]

    return run


def test_keys_of_earlier_editions_are_answered_with_what_to_write_now(faults):
    def spoil(parameters):
        parameters["own_optimizers"] = {}
        parameters["training"]["seeds"] = [0, 1]
        parameters["optimizers"]["nadam"] = {"class_name": "keras2>Nadam", "config": {}}

    section, seeds, nadam = faults(spoil)
    assert "unknown section 'own_optimizers'" in section
    assert section.endswith("; its entries stand in optimizers now")
    assert "training: unknown key 'seeds'" in seeds
    assert seeds.endswith("; write runs: N for the seeds 0 to N - 1")
    assert "optimizers.nadam.class_name" in nadam
    assert "file: optimizers/keras2_nadam.py, class_name: Nadam" in nadam


def test_faults_of_all_sections_are_told_at_once(faults):
    def spoil(parameters):
        parameters["optimiser"] = {}
        del parameters["report"]
        parameters["data"]["train_size"] = 0
        parameters["training"]["last_epochs"] = 3
        parameters["optimizers"]["adam"]["class_name"] = "Adm"
        parameters["optimizers"]["sgd"]["config"]["momentum"] = "high"
        parameters["optimizers"]["mine"] = SGD | {"file": "../mine.py"}

    lines = faults(spoil)
    section, *others = [line.removeprefix("params.yaml: ") for line in lines]
    assert section.startswith("unknown section 'optimiser'")
    assert section.endswith("did you mean optimizers?")
    keys = ["data.train_size", "training.last_epochs", "optimizers.mine.file", "report"]
    keys += ["optimizers.sgd.config.momentum", "optimizers.adam.class_name"]  # entries are tried beside a wrong one
    assert [line.split(":")[0] for line in others] == keys
    assert others[1] == "training.last_epochs: expected 1 to epochs, 2, got 3"


@pytest.mark.parametrize(
    ("file", "place"), [("../mlp.py", "this repository: "), ("mlp.py", "the folder networks/, got")]
)
def test_file_of_the_network_is_in_its_folder_on_which_the_check_depends(file, place, faults):
    [line] = faults(lambda parameters: parameters["network"].update(file=file))
    assert line.startswith(f"params.yaml: network.file: expected a Python file in {place}")


def test_sections_that_do_not_fit_together_are_refused(faults):
    def spoil(parameters):
        parameters["race"]["looks"] = [3, 100]
        parameters["optimizers"]["adam"]["runs"] = 1
        parameters["optimizers"]["sgd"]["tuned_runs"] = 101
        parameters["optimizers"]["Adam"] = SGD
        parameters["training"]["batch_size"] = 257
        parameters["data"]["validation_size"] = 10_000

    assert [line.split(", got")[0] for line in faults(spoil)] == [
        "params.yaml: training.batch_size: expected 1 to data.train_size, 256",
        "params.yaml: data.validation_size: expected 1 to 9999",
        "params.yaml: race.looks: expected the first look at training.runs, 2",
        "params.yaml: optimizers: adam and Adam: expected names that differ, and not by case alone",
        "params.yaml: optimizers.adam.runs: expected at least training.runs, 2",
        "params.yaml: tuning.seeds: expected seeds from 101 on: runs may take those below, by training, optimizers and "
        "race",
    ]
