"""The page of the learning-rate study: played with in a browser, and complete without a script."""

import json
import re
from html import unescape
from pathlib import Path

import browser
import pytest
import synthetic_study

from descent.core import style
from descent.core.parameters import InputError
from descent.report import charts
from descent.report import study_page as page
from stages import compare_tuning

ROOT = Path(__file__).parents[2]
PARTS = [(ROOT / part).read_text(encoding="utf-8") for part in compare_tuning.PAGE]
TEMPLATE = charts.assemble(*PARTS)
TEXTS = {"answer": "adam is best.", "conditions": "Learning rate tuned.", "reading": "Within a column."}
# Moves every control as a reader does, and notes what is drawn after each move.
PLAY = """<script>addEventListener("load", async () => {
    const all = (selector) => [...document.querySelectorAll(selector)];
    const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
    const words = (id) => document.querySelector(id).textContent;
    const top = (element) => element.getBoundingClientRect().top;
    const names = (chart) => all(chart + " .role-axis-label text").sort((a, b) => top(a) - top(b))
        .map((text) => text.textContent).filter((text) => /[a-z]/.test(text));
    const lines = (chart) => all(chart + " .mark-line path")
        .map((path) => [path.getAttribute("stroke"), path.getAttribute("d")]);
    const marks = (chart, kind) => all(chart + " .mark-" + kind + " path").length;
    const move = async (id, value) => {
        const input = document.querySelector(id);
        input.value = value;
        input.dispatchEvent(new Event("input"));
        await pause(300);
        return input.getAttribute("aria-valuetext");
    };
    const faint = () => all("#losses_chart .mark-line path").filter((path) => path.getAttribute("opacity") < 1).length;
    while (!document.querySelector(".maps > :last-child [role=status]")?.textContent) await pause(50);
    const noted = { overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth };
    noted.card = getComputedStyle(document.querySelector(".chart")).backgroundColor;
    noted.ground = getComputedStyle(document.body).backgroundColor;
    noted.text = getComputedStyle(document.body).color;
    noted.black = [".chart", ".picks"].map((part) => part + " [stroke='#000000']")
        .map((black) => getComputedStyle(document.querySelector(black)).stroke);
    noted.written = [...new Set(all(".chart text").map((text) => getComputedStyle(text).fill))];
    noted.image = getComputedStyle(document.querySelector("figure img")).filter;
    noted.widest = Math.max(...all(".chart svg").map((svg) => svg.getBoundingClientRect().right));
    noted.shown = [".still", ".play"].map((kind) => all(kind).filter((element) => element.checkVisibility()).length);
    noted.sensitivity = [lines("#sensitivity_chart").length, marks("#sensitivity_chart", "symbol")];
    noted.start = [names("#forgiving_chart"), words("#forgiving_words")];
    noted.off = [await move("#offset", 2), names("#forgiving_chart"), words("#forgiving_words")];
    noted.losses = [lines("#losses_chart"), words("#losses_words")];
    noted.map = [lines("#map0").filter(([color]) => color !== "#ccc"), words("#map0 + p")];
    noted.largest = [await move("#factor", 8), document.querySelector("#path_factor").value];
    noted.losses_largest = [lines("#losses_chart"), words("#losses_words")];
    noted.map_largest = [lines("#map0").filter(([color]) => color !== "#ccc"), words("#map0 + p")];
    await move("#path_factor", 0);
    noted.map_smallest = lines("#map0").filter(([color]) => color !== "#ccc");
    all(".picks button")[0].click();
    await pause(300);
    noted.picked = [all(".picks button").map((button) => button.getAttribute("aria-pressed")), faint()];
    document.querySelector("#losses_chart .mark-line path").dispatchEvent(new MouseEvent("click", { bubbles: true }));
    await pause(300);
    noted.picked_by_line = all(".picks button").map((button) => button.getAttribute("aria-pressed"));
    document.querySelector("[value=best]").click();
    await pause(1500);
    noted.best = all("#sensitivity_chart .role-axis-title text").map((text) => text.textContent);
    parent.postMessage(JSON.stringify(noted), "*");
});</script>"""
FRAME = """<!DOCTYPE html><meta name="color-scheme" content="light dark"><title></title>
<script>onmessage = (event) => { document.title = event.data; };</script>
<iframe src="index.html" style="width: %dpx; height: 900px; border: 0"></iframe>"""


@pytest.fixture(scope="module")
def html():
    study, pictures = synthetic_study.study(), synthetic_study.pictures()
    return page.html(TEMPLATE, TEXTS, synthetic_study.tuned(), study, pictures)


@pytest.fixture(scope="module", params=[1200, 390])
def played(request, html, tmp_path_factory):
    """What was drawn while the controls moved; on a narrow screen in the dark."""
    folder = tmp_path_factory.mktemp("played")
    (folder / "index.html").write_text(PLAY.join(html.rsplit("</body>", 1)), encoding="utf-8")
    (folder / "frame.html").write_text(FRAME % request.param, encoding="utf-8")
    dark = ["--blink-settings=preferredColorScheme=0"] if request.param == 390 else []
    visit = browser.visit(folder / "frame.html", 1400, *dark)
    return json.loads(unescape(re.search("<title>(.*?)</title>", visit.html)[1])), visit, request.param


def colors(lines):
    looks = {look["color"]: name for name, look in style.looks(synthetic_study.RATES).items()}
    return {looks[color]: path for color, path in lines}


@pytest.mark.slow
def test_page_asks_no_host_and_reports_no_error(played):
    _, visit, _ = played
    assert (visit.requests, visit.console) == ([], [])


@pytest.mark.slow
def test_charts_fit_the_window_and_are_dark_in_the_dark(played):
    noted, _, width = played
    assert noted["overflow"] == 0
    assert noted["widest"] <= width
    assert noted["card"] == ("rgb(32, 34, 38)" if width == 390 else "rgb(255, 255, 255)")
    assert noted["black"] == ["rgb(255, 255, 255)" if width == 390 else "rgb(0, 0, 0)"] * 2  # sgd's line and its swatch
    assert noted["written"] == [noted["text"]]
    assert noted["image"].startswith("invert" if width == 390 else "none")
    assert noted["ground"] == ("rgb(23, 24, 26)" if width == 390 else "rgb(255, 255, 255)")


@pytest.mark.slow
def test_every_rate_that_was_tried_is_drawn(played):
    lines, symbols = played[0]["sensitivity"]
    # `own` runs with a schedule: no learning rate. A point a rate, a triangle where runs diverged, two stars, two dots.
    assert (lines, symbols) == (2, 9 + 8 + 1 + 2 + 2)


@pytest.mark.slow
def test_with_a_script_the_controls_stand_in_for_the_figures(played):
    assert played[0]["shown"] == [0, 6]


@pytest.mark.slow
def test_ranking_sorts_itself_anew_as_the_rate_goes_off(played):
    names, words = played[0]["start"]
    assert sorted(names) == ["adam", "own", "sgd"]
    assert [part.split()[0] for part in words.split(";")] == names
    label, names, words = played[0]["off"]
    assert label == "× 10"
    assert names == ["own", "adam", "sgd"]  # by the widths of what is good; for sgd that is beyond the grid
    assert words.endswith("sgd not tried.")


@pytest.mark.slow
def test_slider_shows_the_loss_of_every_optimizer_at_that_factor(played):
    lines, words = played[0]["losses"]
    assert set(colors(lines)) == {"adam", "own", "sgd"}
    moved, moved_words = played[0]["losses_largest"]
    assert all(colors(lines)[name] != path for name, path in colors(moved).items())
    assert "diverged" not in words
    assert moved_words.endswith("sgd diverged.")


@pytest.mark.slow
def test_the_two_sliders_over_the_factors_move_together(played):
    assert played[0]["largest"] == ["× 100", "8"]


@pytest.mark.slow
def test_paths_are_longer_at_a_larger_factor_and_leaving_the_picture_is_said(played):
    lines, words = played[0]["map"]
    assert set(colors(lines)) == {"adam", "own", "sgd"}
    assert words == "Leave the picture at step: none."
    assert played[0]["map_largest"][0] != lines != played[0]["map_smallest"]
    assert "adam" in played[0]["map_largest"][1]


@pytest.mark.slow
def test_button_and_line_pick_an_optimizer_in_every_chart(played):
    pressed, faint = played[0]["picked"]
    assert pressed == ["true", "false", "false"]
    assert faint == 2
    assert played[0]["picked_by_line"].count("true") != 1


@pytest.mark.slow
def test_learning_rates_can_be_seen_relative_to_the_best(played):
    assert "learning rate, times the best" in played[0]["best"]


def test_page_stays_below_four_megabytes_with_the_libraries_and_their_licences(html):
    assert len(html.encode()) < 4e6
    assert "Redistribution and use in source and binary forms" in html


def test_tables_and_figures_are_complete_without_a_script(html):
    static = re.sub("<script.*?</script>", "", html, flags=re.DOTALL)
    rows = re.findall("<tr>(.*?)</tr>", static)
    assert sum("÷ 32" in row for row in rows) >= 3  # a row an optimizer
    assert "<td>2 of 3</td>" in static
    assert static.count("<caption>") == 4
    assert static.count('src="data:image/png;base64,') == 3
    assert static.count("<details open>") == 2


@pytest.mark.slow
def test_without_a_script_the_figures_stand_in_for_the_controls(html, tmp_path):
    measure = """<script>document.title = JSON.stringify([
        [...document.querySelectorAll("input, button, .chart")].filter((element) => element.checkVisibility()).length,
        [...document.images].filter((image) => image.checkVisibility() && image.naturalWidth).length,
    ]);</script>"""
    static = re.sub("<script.*?</script>", "", html, flags=re.DOTALL)
    (tmp_path / "static.html").write_text(measure.join(static.rsplit("</body>", 1)), encoding="utf-8")
    assert "<title>[0,3]</title>" in browser.visit(tmp_path / "static.html").html


def test_controls_are_named_for_a_screen_reader(html):
    ids = re.findall(r'<input type="range" id="(\w+)"', html)
    assert ids == ["offset", "factor", "path_factor"]
    assert all(f'<label for="{name}">' in html for name in ids)
    assert html.count('role="status"') == 3


def test_nothing_reaches_the_page_unescaped():
    hostile = "</p></script><script>alert(1)</script>"
    study = synthetic_study.study(["adam"])
    rows = [row._replace(optimizer=hostile) for row in study.sensitivity]
    study = study._replace(sensitivity=rows, chosen={hostile: 1.0}, losses={})
    texts = dict.fromkeys(TEXTS, hostile)
    html = page.html("$answer$data$sensitivity_table$best_of_k_table", texts, synthetic_study.tuned(), study, {})
    assert "<script" not in html
    assert "</script" not in html


def test_plots_page_without_libraries_is_refused():
    with pytest.raises(InputError, match=r"page\.html: no libraries in it"):
        charts.assemble(*PARTS[:-1], "")


@pytest.mark.slow
def test_study_in_which_nothing_could_be_chosen_is_drawn_all_the_same(tmp_path):
    study = synthetic_study.study(["adam"], chosen={})
    html = page.html(TEMPLATE, TEXTS, synthetic_study.tuned(), study, synthetic_study.pictures(["adam"]))
    (tmp_path / "index.html").write_text(html, encoding="utf-8")
    visit = browser.visit(tmp_path / "index.html")
    assert visit.console == []
    assert "Validation loss after the last epoch: adam" in visit.html
