"""Others at work in the same folder, on another branch, on the cache: nothing corrupt, the same bytes in the end."""

import re
import subprocess
import sys
import threading
import time

import pytest
from pipeline import ROOT


@pytest.fixture
def project(light, tmp_path):
    return light.duplicate(tmp_path / "project")


def rate(name, value):
    return lambda parameters: parameters["optimizers"][name]["config"].update(learning_rate=value)


def documented(title):
    """The commands of a section of docs/trust.md."""
    text = (ROOT / "docs/trust.md").read_text(encoding="utf-8").split(f"\n### {title}\n")[1]
    return text.split("```sh\n")[1].split("```")[0]


def results(project):
    files = [path for path in (project.folder / "results").rglob("*") if path.is_file()]
    return {path.relative_to(project.folder): path.read_bytes() for path in files}


def test_branches_that_each_changed_another_optimizer_merge_and_nothing_trains_again(project):
    for name in ("adam", "sgd"):
        project.run(f"git checkout --quiet -b {name} main")
        project.run("dvc checkout --quiet dvc.yaml")
        project.edit(rate(name, 0.05))
        assert project.repro() == ["check", "compare", "trace", f"train@{name}"]
        project.commit(f"Change {name}")
    output = project.run("set +e\n" + documented("Two branches").replace("OTHER", "adam"))
    assert "Running stage 'train@" not in output  # both come from the run-cache
    assert project.run("git status --porcelain") == ""
    assert project.repro() == []
    merged = results(project)

    project.run("git checkout --quiet main")
    project.run("dvc checkout --quiet dvc.yaml")
    for name in ("adam", "sgd"):
        project.edit(rate(name, 0.05))
    project.repro()
    assert results(project) == merged


def test_what_was_collected_as_garbage_is_made_again_with_the_same_bytes(project):
    before = results(project)
    project.edit(rate("adam", 0.05))
    project.repro()
    project.run("dvc gc --workspace --force")
    project.run("git checkout --quiet .")
    assert "train@adam" in project.repro()
    assert results(project) == before
    assert project.run("git status --porcelain") == ""


def test_repro_beside_another_ends_well_or_says_so_and_nothing_is_corrupt(project):
    before = results(project)
    project.run("rm -r dvc.lock results .dvc/cache/runs")
    command = [sys.executable, "-m", "dvc", "repro"]
    options = {"cwd": project.folder, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    both = [subprocess.Popen(command, **options) for _ in range(2)]
    for process in both:
        output, _ = process.communicate()
        assert process.returncode == 0 or "Unable to acquire lock" in output or "is busy" in output, output
    project.repro()
    assert results(project) == before
    assert project.run("git status --porcelain") == ""


def test_editor_that_asks_for_the_status_all_the_time_costs_no_training(project):
    before, done = results(project), threading.Event()
    project.run("rm -r dvc.lock results .dvc/cache/runs")

    def ask():
        while not done.is_set():
            project.attempt("dvc status")
            done.wait(0.5)

    editor = threading.Thread(target=ask)
    editor.start()
    try:
        output = project.run("python -m stages.repro --jobs 2")
    finally:
        done.set()
        editor.join()
    assert "FAILED" not in output
    assert results(project) == before
    assert project.run("git status --porcelain") == ""


def test_experiments_of_a_queue_run_beside_a_comparison_and_neither_disturbs_the_other(project):
    project.run("dvc exp run --queue -S 'optimizers.adam.config.learning_rate=0.002,0.004'")
    project.edit(rate("sgd", 0.05))
    project.run("dvc queue start -j 2")
    project.run("python -m stages.repro --jobs 2")
    deadline = time.monotonic() + 300
    while re.search("Queued|Running", status := project.run("dvc queue status")) and time.monotonic() < deadline:
        time.sleep(1)
    assert status.count("Success") == 2
    assert project.repro() == []
