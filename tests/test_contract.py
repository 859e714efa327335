"""dvc.yaml tells the truth: every stage declares the code that it imports and the files that it reads and makes.

And a training makes the same bytes after a kill and on a cluster.
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


def test_imported_code_lies_in_the_declared_files_and_folders():
    for name, stage in STAGES.items():
        declared = {Path(dep.def_path) for dep in stage.deps if not hasattr(dep, "params")}
        for path in imported_files(Path(*command(stage)[1].split(".")).with_suffix(".py")):
            assert {path, *path.parents} & declared or path.name == "__init__.py", (name, path)


def test_inits_hold_a_docstring_and_no_code():
    """So no stage depends on those of the outermost folders."""
    for path in ROOT.glob("descent/**/__init__.py"):
        assert all(isinstance(node, ast.Expr) for node in ast.parse(path.read_text(encoding="utf-8")).body), path


def test_what_neither_trains_nor_draws_paths_does_not_wait_for_keras():
    modules = "stages.download, stages.prepare, stages.train, stages.compare, stages.compare_tuning, stages.diff"
    code = f"import sys, {modules}; assert not {{'keras', 'tensorflow'}} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_study_is_in_no_table_and_no_chart_of_the_comparison_and_dvc_asks_its_cache_for_none_of_it():
    """Or `dvc exp apply`, which checks out all there is, fails in a clone in which the study did not run."""
    studied = [stage for stage in STAGES.values() if stage.path_in_repo == "tuning/dvc.yaml"]
    outs = [out for stage in studied for out in stage.outs]
    assert len(outs) > 6
    assert not [out.def_path for out in outs if out.metric or out.plot or out.use_cache]


# The training of an optimizer from a file would miss that: what is declared is its copy, results/rules/NAME.py.
NAMES = [
    "check", "download@mnist", "prepare", "train@adam", "trace", "compare", "follow", "tune@adam",
    "compare_tuning",
]  # fmt: skip
ALONE = {"PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(HIDING)}
KEPT = ".dvc/tmp/runs/"  # finished runs: no result


@pytest.fixture(scope="module")
def alone(tmp_path_factory, mnist_archive):
    """A project all of whose stages ran, each alone in a folder that `lay_out` made; and what each of them made."""

    def one(parameters):
        shrink(parameters)
        del parameters["optimizers"]["sgd"]

    project = Project.copy(tmp_path_factory.mktemp("contract") / "project", mnist_archive, one)
    project.stages, project.made = stages(project.folder), {}
    for name in NAMES:
        folder = lay_out(project, name, tmp_path_factory.mktemp("alone"))
        before = files(folder)
        done = run_forked(command(project.stages[name]), folder, ALONE)
        assert done.returncode == 0, f"{name}: {done.stderr}"
        project.made[name] = {path for path in files(folder) - before if not path.startswith(KEPT)}
        take(project.made[name], folder, project.folder)
    return project


def lay_out(project: Project, name: str, folder: Path) -> Path:
    """Put into a folder what a stage declares to read, and nothing else."""
    stage = project.stages[name]
    take([dep.def_path for dep in stage.deps if not hasattr(dep, "params")], project.folder, folder)
    keys = [key for dep in stage.deps if hasattr(dep, "params") for key in dep.params]
    everything, kept = yaml.load(project.folder / "params.yaml"), {}
    for key in keys:
        source, target, parts = everything, kept, key.split(".")
        for part in parts[:-1]:
            source, target = source[part], target.setdefault(part, {})
        target[parts[-1]] = source[parts[-1]]
    yaml.dump(kept if keys else everything, folder / "params.yaml")  # a stage without keys depends on the whole file
    return folder


def take(paths, source: Path, target: Path) -> None:
    for path in paths:
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (source / path).is_dir() else shutil.copy2
        copy(source / path, target / path)


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_stage_runs_with_its_declared_inputs_alone_and_makes_its_declared_outputs(name, alone):
    assert alone.stages.keys() == set(NAMES)
    outs = {out.def_path for out in alone.stages[name].outs}
    assert all(outs & {path, *map(str, Path(path).parents)} for path in alone.made[name])
    assert not [out for out in outs if not (alone.folder / out).exists()]


def check_bytes(folder: Path, alone: Project):
    for path in alone.made["train@adam"]:
        assert (folder / path).read_bytes() == (alone.folder / path).read_bytes(), path


DIE = """
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
def test_training_that_was_killed_loses_the_run_that_it_was_in_and_ends_in_the_same_bytes(alone, tmp_path):
    folder = lay_out(alone, "train@adam", tmp_path)
    (folder / "die.py").write_text(DIE)
    assert run_forked(["-m", "die"], folder, ALONE).returncode == -signal.SIGKILL
    assert len(list((folder / KEPT).iterdir())) == 1
    done = run_forked(command(alone.stages["train@adam"]), folder, ALONE)
    assert "adam: 1 of 2 runs were kept\n" in done.stdout
    check_bytes(folder, alone)


@pytest.fixture(scope="module")
def cluster(alone, tmp_path_factory):
    """A cluster of one worker, whose code is the project's."""
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    cluster.at_work = psutil.Process(cluster.worker(root=alone.folder).pid)
    yield cluster
    cluster.close()


def start_training(cluster, alone, folder, epochs=2):
    """Start the stage in a copy of the project that has not trained yet."""
    shutil.copytree(alone.folder, folder, ignore=shutil.ignore_patterns(".git", "history", "metrics", "models"))
    Project(folder).edit(lambda parameters: parameters["training"].update(epochs=epochs))
    arguments = [sys.executable, *command(alone.stages["train@adam"])]
    environment = os.environ | {"DESCENT_CLUSTER": cluster.address}
    return subprocess.Popen(arguments, cwd=folder, env=environment, stdout=PIPE, stderr=PIPE, text=True)


@pytest.mark.slow
def test_cluster_makes_the_bytes_that_are_made_here(cluster, alone, tmp_path):
    with start_training(cluster, alone, tmp_path / "project") as stage:
        shown, told = stage.communicate()
    assert re.search(r"^adam  run 2/2  seed 0  val_accuracy ", shown, re.MULTILINE), told
    check_bytes(tmp_path / "project", alone)
    logs = "".join(path.read_text() for path in cluster.folder.glob("*.log"))
    assert "adam: loading TensorFlow" in logs


@pytest.mark.slow
def test_ctrl_c_ends_the_stage_with_a_line_and_the_training_there(cluster, alone, tmp_path):
    folder = tmp_path / "project"
    with start_training(cluster, alone, folder, epochs=100000) as stage:  # so that it is at work for minutes
        deadline, trainings = time.monotonic() + 60, []
        while not trainings:
            assert time.monotonic() < deadline
            time.sleep(0.1)
            children = [child for child in cluster.at_work.children() if child.status() != psutil.STATUS_ZOMBIE]
            trainings = [child for child in children if "descent.cluster.worker" in child.cmdline()]
        stage.send_signal(signal.SIGINT)
        told = stage.communicate()[1]
    assert (stage.returncode, told) == (130, "Stopped\n")
    trainings[0].wait(timeout=20)
    assert cluster.at_work.is_running()
    assert not (folder / "results/metrics").exists()
