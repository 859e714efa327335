"""The charts of results/report/index.html, played with in a browser: scale, order, colours, marks, interaction."""

import contextlib
import json
import re
from html import unescape

import browser
import pytest
import synthetic

from descent.core import style
from stages import compare

pytestmark = pytest.mark.slow

NAMES = sorted(synthetic.LEVELS)
# Notes what is drawn, then picks optimizers as a reader does.
PLAY = """<script>addEventListener("load", async () => {
    const all = (selector) => [...document.querySelectorAll(selector)];
    const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
    const attributes = (selector, names) => all(selector).map((mark) => names.map((name) => mark.getAttribute(name)));
    const pressed = () => all(".picks button").map((button) => button.getAttribute("aria-pressed") === "true");
    const faint = () => all(".chart").map((chart) => [...chart.querySelectorAll(".mark-line path")]
        .filter((path) => path.getAttribute("opacity") < 1).length);
    while (all(".chart .mark-line path").length < 7 * LINES) await pause(50);
    await pause(500);
    const fill = (element) => getComputedStyle(element).fill;
    const noted = {
        overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
        lefts: all("#curves_charts .chart").map((chart) => Math.round(chart.getBoundingClientRect().left)),
        widest: Math.max(...all(".chart svg").map((svg) => svg.getBoundingClientRect().right)),
        shown: [".still", ".play"].map((kind) => all(kind).filter((element) => element.checkVisibility()).length),
        titles: all(".chart h3").map((title) => title.textContent),
        lines: all(".chart").map((chart) => chart.querySelectorAll(".mark-line path").length),
        points: all(".chart").map((chart) => chart.querySelectorAll(".mark-symbol path").length),
        bands: all(".chart").map((chart) => chart.querySelectorAll(".mark-area path").length),
        looks: attributes("#curves0 .mark-line path", ["stroke", "stroke-dasharray"]),
        swatches: attributes(".picks path", ["stroke", "stroke-dasharray"]),
        accuracy: attributes("#curves0 .mark-line path", ["d"]).flat(),
        ticks: all(".chart").map((chart) => [...[...chart.querySelectorAll(".role-axis-label")].at(-1)
            .querySelectorAll("text")].map((tick) => tick.textContent)),
        card: getComputedStyle(document.querySelector(".chart")).backgroundColor,
        black: getComputedStyle(document.querySelector("#curves0 [stroke='#000000']")).stroke,
        written: [...new Set(all(".chart text").map(fill))],
        text: getComputedStyle(document.body).color,
    };
    all(".picks button")[0].click();
    await pause(300);
    noted.picked = [pressed(), faint()];
    all("#diagnostics3 .mark-line path").at(-1).dispatchEvent(new MouseEvent("click", { bubbles: true }));
    await pause(300);
    noted.picked_by_line = pressed();
    all(".picks button")[0].click();
    all(".picks button").at(-1).click();
    await pause(300);
    noted.put_back = [pressed(), faint()];
    const point = document.querySelector("#curves0 .mark-symbol path");
    const { left, top } = point.getBoundingClientRect();
    point.dispatchEvent(new MouseEvent("pointermove", { bubbles: true, clientX: left, clientY: top }));
    await pause(300);
    noted.tooltip = document.querySelector("#vg-tooltip-element")?.textContent;
    parent.postMessage(JSON.stringify(noted), "*");
});</script>""".replace("LINES", str(len(NAMES)))
FRAME = """<!DOCTYPE html><meta name="color-scheme" content="light dark"><title></title>
<script>onmessage = (event) => { document.title = event.data; };</script>
<iframe src="index.html" style="width: %dpx; height: 900px; border: 0"></iframe>"""


@pytest.fixture(scope="module")
def html(tmp_path_factory):
    folder = synthetic.project(tmp_path_factory.mktemp("charts"))
    with contextlib.chdir(folder):
        compare.main()
    return (folder / "results/report/index.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module", params=[1200, 390])
def played(request, html, tmp_path_factory):
    """What was drawn and picked; on a narrow screen in the dark."""
    folder = tmp_path_factory.mktemp("played")
    (folder / "index.html").write_text(f"{PLAY}</body>".join(html.rsplit("</body>", 1)), encoding="utf-8")
    (folder / "frame.html").write_text(FRAME % request.param, encoding="utf-8")
    dark = ["--blink-settings=preferredColorScheme=0"] if request.param == 390 else []
    visit = browser.visit(folder / "frame.html", 1400, *dark)
    return json.loads(unescape(re.search("<title>(.*?)</title>", visit.html)[1])), visit, request.param


def test_charts_ask_no_host_and_report_no_error(played):
    assert (played[1].requests, played[1].console) == ([], [])


def test_charts_stand_side_by_side_where_there_is_room_and_else_below_each_other(played):
    noted, _, width = played
    assert noted["overflow"] == 0
    assert noted["widest"] <= width
    assert len(set(noted["lefts"])) == (3 if width == 1200 else 1)


def test_with_a_script_the_charts_stand_in_for_two_figures(played):
    assert played[0]["shown"] == [0, 4]  # names to pick, how to, the charts of two sections


def test_every_panel_draws_every_optimizer_at_every_epoch_and_curves_their_intervals(played):
    noted = played[0]
    assert [title.split(",")[0] for title in noted["titles"]] == [
        "Validation accuracy", "Training loss", "Validation loss",
        "Distance moved", "Weights", "Relative change", "Unchanged weights",
    ]  # fmt: skip
    assert noted["lines"] == [len(NAMES)] * 7
    assert noted["points"] == [len(NAMES) * synthetic.EPOCHS] * 7
    assert noted["bands"] == [len(NAMES)] * 3 + [0] * 4


def test_lines_look_as_in_the_figures_and_as_the_names_to_pick(played):
    noted, looks = played[0], dict(sorted(style.looks(NAMES).items()))
    assert [color for color, _ in noted["looks"]] == [looks[name]["color"] for name in NAMES]
    # An empty pattern is a solid line.
    drawn, offered = ([(dash or "").replace(",", " ") for _, dash in noted[key]] for key in ("looks", "swatches"))
    assert drawn == offered
    assert drawn == [
        "" if look["linestyle"] == "-" else " ".join(f"{2 * length:g}" for length in look["linestyle"][1])
        for look in looks.values()
    ]


def test_accuracy_rises_by_equal_steps_on_a_linear_scale_and_the_better_stands_above(played):
    heights = {
        name: [float(y) for y in re.findall(r"[ML][\d.]+,([\d.]+)", path)]
        for name, path in zip(NAMES, played[0]["accuracy"], strict=True)
    }
    assert heights["rmsprop"][-1] < heights["own"][-1] < heights["sgd"][-1]  # pixels from the top
    steps = [upper - lower for upper, lower in zip(heights["sgd"], heights["sgd"][1:], strict=False)]
    assert steps == pytest.approx([steps[0]] * len(steps), rel=0.05)


def test_losses_and_distances_have_a_log_scale_with_ticks_at_one_two_and_five(played):
    assert played[0]["ticks"][1] == ["0.05", "0.1", "0.2"]
    assert played[0]["ticks"][3] == ["1", "2"]  # of one value alone
    assert played[0]["ticks"][5] == ["0.05", "0.1"]


def test_share_of_unchanged_weights_starts_at_zero_and_the_norm_of_the_weights_does_not(played):
    norms, shares = [[float(tick) for tick in played[0]["ticks"][i]] for i in (4, 6)]
    assert 39 <= norms[0] < 40 < norms[-1] <= 41
    assert (shares[0], shares[-1]) == (0, 25)


def test_charts_are_dark_in_the_dark_and_their_words_are_the_pages(played):
    noted, _, width = played
    assert noted["card"] == ("rgb(32, 34, 38)" if width == 390 else "rgb(255, 255, 255)")
    assert noted["black"] == ("rgb(255, 255, 255)" if width == 390 else "rgb(0, 0, 0)")
    assert noted["written"] == [noted["text"]]


def test_name_and_line_pick_an_optimizer_in_every_chart(played):
    noted, others = played[0], len(NAMES) - 1
    assert noted["picked"] == [[True] + [False] * others, [others] * 7]
    assert noted["picked_by_line"] == [True, *[False] * (others - 1), True]
    assert noted["put_back"] == [[False] * len(NAMES), [0] * 7]


def test_a_point_tells_its_numbers(played):
    assert re.search(r"optimizeradam.*epoch1.*%80", played[0]["tooltip"])
