"""docs/own.md is true: its way from nothing to an answer, and its conversions, run as they are written."""

import csv
import re
import shlex
import subprocess
import sys

import browser
import numpy as np
import pytest
from dvc.repo import Repo
from pipeline import ROOT, Project, shrink, yaml

from descent.data import datasets
from descent.training import environment
from stages import check, train

PAGE = (ROOT / "docs/own.md").read_text(encoding="utf-8")


def section(title):
    """The text below a heading."""
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def blocks(language, text):
    """The code blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.fixture(scope="module")
def answered(tmp_path_factory, mnist_archive):
    """A project in which the section was followed, and what its last commands printed."""
    text = section("From nothing to an answer")
    race = yaml.load(ROOT / "params.yaml")["race"]  # which the page leaves as it is

    def change(parameters):
        shrink(parameters)
        parameters["race"] = race

    project = Project.copy(tmp_path_factory.mktemp("own") / "project", mnist_archive, change)
    for block in blocks("python", text):
        (project.folder / re.match(r"# (\S+)\n", block)[1]).write_text(block, encoding="utf-8")
    [sections] = blocks("yaml", text)
    project.edit(lambda parameters: parameters.update(yaml.load(sections)))
    [commands] = blocks("sh", text)
    project.output = "".join(project.run(line.split("#")[0].strip()) for line in commands.splitlines())
    return project


def test_the_way_is_short():
    assert len(section("From nothing to an answer").splitlines()) <= 60


@pytest.mark.slow
def test_the_way_ends_with_an_answer_about_ones_own_case(answered):
    assert "train@signed" in answered.output
    assert "download" not in answered.output
    assert "data/own.npz: 3 classes, examples [8] float32, taken as they are" in answered.output
    ranking = (answered.folder / "results/report/ranking.md").read_text(encoding="utf-8")
    assert re.match(r"\*\*(signed|sgd|Either of the two optimizers) .*\(95 % confidence.* 5 runs of each", ranking)
    assert "own.npz: the first 400 training examples in batches of 32, 150 validation and 150 test examples" in ranking


@pytest.mark.slow
def test_report_of_other_data_does_not_speak_of_the_tutorial(answered):
    for name in ("index.html", "summary.md", "ranking.md"):
        text = (answered.folder / "results/report" / name).read_text(encoding="utf-8")
        assert "tutorial's" not in text
    assert not (answered.folder / "results/report/figures/tutorial.svg").exists()


@pytest.mark.slow
def test_plots_of_other_data_are_shown_without_the_tutorial_and_none_fails(answered):
    plots = yaml.load(answered.folder / "dvc.yaml")["stages"]["compare"]["plots"]
    tables = [name for plot in plots for name in plot if name.endswith(".csv")]
    done = answered.attempt(f"dvc plots show {' '.join(tables)}")
    assert done.returncode == 0
    assert "failed" not in done.stdout + done.stderr
    visit = browser.visit(answered.folder / "dvc_plots/index.html")
    drawn = re.findall(r'<div id="(\w+)" class="vega-embed', visit.html)
    assert "results_report_ranking_csv" in drawn
    assert "tutorial" not in " ".join(drawn)
    assert visit.console == []


@pytest.mark.slow
def test_study_of_ones_own_case_runs(answered):
    with Repo(str(answered.folder)) as repo:
        stages = [stage for stage in repo.index.stages if "tuning" in stage.path_in_repo]
        commands = [shlex.split(stage.cmd)[3:] for stage in stages]
    assert [command[0] for command in commands] == [
        "stages.tune", "stages.tune", "stages.follow", "stages.compare_tuning"
    ]  # fmt: skip
    # As `dvc repro tuning/dvc.yaml` runs them, but in one process, which loads TensorFlow once.
    calls = [f"import {module}; {module}.main(*{keys})" for module, *keys in commands]
    answered.run(shlex.join(["python", "-c", "\n".join(calls)]))
    outs = [answered.folder / out.def_path for stage in stages for out in stage.outs]
    assert len(outs) > 6
    assert all(path.exists() for path in outs)  # of the optimizer of one's own too; DVC refuses one that is not made
    assert "signed" in (answered.folder / "results/tuning/report/tuned.md").read_text(encoding="utf-8")
    ends = [row for row in read_csv(answered.folder / "results/tuning/runs/signed.csv") if row["epoch"] == "5"]
    tuned = {row["optimizer"]: row for row in read_csv(answered.folder / "results/tuning/report/tuned.csv")}["signed"]
    assert int(tuned["trials"]) in (3 * 2, 4 * 2)  # a factor beyond an end of the grid, where the best was there
    assert len(ends) == int(tuned["trials"]) + 5


def read_csv(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


FAILS = """
import keras

class Fails(keras.layers.Layer):
    def call(self, values, training=False):
        if training:
            raise ValueError("not this one")
        return values

def build(input_shape, classes, units):
    return keras.Sequential([keras.Input(input_shape), Fails(), keras.layers.Dense(classes)])
"""


@pytest.mark.slow
def test_network_that_does_not_train_is_refused_in_one_line_before_the_first_run(
    answered, tmp_path, monkeypatch, capsys
):
    project = answered.duplicate(tmp_path / "project")
    (project.folder / "networks/fails.py").write_text(FAILS)
    history = project.folder / "results/history/sgd.csv"
    history.unlink()  # as DVC does before it runs the stage
    project.edit(lambda parameters: parameters["network"].update(file="networks/fails.py"))
    monkeypatch.chdir(project.folder)
    monkeypatch.setattr(environment, "configure", str)  # what it sets is set for the whole process, where others test
    with pytest.raises(SystemExit) as ended:
        train.main("sgd")
    [line] = str(ended.value).splitlines()
    assert line.startswith("params.yaml: networks/fails.py and optimizers.sgd do not train: ValueError: ")
    assert "not this one" in line
    assert "run 1/" not in capsys.readouterr().out
    assert not history.exists()


@pytest.mark.slow
def test_changed_archive_is_noticed_and_refused_before_it_trains(answered):
    path = answered.folder / "data/own.npz"
    arrays = dict(np.load(path))
    np.savez(path, **arrays | {"y_test": arrays["y_test"] + 1})
    done = answered.attempt("dvc repro")
    assert done.returncode != 0
    assert "data/own.npz: y_test: expected classes of y_train, 0, 1, 2, got 3" in done.stderr
    assert (answered.folder / "results/metrics/signed.json").exists()


@pytest.mark.slow
def test_data_set_that_nothing_needs_is_not_fetched_but_refused(answered, monkeypatch, capsys):
    monkeypatch.chdir(answered.folder)
    monkeypatch.setattr(check, "try_out", lambda *_: None)  # trying everything takes seconds
    answered.edit(lambda parameters: parameters["download"].update(mnist={"sources": {"file": "x"}}))
    with pytest.raises(SystemExit):
        check.main()
    assert "params.yaml: download.mnist.timeout_seconds: missing" in capsys.readouterr().err
    limits = {"timeout_seconds": 1, "attempts": 1}
    answered.edit(lambda parameters: parameters["download"]["mnist"].update(limits))
    with pytest.raises(SystemExit):
        check.main()
    message = "params.yaml: download.mnist: remove it, data.file is 'data/own.npz' and does not need it"
    assert message in capsys.readouterr().err


def test_csv_files_become_an_archive(tmp_path):
    (tmp_path / "data").mkdir()
    for name, labels in (("train", (0, 1, 2)), ("test", (2, 1))):
        lines = ["label,a,b", *(f"{label},{label}.5,{label + 1}" for label in labels)]
        (tmp_path / f"data/{name}.csv").write_text("\n".join(lines))
    [code] = [block for block in blocks("python", section("Data of your own")) if "loadtxt" in block]
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    arrays = datasets.read(tmp_path / "data/own.npz")
    assert arrays["x_train"].tolist() == [[0.5, 1.0], [1.5, 2.0], [2.5, 3.0]]
    assert arrays["y_test"].tolist() == [2, 1]


def test_a_data_set_of_scikit_learn_becomes_an_archive(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    [code] = [block for block in blocks("python", section("Data of your own")) if "sklearn" in block]
    monkeypatch.delenv("PYTHONPATH")  # which hides it
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    facts = datasets.facts(datasets.read(tmp_path / "data/own.npz"))
    assert (facts.sizes, facts.shape, facts.classes) == ({"train": 1197, "test": 600}, (64,), 10)
