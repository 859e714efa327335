"""dvc.yaml tells the truth: every stage declares the code that it imports and the files that it reads and makes.

And it makes the same bytes alone and on a cluster.
"""

import ast
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from subprocess import PIPE

import psutil
import pytest
from dvc.repo import Repo
from loopback import Cluster
from pipeline import HIDING, ROOT, Project, run_forked, shrink, yaml


def imports(path: Path) -> set[str]:
    """Return the dotted names that a module imports, for `from a import b` both a and a.b."""
    names = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return names


def imported_files(path: Path) -> set[Path]:
    """Follow the imports of a module of this project to every file that runs when it is imported."""
    found, waiting = set(), [path]
    while waiting:
        current = waiting.pop()
        if current not in found:
            found |= {current}
            files = (Path(*name.split(".")).with_suffix(".py") for name in imports(current))
            inits = (folder / "__init__.py" for folder in current.parents)
            waiting += [file for file in (*files, *inits) if (ROOT / file).is_file()]
    return found


def stages(folder):
    """Read the stages of both pipelines of a project, by name."""
    with Repo(str(folder)) as repo:
        return {stage.name: stage for stage in repo.index.stages if stage.cmd}


STAGES = stages(ROOT)


def command(stage):
    """The arguments of Python in a stage's command."""
    first, python, *arguments = shlex.split(stage.cmd)
    assert (first, python) == ("exec", "python")  # a shell that stays between would keep a stage alive without its DVC
    return arguments


@pytest.mark.parametrize("name", STAGES)
def test_imported_code_lies_in_the_declared_files_and_folders(name):
    stage = STAGES[name]
    declared = {Path(dep.def_path) for dep in stage.deps if not hasattr(dep, "params")}
    for path in imported_files(Path(*command(stage)[1].split(".")).with_suffix(".py")):
        assert {path, *path.parents} & declared or path.name == "__init__.py", path


def test_inits_hold_a_docstring_and_no_code():
    """So no stage depends on those of the outermost folders."""
    for path in ROOT.glob("descent/**/__init__.py"):
        assert all(isinstance(node, ast.Expr) for node in ast.parse(path.read_text(encoding="utf-8")).body), path


def test_rooms_keep_their_direction():
    for path in [*ROOT.glob("descent/**/*.py"), *ROOT.glob("stages/*.py")]:
        assert not any(name.split(".")[0] == "stages" for name in imports(path)), path
    for room, above in {"analysis": {"report"}, "study": {"analysis", "report"}}.items():
        for path in ROOT.glob(f"descent/{room}/*.py"):
            found = {name.split(".")[1] for name in imports(path) if name.startswith("descent.")}
            assert not found & above, path


def test_what_neither_trains_nor_draws_paths_does_not_wait_for_keras():
    modules = "stages.download, stages.prepare, stages.train, stages.compare, stages.compare_tuning, stages.diff"
    code = f"import sys, {modules}; assert not {{'keras', 'tensorflow'}} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


# Side by side, where the test below runs each stage alone: so it tells as well that this makes no other bytes.
@pytest.fixture(scope="module")
def reproduced(tmp_path_factory, mnist_archive):
    def one(parameters):
        shrink(parameters)
        del parameters["optimizers"]["sgd"]

    project = Project.copy(tmp_path_factory.mktemp("contract") / "project", mnist_archive, one)
    project.run("python -m stages.repro --jobs 2")
    assert not (project.folder / "results/tuning").exists()  # the study is a pipeline of its own
    project.repro("tuning/dvc.yaml")
    project.stages = stages(project.folder)
    return project


ALONE = {"PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(HIDING)}


# Trained alone, an optimizer of descent's own rules would miss the rule: its code comes as results/rules/NAME.txt.
@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "check", "download@mnist", "prepare", "train@adam", "trace", "compare",
        "follow", "tune@adam", "compare_tuning",
    ],
)  # fmt: skip
def test_stage_runs_with_its_declared_inputs_alone_and_makes_its_declared_outputs(name, reproduced, tmp_path):
    stage = reproduced.stages[name]
    inputs = [dep.def_path for dep in stage.deps if not hasattr(dep, "params")]
    keys = [key for dep in stage.deps if hasattr(dep, "params") for key in dep.params]
    outputs = {out.def_path for out in stage.outs}
    _take(inputs, reproduced.folder, tmp_path)
    everything = yaml.load(reproduced.folder / "params.yaml")
    yaml.dump(_only(everything, keys) if keys else everything, tmp_path / "params.yaml")  # without keys: the whole file
    before = _files(tmp_path)

    done = run_forked(command(stage), tmp_path, ALONE)

    assert done.returncode == 0, done.stderr
    made = {path for path in _files(tmp_path) - before if not path.startswith(".dvc/tmp/runs/")}  # kept, no result
    existing = _files(reproduced.folder)
    declared = {path for path in existing if any(path == out or path.startswith(f"{out}/") for out in outputs)}
    assert made == declared
    for path in made:
        assert (tmp_path / path).read_bytes() == (reproduced.folder / path).read_bytes(), f"{path}: other bytes"


TRAIN = """
import os, signal
from descent.runs.store import Store
from stages import train

def keep_and_die(*arguments):
    keep(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)

keep, Store.keep = Store.keep, keep_and_die
train.main("adam")
"""


@pytest.mark.slow
def test_training_that_was_killed_loses_the_run_that_it_was_in_and_ends_in_the_same_bytes(reproduced, tmp_path):
    project = reproduced.duplicate(tmp_path / "project")
    paths = [out.def_path for out in reproduced.stages["train@adam"].outs]
    shutil.rmtree(project.folder / ".dvc/tmp/runs")
    for path in paths:
        (project.folder / path).unlink()
    options = {"cwd": project.folder, "env": os.environ | {"PYTHONPATH": "."}, "capture_output": True, "text": True}
    killed = subprocess.run([sys.executable, "-c", TRAIN], check=False, **options)
    assert killed.returncode == -signal.SIGKILL
    assert len(list((project.folder / ".dvc/tmp/runs").iterdir())) == 1
    done = subprocess.run([sys.executable, "-m", "stages.train", "adam"], check=True, **options)
    assert "adam: 1 of 2 runs were kept\n" in done.stdout
    for path in paths:
        assert (project.folder / path).read_bytes() == (reproduced.folder / path).read_bytes()


@pytest.fixture
def cluster(tmp_path):
    (tmp_path / "cluster").mkdir()
    cluster = Cluster(tmp_path / "cluster")
    yield cluster
    cluster.close()


def results(folder):
    files = [path for path in (folder / "results").rglob("*") if path.is_file() and "rules" not in path.parts]
    return {path.relative_to(folder): path.read_bytes() for path in files}


@pytest.mark.slow
def test_cluster_makes_the_bytes_that_are_made_here(cluster, reproduced, tmp_path):
    project = reproduced.duplicate(tmp_path / "project")
    here = results(project.folder)
    cached = [Path(out.cache_path) for out in reproduced.stages["train@adam"].outs if out.use_cache]
    for path in cached:  # else DVC takes from there what is missing
        (project.folder / path.relative_to(reproduced.folder)).unlink()
    shutil.rmtree(project.folder / ".dvc/cache/runs")
    shutil.rmtree(project.folder / ".dvc/tmp/runs")

    cluster.worker(root=project.folder)
    there = f"export DESCENT_CLUSTER={cluster.address}"
    (project.folder / "results/metrics/adam.json").unlink()
    shown = project.run(f"{there}; python -m stages.repro train@adam")
    assert re.search(r"train@adam +\d+ s  done  run 2/2  seed 0  val_accuracy ", shown)  # as for those that train here

    assert results(project.folder) == here
    logs = "".join(path.read_text() for path in cluster.folder.glob("*.log"))
    assert "adam: loading TensorFlow" in logs


@pytest.mark.slow
def test_ctrl_c_ends_the_stage_with_a_line_and_the_training_there(cluster, reproduced, tmp_path):
    project = reproduced.duplicate(tmp_path / "project")
    project.edit(lambda parameters: parameters["training"].update(epochs=10**5))  # so that it is at work for minutes
    before = results(project.folder)
    worker = psutil.Process(cluster.worker(root=project.folder).pid)
    command = [sys.executable, "-m", "stages.train", "adam"]
    options = {"cwd": project.folder, "env": os.environ | {"DESCENT_CLUSTER": cluster.address}}
    with subprocess.Popen(command, **options, stdout=PIPE, stderr=PIPE, text=True) as stage:
        deadline, trainings = time.monotonic() + 60, []
        while not trainings:
            assert time.monotonic() < deadline
            time.sleep(0.1)
            trainings = [child for child in worker.children() if "descent.cluster.worker" in child.cmdline()]
        stage.send_signal(signal.SIGINT)
        told = stage.communicate()[1]
    assert (stage.returncode, told) == (130, "Stopped\n")
    trainings[0].wait(timeout=20)
    assert worker.is_running()
    assert results(project.folder) == before


def _take(paths: list[str], source: Path, target: Path) -> None:
    for path in paths:
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (source / path).is_dir() else shutil.copy2
        copy(source / path, target / path)


def _only(everything: dict, keys: list[str]) -> dict:
    kept = {}
    for key in keys:
        source, target, parts = everything, kept, key.split(".")
        for part in parts[:-1]:
            source, target = source[part], target.setdefault(part, {})
        target[parts[-1]] = source[parts[-1]]
    return kept


def _files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_study_is_in_no_table_and_no_chart_of_the_comparison_and_dvc_asks_its_cache_for_none_of_it():
    """Or `dvc exp apply`, which checks out all there is, fails in a clone in which the study did not run."""
    studied = [stage for stage in STAGES.values() if stage.path_in_repo == "tuning/dvc.yaml"]
    outs = [out for stage in studied for out in stage.outs]
    assert len(outs) > 6
    assert not [out.def_path for out in outs if out.metric or out.plot or out.use_cache]
