"""The race from end to end: what it leaves in params.yaml, what it trains, what it prints, what a kill does to it."""

import random
import re
import signal
import subprocess
import time
from contextlib import suppress

import psutil
import pytest
from pipeline import STUBS, Project, shrink

from descent.analysis import records, tables

COMMAND = "python -m stages.race --jobs 2"
LOOKS = [3, 5, 8]
RATES = {"a": 0.05, "b": 0.15, "c": 0.5, "d": 2.0}  # the stand-in of the training errs as often as the rate says


def designed(parameters):
    """A race that `a` wins at the second look; `d` diverges."""
    shrink(parameters)
    parameters["race"]["looks"] = LOOKS
    parameters["training"]["runs"] = LOOKS[0]
    parameters["optimizers"].clear()
    for name, rate in RATES.items():
        parameters["optimizers"][name] = {"class_name": "SGD", "config": {"learning_rate": rate}}


@pytest.fixture(scope="module")
def compared(tmp_path_factory, mnist_archive):
    """The plain comparison with light stand-ins for the stages, committed."""
    project = Project.copy(tmp_path_factory.mktemp("compared") / "project", mnist_archive, designed, stubs=STUBS)
    project.repro()
    project.commit("Reproduce")
    return project


@pytest.fixture(scope="module")
def raced(compared, tmp_path_factory):
    """The same after an undisturbed race, with what that printed and the seconds it took."""
    project = compared.duplicate(tmp_path_factory.mktemp("raced") / "project")
    started = time.monotonic()
    done = project.attempt(f"exec {COMMAND}")  # in processes of its own, as those that are stopped below
    project.seconds = time.monotonic() - started
    assert (done.returncode, done.stderr) == (0, "")
    project.output = done.stdout
    return project


def verdicts(project, monkeypatch):
    monkeypatch.chdir(project.folder)
    results = records.read_results()
    runs = {name: training.final_accuracy for name, training in results.trainings.items()}
    return tables.verdicts(runs, results.conditions)


@pytest.mark.slow
def test_winner_is_that_of_all_runs_of_all_optimizers_and_only_numbers_of_runs_changed(
    raced, compared, tmp_path, monkeypatch
):
    assert raced.wanted() == {"a": 5, "b": 5}
    changed = raced.run("git diff --unified=0 params.yaml").splitlines()
    assert [line for line in changed if re.match(r"[-+](?![-+])", line)] == ["+    runs: 5"] * 2
    everything = compared.duplicate(tmp_path / "project")
    everything.edit(lambda of: [entry.update(runs=LOOKS[-1]) for entry in of["optimizers"].values()])
    everything.repro()
    found = verdicts(raced, monkeypatch)
    assert {name: (verdict.may_be_best, verdict.runs_compared) for name, verdict in found.items()} == {
        "a": ("yes", 5), "b": ("no", 5), "c": ("no", 3), "d": ("diverged", 0),
    }  # fmt: skip
    assert repr(found) == repr(verdicts(everything, monkeypatch))

    first, last = re.findall(r"After (?:3|5) runs of each:\n((?:  .*\n)+)", raced.output)
    assert re.match(
        r"  c leaves: a is ahead by at least \d+\.\d\d percentage points\n  d is out: a run diverged\n", first
    )
    assert first.endswith("  in the race: a, b\n")
    assert re.match(r"  b leaves: a is ahead by at least ", last)
    assert raced.output.endswith("The race is over after 16 runs in all: one optimizer is left.\n")


@pytest.mark.slow
def test_make_race_after_the_race_changes_nothing_and_prints_the_way_back_to_the_plain_comparison(
    raced, compared, tmp_path
):
    project = raced.duplicate(tmp_path / "project")
    done = project.attempt("make race STAMP= JOBS=2")
    assert done.returncode == 0
    assert "\n0 of 9 stages to do" in done.stdout
    assert (project.folder / "results/report/ranking.md").read_text() in done.stdout
    assert project.made() == raced.made()
    way_back = re.search("git checkout params.yaml && dvc repro", done.stdout)[0]
    project.run(way_back)
    assert project.made() == compared.made()


@pytest.mark.slow
def test_stopped_killed_and_repaired_race_is_continued_by_the_same_command_to_the_same_bytes(raced, compared, tmp_path):
    """Stopped by Ctrl-C at any moment, and killed with all its processes, as by a power cut, at another."""
    project, moments = compared.duplicate(tmp_path / "project"), [random.uniform(0.05, 0.5) for _ in range(2)]
    for how, moment in zip(("Ctrl-C", "all killed"), moments, strict=True):
        running = project.start(*COMMAND.split(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        time.sleep(moment * raced.seconds)
        family = [psutil.Process(running.pid), *psutil.Process(running.pid).children(recursive=True)]
        if how == "Ctrl-C":
            running.send_signal(signal.SIGINT)
        else:
            for process in family:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
        errors = running.communicate()[1]
        assert how == "all killed" or "Traceback" not in errors
        _, alive = psutil.wait_procs(family, timeout=60)
        assert not alive, moments
    deadline = time.monotonic() + 60
    while (repaired := project.attempt("make repair STAMP=")).returncode and time.monotonic() < deadline:
        time.sleep(0.5)
    assert repaired.returncode == 0
    done = project.attempt(COMMAND)
    assert done.returncode == 0, (moments, done.stdout, done.stderr)
    assert project.made() == raced.made(), moments


@pytest.mark.slow
def test_two_equal_optimizers_both_remain_once_no_look_is_left(compared, tmp_path):
    project = compared.duplicate(tmp_path / "project")

    def change(parameters):
        parameters["race"]["looks"] = LOOKS[:1]
        parameters["optimizers"] = {name: {**parameters["optimizers"]["a"]} for name in ("first", "second")}

    project.edit(change)
    assert project.run(COMMAND).endswith(
        "After 3 runs of each:\n  in the race: first, second\n"
        "The race is over after 6 runs in all: no look is left in race.looks.\n"
    )


@pytest.mark.slow
def test_failed_training_or_no_two_optimizers_end_the_race_with_a_line_and_change_no_parameter(compared, tmp_path):
    project = compared.duplicate(tmp_path / "project")
    project.edit(lambda of: [of["optimizers"].pop(name) for name in "bc"])
    done = project.attempt(COMMAND)
    assert done.returncode == 1
    assert re.match(
        r"params.yaml: the race needs two optimizers of which no run diverged, .* got a and 3\n", done.stderr
    )
    (project.folder / "stages/train.py").write_text("raise SystemExit('the reason')\n")
    done = project.attempt(COMMAND)
    assert done.returncode == 1
    assert re.search(r"^train@a .* FAILED  logs/train@a.log\n    the reason$", done.stdout, re.MULTILINE)
    assert done.stderr == "The race stopped, see above. Mend the fault; the same command continues.\n"
    assert project.wanted() == {}
