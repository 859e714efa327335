"""The page results/report/index.html: what it says, what it needs, and that a browser shows it anywhere."""

import contextlib
import re
from html import unescape
from html.parser import HTMLParser
from itertools import pairwise

import browser
import pytest
import synthetic
from ruamel.yaml import YAML

from descent.report import figures, page
from descent.report.display_tables import Table
from stages import compare

VOID = ("meta", "link")
NAMES = sorted(synthetic.LEVELS)
MEASURE = """
    const all = (selector) => [...document.querySelectorAll(selector)];
    const style = (part) => getComputedStyle(part);
    const shown = () => [...new Set(all("[data-optimizer]").filter((line) => style(line).opacity === "1")
        .map((line) => line.dataset.optimizer))].sort();
    const overflow = document.documentElement.scrollWidth - document.documentElement.clientWidth;
    const noted = {
        overflow,
        widest: Math.max(...all("svg").map((svg) => svg.getBoundingClientRect().right)),
        page: style(document.body).backgroundColor,
        text: style(document.body).color,
        letters: style(document.querySelector("figure svg use[href*=DejaVu]")).fill,
        fills: [...new Set(all("figure svg *").map((part) => style(part).fill))],
        buttons: all(".picks button").map((button) => button.textContent),
        swatches: all(".picks i").map((swatch) => style(swatch).borderTopColor),
        shown: [shown()],
    };
    const [first, second] = all(".picks button");
    for (const button of [first, second, first, second]) {
        button.click();
        noted.shown.push(shown());
    }
    return noted;"""


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


@pytest.mark.slow
@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)], ids=["light", "dark phone"])
def test_page_fits_the_window_asks_no_host_and_its_figures_have_its_colours(html, tmp_path, width, dark):
    noted, visit = browser.ask(html, tmp_path, MEASURE, width, dark=dark)
    assert (visit.console, visit.requests) == ([], [])
    assert noted["overflow"] == 0
    assert 0 < noted["widest"] <= width  # no figure has to be scrolled
    assert noted["page"] == ("rgb(23, 24, 26)" if dark else "rgb(255, 255, 255)")
    assert noted["letters"] == noted["text"]
    assert ("rgb(255, 255, 255)" in noted["fills"]) == (not dark)
    # Every optimizer has a name to click, in the colour of its lines: `own`'s is too dark for the dark.
    assert noted["buttons"] == NAMES
    own = "rgb(204, 102, 153)" if dark else "rgb(136, 34, 85)"
    assert noted["swatches"] == ["rgb(213, 94, 0)", own, "rgb(230, 159, 0)", noted["text"]]
    # A click on a name fades the others, a second one brings them back.
    first, second = NAMES[:2]
    assert noted["shown"] == [NAMES, [first], [first, second], [second], NAMES]


def test_page_has_one_title_and_its_headings_skip_no_level(html):
    levels = [int(tag[1]) for tag, _ in Reader(html).elements if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(lower - upper <= 1 for upper, lower in pairwise(levels))


def test_every_figure_is_on_the_page_with_words_of_its_own_for_those_who_cannot_see_it(html):
    words = [attributes["aria-label"] for tag, attributes in Reader(html).elements if tag == "svg"]
    assert len(set(words)) == len(words) == len(figures.FIGURES) + 1  # and the trajectories
    assert all(len(text) > 40 for text in words)


def test_screen_reader_finds_language_captions_scopes_and_reaches_wide_tables(html):
    elements = Reader(html).elements
    assert ("html", {"lang": "en"}) in elements
    tags = [tag for tag, _ in elements]
    boxes = [attributes for _, attributes in elements if "tabindex" in attributes]
    assert tags.count("table") == tags.count("caption") == len(boxes) > 0
    assert all(box["role"] == "group" and box["aria-label"] for box in boxes)
    assert {attributes.get("scope") for tag, attributes in elements if tag == "th"} == {"col", "row"}


def test_page_needs_no_other_file_and_every_link_leads_to_a_place_in_it(html):
    elements = Reader(html).elements
    assert not {"img", "iframe", "object"} & {tag for tag, _ in elements}
    assert not any("src" in attributes for _, attributes in elements)
    assert any("default-src 'none'" in attributes.get("content", "") for _, attributes in elements)
    ids = [attributes["id"] for _, attributes in elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    addresses = [attributes["href"] for tag, attributes in elements if tag in ("a", "use")]
    assert {address.removeprefix("#") for address in addresses} <= set(ids)


def test_files_that_the_page_names_exist(folder, html):
    named = re.findall("<code>(results/report/[^<]*)</code>", html)
    assert named
    assert all((folder / path).is_file() for path in named)


def test_page_says_what_ranking_md_and_summary_md_say(folder, html):
    lines = (folder / "results/report/ranking.md").read_text(encoding="utf-8").splitlines()
    assert f'<p class="answer">{lines[0].strip("*")}</p>' in html
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    [table] = [rows for caption, rows in Reader(html).tables.items() if "Ranking" in caption]
    assert table == [cells[0], *cells[2:]]
    sentences = (folder / "results/report/summary.md").read_text(encoding="utf-8").splitlines()
    said = [lines[2], lines[-1], *(sentence.removeprefix("- ") for sentence in sentences)]
    assert all(sentence in unescape(html) for sentence in said)


def test_nothing_reaches_the_page_unescaped():
    hostile = "</p><script>alert(1)</script>"
    table = Table(hostile, [hostile] * 2, ["words", "number"], [[hostile] * 2])
    body = "$summary$ranking_table$ranking_svg"
    texts = {"answer": hostile, "conditions": "", "summary": [hostile]}
    html = page.html(body, hostile, texts, {"ranking": table}, {"ranking": ("<svg></svg>", f'"{hostile}')})
    assert Reader(html).tables == {hostile: [[hostile] * 2] * 2}
    assert [tag for tag, _ in Reader(html).elements].count("script") == 1  # the page's own


def test_page_of_other_data_says_nothing_of_the_tutorial_of_mnist_or_of_dropout(tmp_path, monkeypatch):
    monkeypatch.chdir(synthetic.project(tmp_path, ["sgd", "adam"], runs=2))
    document = YAML(typ="safe").load(tmp_path / "params.yaml")
    document["data"]["file"] = "data/own.npz"
    document["network"] = {"file": "networks/mine.py", "config": {}}
    document["report"]["note"] = "Mine."
    YAML().dump(document, tmp_path / "params.yaml")
    compare.main()
    html = (tmp_path / "results/report/index.html").read_text(encoding="utf-8").lower()
    assert not re.search("tutorial|mnist|dropout", html)
