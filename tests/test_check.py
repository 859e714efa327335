"""`check` comes first: what is not understood stops real DVC before anything is trained or removed, a line a fault."""

import json
import shutil
from pathlib import Path

import pytest
from dvc.repo import Repo
from pipeline import ROOT, Project, shrink, stages_run, yaml

from descent.core import user_code
from descent.core.parameters import ParametersError
from descent.data.settings import DataParameters
from descent.training import environment
from descent.training.settings import NetworkEntry, OptimizerEntry
from stages import check

MARK, RULES = "results/checked.txt", "results/rules"
SGD = {"class_name": "SGD", "config": {"learning_rate": 0.1}}


def own(file):
    return {"class_name": "Mine", "config": {}, "file": f"optimizers/{file}"}


def with_nadam(parameters):
    """Shrink the parameters, but keep an optimizer whose rule is in a file."""
    nadam = parameters["optimizers"]["nadam"]
    shrink(parameters)
    parameters["optimizers"]["nadam"] = nadam


@pytest.fixture(scope="module")
def reproduced(tmp_path_factory, mnist_archive):
    """A small project that is up to date for DVC: `check` ran, what the other stages would make is made by hand."""
    project = Project.copy(tmp_path_factory.mktemp("check") / "project", mnist_archive, with_nadam)
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
    return {
        name: path.read_bytes()
        for name, path in names.items()
        if not name.startswith((".", "params.yaml", MARK, RULES, "results/network.json"))
    }


def refused(project, command):
    """Run DVC, which must stop at `check` and leave everything else as it is; returns the lines that check wrote."""
    before = state(project)
    done = project.attempt(command)
    assert done.returncode != 0
    assert stages_run(done.stdout) == ["check"]
    assert state(project) == before
    assert not (project.folder / MARK).exists()  # so that not even --single-item starts another stage
    assert "Traceback" not in done.stderr
    return [line for line in done.stderr.splitlines() if line.startswith("params.yaml: ")]


@pytest.mark.slow
def test_experiment_with_bad_settings_stops_and_the_way_back_runs_nothing(project):
    assert refused(project, "dvc exp run -S optimizers.sgd.config.momentum=2 -S training.batch_size=257") == [
        "params.yaml: training.batch_size: expected 1 to data.train_size, 256, got 257",
        "params.yaml: optimizers.sgd.config.momentum: expected at most 1, got 2",
    ]
    project.run("git checkout --quiet params.yaml")
    assert project.repro() == []
    assert project.run("git status --porcelain") == ""
    assert (project.folder / MARK).exists()


@pytest.mark.slow
def test_own_optimizer_with_dataclasses_is_understood_and_leaves_the_rules_of_the_others(project, monkeypatch, capsys):
    code = """
from __future__ import annotations
import dataclasses
import keras

@dataclasses.dataclass
class Settings:
    push: dataclasses.InitVar[float] = 0.5

class Mine(keras.optimizers.SGD):
    pass
"""
    (project.folder / "optimizers/mine.py").write_text(code)
    project.edit(lambda parameters: parameters["optimizers"].update(mine=own("mine.py")))
    before = {path: path.read_bytes() for path in (project.folder / RULES).iterdir()}
    monkeypatch.chdir(project.folder)
    monkeypatch.setattr(environment, "configure", str)  # what it sets is set for the whole process, where others test
    check.main()
    assert "params.yaml: 4 optimizers, 8 runs of 2 epochs: understood" in capsys.readouterr().out
    after = {path: path.read_bytes() for path in (project.folder / RULES).iterdir()}
    entries = project.folder / RULES / "optimizers.json"
    assert json.loads(after.pop(entries)).items() > json.loads(before.pop(entries)).items()
    assert after == before | {project.folder / RULES / "mine.py": code.encode()}


@pytest.mark.slow
def test_change_of_a_rule_makes_the_trainings_that_use_it_out_of_date_and_no_others(project):
    with (project.folder / "optimizers/keras2_nadam.py").open("a") as file:
        file.write("# another Nadam\n")
    assert project.repro("check") == ["check"]
    changed = json.loads(project.run("dvc status --json"))
    assert {name for name in changed if not name.startswith("tuning/")} == {"train@nadam", "trace"}


@pytest.mark.slow
def test_anything_in_tuning_makes_the_study_out_of_date_and_nothing_else(project):
    project.edit(lambda parameters: parameters["tuning"].update(step_decades=0.25))
    assert project.repro("check") == ["check"]
    changed = json.loads(project.run("dvc status --json"))
    names = {f"tuning/dvc.yaml:{name}" for name in ("tune@adam", "tune@nadam", "tune@sgd", "follow", "compare_tuning")}
    assert changed.keys() == names


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


def test_faults_of_all_sections_are_told_at_once(faults):
    def spoil(parameters):
        parameters["optimiser"] = {}
        del parameters["report"]
        parameters["data"]["train_size"] = 0
        parameters["training"]["last_epochs"] = 3
        parameters["optimizers"]["adam"]["class_name"] = "Adm"
        parameters["optimizers"]["sgd"]["config"]["momentum"] = "high"
        parameters["optimizers"]["mine"] = own("../../mine.py")
        parameters["own_optimizers"] = {"mine": own("mine.py")}

    lines = faults(spoil)
    assert [line.removeprefix("params.yaml: ").split(":")[0] for line in lines] == [
        "unknown section 'optimiser'; allowed are download, data, network, training, optimizers, "
        "race, report, trajectories, tuning; did you mean optimizers?",
        "own_optimizers",
        "data.train_size",
        "training.last_epochs",
        "optimizers.mine.file",
        "report",
        "optimizers.sgd.config.momentum",
        "optimizers.adam.class_name",
    ]
    assert lines[1] == "params.yaml: own_optimizers: move its entries to optimizers: the section is gone"
    assert lines[3] == "params.yaml: training.last_epochs: expected 1 to epochs, 2, got 3"


def test_faults_of_all_optimizers_are_told_at_once_though_the_schemas_refuse_one(faults):
    def spoil(parameters):
        parameters["optimizers"]["adam"]["class_name"] = "Adm"
        parameters["optimizers"]["sgd"]["config"]["momentum"] = "high"
        parameters["optimizers"]["mine"] = own("nowhere.py")
        parameters["optimizers"]["typo"] = SGD | {"clas_name": "SGD"}

    lines = faults(spoil)
    assert [line.removeprefix("params.yaml: ").split(":")[0] for line in lines] == [
        "optimizers.typo",
        "optimizers.sgd.config.momentum",
        "optimizers.adam.class_name",
        "optimizers.mine.file",
    ]


def test_what_the_schemas_know_is_reported_before_tensorflow_is_loaded(faults, monkeypatch, capsys):
    reported = []
    monkeypatch.setattr(check, "try_out", lambda *_: reported.append(capsys.readouterr().err))
    faults(lambda parameters: parameters["optimizers"]["sgd"]["config"].update(momentum=2))
    [line] = reported
    assert line.startswith("params.yaml: optimizers.sgd.config.momentum: ")
    assert line.endswith(", got 2\n")


def test_file_that_git_does_not_know_is_named_with_what_to_do(tmp_path, monkeypatch, capsys):
    project = Project(tmp_path)
    project.run("git init --quiet && mkdir data networks optimizers")
    for name in ("networks/mine.py", "optimizers/lion.py", "optimizers/mine.py", "data/a.npz", "data/b.npz"):
        (tmp_path / name).touch()
    (tmp_path / "data/b.npz.dvc").touch()  # as dvc add leaves it
    project.run("git add optimizers/lion.py")
    monkeypatch.chdir(tmp_path)
    sizes = {"train_size": 1, "validation_size": 1}
    for data in ("data/a.npz", "data/b.npz"):
        entries = {"lion": own("lion.py"), "mine": own("mine.py"), "sgd": SGD}
        check.note_files_unknown_to_git(
            {
                "network": NetworkEntry(file="networks/mine.py", config={}),
                "optimizers": {name: OptimizerEntry(**entry) for name, entry in entries.items()},
                "data": DataParameters(file=data, **sizes),
            }
        )
    lines = capsys.readouterr().out.splitlines()
    missing = ["data/a.npz", "networks/mine.py", "optimizers/mine.py", "networks/mine.py", "optimizers/mine.py"]
    assert lines == [f"{file}: not in Git, so dvc exp run --temp would not find it: git add {file}" for file in missing]


def test_file_that_an_experiments_folder_lacks_is_said_to_need_git_add(tmp_path, monkeypatch):
    folder = tmp_path / ".dvc/tmp/exps/standalone/one"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    with pytest.raises(ParametersError, match=r"what Git knows: git add networks/mine\.py$"):
        user_code.load("networks/mine.py", "params.yaml: network.file")


def test_names_that_differ_by_case_alone_are_refused_since_some_file_systems_take_them_for_one(faults):
    assert faults(lambda parameters: parameters["optimizers"].update(Adam=SGD)) == [
        "params.yaml: optimizers: adam and Adam: expected names that differ, and not by case alone"
    ]


def test_own_optimizers_that_fail_are_refused_with_reason_and_line(faults):
    late = "import keras\nclass Mine(keras.optimizers.SGD):\n    def __init__(self): raise SystemExit(0)\n"
    Path("optimizers/late.py").write_text(late)
    Path("optimizers/early.py").write_text("import nowhere")
    entries = {"late": own("late.py"), "early": own("early.py")}
    assert faults(lambda parameters: parameters["optimizers"].update(entries)) == [
        "params.yaml: optimizers.late.config: SystemExit: 0 (optimizers/late.py, line 3). Mine takes ; got {}",
        "params.yaml: optimizers.early.file: 'optimizers/early.py' cannot be run: "
        "ModuleNotFoundError: No module named 'nowhere' (optimizers/early.py, line 1)",
    ]


def test_own_optimizers_that_the_study_could_not_tune_are_understood_and_named(faults, capsys):
    deaf = "import keras\nclass Mine(keras.optimizers.SGD):\n"
    deaf += "    def update_step(self, gradient, variable, rate): variable.assign_sub(0.1 * gradient)\n"
    called = "import keras\nclass Mine(keras.optimizers.SGD):\n"
    called += "    def __init__(self, **config): super().__init__(learning_rate=lambda: 0.1, **config)\n"
    Path("optimizers/deaf.py").write_text(deaf)
    Path("optimizers/called.py").write_text(called)

    def add(parameters):
        parameters["optimizers"].update(deaf=own("deaf.py"), called=own("called.py"))
        parameters["report"]["confidence"] = 2  # the only fault

    [fault] = faults(add)
    assert "report.confidence" in fault
    told = "no learning rate that scales its steps: compared, and left out of the study"
    lines = [line for line in capsys.readouterr().out.splitlines() if line.endswith(told)]
    assert lines == [f"params.yaml: optimizers.{name}: {told}" for name in ("deaf", "called")]


@pytest.mark.parametrize(
    ("file", "place"), [("../mlp.py", "this repository: "), ("mlp.py", "the folder networks/, got")]
)
def test_file_of_the_network_is_in_its_folder_on_which_the_check_depends(file, place, faults):
    [line] = faults(lambda parameters: parameters["network"].update(file=file))
    assert line.startswith(f"params.yaml: network.file: expected a Python file in {place}")


def test_numbers_of_runs_that_do_not_fit_together_are_refused(faults):
    def spoil(parameters):
        parameters["race"]["looks"] = [3, 100]
        parameters["optimizers"]["adam"]["runs"] = 1
        parameters["optimizers"]["sgd"]["tuned_runs"] = 101

    assert faults(spoil) == [
        "params.yaml: race.looks: expected the first look at training.runs, 2, got [3, 100]",
        "params.yaml: optimizers.adam.runs: expected at least training.runs, 2, got 1",
        "params.yaml: tuning.seeds: expected seeds from 101 on: runs may take those below, by training, optimizers and "
        "race, got 100",
    ]


def test_seeds_of_earlier_editions_are_told_what_takes_their_place(faults):
    assert faults(lambda parameters: parameters["training"].update(seeds=[0, 1])) == [
        "params.yaml: training.seeds: expected runs: N in its place, for the seeds 0 to N - 1, got [0, 1]"
    ]


def test_batch_may_hold_all_images_and_the_last_epochs_be_all_of_them(faults):
    def widen(parameters):
        parameters["training"].update(batch_size=256, last_epochs=2)
        parameters["report"]["confidence"] = 2  # the only fault

    [line] = faults(widen)
    assert "report.confidence" in line
