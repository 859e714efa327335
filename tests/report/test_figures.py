"""Figures from small tables: same pictures from same tables, and every line told apart and named."""

import math
from itertools import combinations

import matplotlib
import numpy as np
import pytest
from matplotlib.text import Text

from descent import style as looks
from descent.report import figures
from descent.report.tables import CurvePoint, DiagnosticsPoint, Rank, Replication
from descent.style import png

EIGHT = ["adadelta", "adagrad", "adam", "adamax", "nadam", "rmsprop", "sgd", "tfoptimizer"]
EPOCHS = 6


def curves(names=tuple(EIGHT), diverged=None, from_epoch=4):
    """Curves that end close together; `diverged` has no mean from an epoch on."""
    rows = []
    for i, name in enumerate(names):
        for split in ("train", "val"):
            for epoch in range(1, EPOCHS + 1):
                loss = math.nan if name == diverged and epoch >= from_epoch else (1 + 0.01 * i) / epoch
                rows.append(CurvePoint(name, split, epoch, loss, 0.9, 0.9 * loss, 1.1 * loss, 0.89, 0.91))
    return rows


def diagnostics():
    return [DiagnosticsPoint(name, epoch, 1 / epoch, 0.1, 0.001, 0.01 * epoch) for name in EIGHT for epoch in (1, 2, 3)]


def ranks():
    ends = [("a", name, 0.95, 0.01, 0.94, 0.96, 0.95, 0.01, 3.0, 3, 0, 3) for name in EIGHT[:-1]]
    return [Rank(*end) for end in ends] + [Rank("", EIGHT[-1], *[math.nan] * 6, math.inf, 0, 1, 3)]


def runs():
    return {name: np.array([0.94, 0.95, 0.96]) for name in EIGHT[:-1]} | {EIGHT[-1]: np.array([0.8, 0.9, math.nan])}


def replication(names=("adam", "sgd")):
    rows = [
        Replication(name, figure, EPOCHS, 0.3, 0.3, 0.01, 3, 0.2, 0.4, "true")
        for name in names
        for figure in ("val_accuracy", "val_loss")
    ]
    printed = {name: {figure: np.full(EPOCHS, 0.5) for figure in ("val_accuracy", "val_loss")} for name in names}
    return rows, curves(), printed, 0.95


DRAWN = {
    "tutorial": lambda: figures.tutorial(curves(), 0.95),
    "accuracy": lambda: figures.accuracy(ranks(), runs(), 0.95),
    "diagnostics": lambda: figures.diagnostics(diagnostics()),
    "replication": lambda: figures.replication(*replication()),
}


def texts(figure):
    """Every written text with its box in pixels."""
    figure.draw_without_rendering()
    found = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
    return [(text.get_text(), text.get_window_extent()) for text in found]


@pytest.mark.parametrize("draw", DRAWN.values(), ids=DRAWN)
def test_equal_tables_give_equal_bytes_whatever_the_users_settings(draw):
    usual = png(draw())
    with matplotlib.rc_context({"font.size": 20, "axes.grid": False, "figure.dpi": 40, "lines.linewidth": 9}):
        assert png(draw()) == usual
    assert b"Software" not in usual  # matplotlib's version: it would change the bytes with the library


@pytest.mark.parametrize("draw", [DRAWN["tutorial"], DRAWN["diagnostics"]], ids=["tutorial", "diagnostics"])
def test_names_at_the_line_ends_do_not_overlap_and_stay_in_the_picture(draw):
    figure = draw()
    boxes = [box for text, box in texts(figure) if text in EIGHT]
    assert len(boxes) == len(EIGHT) * len(figure.axes)
    assert not any(first.overlaps(second) for first, second in combinations(boxes, 2))
    width, height = figure.bbox.size
    assert all(box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height for box in boxes)


def test_label_places_are_a_gap_apart_and_never_leave_the_axis():
    heights = {"a": 0.99, "b": 0.98, "c": 0.5, "d": 0.0, "e": 0.001}
    places = figures.label_places(heights, 0.1)
    ordered = sorted(places.values())
    assert min(np.diff(ordered)) >= 0.1 - 1e-12
    assert ordered[0] >= 0
    assert ordered[-1] <= 1
    assert places["c"] == pytest.approx(0.5)
    assert sorted(places, key=places.get) == sorted(heights, key=heights.get)


def test_label_places_close_up_where_the_labels_would_not_fit():
    places = figures.label_places({str(i): 0.5 for i in range(40)}, 0.055)
    assert 0 <= min(places.values()) < max(places.values()) <= 1


def test_no_label_needs_no_place():
    assert figures.label_places({}, 0.1) == {}


def test_an_optimizer_keeps_its_look_whoever_runs_with_it():
    assert looks.looks(["adam", "lion"])["adam"] == looks.looks(["adam"])["adam"]
    assert looks.looks(["adam"])["adam"]["color"] == "#D55E00"


def test_other_names_take_the_other_colors_in_sorted_order_and_again():
    names = [f"own{i}" for i in range(7)]
    taken = looks.looks(["sgd", *reversed(names)])
    assert [taken[name]["color"] for name in names] == [*looks.OTHER_COLORS, looks.OTHER_COLORS[0]]


def test_the_eight_are_told_apart_without_colour():
    taken = looks.looks(EIGHT).values()
    assert len({(look["linestyle"], look["marker"]) for look in taken}) == 8


def test_the_tutorial_figure_draws_every_mean_and_its_interval():
    figure = figures.tutorial(curves(["adam", "sgd"]), 0.95)
    for axes in figure.axes:
        assert [line.get_ydata().tolist() for line in axes.lines if line.get_marker() in looks.MARKERS] == [
            [(1 + 0.01 * i) / epoch for epoch in range(1, EPOCHS + 1)] for i in range(2)
        ]
        band = axes.collections[1].get_paths()[0].vertices
        assert band[:, 1].min() == pytest.approx(0.9 * 1.01 / EPOCHS)
        assert band[:, 1].max() == pytest.approx(1.1 * 1.01)


def test_a_diverged_line_ends_with_a_cross_and_is_called_diverged():
    figure = figures.tutorial(curves(diverged="adam"), 0.95)
    assert sum(text == "adam (diverged)" for text, _ in texts(figure)) == 2
    crosses = [line for line in figure.axes[0].lines if line.get_marker() == "x"]
    assert [line.get_xdata().tolist() for line in crosses] == [[3]]


def test_an_optimizer_that_diverged_at_once_is_named_though_it_has_no_line():
    figure = figures.tutorial(curves(["adam", "sgd"], "adam", 1), 0.95)
    assert [axes.get_xlabel() for axes in figure.axes] == ["epoch (diverged in the first: adam)"] * 2


def test_nothing_but_diverged_runs_can_be_drawn():
    png(figures.tutorial(curves(["adam"], "adam", 1), 0.95))


def test_accuracy_shows_every_run_and_calls_the_diverged_diverged():
    figure = figures.accuracy(ranks(), runs(), 0.95)
    circles = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert [line.get_xdata().tolist() for line in circles[:7]] == [[0.94, 0.95, 0.96]] * 7
    assert "diverged: 1 of 3" in [text for text, _ in texts(figure)]


def test_replication_lays_the_printed_points_over_our_line():
    figure = figures.replication(*replication())
    panels = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title("left") for axes in panels] == ["adam", "sgd"] * 2
    assert panels[0].lines[1].get_ydata().tolist() == [50.0] * EPOCHS
    assert panels[2].lines[2].get_ydata().tolist() == [0.2, 0.4]


def test_replication_without_an_optimizer_of_the_tutorial_can_be_drawn():
    png(figures.replication([], curves(["own"]), {}, 0.95))
