"""Figures from small tables: same pictures from same tables, and every line told apart and named."""

import math
from itertools import combinations

import matplotlib
import numpy as np
import pytest
from matplotlib.text import Text

from descent.analysis.tables import CurvePoint, DiagnosticsPoint, Lead, Rank
from descent.analysis.tutorial import TutorialPoint
from descent.core import style
from descent.report import figures

EIGHT = ["adadelta", "adagrad", "adam", "adamax", "nadam", "rmsprop", "sgd", "tfoptimizer"]
EPOCHS = 6


def curves(names=tuple(EIGHT), diverged=None, from_epoch=4):
    """Curves that end close together; `diverged` has no mean from an epoch on."""
    rows = []
    for i, name in enumerate(names):
        for split in ("train", "val"):
            for epoch in range(1, EPOCHS + 1):
                loss = math.nan if name == diverged and epoch >= from_epoch else (1 + 0.01 * i) / epoch
                bounds = (0.9 * loss, 1.1 * loss, 0.9 / (1 + loss), 1.1 / (1 + loss))
                rows.append(CurvePoint(name, split, epoch, loss, 1 / (1 + loss), *bounds))
    return rows


def diagnostics():
    return [
        DiagnosticsPoint(
            name, epoch, distance=4 / epoch, weight_norm=40.0, relative_change=0.1 / epoch, unchanged_weights=0.12
        )
        for name in EIGHT
        for epoch in (1, 2, 3)
    ]


def rank(name, mean, verdict, **changes):
    row = Rank(name, verdict, mean, 0.01, mean - 0.01, mean + 0.01, 0.02, "adadelta", -0.01, 0.95, 0.01, 3.0, 3, 0, 3)
    return row._replace(**changes)


def ranking(last=0.95):
    """Eight lines: six that may be the best, one at `last`, one that diverged."""
    means = {name: 0.96 - 0.001 * i for i, name in enumerate(EIGHT[:6])} | {"sgd": last}
    rows = [rank(name, mean, "no" if name == "sgd" else "yes") for name, mean in means.items()]
    lost = dict.fromkeys(("val_accuracy", "val_accuracy_low", "val_accuracy_high", "behind_at_most"), math.nan)
    rows.append(rank(EIGHT[-1], math.nan, "diverged", diverged=1, behind_at_least=math.nan, **lost))
    runs = {name: mean + np.array([-0.01, 0, 0.01]) for name, mean in means.items()}
    runs[EIGHT[-1]] = np.array([0.9, 0.95, math.nan])
    leads = [
        Lead(EIGHT[0], name, gap := 0.96 - mean, gap - 0.01, gap + 0.01, gap - 0.02, gap + 0.02, gap - 0.03, gap + 0.03)
        for name, mean in list(means.items())[1:]
    ]
    return rows, runs, leads, 0.95


def tutorial(names=("adam", "sgd")):
    return [
        TutorialPoint(name, epoch, 0.5, 0.9, 0.8, 1.0, 0.25, 0.2, 0.1, 0.3)
        for name in names
        for epoch in range(1, EPOCHS + 1)
    ]


DRAWN = {
    "curves": lambda: figures.curves(curves(), 0.95),
    "ranking": lambda: figures.ranking(*ranking()),
    "diagnostics": lambda: figures.diagnostics(diagnostics()),
    "tutorial": lambda: figures.tutorial(tutorial(), 0.95),
}


def texts(figure):
    """Every written text with its box in pixels."""
    figure.draw_without_rendering()
    found = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
    return [(text.get_text(), text.get_window_extent()) for text in found]


@pytest.mark.parametrize("draw", DRAWN.values(), ids=DRAWN)
def test_equal_tables_give_equal_bytes_whatever_the_users_settings(draw):
    usual = style.png(draw())
    with matplotlib.rc_context({"font.size": 20, "axes.grid": False, "figure.dpi": 40, "lines.linewidth": 9}):
        assert style.png(draw()) == usual
    assert b"Software" not in usual  # matplotlib's version: it would change the bytes with the library


@pytest.mark.parametrize("draw", DRAWN.values(), ids=DRAWN)
def test_no_text_leaves_the_picture_and_a_phone_can_show_it_whole(draw):
    figure = draw()
    figure.draw_without_rendering()
    box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert min(box.x0, box.y0) >= -0.01
    assert box.x1 <= width + 0.01
    assert box.y1 <= height + 0.01
    sizes = [text.get_fontsize() for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
    assert min(sizes) / 72 / figure.get_figwidth() * 360 > 7.5  # pixels on a screen of 390, margins off


def test_names_at_the_line_ends_do_not_overlap():
    boxes = [box for text, box in texts(DRAWN["curves"]()) if text in EIGHT]
    assert len(boxes) == 3 * len(EIGHT)
    assert not any(first.overlaps(second) for first, second in combinations(boxes, 2))


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
    assert style.looks(["adam", "lion"])["adam"] == style.looks(["adam"])["adam"]
    assert style.looks(["adam"])["adam"]["color"] == "#D55E00"


def test_other_names_take_the_other_colors_in_sorted_order_and_again():
    names = [f"own{i}" for i in range(7)]
    taken = style.looks(["sgd", *reversed(names)])
    assert [taken[name]["color"] for name in names] == [*style.OTHER_COLORS, style.OTHER_COLORS[0]]


def test_the_eight_are_told_apart_without_colour():
    taken = style.looks(EIGHT).values()
    assert len({(look["linestyle"], look["marker"]) for look in taken}) == 8


def test_curves_draw_every_mean_and_its_interval():
    figure = figures.curves(curves(["adam", "sgd"]), 0.95)
    means = [
        [line.get_ydata().tolist() for line in axes.lines if line.get_marker() in style.MARKERS] for axes in figure.axes
    ]
    assert means[0] == [[1 / (1 + loss) for loss in losses] for losses in means[1]]
    for axes, losses in list(zip(figure.axes, means, strict=True))[1:]:
        assert losses == [[(1 + 0.01 * i) / epoch for epoch in range(1, EPOCHS + 1)] for i in range(2)]
        band = axes.collections[1].get_paths()[0].vertices
        assert band[:, 1].min() == pytest.approx(0.9 * 1.01 / EPOCHS)
        assert band[:, 1].max() == pytest.approx(1.1 * 1.01)


def test_a_diverged_line_ends_with_a_cross_and_is_called_diverged():
    figure = figures.curves(curves(diverged="adam"), 0.95)
    assert sum(text == "adam\n(diverged)" for text, _ in texts(figure)) == 3
    crosses = [line for line in figure.axes[0].lines if line.get_marker() == "x"]
    assert [line.get_xdata() for line in crosses] == [[3]]


def test_an_optimizer_that_diverged_at_once_is_named_though_it_has_no_line():
    figure = figures.curves(curves(["adam", "sgd"], "adam", 1), 0.95)
    assert [text for text, _ in texts(figure)].count("diverged in the first epoch: adam") == 3


def test_nothing_but_diverged_runs_can_be_drawn():
    style.png(figures.curves(curves(["adam"], "adam", 1), 0.95))


def grounds(axes):
    """Lines of the ranking that stand on grey."""
    return sorted(round(patch.get_y() + 0.5) for patch in axes.patches)


def test_ranking_shows_every_run_and_sets_the_possible_best_on_grey():
    figure = figures.ranking(*ranking())
    left, right = figure.axes
    circles = [line for line in left.lines if line.get_marker() == "o"]
    assert circles[0].get_xdata().tolist() == pytest.approx([0.95, 0.96, 0.97])
    assert len(circles) == 8
    assert grounds(left) == grounds(right) == [0, 1, 2, 3, 4, 5]
    assert "diverged: 1 of 3" in [text for text, _ in texts(figure)]


def test_costs_reach_from_the_least_to_the_most_and_the_line_is_the_simultaneous_interval():
    rows, *others = ranking()
    rows[1] = rows[1]._replace(behind_at_least=0.004)
    _, right = figures.ranking(rows, *others).axes
    bars = {line.get_ydata()[0]: line.get_xdata() for line in right.lines if line.get_linewidth() == 5}
    assert list(bars[0]) == [0, 0.02]
    assert list(bars[1]) == [0.004, 0.02]
    line = next(line for line in right.lines if line.get_linewidth() == 1.2 and line.get_ydata()[0] == 1)
    assert list(line.get_xdata()) == pytest.approx([0.001 - 0.02, 0.001 + 0.02])


@pytest.mark.parametrize(("last", "far"), [(0.95, False), (0.8, True)])
def test_one_far_behind_is_an_arrow_with_its_number_and_does_not_press_the_others_together(last, far):
    figure = figures.ranking(*ranking(last))
    arrows = [text for text, _ in texts(figure) if "\N{LEFTWARDS ARROW}" in text or "\N{RIGHTWARDS ARROW}" in text]
    assert arrows == (["\N{LEFTWARDS ARROW} 80.0", "16.0 \N{RIGHTWARDS ARROW}\n(14.0 to 18.0)"] if far else [])
    assert figure.axes[0].get_xlim()[0] > 0.88


def test_ranking_of_one_run_or_of_diverged_runs_alone_can_be_drawn():
    rows, runs, _, confidence = ranking()
    unknown = {"val_accuracy_low": math.nan, "behind_at_most": math.nan, "behind_at_least": math.nan}
    single = [row._replace(runs=1, may_be_best="unknown", **unknown) for row in rows[:2]]
    style.png(figures.ranking(single, {name: values[:1] for name, values in runs.items()}, [], confidence))
    style.png(figures.ranking(rows[-1:], runs, [], confidence))


def test_diagnostics_have_a_log_scale_for_distances_and_a_percent_scale_from_zero_for_shares():
    figure = figures.diagnostics(diagnostics())
    figure.draw_without_rendering()
    distance, norm, change, unchanged = figure.axes
    assert [axes.get_yscale() for axes in figure.axes] == ["log", "linear", "log", "linear"]
    assert distance.lines[0].get_ydata().tolist() == [4, 2, 4 / 3]
    assert change.lines[0].get_ydata().tolist() == [0.1, 0.05, 0.1 / 3]
    assert norm.get_ylim()[0] > 30
    low, high = unchanged.get_ylim()
    assert low == 0
    assert high > 0.125  # the lines do not lie on the edge
    assert [label.get_text() for label in unchanged.get_yticklabels()][:2] == ["0", "2"]


def test_tutorial_lays_the_printed_points_over_our_line():
    figure = figures.tutorial(tutorial(), 0.95)
    assert [axes.get_ylabel() for axes in figure.axes] == ["adam", "", "sgd", ""]
    ours, printed = figure.axes[0].lines
    assert (ours.get_ydata().tolist(), printed.get_ydata().tolist()) == ([0.9] * EPOCHS, [0.5] * EPOCHS)
    assert figure.axes[1].lines[1].get_ydata().tolist() == [0.25] * EPOCHS


def test_tutorial_without_an_optimizer_of_it_can_be_drawn():
    style.png(figures.tutorial([], 0.95))
