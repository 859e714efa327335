"""The page of the learning-rate study: played with in a browser, and complete without a script."""

import re
from pathlib import Path

import browser
import pytest
import synthetic_study

from descent.report import display_tables, figures, page
from stages import compare_tuning

PLOTS_PAGE = (Path(__file__).parents[2] / compare_tuning.PLOTS_PAGE).read_text(encoding="utf-8")
TEXTS = {"answer": "adam is best.", "conditions": "Learning rate tuned.", "reading": "Within a column."}
TEXTS |= {"kind": "accuracy", "near": "1 percentage point", "difference": "percentage points", "trials": "7 to 9"}
WIDTH = 390  # of a phone
# Moves every control as a reader does, and notes what is drawn after each move.
PLAY = """
    const all = (selector) => [...document.querySelectorAll(selector)];
    const style = (part) => getComputedStyle(part);
    const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
    const words = (id) => document.querySelector(id).textContent;
    const lines = (chart) => all(chart + " .mark-line path").map((path) => path.getAttribute("d"));
    const map = () => [lines("#map0"), words("#map0 + p")];
    const move = async (id, value) => {
        const input = document.querySelector(id);
        input.value = value;
        input.dispatchEvent(new Event("input"));
        await pause(300);
        return input.getAttribute("aria-valuetext");
    };
    const picked = () => all(".picks button[aria-pressed=true]").map((button) => button.textContent);
    const faint = () => all("#losses_chart .mark-line path").filter((path) => path.getAttribute("opacity") < 1).length;
    while (!document.querySelector(".maps > :last-child [role=status]")?.textContent) await pause(50);
    const black = document.querySelector("#losses_chart [stroke='var(--text)']");
    const noted = {
        overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
        widest: Math.max(...all(".chart svg").map((svg) => svg.getBoundingClientRect().right)),
        text: style(document.body).color,
        written: [...new Set(all(".chart text").map((text) => style(text).fill))],
        black: style(black).stroke,
        still: all(".still").filter((element) => element.checkVisibility()).length,
        drawn: [lines("#sensitivity_chart").length, lines("#forgiving_chart").length, lines("#losses_chart").length],
        start: words("#forgiving_words"),
        off: [await move("#offset", 2), words("#forgiving_words")],
        losses: [lines("#losses_chart"), words("#losses_words")],
        map: map(),
    };
    noted.label = await move("#factor", 8);
    noted.losses_largest = [lines("#losses_chart"), words("#losses_words")];
    noted.map_largest = map();
    all(".picks button")[0].click();
    await pause(300);
    noted.picked = [picked(), faint()];
    document.querySelector("#losses_chart .mark-line path").dispatchEvent(new MouseEvent("click", { bubbles: true }));
    await pause(300);
    noted.picked_by_line = picked();
    return noted;"""


def html(study, texts=TEXTS):
    drawn = {name: draw(study) for name, draw in figures.STUDY_FIGURES.items()}
    tables = {
        "tuned": display_tables.Table("Tuned", ["Optimizer", "Rate"], ["words", "number"], [["adam", "0.001"]]),
        "choices": display_tables.choices([]),
        "sensitivity": display_tables.sensitivity(study.sensitivity),
        "best_of_k": display_tables.best_of_k(study.best_of_k),
    }
    pictures = {name: (figures.svg(figure), alternative) for name, (figure, alternative) in drawn.items()}
    scripts = page.study_scripts(study, PLOTS_PAGE)
    return page.html("study.html", "Tuned", texts, tables, pictures, **scripts)


@pytest.fixture(scope="module")
def whole():
    return html(synthetic_study.study())


@pytest.fixture(scope="module")
def played(whole, tmp_path_factory):
    """What was drawn while the controls moved, on a narrow screen in the dark."""
    return browser.ask(whole, tmp_path_factory.mktemp("played"), PLAY, WIDTH, dark=True)


@pytest.mark.slow
def test_page_asks_no_host_and_its_charts_fit_the_window_in_the_colours_of_the_page(played):
    noted, visit = played
    assert (visit.requests, visit.console) == ([], [])
    assert noted["overflow"] == 0
    assert noted["widest"] <= WIDTH
    assert noted["written"] == [noted["text"]]
    assert noted["black"] == noted["text"]  # sgd's black line is white in the dark
    # Every optimizer has a line in each chart; `own` runs with a schedule: no learning rate.
    assert noted["drawn"] == [2, 3, 3]
    assert noted["still"] == 0


@pytest.mark.slow
def test_sliders_and_picks_move_every_chart(played):
    noted, _ = played
    assert {part.split()[0] for part in noted["start"].split(";")} == {"adam", "own", "sgd"}
    label, words = noted["off"]
    assert label == "× 10"
    assert [part.split()[0] for part in words.split(";")] == ["own", "adam", "sgd"]  # by the widths of what is good
    assert words.endswith("sgd not tried.")  # for sgd that is beyond the grid
    assert noted["label"] == "× 100"
    lines, words = noted["losses"]
    moved, moved_words = noted["losses_largest"]
    assert not set(lines) & set(moved)
    assert "diverged" not in words
    assert moved_words.endswith("sgd diverged.")
    assert noted["map"][1] == "Leave the picture at step: none."
    assert noted["map_largest"][0] != noted["map"][0]
    assert "adam" in noted["map_largest"][1]
    assert noted["picked"] == [["adam"], 2]
    assert noted["picked_by_line"] != ["adam"]


@pytest.mark.slow
def test_without_a_script_the_figures_and_tables_stand_in_for_the_controls(whole, tmp_path):
    measure = """<script>document.title = JSON.stringify([
        [...document.querySelectorAll("input, button, .chart")].filter((element) => element.checkVisibility()).length,
        [...document.querySelectorAll("figure svg")].filter((element) => element.checkVisibility()).length,
        [...document.querySelectorAll("table")].filter((element) => element.checkVisibility()).length,
    ]);</script></body>"""
    static = re.sub("<script.*?</script>", "", whole, flags=re.DOTALL)
    assert "<td" in static
    assert "2 of 3" in static
    (tmp_path / "static.html").write_text(measure.join(static.rsplit("</body>", 1)), encoding="utf-8")
    assert "<title>[0,2,4]</title>" in browser.visit(tmp_path / "static.html").html


def test_controls_and_figures_are_named_for_a_screen_reader_and_the_libraries_licences_are_there(whole):
    ids = re.findall(r'<input type="range" id="(\w+)"', whole)
    assert ids
    assert all(f'<label for="{name}">' in whole for name in ids)
    assert len(re.findall(r'<svg role="img" aria-label="[^"]{40}', whole)) == len(figures.STUDY_FIGURES)
    assert "Redistribution and use in source and binary forms" in whole
    assert len(whole.encode()) < 4e6


def test_nothing_reaches_the_page_unescaped():
    hostile = "</p></script><script>alert(1)</script>"
    study = synthetic_study.study(["adam"])
    rows = [row._replace(optimizer=hostile) for row in study.sensitivity]
    study = study._replace(sensitivity=rows, chosen={hostile: 1.0}, losses={})
    assert "<script>alert(1)" not in html(study, dict.fromkeys(TEXTS, hostile))
