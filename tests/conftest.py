"""What several test modules share."""

import gc
import os
import signal

import pytest
from pipeline import HIDING, ROOT, STUBS, Project

from descent.core import parameters
from descent.data.datasets import write_archive
from descent.data.download import Downloads, fetch

gc.disable()  # until all modules are imported
os.environ["PYTHONPATH"] = str(HIDING)  # for the processes that tests start
signal.signal(signal.SIGINT, signal.default_int_handler)  # that it is ignored, as after a shell's &, they would inherit

# Modules that take long start first, or one worker ends with them alone.
LONGEST = (
    "test_alone.py", "test_race.py", "test_own_case.py", "test_contract.py", "test_reruns.py", "test_end_to_end.py",
    "test_scheduler.py", "test_check.py", "test_checks.py", "test_runs.py", "test_update_rules.py", "test_cluster.py",
    "test_readme.py", "test_repair.py",
    "test_compare.py", "test_plots_page.py",
)  # fmt: skip


def pytest_collection_modifyitems(items):
    """Order the modules for `--dist loadfile --no-loadscope-reorder`; within a module, tests stay as they stand."""
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))
    gc.freeze()  # what all modules imported, TensorFlow too, is not looked through again
    gc.enable()


@pytest.fixture(scope="session")
def mnist_archive(tmp_path_factory):
    """Path of a data/raw/mnist.npz: made by the download code, from the repository's own file when that is right."""
    settings = parameters.read(ROOT / "params.yaml", "download", Downloads).mnist
    own, path = ROOT / "data/raw/mnist.npz", tmp_path_factory.mktemp("raw") / "mnist.npz"
    places = settings.sources.model_copy(update={"file": str(own)} if own.exists() else {})
    write_archive(path, fetch("mnist", settings.model_copy(update={"sources": places})))
    return path


@pytest.fixture(scope="session")
def light(tmp_path_factory, mnist_archive):
    """A small project with light stand-ins for stages, reproduced and committed, with its run-cache; to be left so."""
    project = Project.copy(tmp_path_factory.mktemp("light") / "project", mnist_archive, stubs=STUBS)
    assert project.repro() == ["check", "compare", "download@mnist", "prepare", "trace", "train@adam", "train@sgd"]
    project.commit("Reproduce")
    return project
