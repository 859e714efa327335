"""`dvc plots` in a real repository: every chart is drawn without a network, and editors can read the same data."""

import base64
import csv
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import browser
import pipeline
import pytest
from ruamel.yaml import YAML

from descent.core import style as looks

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
PAGE = ROOT / ".dvc" / "plots_page"
CHARTS = YAML(typ="safe").load(ROOT / "dvc.yaml")  # the project's own, as they are
PIPELINE = {
    "stages": {
        "train": {
            "matrix": {"optimizer": ["adam"]},
            "cmd": "python -m stages.train ${item.optimizer}",
            "params": ["epochs"],
            "outs": ["results/models/${item.optimizer}.txt"],
            "metrics": [{"results/metrics/${item.optimizer}.json": {"cache": False}}],
            "plots": [
                {path.replace("${key}", "adam"): {**look, "title": "adam"}}
                for plot in CHARTS["stages"]["train"]["do"]["plots"]
                for path, look in plot.items()
            ],
        },
        "compare": {"cmd": "python -m stages.compare", "plots": CHARTS["stages"]["compare"]["plots"]},
    },
    "plots": CHARTS["plots"],
}
IMAGE = base64.b64decode(  # one black pixel
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
)
EPOCHS = range(1, 7)
DIVERGED = (3, 4)  # epochs at which adadelta has no figures
SEEDS = (0, 1)


class Mark(NamedTuple):
    """A mark as it was drawn: its data as text, the rest of its tag."""

    label: str
    tag: str

    def attribute(self, name: str) -> str | None:
        found = re.search(rf' {name}="([^"]*)"', self.tag)
        return found and found[1]

    def points(self) -> list[tuple[float, float]]:
        """Where a point, or each point of a path, stands: pixels from the upper left corner."""
        return [
            (float(x), float(y))
            for x, y in re.findall(r"([-\d.]+),([-\d.]+)", self.attribute("transform") or self.attribute("d"))
        ]


def _write_table(path: Path, columns: str, rows: list[list]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf8") as file:
        csv.writer(file).writerows([columns.split(), *rows])


def _write_results(folder: Path, optimizers: list[str], shift: float) -> None:
    """Losses that halve each epoch, and accuracies that stand in the order of the names, best first."""

    def loss(optimizer: str, epoch: int) -> float:
        return float("nan") if optimizer == "adadelta" and epoch in DIVERGED else (1 + shift) / 2**epoch

    def around(value: float) -> list[float]:
        return [value, 0.99 * value, 1.01 * value]

    report, best = folder / "results/report", optimizers[0]
    accuracy = {name: 0.9 - 0.02 * i - shift / 100 for i, name in enumerate(optimizers)}
    curves = [
        [name, split, epoch, *around(loss(name, epoch) * len(split)), *around(accuracy[name])]
        for name in optimizers
        for split in ("train", "val")
        for epoch in EPOCHS
    ]
    points = "val_accuracy val_accuracy_low val_accuracy_high"
    losses = "val_loss val_loss_low val_loss_high"
    _write_table(
        report / "curves.csv",
        "optimizer split epoch loss loss_low loss_high accuracy accuracy_low accuracy_high",
        curves,
    )
    _write_table(
        report / "diagnostics.csv",
        "optimizer epoch relative_change",
        [[name, epoch, loss(name, epoch)] for name in optimizers for epoch in EPOCHS],
    )
    ranking = [[name, *around(accuracy[name])] for name in reversed(optimizers)]
    _write_table(report / "ranking.csv", f"optimizer {points}", ranking)
    leads = [
        [ahead, behind, accuracy[ahead] - accuracy[behind], -0.01, 0.1]
        for i, ahead in enumerate(optimizers)
        for behind in optimizers[i + 1 :]
    ]
    _write_table(report / "differences.csv", "ahead behind lead low high", leads)
    printed = [[best, e, 0.8, *around(accuracy[best] - 0.1), 0.5, *around(loss("", e))] for e in EPOCHS]
    _write_table(
        report / "tutorial.csv", f"optimizer epoch val_accuracy_printed {points} val_loss_printed {losses}", printed
    )
    history = [[seed, epoch, y := 1 / epoch + seed, y + shift] for seed in SEEDS for epoch in EPOCHS]
    _write_table(folder / "results/history/adam.csv", "seed epoch loss val_loss", history)
    (report / "figures").mkdir(exist_ok=True)
    (report / "figures/figure.png").write_bytes(IMAGE)
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
        run = pipeline.run_forked(arguments, self.folder, self.environment)
        assert run.returncode == 0, run.stdout + run.stderr
        return run.stdout

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
    YAML().dump(PIPELINE, folder / "dvc.yaml")
    (folder / "params.yaml").write_text("epochs: 6\n")
    repository.commit("after", ["adam", "muon"], shift=0.5)
    repository.commit("before", ["adadelta", "adam", "lion", "muon"], shift=0.0)  # and so it is in the workspace
    return repository


MEASURE = """<script>addEventListener("load", () => setTimeout(() => {
    const inner = (card) => card.clientWidth - 2 * parseFloat(getComputedStyle(card).paddingLeft);
    const cards = [...document.querySelectorAll("main > div.vega-embed")];
    document.title = JSON.stringify({
        free: cards.map((card) => Math.round(inner(card) - card.querySelector("svg.marks").clientWidth)),
        right: Math.max(...cards.map((card) => card.getBoundingClientRect().right)),
        page: document.documentElement.offsetWidth,
        ground: getComputedStyle(cards[0]).backgroundColor,
        images: [...document.images].map((image) => image.naturalWidth),
    });
}, 1000));</script>"""


def _visit(page: Path, *arguments, added: str = "") -> browser.Visit:
    """Open a page that DVC wrote, with something added, and leave measures of it in its title."""
    copy = page.with_name("measured.html")
    copy.write_text(page.read_text(encoding="utf8") + added + MEASURE, encoding="utf8")
    return browser.visit(copy, *arguments)


def _measured(visit: browser.Visit) -> dict:
    return json.loads(re.search("<title>(.*?)</title>", visit.html)[1])


@pytest.fixture(scope="module")
def show_page(repository) -> Path:
    return repository.page("show")


@pytest.fixture(scope="module")
def show(show_page) -> browser.Visit:
    return _visit(show_page)


@pytest.fixture(scope="module")
def diff_page(repository) -> Path:
    return repository.page("diff", "before", "after")


@pytest.fixture(scope="module")
def diff(diff_page) -> browser.Visit:
    return _visit(diff_page)


@pytest.fixture(scope="module")
def dark_phone(diff_page) -> browser.Visit:
    narrow = "<style>html { width: 390px; }</style>"  # less than Chromium makes a window
    return _visit(diff_page, 500, "--blink-settings=preferredColorScheme=0", added=narrow)


def _chart(visit: browser.Visit, chart: str) -> str:
    charts = re.split(r'<div id="([^"]*)"', visit.html)
    return dict(zip(charts[1::2], charts[2::2], strict=True))[chart]


def _marks(visit: browser.Visit, chart: str, kind: str, row: str = "") -> list[Mark]:
    tag = rf'<\w+ aria-label="([^"]*)" role="graphics-symbol" aria-roledescription="{kind}"([^>]*)>'
    return [
        Mark(*found) for found in re.findall(tag, _chart(visit, chart)) if not row or f"; {row};" in f"; {found[0]};"
    ]


def _guides(visit: browser.Visit, chart: str) -> list[str]:
    """Axes and legends in words, as Vega tells them to who cannot see them."""
    return re.findall(r'aria-roledescription="(?:axis|legend)" aria-label="([^"]*)"', _chart(visit, chart))


LOSSES = ("loss", "val_loss", "results_history_adam_csv", "results_report_diagnostics_csv", "tutorial_loss")
POINTS = ("results_report_ranking_csv", "results_report_differences_csv")
LINES = (*LOSSES[:2], "results_report_curves_csv", "results_report_diagnostics_csv")
AGAINST = ("results_report_tutorial_csv", "tutorial_loss")


def test_every_chart_is_drawn_without_a_network(show):
    assert {chart: len(_marks(show, chart, "line mark")) for chart in LINES} == dict.fromkeys(LINES, 4)
    assert len(_marks(show, "results_history_adam_csv", "line mark")) == 2 * len(SEEDS)
    counts = [len(_marks(show, chart, "point")) for chart in (*POINTS, *AGAINST)]
    assert counts == [4, 3, len(EPOCHS), len(EPOCHS)]


def test_page_asks_no_host_and_reports_no_error(show, diff, dark_phone):
    for visit in (show, diff, dark_phone):
        assert (visit.requests, visit.console) == ([], [])


def test_default_page_of_dvc_draws_nothing_without_a_network(repository, tmp_path):
    template = tmp_path / "default.html"
    template.write_text("{scripts}{plot_divs}")  # the page that DVC falls back to, without its styles
    default = browser.visit(repository.page("show", "--html-template", str(template)))
    assert "line mark" not in default.html
    assert default.requests
    assert default.console


def test_image_of_each_revision_is_shown(show, diff):
    assert [_measured(visit)["images"] for visit in (show, diff)] == [[1], [1, 1]]


def test_charts_fill_their_cards_and_none_is_wider_than_a_phone(show, diff, dark_phone):
    for visit in (show, diff, dark_phone):
        measured = _measured(visit)
        assert measured["right"] < measured["page"]
        assert all(0 <= free <= 2 for free in measured["free"]), measured


def test_legends_stand_beside_the_chart_where_there_is_room_and_else_below(show, dark_phone):
    def legends(visit: browser.Visit) -> list[tuple[float, float]]:
        tag = r'aria-label="Symbol legend [^"]*"><g transform="translate\((.+?),(.+?)\)"'
        return [(float(x), float(y)) for x, y in re.findall(tag, _chart(visit, "loss"))]

    ((x, y),) = legends(show)
    assert x > 300 > y
    ((first_x, first_y), (second_x, second_y)) = legends(dark_phone)
    assert first_x == second_x < 60
    assert 300 < first_y < second_y


def test_losses_and_relative_changes_have_a_log_scale_and_accuracies_have_none(show):
    for chart in LOSSES:
        assert any(guide.startswith("Y-axis") and "for a log scale" in guide for guide in _guides(show, chart)), chart
    for chart in LINES[:2]:
        (adam,) = _marks(show, chart, "line mark", "optimizer: adam")
        heights = [y for _, y in adam.points()]
        steps = [low - high for high, low in itertools.pairwise(heights)]
        assert steps == pytest.approx([steps[0]] * len(steps), abs=0.01), "halved by each epoch: equal steps"
    (axis,) = [guide for guide in _guides(show, "results_report_curves_csv") if guide.startswith("Y-axis")]
    assert axis == "Y-axis titled 'validation accuracy, %' for a linear scale with values from 83 to 91"


def test_accuracies_are_points_with_intervals_best_on_top_in_their_colours_on_an_axis_that_is_not_from_zero(show):
    chart = "results_report_ranking_csv"
    points = sorted(_marks(show, chart, "point"), key=lambda mark: mark.points()[0][1])
    assert [re.search(r"row: (\w+)", point.label)[1] for point in points] == ["adadelta", "adam", "lion", "muon"]
    assert [point.attribute("fill") for point in points] == ["#009E73", "#D55E00", "#882255", "#999933"]
    intervals = [mark for mark in _marks(show, chart, "rule mark") if mark.attribute("stroke-width") == "2"]
    assert {mark.attribute("stroke") for mark in intervals} == {point.attribute("fill") for point in points}
    assert any("linear scale with values from 83 to 91" in guide for guide in _guides(show, chart))


def test_leads_are_those_of_the_best_with_names_and_a_line_at_zero(show):
    chart = "results_report_differences_csv"
    names = {re.search(r"row: ([\w ]+)", point.label)[1] for point in _marks(show, chart, "point")}
    assert names == {f"adadelta over {behind}" for behind in ("adam", "lion", "muon")}
    assert any(
        guide.endswith("values: adadelta over muon, adadelta over lion, adadelta over adam")
        for guide in _guides(show, chart)
    )
    zero = [mark for mark in _marks(show, chart, "rule mark") if mark.attribute("stroke") == "#222222"]
    assert {(mark.label, mark.attribute("stroke-width")) for mark in zero} == {
        ("points of validation accuracy: 0", "1")
    }
    ranking = [mark for mark in _marks(show, POINTS[0], "rule mark") if mark.attribute("stroke") == "#222222"]
    assert {mark.attribute("stroke-width") for mark in ranking} == {"0"}


@pytest.mark.parametrize("chart", AGAINST)
def test_tutorial_stands_against_us_with_a_diagonal_and_labels(show, chart):
    (diagonal,) = _marks(show, chart, "line mark")
    x, y = re.search(r"([\d.]+); [^:]*: ([\d.]+)$", diagonal.label).groups()
    assert x == y
    assert [guide.split(" for ")[0] for guide in _guides(show, chart)[:2]] == [
        f"{axis}-axis titled '{who}{', %' if chart != 'tutorial_loss' else ' (nats)'}'"
        for axis, who in (("X", "the tutorial's run"), ("Y", "our runs"))
    ]


def test_epochs_are_whole_numbers(show):
    for chart in (*LINES, "results_history_adam_csv"):
        axes = re.split('aria-roledescription="axis"', _chart(show, chart))
        (epochs,) = [axis for axis in axes if "X-axis titled 'epoch'" in axis]
        ticks = re.findall(r"<text [^>]*>([^<]*)</text>", epochs.split("role-axis-title")[0])
        assert ticks
        assert all(tick.isdigit() for tick in ticks), ticks


def test_one_revision_needs_no_legend_of_revisions_nor_one_split_a_legend_of_splits(show):
    for chart in (*LINES, *POINTS, *AGAINST):
        legends = [guide for guide in _guides(show, chart) if "legend" in guide]
        assert len(legends) == (chart not in POINTS)
        assert all("titled 'optimizer'" in legend for legend in legends)


def test_revisions_are_overlaid_by_dashes_in_the_order_of_the_heading(diff):
    assert re.search(r'<span id="revisions">(.*?)</span>', diff.html)[1].split(", ") == ["before", "after"]
    for chart in (*LINES, *POINTS, *AGAINST, "results_history_adam_csv"):
        (legend,) = [guide for guide in _guides(diff, chart) if "titled 'revision'" in guide]
        assert legend.endswith("with 2 values: before, after")
    before, after = _marks(diff, "loss", "line mark", "optimizer: adam")
    assert (before.attribute("stroke"), before.attribute("stroke-dasharray")) == ("#D55E00", "1,0")
    assert (after.attribute("stroke"), after.attribute("stroke-dasharray")) == ("#D55E00", "4,3")
    assert before.points()[0][1] > after.points()[0][1], "its loss is larger: higher in the same panel"
    assert len(_marks(diff, "results_history_adam_csv", "line mark")) == 2 * 2 * len(SEEDS)


def test_optimizer_stands_before_and_after_in_one_row(diff):
    places = [point.points()[0] for point in _marks(diff, POINTS[0], "point", "row: adam")]
    (x_before, y_before), (x_after, y_after) = places
    assert x_before < x_after
    assert 0 < y_after - y_before < 300 / 4


@pytest.mark.parametrize(("chart", "times"), [("loss", len("train")), ("val_loss", len("val"))])
def test_label_chooses_the_split_that_is_drawn(show, chart, times):
    points = _marks(show, chart, "point", "optimizer: adam; rev: workspace")
    assert float(re.search(r"; loss: ([\d.]+)", points[0].label)[1]) == times / 2


def test_optimizer_of_the_tutorial_keeps_its_colour_in_any_company(show, diff, dark_phone):
    for visit in (show, diff, dark_phone):
        lines = _marks(visit, "loss", "line mark", "optimizer: adam")
        assert {line.attribute("stroke") for line in lines} == {"#D55E00"}


def test_other_optimizers_get_colours_of_their_own(diff):
    for name, colour in (("lion", "#882255"), ("muon", "#999933")):
        lines = _marks(diff, "loss", "line mark", f"optimizer: {name}")
        assert {line.attribute("stroke") for line in lines} == {colour}


def test_legend_has_the_colours_of_the_lines(diff):
    entries = re.search(r"titled \'optimizer\'.*?role-legend-title", _chart(diff, "loss"), re.DOTALL)[0]
    colours = re.findall(r'role-legend-symbol[^"]*".*?fill="(#\w+)"', entries)
    assert colours == ["#009E73", "#D55E00", "#882255", "#999933"]


@pytest.mark.parametrize("name", ["by_optimizer", "by_optimizer_linear", "by_rate", "against", "intervals"])
def test_templates_have_the_colours_of_the_figures(name):
    template = (ROOT / ".dvc/plots" / f"{name}.json").read_text(encoding="utf8")
    assert f"indexof({list(looks.COLORS)}, datum.optimizer)" in template
    assert f"{[*looks.COLORS.values(), *looks.OTHER_COLORS]}[datum.known < 0 ? 8 + (datum.rank - 1) % 6 :" in template


def test_linear_and_log_template_differ_in_the_scale_alone():
    log, linear = [
        json.loads((ROOT / ".dvc/plots" / f"by_optimizer{end}.json").read_text(encoding="utf8"))
        for end in ("", "_linear")
    ]
    assert log["encoding"]["y"].pop("scale") != linear["encoding"]["y"].pop("scale")
    assert log.pop("description") != linear.pop("description")
    assert log == linear


def test_diverged_epochs_break_the_line_only_where_they_are(diff):
    (broken,) = _marks(diff, "loss", "line mark", "optimizer: adadelta")
    whole, _ = _marks(diff, "loss", "line mark", "optimizer: adam")
    assert [line.attribute("d").count("M") for line in (broken, whole)] == [2, 1]
    assert (len(broken.points()), len(whole.points())) == (len(EPOCHS) - len(DIVERGED), len(EPOCHS))


def test_each_seed_has_a_line_for_training_and_one_for_validation(show):
    rows = [f"split: {split}; seed: {seed}" for split in ("training", "validation") for seed in SEEDS]
    assert [len(_marks(show, "results_history_adam_csv", "line mark", row)) for row in rows] == [1] * len(rows)


def test_cards_are_dark_in_the_dark_and_what_was_black_is_light(diff, dark_phone):
    assert (_measured(diff)["ground"], _measured(dark_phone)["ground"]) == ("rgb(255, 255, 255)", "rgb(36, 36, 35)")
    zero = {mark.attribute("stroke") for mark in _marks(dark_phone, POINTS[1], "rule mark")}
    assert "#CCCCCC" in zero
    assert "#222222" not in zero
    assert set(re.findall(r'role-axis-label".*?fill="(.*?)"', dark_phone.html)) == {"#fff"}


def test_click_on_the_legend_picks_one_optimizer(show_page):
    click = """<script>addEventListener("load", () => setTimeout(() => {
        const entries = [...document.querySelectorAll("#loss .role-legend-label text")];
        const entry = entries.find((text) => text.textContent === "muon").closest("[class*=legend_entries] > g");
        entry.querySelector("path").dispatchEvent(new MouseEvent("click", {bubbles: true}));
    }, 1000));</script>"""
    lines = _marks(_visit(show_page, added=click), "loss", "line mark")
    shown = {re.search(r"optimizer: (\w+)", line.label)[1]: line.attribute("opacity") for line in lines}
    assert shown == {name: "1" if name == "muon" else "0.1" for name in ("adadelta", "adam", "lion", "muon")}


@pytest.mark.parametrize("command", [("show",), ("diff", "before", "after")])
def test_editor_can_fill_every_anchor_that_dvc_leaves_open(repository, command):
    plots = json.loads(repository.dvc("plots", *command, "--json", "--split"))
    assert "errors" not in plots
    assert len(plots["data"].pop("results/report/figures/figure.png")) == max(1, len(command) - 1)
    assert {re.sub(r"\W", "_", name) for name in plots["data"]} == {*LOSSES, *LINES, *POINTS, *AGAINST}
    for (plot,) in plots["data"].values():
        left_open = set(re.findall(r'"([^"]*<DVC_METRIC_[^"]*)"', json.dumps(plot["content"])))
        assert left_open, "--split leaves the data out"
        assert left_open <= set(plot["anchor_definitions"])  # editors replace whole values only


def test_what_editors_ask_of_dvc_is_answered(repository):
    workspace, *_ = json.loads(repository.dvc("exp", "show", "--json"))
    assert workspace["data"]["params"]["params.yaml"]["data"] == {"epochs": 6}
    assert workspace["data"]["metrics"]["results/metrics/adam.json"]["data"] == {"val_accuracy": 0.5}
    assert json.loads(repository.dvc("data", "status", "--json")) == {}
    (repository.folder / "results/models/adam.txt").write_text("another")
    changed = json.loads(repository.dvc("data", "status", "--json"))
    repository.dvc("checkout", "-q", "--force")
    assert changed == {"uncommitted": {"modified": ["results/models/adam.txt"]}}


def test_page_is_its_skeleton_with_the_pinned_libraries(show):
    page, skeleton = [(PAGE / name).read_text(encoding="utf8") for name in ("page.html", "skeleton.html")]
    parts = re.split("<!-- (?:libraries|licences) -->", skeleton)
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
