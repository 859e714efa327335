"""Figures of the learning-rate study: the rates that were tried, the best, the default, and those that diverged."""

from itertools import combinations

import pytest
import synthetic_study
from matplotlib.text import Text

from descent.core import plot_style
from descent.report import display_tables, figures

EIGHT = list(plot_style.COLORS)


def many(mean=0.9):
    """Eight optimizers that end alike."""
    rows = [row for row in synthetic_study.sensitivity(["adam"]) for _ in EIGHT]
    rows = [
        row._replace(optimizer=EIGHT[i % 8], learning_rate=row.factor, diverged=i > 40, mean=mean + 1e-5 * i)
        for i, row in enumerate(rows)
    ]
    return synthetic_study.study(
        sensitivity=rows, chosen=dict.fromkeys(EIGHT, 1.0), best_of_k=synthetic_study.best_of_k(EIGHT)
    )


def points(axes, marker):
    return [tuple(map(float, xy)) for line in axes.lines if line.get_marker() == marker for xy in line.get_xydata()]


every_figure = pytest.mark.parametrize("draw", figures.STUDY_FIGURES.values(), ids=figures.STUDY_FIGURES)


@every_figure
def test_names_of_eight_optimizers_are_all_there_do_not_overlap_and_leave_no_picture(draw):
    figure = draw(many()).figure
    figure.draw_without_rendering()
    written = [text for text in figure.findobj(Text) if text.get_text() in EIGHT and text.get_visible()]
    boxes = [text.get_window_extent() for text in written]
    assert sorted(text.get_text() for text in written) == sorted(EIGHT)
    assert not any(first.overlaps(second) for first, second in combinations(boxes, 2))
    box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert min(box.x0, box.y0, width - box.x1, height - box.y1) >= -0.01


def test_sensitivity_stars_the_best_rate_and_dots_the_default():
    adam, sgd = figures.sensitivity(synthetic_study.study(["adam", "sgd"])).figure.axes
    assert [x for x, _ in points(adam, "*")] == pytest.approx([0.001])
    assert [x for x, _ in points(sgd, "*")] == pytest.approx([0.01 * 10**1.5])
    assert [x for x, _ in points(sgd, "o")] == pytest.approx([0.01])


@pytest.mark.parametrize(
    ("factor", "words"),
    [(1, "× 1"), (10**0.5, "× 3.2"), (100, "× 100"), (10**-1.5, "÷ 32"), (0.1, "÷ 10"), (1e-3, "÷ 1000")],
)
def test_factors_are_written_as_people_say_them(factor, words):
    assert display_tables.times(factor) == words
