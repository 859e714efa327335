"""The names to click in results/report/index.html, in a browser: they fade the lines of the others, and back."""

import contextlib
import json
import re
from html import unescape

import browser
import pytest
import synthetic

from stages import compare

pytestmark = pytest.mark.slow

NAMES = sorted(synthetic.LEVELS)
PLAY = """<script>addEventListener("load", () => {
    const all = (selector) => [...document.querySelectorAll(selector)];
    const shown = () => [...new Set(all("[data-optimizer]").filter((line) => getComputedStyle(line).opacity === "1")
        .map((line) => line.dataset.optimizer))].sort();
    const [first, second] = all(".picks button");
    const noted = { names: all(".picks button").map((button) => button.textContent), shown: [shown()] };
    noted.colors = all(".picks i").map((swatch) => getComputedStyle(swatch).borderTopColor);
    noted.groups = Object.fromEntries(["curves", "diagnostics"].map((name) =>
        [name, all(`[aria-labelledby=${name}] [data-optimizer=adam]`).length]));
    for (const button of [first, second, first, second]) {
        button.click();
        noted.shown.push(shown());
    }
    noted.links = all("figure a").length;
    document.title = JSON.stringify(noted);
});</script>"""


@pytest.fixture(scope="module", params=["1", "0"], ids=["light", "dark"])
def played(request, tmp_path_factory):
    folder = synthetic.project(tmp_path_factory.mktemp("legend"))
    with contextlib.chdir(folder):
        compare.main()
    page = folder / "results/report/index.html"
    html = page.read_text(encoding="utf-8")
    page.write_text(f"{PLAY}</body>".join(html.rsplit("</body>", 1)), encoding="utf-8")
    visit = browser.visit(page, 1280, f"--blink-settings=preferredColorScheme={request.param}")
    return json.loads(unescape(re.search("<title>(.*?)</title>", visit.html)[1])), visit, request.param


def test_every_optimizer_has_a_name_to_click_in_the_colour_of_its_lines(played):
    noted, visit, scheme = played
    assert (noted["names"], visit.console, visit.requests, noted["links"]) == (NAMES, [], [], 0)
    black = "rgb(27, 27, 27)" if scheme == "1" else "rgb(232, 232, 230)"  # the page's text
    own = "rgb(136, 34, 85)" if scheme == "1" else "rgb(204, 102, 153)"
    assert noted["colors"] == ["rgb(213, 94, 0)", own, "rgb(230, 159, 0)", black]
    assert all(count >= 4 for count in noted["groups"].values())


def test_a_click_on_a_name_fades_the_others_and_a_second_one_brings_them_back(played):
    first, second = NAMES[:2]
    assert played[0]["shown"] == [NAMES, [first], [first, second], [second], NAMES]
