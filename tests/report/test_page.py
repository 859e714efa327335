"""The page results/report/index.html: what it says, what it needs, and that a browser shows it anywhere."""

import contextlib
import json
import re
from html import unescape
from html.parser import HTMLParser
from itertools import pairwise

import browser
import pytest
import synthetic

from descent.report import layout, page
from stages import compare

VOID = ("meta", "link")
MEASURE = """<script>addEventListener("load", () => {
    const shown = document.documentElement;
    parent.postMessage(JSON.stringify({
        width: innerWidth,
        overflow: shown.scrollWidth - shown.clientWidth,
        widest: Math.max(...[...document.querySelectorAll("svg")].map((svg) => svg.getBoundingClientRect().right)),
        page: getComputedStyle(document.body).backgroundColor,
        text: getComputedStyle(document.body).color,
        letters: getComputedStyle(document.querySelector("figure svg use[href*=DejaVu]")).fill,
        fills: [...new Set([...document.querySelectorAll("figure svg *")].map((part) => getComputedStyle(part).fill))],
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


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the stage ran, with an optimizer of the user's own and the tutorial's numbers."""
    folder = synthetic.project(tmp_path_factory.mktemp("report"))
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
        (copy / "index.html").write_text(f"{MEASURE}</body>".join(html.rsplit("</body>", 1)), encoding="utf-8")
        (copy / "frame.html").write_text(FRAME % width, encoding="utf-8")
        visit = browser.visit(copy / "frame.html", 1400, *flags)
        return json.loads(unescape(re.search("<title>(.*?)</title>", visit.html)[1])), visit

    return measure


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 390])
def test_page_fits_the_window_and_needs_no_host(measured, width):
    measures, visit = measured(width)
    assert measures["width"] == width
    assert measures["overflow"] == 0
    assert 0 < measures["widest"] <= width  # no figure has to be scrolled
    assert (visit.console, visit.requests) == ([], [])


@pytest.mark.slow
@pytest.mark.parametrize(("scheme", "background"), [("1", "rgb(255, 255, 255)"), ("0", "rgb(23, 24, 26)")])
def test_figures_are_written_in_the_pages_colours_and_leave_no_white_in_the_dark(measured, scheme, background):
    measures, _ = measured(1280, f"--blink-settings=preferredColorScheme={scheme}")
    assert (measures["page"], measures["letters"]) == (background, measures["text"])
    assert ("rgb(255, 255, 255)" in measures["fills"]) == (scheme == "1")


def test_page_has_one_title_and_its_headings_skip_no_level(html):
    levels = [int(tag[1]) for tag, _ in Reader(html).elements if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(lower - upper <= 1 for upper, lower in pairwise(levels))


def test_screen_reader_finds_language_alternatives_captions_and_scopes(html):
    elements = Reader(html).elements
    assert ("html", {"lang": "en"}) in elements
    alternatives = [attributes["aria-label"] for tag, attributes in elements if tag == "svg"]
    assert len(set(alternatives)) == 5
    assert all(len(text) > 40 for text in alternatives)
    tags = [tag for tag, _ in elements]
    assert tags.count("table") == tags.count("caption") == 6
    assert {attributes.get("scope") for tag, attributes in elements if tag == "th"} == {"col", "row"}
    boxes = [attributes for _, attributes in elements if "tabindex" in attributes]
    assert len(boxes) == 6
    assert all(box["role"] == "group" and box["aria-label"] for box in boxes)


def test_page_loads_no_file_and_forbids_itself_to(html):
    elements = Reader(html).elements
    assert not {"img", "iframe", "object"} & {tag for tag, _ in elements}
    assert not any("src" in attributes for _, attributes in elements)
    assert any("default-src 'none'" in attributes.get("content", "") for _, attributes in elements)


def test_page_can_be_mailed_since_every_link_leads_to_a_place_in_it(html):
    elements = Reader(html).elements
    ids = [attributes["id"] for _, attributes in elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    addresses = [attributes["href"] for tag, attributes in elements if tag in ("a", "use")]
    assert all(address.startswith("#") for address in addresses)
    assert {address.removeprefix("#") for address in addresses} <= set(ids)


def test_files_that_the_page_names_exist(folder, html):
    named = re.findall("<code>(results/report/[^<]*)</code>", html)
    assert len(named) == 5
    assert all((folder / path).is_file() for path in named)


def test_page_opens_with_the_sentence_that_opens_ranking_md_and_has_its_table(folder, html):
    lines = (folder / "results/report/ranking.md").read_text(encoding="utf-8").splitlines()
    sentence, _, conditions = lines[:3]
    assert f'<p class="answer">{sentence.strip("*")}</p>' in html
    assert conditions in unescape(html)
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    assert table(html, "Ranking") == [cells[0], *cells[2:]]
    assert lines[-1] in unescape(html)


def test_page_lists_the_sentences_of_summary_md(folder, html):
    sentences = (folder / "results/report/summary.md").read_text(encoding="utf-8").splitlines()
    items = re.findall("<li>([^<]*)</li>", html)
    assert [unescape(item) for item in items] == [sentence.removeprefix("- ") for sentence in sentences]


def test_nothing_reaches_the_page_unescaped():
    hostile = "</p><script>alert(1)</script>"
    texts = page.Texts(hostile, "", "", [hostile])
    tables = {"ranking": layout.Table(hostile, [hostile], [[hostile, hostile]])}
    template = "$answer$summary$ranking_table$ranking_svg"
    html = page.html(template, "", texts, tables, {"ranking": "<svg></svg>"}, {"ranking": f'"{hostile}'})
    assert {tag for tag, _ in Reader(html).elements} <= {
        "ul", "li", "div", "table", "caption", "thead", "tbody", "tr", "th", "td", "svg"
    }  # fmt: skip
    assert table(html, "alert") == [[hostile], [hostile, hostile]]


def test_words_for_the_pictures_name_the_extremes(html):
    ranking, curves, diagnostics, _, tutorial = (
        attributes["aria-label"] for tag, attributes in Reader(html).elements if tag == "svg"
    )
    assert re.search(r"from 82\.\d+ \(sgd\) to 92\.\d+ \((rmsprop|adam)\)", ranking)
    assert curves.startswith("Three panels")
    assert "(sgd)" in curves
    assert "in the last epoch, from 0.05 (adam) to 0.05 (sgd)" in diagnostics
    assert "(adam, rmsprop, sgd)" in tutorial


def test_words_for_the_pictures_know_diverged_runs():
    texts = page.alternatives([], [], [], [])
    assert "unknown, since every optimizer had a run that diverged" in texts["ranking"]
    assert "(none)" in texts["tutorial"]
