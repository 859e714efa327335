"""The page results/report/index.html: what it says, what it needs, and that a browser shows it anywhere."""

import contextlib
import re
from html import unescape

import browser
import pytest
import synthetic

from descent.report import figures
from stages import compare

NAMES = sorted(synthetic.LEVELS)
MEASURE = """
    const all = (selector) => [...document.querySelectorAll(selector)];
    const style = (part) => getComputedStyle(part);
    const shown = () => [...new Set(all("[data-optimizer]").filter((line) => style(line).opacity === "1")
        .map((line) => line.dataset.optimizer))].sort();
    const noted = {
        overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
        widest: Math.max(...all("svg").map((svg) => svg.getBoundingClientRect().right)),
        page: style(document.body).backgroundColor,
        text: style(document.body).color,
        letters: style(document.querySelector("figure svg use[href*=DejaVu]")).fill,
        swatches: all(".picks i").map((swatch) => style(swatch).borderTopColor),
        shown: [shown()],
    };
    const [first, second] = all(".picks button");
    for (const button of [first, second, first, second]) {
        button.click();
        noted.shown.push(shown());
    }
    return noted;"""


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
    # Every optimizer has a name to click, in the colour of its lines: `own`'s is too dark for the dark.
    own = "rgb(204, 102, 153)" if dark else "rgb(136, 34, 85)"
    assert noted["swatches"] == ["rgb(213, 94, 0)", own, "rgb(230, 159, 0)", noted["text"]]
    # A click on a name fades the others, a second one brings them back.
    first, second = NAMES[:2]
    assert noted["shown"] == [NAMES, [first], [first, second], [second], NAMES]


def test_screen_reader_finds_headings_captions_scopes_words_for_figures_and_reaches_wide_tables(html):
    assert '<html lang="en">' in html
    levels = list(map(int, re.findall(r"<h([1-6])", html)))
    assert (levels[0], levels.count(1), max(levels)) == (1, 1, 2)
    boxes = re.findall(r'role="group" tabindex="0" aria-label="[^"]+"><table><caption>', html)
    assert len(boxes) == html.count("<table>") > 0
    assert html.count("<th ") == len(re.findall(r'<th scope="(?:col|row)">', html))
    words = re.findall(r'<svg role="img" aria-label="([^"]{40,})"', html)
    assert len(set(words)) == html.count("<svg") == len(figures.FIGURES) + 1  # and the trajectories


def test_page_needs_no_other_file_every_link_leads_to_a_place_in_it_and_the_files_it_names_exist(folder, html):
    assert not re.search(r"<(img|iframe|object)|\ssrc=", html)
    assert "default-src 'none'" in html
    ids = re.findall(r'\sid="([^"]*)"', html)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'<(?:a|use)\b[^>]* href="#?([^"]*)"', html)) <= set(ids)
    assert len(named := re.findall("<code>(results/report/[^<]*)</code>", html)) > 0
    assert all((folder / path).is_file() for path in named)


def test_page_says_what_ranking_md_and_summary_md_say(folder, html):
    answer, _, conditions, _, *table, _, reading = (folder / "results/report/ranking.md").read_text().splitlines()
    cells = [cell.strip() for line in table if "--" not in line for cell in line.strip("|").split("|")]
    shown = re.search(r"<caption>Ranking.*?</table>", html, re.DOTALL)[0]
    shown = unescape(shown).replace("\N{NO-BREAK SPACE}", " ")
    assert re.findall(r"<t[hd] [^>]*>(.*?)</t", shown) == cells
    sentences = (folder / "results/report/summary.md").read_text(encoding="utf-8").splitlines()
    said = [answer.strip("*"), conditions, reading, *(sentence.removeprefix("- ") for sentence in sentences)]
    assert all(sentence.replace(" %", "\N{NO-BREAK SPACE}%") in unescape(html) for sentence in said)
