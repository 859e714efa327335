"""`dvc plots show` and `dvc plots diff`: every chart is drawn, without a network, and says which revision is which."""

import csv
import os
import re
import shutil
import subprocess
import sys

import browser
import pytest
from pipeline import ROOT, Project, yaml

from descent.core import plot_style

pytestmark = pytest.mark.slow

EPOCHS = range(1, 4)
OPTIMIZERS = ("adadelta", "adam", "lion")
DIVERGED = 2  # the epoch at which adadelta has no figures
SEEDS = (0, 1)
CURVES = ("loss", "val_loss", "results_report_curves_csv", "results_report_diagnostics_csv")
POINTS = ("results_report_ranking_csv", "results_report_differences_csv", "results_report_tutorial_csv")
HISTORY = "results_history_adam_csv"


def write_table(path, columns, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf8") as file:
        csv.writer(file).writerows([columns.split(), *rows])


def write_results(folder, shift):
    """The tables of a comparison whose intervals, as those of two runs do, reach below 0 and above 100 %."""

    def around(value):
        return [value, -0.1, value + 0.3]

    def loss(name, epoch):
        return float("nan") if (name, epoch) == ("adadelta", DIVERGED) else (1 + shift) / 2**epoch

    report, accuracy = (
        folder / "results/report",
        {name: 0.9 - 0.1 * i - shift / 10 for i, name in enumerate(OPTIMIZERS)},
    )
    value = "{0} {0}_low {0}_high"
    curves = [
        [name, split, epoch, *around(loss(name, epoch) * len(split)), *around(accuracy[name])]
        for name in OPTIMIZERS for split in ("train", "val") for epoch in EPOCHS
    ]  # fmt: skip
    columns = f"optimizer split epoch {value.format('loss')} {value.format('accuracy')}"
    write_table(report / "curves.csv", columns, curves)
    moves = [[name, epoch, loss(name, epoch)] for name in OPTIMIZERS for epoch in EPOCHS]
    write_table(report / "diagnostics.csv", "optimizer epoch relative_change", moves)
    ranking = [[name, *around(accuracy[name])] for name in OPTIMIZERS]
    write_table(report / "ranking.csv", f"optimizer {value.format('val_accuracy')}", ranking)
    leads = [["adadelta", name, accuracy["adadelta"] - accuracy[name], -0.01, 0.3] for name in OPTIMIZERS[1:]]
    write_table(report / "differences.csv", "ahead behind lead low high", leads)
    tutorial = [["adam", epoch, 0.8 + epoch / 50, *around(0.7)] for epoch in EPOCHS]
    write_table(
        report / "tutorial.csv", f"optimizer epoch val_accuracy_printed {value.format('val_accuracy')}", tutorial
    )
    history = [[seed, epoch, 1 / epoch + seed, 1 / epoch + shift] for seed in SEEDS for epoch in EPOCHS]
    write_table(folder / "results/history/adam.csv", "seed epoch loss val_loss", history)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A repository with this project's charts, templates and page, and results at two revisions."""
    folder = tmp_path_factory.mktemp("plots") / "project"
    folder.mkdir()
    project = Project(folder)
    project.init()
    for name in ("plots", "plots_page"):
        shutil.copytree(ROOT / ".dvc" / name, folder / ".dvc" / name)
    shutil.copy(ROOT / ".dvc/config", folder / ".dvc/config")
    shutil.copy(ROOT / "params.yaml", folder)  # labels say what compares
    graph = yaml.load(ROOT / "dvc.yaml")
    [history] = graph["stages"]["train"]["do"]["plots"]
    tables = [plot for plot in graph["stages"]["compare"]["plots"] if "template" in next(iter(plot.values()))]
    stages = {
        "train": {
            "cmd": "none",
            "plots": [{"results/history/adam.csv": {**next(iter(history.values())), "title": "-"}}],
        },
        "compare": {"cmd": "none", "plots": tables},
    }
    yaml.dump({"stages": stages, "plots": graph["plots"]}, folder / "dvc.yaml")
    for branch, shift in (("after", 0.5), ("before", 0.0)):
        write_results(folder, shift)
        project.run("dvc commit --quiet --force")
        project.run(f"git checkout --quiet -b {branch}")
        project.commit(branch)
    return project


def opened(project, command):
    project.run(f"dvc plots {command} --out page")
    return browser.visit(project.folder / "page/index.html")


@pytest.fixture(scope="module")
def show(project):
    return opened(project, "show")


@pytest.fixture(scope="module")
def diff(project):
    return opened(project, "diff before after")


def chart(visit, name):
    charts = re.split(r'<div id="([^"]*)"', visit.html)
    return dict(zip(charts[1::2], charts[2::2], strict=True))[name]


def marks(visit, name, kind, row=""):
    """What was drawn: the data of each mark in words, and its tag."""
    tag = rf'<\w+ aria-label="([^"]*)" role="graphics-symbol" aria-roledescription="{kind}"([^>]*)>'
    return [found for found in re.findall(tag, chart(visit, name)) if f"{row};" in f"{found[0]};"]


def test_every_chart_is_drawn_whole_though_intervals_reach_below_0_and_a_run_diverged(show):
    for name in CURVES:
        drawn = {re.search(r"optimizer: (\w+)", words)[1]: tag for words, tag in marks(show, name, "line mark")}
        assert drawn.keys() == {*OPTIMIZERS}, name
        assert not any("NaN" in tag for tag in drawn.values()), name
    assert len(marks(show, HISTORY, "line mark")) == 2 * len(SEEDS)
    assert [len(marks(show, name, "point")) for name in POINTS] == [len(OPTIMIZERS), len(OPTIMIZERS) - 1, len(EPOCHS)]


def test_page_asks_no_host_and_reports_no_error(show, diff):
    for visit in (show, diff):
        assert (visit.requests, visit.console) == ([], [])


@pytest.mark.parametrize(("name", "times"), [("loss", len("train")), ("val_loss", len("val"))])
def test_training_and_validation_loss_are_not_mixed_up(show, name, times):
    words, _ = marks(show, name, "point", "optimizer: adam")[0]
    assert float(re.search(r"; loss: ([\d.]+)", words)[1]) == times / 2


def test_revisions_are_overlaid_told_apart_by_dashes_and_named_in_their_order(diff):
    assert re.search(r'<span id="revisions">(.*?)</span>', diff.html)[1] == "before, after"
    for name in (*CURVES, *POINTS, HISTORY):
        legend = re.search(r'aria-label="[^"]*titled .{1,5}revision.{1,5} [^"]*"', chart(diff, name))[0]
        assert legend.endswith('with 2 values: before, after"')
    before, after = (tag for _, tag in marks(diff, "loss", "line mark", "optimizer: adam"))
    assert [re.search(r'stroke-dasharray="(.*?)"', tag)[1] for tag in (before, after)] == ["1,0", "4,3"]


def test_an_optimizer_has_the_colour_that_it_has_in_the_figures(show):
    for name, colour in (("adam", plot_style.COLORS["adam"]), ("lion", plot_style.OTHER_COLORS[0])):
        for drawn in CURVES:
            [(_, tag)] = marks(show, drawn, "line mark", f"optimizer: {name}")
            assert f'stroke="{colour}"' in tag


def test_committed_page_is_what_the_pinned_packages_give():
    if not shutil.which("npm") and os.environ.get("CI") != "true":
        pytest.skip("no npm on this machine")
    command = [sys.executable, "-m", "tools.plots_page", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
