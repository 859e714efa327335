"""The page results/report/index.html: what it says, what it needs, and that a browser shows it anywhere."""

import base64
import contextlib
import json
import os
import re
import subprocess
import sys
from html import unescape
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from unittest import mock

import browser
import pytest
from ruamel.yaml import YAML
from test_tables import DATA, NETWORK, REPORT, conditions, histories, results

from descent import parameters
from descent import style as looks
from descent.optimizers.entries import OptimizerEntry, OwnOptimizerEntry
from descent.report import contents as report
from descent.report import page, tables
from stages import compare

ROOT = Path(__file__).parents[2]
VOID = ("meta", "link", "img", "br")
MEASURE = """<script>addEventListener("load", () => {
    const shown = document.documentElement;
    parent.postMessage(JSON.stringify({
        width: innerWidth,
        overflow: shown.scrollWidth - shown.clientWidth,
        undrawn: [...document.images].filter((image) => !image.naturalWidth).length,
        page: getComputedStyle(document.body).backgroundColor,
        card: getComputedStyle(document.images[0]).backgroundColor,
    }), "*");
});</script>"""
# Of any width: a window of Chromium is at least 500 pixels wide.
FRAME = """<!DOCTYPE html><meta name="color-scheme" content="light dark"><title></title>
<script>onmessage = (event) => { document.title = event.data; };</script>
<iframe src="index.html" style="width: %dpx; height: 900px; border: 0"></iframe>"""


class Reader(HTMLParser):
    """Reads a page: its elements (name, attributes), and its tables as rows of text by caption."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.tables, self.path, self.rows = [], {}, [], []
        self.feed(html)
        assert self.path == [], "an element is not closed"

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.path.append(tag)
        if tag == "table":
            self.rows = []
        elif tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data):
        if "td" in self.path or "th" in self.path:
            self.rows[-1][-1] += data
        elif self.path[-1:] == ["caption"]:
            self.tables[data] = self.rows

    def handle_endtag(self, tag):
        assert self.path.pop() == tag


def table(html, caption):
    (found,) = [rows for name, rows in Reader(html).tables.items() if caption in name]
    return found


def html_of(trained, environments=None, entries=None):
    """The page of these histories, without pictures: drawing them takes seconds."""
    seeds = range(next(iter(trained.values()))["loss"].shape[1])
    scores = {name: tables.Score(test_accuracy=0.9, test_accuracy_sd=0.01) for name in trained}
    entry = OptimizerEntry(class_name="SGD", config={"momentum": 0.5})
    with mock.patch.object(looks, "png", return_value=b""):
        written = report.files(
            report.Conditions(DATA, NETWORK, conditions(seeds), REPORT),
            dict.fromkeys(trained, entry) | (entries or {}),
            report.Records(trained, scores, environments or {name: {"device": "CPU"} for name in trained}, {}),
            (ROOT / "descent/report/page.html").read_text(encoding="utf-8"),
            page.Provenance("0123", "true"),
        )
    return written["index.html"].decode()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the stage ran, with ties, an optimizer of the user's own and the tutorial's figures."""
    folder = results(tmp_path_factory.mktemp("report"), ["sgd", "adam", "rmsprop", "own"])
    with contextlib.chdir(folder):
        compare.main()
    return folder


@pytest.fixture(scope="module")
def html(folder):
    return (folder / "results/report/index.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def measured(html, tmp_path_factory):
    """Open the page with a script that measures it; returns the measures and the visit."""

    def measure(width, *flags):
        copy = tmp_path_factory.mktemp("measured")
        (copy / "index.html").write_text(html.replace("</body>", f"{MEASURE}</body>"), encoding="utf-8")
        (copy / "frame.html").write_text(FRAME % width, encoding="utf-8")
        visit = browser.visit(copy / "frame.html", 1400, *flags)
        return json.loads(unescape(re.search("<title>(.*?)</title>", visit.html)[1])), visit

    return measure


@pytest.mark.parametrize("width", [1280, 390])
def test_page_fits_the_window_and_needs_no_host(measured, width):
    measures, visit = measured(width)
    assert measures["width"] == width
    assert (measures["overflow"], measures["undrawn"]) == (0, 0)
    assert (visit.console, visit.requests) == ([], [])


@pytest.mark.parametrize(("scheme", "background"), [("1", "rgb(255, 255, 255)"), ("0", "rgb(23, 24, 26)")])
def test_figures_stand_on_white_in_light_and_in_dark(measured, scheme, background):
    measures, _ = measured(1280, f"--blink-settings=preferredColorScheme={scheme}")
    assert (measures["page"], measures["card"]) == (background, "rgb(255, 255, 255)")


def test_page_has_one_title_and_its_headings_skip_no_level(html):
    levels = [int(tag[1]) for tag, _ in Reader(html).elements if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(lower - upper <= 1 for upper, lower in pairwise(levels))


def test_screen_reader_finds_language_alternatives_captions_and_scopes(html):
    elements = Reader(html).elements
    assert ("html", {"lang": "en"}) in elements
    alternatives = [attributes["alt"] for tag, attributes in elements if tag == "img"]
    assert len(set(alternatives)) == 4
    assert all(len(text) > 40 for text in alternatives)
    tags = [tag for tag, _ in elements]
    assert tags.count("table") == tags.count("caption") == 6
    assert {attributes.get("scope") for tag, attributes in elements if tag == "th"} == {"col", "row"}
    boxes = [attributes for _, attributes in elements if "tabindex" in attributes]
    assert all(box["role"] == "group" and box["aria-label"] for box in boxes)


def test_page_runs_no_script_and_holds_its_figures(folder, html):
    elements = Reader(html).elements
    assert "script" not in [tag for tag, _ in elements]
    sources = [attributes["src"] for tag, attributes in elements if tag == "img"]
    pictures = {base64.b64decode(source.removeprefix("data:image/png;base64,")) for source in sources}
    assert pictures == {path.read_bytes() for path in (folder / "results/report/figures").iterdir()}


def test_links_lead_to_sections_and_to_files_that_exist(folder, html):
    elements = Reader(html).elements
    ids = [attributes["id"] for _, attributes in elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for link in (attributes["href"] for tag, attributes in elements if tag == "a"):
        path, _, anchor = link.partition("#")
        if link.startswith("#"):
            assert anchor in ids
        elif link.startswith("../../docs/"):
            assert (ROOT / path.removeprefix("../../")).is_file()
        elif link != "../../x.py":  # the file of the optimizer `own`
            assert (folder / "results/report" / link).is_file()


def test_every_rule_has_its_section_in_the_docs():
    headings = re.findall("^## (.*)", (ROOT / "docs/optimizers.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(page.RULES) <= {heading.lower() for heading in headings}


def test_optimizers_link_to_their_rule_to_their_own_file_or_to_nothing():
    entries = {
        "sgd": OptimizerEntry(class_name="keras2>RMSprop", config={"rho": 0.9}),
        "own": OwnOptimizerEntry(class_name="Mine", config={}, file="optimizers/mine.py"),
        "adam": OptimizerEntry(class_name="<Lion>", config={"name": "</table>"}),
    }
    html = html_of(histories(), entries=entries)
    assert '<a href="../../docs/optimizers.md#rmsprop">keras2&gt;RMSprop</a>' in html
    assert '<a href="../../optimizers/mine.py">Mine</a>' in html
    assert ["adam", "<Lion>", 'name "</table>"'] in table(html, "hyperparameters")


def test_ranking_on_the_page_is_ranking_md(folder, html):
    lines = (folder / "results/report/ranking.md").read_text(encoding="utf-8").splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    assert table(html, "Ranking") == [cells[0], *cells[2:]]
    assert lines[-1] in unescape(html)


def test_lead_over_each_other_optimizer_is_positive_whatever_the_order_of_their_names(html):
    rows = table(html, "rmsprop leads")[1:]
    assert [row[0] for row in rows] == ["adam", "own", "sgd"]
    assert [row[4] for row in rows] == ["no", "yes", "yes"]
    for name, row in zip(("own", "sgd"), rows[1:], strict=True):
        runs = tables.final_val_accuracy(histories())
        assert row[1] == f"{100 * (runs['rmsprop'] - runs[name]).mean():.2f}"
        low, high = map(float, row[2].split(" to "))
        assert low < float(row[1]) < high


def test_first_words_name_the_best_what_it_beats_and_what_it_does_not(html):
    answer = re.search('class="answer">(.*?)</p>', html)[1]
    assert answer.startswith("rmsprop ends with the highest validation accuracy, 95.")
    assert answer.endswith("tell apart from it: own, sgd. Not told apart from it: adam.")


def test_diverged_optimizer_is_neither_beaten_nor_tied():
    html = html_of(histories(diverged="adam"))
    assert "Not told apart from it: none." in html
    assert ["adam", "–", "–", "–", "no"] in table(html, "leads")


def test_nobody_is_best_where_every_optimizer_diverged():
    html = html_of(histories(diverged="adam", names=("adam",)))
    assert "none can be called the best" in html
    assert "nan" not in re.sub('base64,[^"]*', "", html)


def test_one_seed_tells_nothing_apart():
    html = html_of(histories(seeds=(0,)))
    assert "tell apart from it: none." in html
    assert {row[4] for row in table(html, "leads")[1:]} == {"no"}


def test_figures_of_the_tutorial_stand_beside_ours(html):
    rows = table(html, "beside ours")[1:]
    assert [row[:2] for row in rows] == [
        [name, figure]
        for name in ("adam", "rmsprop", "sgd")
        for figure in ("validation accuracy, %", "validation loss, nats")
    ]
    assert {row[8] for row in rows} <= {"yes", "no"}


def test_environments_that_differ_are_said_so():
    trained = histories(names=("adam", "sgd", "own"))
    same = html_of(trained)
    assert "in the same environment." in same
    assert ["device", "CPU"] in table(same, "computed")
    environments = {"adam": {"device": "CPU", "python": "3"}, "sgd": {"device": "GPU"}, "own": {"device": "CPU"}}
    other = html_of(trained, environments=environments)
    assert "not all trained in the same environment" in other
    assert ["device", "CPU (adam, own); GPU (sgd)"] in table(other, "computed")
    assert ["python", "3 (adam); not recorded (own, sgd)"] in table(other, "computed")


@pytest.mark.parametrize("text", ["", "[]", '{"device": null}'])
def test_damaged_environment_is_refused_by_name(text):
    with pytest.raises(parameters.InputError, match=r"^environment/adam\.json"):
        tables.parse_document(text, page.Environment, "environment/adam.json")


def _digest(folder, html):
    command = unescape(re.search('<code id="command">(.*?)</code>', html, re.DOTALL)[1])
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.split()[0]


@pytest.fixture
def copy(folder, tmp_path):
    subprocess.run(["cp", "-R", f"{folder}/.", tmp_path], check=True)
    return tmp_path


def test_command_on_the_page_gives_the_digest_on_the_page(folder, html):
    assert f'<code id="digest">{_digest(folder, html)}</code>' in html


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("params.yaml", "confidence: 0.95", "confidence: 0.9"),
        ("descent/report/statistics.py", "import", "import "),
        ("descent/report/page.html", "Ranking", "ranking"),
        ("results/history/adam.csv", "0.9", "0.8"),
        ("data/reference/tutorial_history.csv", "0.8733", "0.8734"),
    ],
)
def test_digest_changes_with_parameters_code_and_data(copy, html, name, old, new):
    text = (copy / name).read_text(encoding="utf-8")
    (copy / name).write_text(text.replace(old, new, 1), encoding="utf-8")
    assert text != (copy / name).read_text(encoding="utf-8")
    assert _digest(copy, html) not in html


def test_digest_stands_where_params_yaml_is_only_written_otherwise(copy, html):
    document = YAML(typ="safe").load(copy / "params.yaml")
    document["optimizers"] = dict(reversed(document["optimizers"].items()))
    YAML().dump(dict(reversed(document.items())), copy / "params.yaml")
    text = (copy / "params.yaml").read_text(encoding="utf-8")
    assert "target_val_accuracy: 0.93" in text
    (copy / "params.yaml").write_text(text.replace("target_val_accuracy: 0.93", "target_val_accuracy: 9.3e-1"))
    assert _digest(copy, html) in html


def test_digest_covers_all_that_dvc_yaml_declares():
    declared = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]["compare"]
    folders = {f"results/{kind}" for kind in ("environment", "history", "metrics")}
    assert set(declared["deps"]) - folders == {path.as_posix() for path in [*compare.CODE, compare.TUTORIAL]}
    assert sorted(declared["params"]) == sorted(compare.SECTIONS)
