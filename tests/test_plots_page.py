"""`dvc plots` in a real repository: every chart is drawn without a network, and editors can read the same data."""

import base64
import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import browser
import pytest

from descent import style as looks

ROOT = Path(__file__).parents[1]
PAGE = ROOT / ".dvc" / "plots_page"
PIPELINE = """
stages:
  train:
    matrix: {optimizer: [adam]}
    cmd: python -m stages.train ${item.optimizer}
    params: [epochs]
    outs: ["results/models/${item.optimizer}.txt"]
    metrics:
      - results/metrics/${item.optimizer}.json: {cache: false}
    plots:
      - results/history/${item.optimizer}.csv:
          {cache: false, template: train_val, x: epoch, y: val_loss, y_label: loss (nats), title: "${item.optimizer}"}
plots:
  - loss: &table
      {template: by_optimizer, x: epoch, y: {results/report/curves.csv: loss}, y_label: training loss (nats)}
  - val_loss: {<<: *table, y_label: validation loss (nats)}
  - both: {<<: *table, y_label: loss (nats)}
  - results/report/figure.png
"""
IMAGE = base64.b64decode(  # one black pixel
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
)
EPOCHS = range(1, 7)
DIVERGED = (3, 4)  # epochs at which adadelta has no figures
SEEDS = (0, 1)


class Line(NamedTuple):
    """A line as it was drawn: its first row of data as text, the commands of its path, its colour."""

    label: str
    path: str
    colour: str


def _write_table(path: Path, columns: str, rows: list[list]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf8") as file:
        csv.writer(file).writerows([columns.split(), *rows])


def _write_results(folder: Path, optimizers: list[str], shift: float) -> None:
    def loss(optimizer: str, epoch: int) -> float:
        return float("nan") if optimizer == "adadelta" and epoch in DIVERGED else shift + 1 / epoch

    curves = [
        [name, split, epoch, y := loss(name, epoch) + len(split) / 10, y - 0.1, y + 0.1]
        for name in optimizers
        for split in ("train", "val")
        for epoch in EPOCHS
    ]
    history = [[seed, epoch, y := 1 / epoch + seed, y + shift] for seed in SEEDS for epoch in EPOCHS]
    _write_table(folder / "results/report/curves.csv", "optimizer split epoch loss loss_low loss_high", curves)
    _write_table(folder / "results/history/adam.csv", "seed epoch loss val_loss", history)
    (folder / "results/report/figure.png").write_bytes(IMAGE)
    (folder / "results/metrics").mkdir(exist_ok=True)
    (folder / "results/metrics/adam.json").write_text(json.dumps({"val_accuracy": 0.5 + shift}))
    (folder / "results/models").mkdir(exist_ok=True)
    (folder / "results/models/adam.txt").write_text(f"{shift}")


class Repository:
    """A Git and DVC repository with this project's templates, page and settings, and figures of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        names = {f"GIT_{who}_{what}": "a@b.c" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        self.environment = {**os.environ, **names, "GIT_CONFIG_GLOBAL": os.devnull}

    def run(self, *command: str) -> str:
        run = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        assert run.returncode == 0, run.stdout + run.stderr
        return run.stdout

    def dvc(self, *arguments: str) -> str:
        return self.run(sys.executable, "-m", "dvc", *arguments)

    def commit(self, branch: str, optimizers: list[str], shift: float) -> None:
        _write_results(self.folder, optimizers, shift)
        self.dvc("commit", "-q", "-f")
        self.run("git", "checkout", "-q", "-b", branch)
        self.run("git", "add", "-A")
        self.run("git", "commit", "-q", "-m", branch)

    def page(self, *arguments: str) -> Path:
        """Run `dvc plots` and return the page that it writes."""
        out = "_".join(["page", *arguments]).replace("/", "_")
        self.dvc("plots", *arguments, "-o", f"../{out}")
        return self.folder.parent / out / "index.html"


@pytest.fixture(scope="module")
def repository(tmp_path_factory) -> Repository:
    folder = tmp_path_factory.mktemp("plots") / "repository"
    folder.mkdir()
    repository = Repository(folder)
    repository.run("git", "init", "-q")
    repository.dvc("init", "-q")
    for name in ("plots", "plots_page"):
        shutil.copytree(ROOT / ".dvc" / name, folder / ".dvc" / name)
    shutil.copy(ROOT / ".dvc" / "config", folder / ".dvc" / "config")
    (folder / "dvc.yaml").write_text(PIPELINE)
    (folder / "params.yaml").write_text("epochs: 6\n")
    repository.commit("before", ["adadelta", "adam", "lion", "muon"], shift=0.0)
    repository.commit("after", ["adam", "muon"], shift=0.5)
    return repository


@pytest.fixture(scope="module")
def show(repository) -> browser.Visit:
    return browser.visit(repository.page("show"))


@pytest.fixture(scope="module")
def diff(repository) -> browser.Visit:
    return browser.visit(repository.page("diff", "before", "after"))


def _lines(visit: browser.Visit, chart: str) -> list[Line]:
    charts = re.split(r'<div id="([^"]*)"', visit.html)
    part = dict(zip(charts[1::2], charts[2::2], strict=True))[chart]
    mark = (
        r'aria-label="([^"]*)" role="graphics-symbol" aria-roledescription="line mark" d="([^"]*)"[^>]*stroke="([^"]*)"'
    )
    return [Line(*found) for found in re.findall(mark, part)]


def _lines_of(visit: browser.Visit, chart: str, row: str) -> list[Line]:
    return [line for line in _lines(visit, chart) if f"; {row};" in line.label]


def test_every_chart_is_drawn_without_a_network(show):
    counts = {chart: len(_lines(show, chart)) for chart in ("loss", "val_loss", "both", "results_history_adam_csv")}
    assert counts == {"loss": 2, "val_loss": 2, "both": 4, "results_history_adam_csv": 2 * len(SEEDS)}


def test_page_asks_no_host_and_reports_no_error(show, diff):
    assert (show.requests, show.console, diff.requests, diff.console) == ([], [], [], [])


def test_default_page_of_dvc_draws_nothing_without_a_network(repository, tmp_path):
    template = tmp_path / "default.html"
    template.write_text("{scripts}{plot_divs}")  # the page that DVC falls back to, without its styles
    default = browser.visit(repository.page("show", "--html-template", str(template)))
    assert "line mark" not in default.html
    assert default.requests
    assert default.console


def test_image_of_each_revision_is_shown(repository):
    count = """<script>addEventListener("load", () => {
        document.title = [...document.images].map((image) => image.naturalWidth).join();
    });</script>"""
    page = repository.page("diff", "before", "after")
    counting = page.with_name("counting.html")
    counting.write_text(page.read_text(encoding="utf8") + count, encoding="utf8")
    assert "<title>1,1</title>" in browser.visit(counting).html


def test_revisions_stand_side_by_side_and_are_named(diff):
    assert {row: len(_lines_of(diff, "loss", row)) for row in ("rev: before", "rev: after")} == {
        "rev: before": 4,
        "rev: after": 2,
    }
    assert len(_lines(diff, "results_history_adam_csv")) == 2 * 2 * len(SEEDS)
    assert re.search(r'<span id="revisions">(.*?)</span>', diff.html)[1].split(", ") == ["before", "after"]
    for name in ("before", "after"):
        assert diff.html.count(f">{name}</text>") == 4, "a heading above its column in each chart"


@pytest.mark.parametrize(("chart", "split"), [("loss", "train"), ("val_loss", "val")])
def test_label_chooses_the_split_that_is_drawn(show, chart, split):
    assert len(_lines_of(show, chart, f"split: {split}")) == len(_lines(show, chart))


def test_label_that_names_no_split_draws_both(show):
    assert len(_lines_of(show, "both", "split: train")) == len(_lines_of(show, "both", "split: val")) == 2


def test_optimizer_of_the_tutorial_keeps_its_colour_in_any_company(show, diff):
    for visit in (show, diff):
        assert {line.colour for line in _lines_of(visit, "loss", "optimizer: adam")} == {"#D55E00"}


def test_charts_have_the_colours_of_the_figures():
    template = (ROOT / ".dvc" / "plots" / "by_optimizer.json").read_text(encoding="utf8")
    assert f"indexof({list(looks.COLORS)}, datum.optimizer)" in template
    assert f"{[*looks.COLORS.values(), *looks.OTHER_COLORS]}[datum.place]" in template


def test_other_optimizers_get_colours_of_their_own(diff):
    assert {line.colour for line in _lines_of(diff, "loss", "optimizer: lion")} == {"#882255"}
    assert {line.colour for line in _lines_of(diff, "loss", "optimizer: muon")} == {"#999933"}


def test_diverged_epochs_break_the_line_only_where_they_are(diff):
    (broken,) = _lines_of(diff, "loss", "optimizer: adadelta")
    whole = _lines_of(diff, "loss", "optimizer: adam")[0]
    assert (broken.path.count("M"), whole.path.count("M")) == (2, 1)
    points = len(re.findall(r"[ML]", broken.path))
    assert (points, len(re.findall(r"[ML]", whole.path))) == (len(EPOCHS) - len(DIVERGED), len(EPOCHS))


def test_each_seed_has_a_line_for_training_and_one_for_validation(show):
    rows = [f"split: {split}; seed: {seed}" for split in ("train", "val") for seed in SEEDS]
    assert [len(_lines_of(show, "results_history_adam_csv", row)) for row in rows] == [1] * len(rows)


def test_click_on_the_legend_picks_one_optimizer(repository, tmp_path):
    click = """<script>addEventListener("load", () => setTimeout(() => {
        const swatch = document.querySelector('[aria-roledescription="rect mark"][aria-label*="optimizer: muon"]');
        swatch.dispatchEvent(new MouseEvent("click", {bubbles: true}));
    }, 1000));</script>"""
    page = tmp_path / "clicked.html"
    page.write_text(repository.page("show", "loss").read_text(encoding="utf8") + click, encoding="utf8")
    line = r'optimizer: (\w+)[^"]*" role="graphics-symbol" aria-roledescription="line mark"[^>]* opacity="([^"]*)"'
    assert dict(re.findall(line, browser.visit(page).html)) == {"adam": "0.1", "muon": "1"}


@pytest.mark.parametrize("command", [("show",), ("diff", "before", "after")])
def test_editor_can_fill_every_anchor_that_dvc_leaves_open(repository, command):
    plots = json.loads(repository.dvc("plots", *command, "--json", "--split"))
    assert "errors" not in plots
    assert len(plots["data"].pop("results/report/figure.png")) == max(1, len(command) - 1)
    assert set(plots["data"]) == {"loss", "val_loss", "both", "results/history/adam.csv"}
    for (plot,) in plots["data"].values():
        left_open = set(re.findall(r'"([^"]*<DVC_METRIC_[^"]*)"', json.dumps(plot["content"])))
        assert left_open, "--split leaves the data out"
        assert left_open <= set(plot["anchor_definitions"])  # editors replace whole values only


def test_what_editors_ask_of_dvc_is_answered(repository):
    workspace, *_ = json.loads(repository.dvc("exp", "show", "--json"))
    assert workspace["data"]["params"]["params.yaml"]["data"] == {"epochs": 6}
    assert workspace["data"]["metrics"]["results/metrics/adam.json"]["data"] == {"val_accuracy": 1.0}
    assert json.loads(repository.dvc("data", "status", "--json")) == {}
    (repository.folder / "results/models/adam.txt").write_text("another")
    changed = json.loads(repository.dvc("data", "status", "--json"))
    repository.dvc("checkout", "-q", "--force")
    assert changed == {"uncommitted": {"modified": ["results/models/adam.txt"]}}


def test_page_is_its_skeleton_with_the_pinned_libraries(show):
    page, skeleton = [(PAGE / name).read_text(encoding="utf8") for name in ("page.html", "skeleton.html")]
    parts = re.split("\n(?=<!-- end)", skeleton)
    assert [page.count(part) for part in parts] == [1, 1, 1], "run python -m tools.plots_page"
    pins = json.loads((PAGE / "package.json").read_text())["dependencies"]
    versions = f"Vega {pins['vega']}, Vega-Lite {pins['vega-lite']} and Vega-Embed {pins['vega-embed']}"
    assert f">{versions}</span>" in show.html


def test_committed_page_is_what_the_pinned_packages_give():
    if not shutil.which("npm") and os.environ.get("CI") != "true":
        pytest.skip("no npm on this machine")
    command = [sys.executable, "-m", "tools.plots_page", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
