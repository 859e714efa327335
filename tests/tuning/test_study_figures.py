"""Figures of the learning-rate study: the rates that were tried, the best, the default, and those that diverged."""

from itertools import combinations

import matplotlib
import numpy as np
import pytest
import synthetic_study
from matplotlib.text import Text

from descent.core import style
from descent.report import layout
from descent.report import study_figures as figures

EIGHT = list(style.COLORS)


def many():
    """Rows of eight optimizers that end alike."""
    rows = [row for row in synthetic_study.sensitivity(["adam"]) for _ in EIGHT]
    return [
        row._replace(optimizer=EIGHT[i % 8], learning_rate=row.factor, diverged=i > 40) for i, row in enumerate(rows)
    ]


BEST = dict.fromkeys(EIGHT, 1.0)
DRAWN = {
    "sensitivity": lambda: figures.sensitivity(many(), BEST, 0.95),
    "relative": lambda: figures.relative(many(), BEST),
    "best_of_k": lambda: figures.best_of_k(synthetic_study.best_of_k(EIGHT)),
}


def points(axes, marker):
    return [tuple(map(float, xy)) for line in axes.lines if line.get_marker() == marker for xy in line.get_xydata()]


def texts(figure):
    figure.draw_without_rendering()
    found = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
    return [(text.get_text(), text.get_window_extent()) for text in found]


@pytest.mark.parametrize("draw", DRAWN.values(), ids=DRAWN)
def test_equal_tables_give_equal_bytes_whatever_the_users_settings(draw):
    usual = style.png(draw())
    with matplotlib.rc_context({"font.size": 20, "axes.grid": False, "figure.dpi": 40, "lines.linewidth": 9}):
        assert style.png(draw()) == usual


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


@pytest.mark.parametrize("draw", DRAWN.values(), ids=DRAWN)
def test_names_of_eight_optimizers_are_all_there_and_do_not_overlap(draw):
    boxes = [box for text, box in texts(draw()) if text in EIGHT]
    assert len(boxes) == len(EIGHT)
    assert not any(first.overlaps(second) for first, second in combinations(boxes, 2))


def test_sensitivity_stars_the_best_rate_and_dots_the_default():
    rows = synthetic_study.sensitivity(["adam", "sgd"])
    adam, sgd = figures.sensitivity(rows, synthetic_study.chosen(["adam", "sgd"]), 0.95).axes
    assert [x for x, _ in points(adam, "*")] == pytest.approx([0.001])
    assert [x for x, _ in points(sgd, "*")] == pytest.approx([0.01 * 10**1.5])
    assert [x for x, _ in points(sgd, "o")] == pytest.approx([0.01])


def test_sensitivity_shows_all_others_in_grey_behind_each():
    rows = synthetic_study.sensitivity(["adam", "sgd"])
    for axes in figures.sensitivity(rows, synthetic_study.chosen(["adam", "sgd"]), 0.95).axes:
        assert sum(line.get_color() == figures.OTHERS for line in axes.lines) == 1


def test_rate_at_which_runs_diverged_is_a_hollow_triangle_with_their_number_and_no_accuracy():
    rows = synthetic_study.sensitivity(["sgd"])
    [axes] = [axes for axes in figures.sensitivity(rows, {"sgd": 1.0}, 0.95).axes if axes.get_visible()]
    [(rate, height)] = points(axes, "v")
    assert (rate, height) == (pytest.approx(1.0), pytest.approx(0.06))  # of the panel's height
    assert "2 of 3" in [text.get_text() for text in axes.texts]
    [line] = [line for line in axes.lines if line.get_marker() == "."]
    assert np.isnan(line.get_ydata()).tolist() == [False] * 8 + [True]


def test_neighbours_that_diverged_share_one_count():
    rows = [row._replace(diverged=max(0, i - 5)) for i, row in enumerate(synthetic_study.sensitivity(["adam"]))]
    axes = figures.sensitivity(rows, {}, 0.95).axes[0]
    assert [text.get_text() for text in axes.texts] == ["1 to 3 of 3"]
    assert len(points(axes, "v")) == 3


def test_schedule_has_no_panel_but_a_relative_line():
    rows = synthetic_study.sensitivity()
    visible = [axes.get_title("left") for axes in figures.sensitivity(rows, {}, 0.95).axes if axes.get_visible()]
    assert visible == ["adam", "sgd"]
    [axes] = figures.relative(rows, synthetic_study.chosen()).axes
    assert len([line for line in axes.lines if len(line.get_xdata()) == len(synthetic_study.FACTORS)]) == 3


def test_relative_puts_every_best_rate_at_one():
    rows, chosen = synthetic_study.sensitivity(), synthetic_study.chosen()
    [axes] = figures.relative(rows, chosen).axes
    for line in [line for line in axes.lines if len(line.get_xdata()) == len(synthetic_study.FACTORS)]:
        assert line.get_xdata()[np.nanargmax(line.get_ydata())] == pytest.approx(1)


def test_optimizer_without_a_best_rate_has_no_relative_line():
    rows = synthetic_study.sensitivity(["adam", "sgd"])
    figure = figures.relative(rows, {"adam": 1.0})
    assert "sgd" not in [text for text, _ in texts(figure)]


def test_half_the_error_is_one_step_up():
    axes = figures.relative(synthetic_study.sensitivity(), synthetic_study.chosen()).axes[0]
    heights = [axes.transData.transform((1, accuracy))[1] for accuracy in (0.8, 0.9, 0.95)]
    assert np.diff(heights)[0] == pytest.approx(np.diff(heights)[1])


def test_accuracy_of_one_has_a_place():
    rows = [row._replace(mean=1.0, low=1.0, high=1.0) for row in synthetic_study.sensitivity(["adam"])]
    assert style.png(figures.sensitivity(rows, {"adam": 1.0}, 0.95))


@pytest.mark.parametrize(
    ("factor", "words"),
    [(1, "× 1"), (10**0.5, "× 3.2"), (100, "× 100"), (10**-1.5, "÷ 32"), (0.1, "÷ 10"), (1e-3, "÷ 1000")],
)
def test_factors_are_written_as_people_say_them(factor, words):
    assert layout.times(factor) == words
