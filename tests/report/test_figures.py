"""The figures of the comparison: every line told apart and named, every axis with labels that can be read."""

import math
from itertools import combinations

import matplotlib
import numpy as np
import pytest
from matplotlib.text import Text

from descent.analysis.tables import CurvePoint, DiagnosticsPoint, Lead, Rank
from descent.analysis.tutorial import TutorialPoint
from descent.core import plot_style
from descent.report import figures

EIGHT = ["adadelta", "adagrad", "adam", "adamax", "nadam", "rmsprop", "sgd", "tfoptimizer"]
EPOCHS = 6


def curves(names=tuple(EIGHT), epochs=EPOCHS, scale=1.0, diverged=None, from_epoch=4):
    """Curves that end close together; `diverged` has no mean from an epoch on."""
    rows = []
    for i, name in enumerate(names):
        for split in ("train", "val"):
            for epoch in range(1, epochs + 1):
                loss = math.nan if name == diverged and epoch >= from_epoch else scale * (1 + 0.01 * i) / epoch
                ends = {"loss_low": 0.9 * loss, "loss_high": 1.1 * loss}
                ends |= {"accuracy_low": 0.9 / (1 + loss), "accuracy_high": 1.1 / (1 + loss)}
                rows.append(CurvePoint(name, split, epoch, loss=loss, accuracy=1 / (1 + loss), **ends))
    return rows


def diagnostics(names=tuple(EIGHT), epochs=3):
    values = dict.fromkeys(DiagnosticsPoint._fields[2:], 0.5) | {"weight_norm": 28.0, "unchanged_weights": 0.12}
    return [
        DiagnosticsPoint(name, epoch, **values | {"distance": 4 / epoch})
        for name in names
        for epoch in range(1, epochs + 1)
    ]


def rank(name, mean, verdict="yes", **changes):
    row = Rank(
        optimizer=name, may_be_best=verdict, val_accuracy=mean, val_accuracy_sd=0.01, val_accuracy_low=mean - 0.01,
        val_accuracy_high=mean + 0.01, behind_at_most=0.02, clearest_rival=EIGHT[0], behind_at_least=-0.01,
        test_accuracy=0.95, test_accuracy_sd=0.01, epochs_to_target=3.0, reached=3, diverged=0, runs=3,
        runs_compared=3,
    )  # fmt: skip
    return row._replace(**changes)


def lead(name, gap):
    ends = {"low": gap - 0.02, "high": gap + 0.02}
    return Lead(EIGHT[0], name, gap, **ends, low_other_images=gap - 0.03, high_other_images=gap + 0.03)


def found(last=0.95, names=tuple(EIGHT), epochs=EPOCHS, scale=1.0, **diverged):
    """Findings of these: the last but one ends at `last`, in the last a run diverged."""
    means = {name: 0.96 - 0.001 * i for i, name in enumerate(names[:-2])} | {names[-2]: last}
    rows = [rank(name, mean, "no" if name == names[-2] else "yes") for name, mean in means.items()]
    lost = dict.fromkeys(("val_accuracy", "val_accuracy_low", "val_accuracy_high", "behind_at_most"), math.nan)
    rows.append(rank(names[-1], math.nan, "diverged", diverged=1, behind_at_least=math.nan, **lost))
    points = [
        TutorialPoint(name, epoch, 0.5, 0.9, 0.8, 1.0, 0.25, 0.2, 0.1, 0.3)
        for name in ("adam", "sgd")
        for epoch in range(1, epochs + 1)
    ]
    return figures.Findings(
        ranking=rows,
        runs={name: mean + np.array([-0.01, 0, 0.01]) for name, mean in means.items()}
        | {names[-1]: np.array([0.9, 0.95, math.nan])},
        leads=[lead(name, 0.96 - mean) for name, mean in list(means.items())[1:]],
        curves=curves(names, epochs, scale, **diverged),
        diagnostics=diagnostics(names, epochs),
        tutorial=points,
        confidence=0.95,
    )


def texts(figure):
    """Every written text with its box in pixels."""
    figure.draw_without_rendering()
    written = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
    return [(text.get_text(), text.get_window_extent()) for text in written]


def labels(axis):
    """The labels of an axis that can be seen."""
    low, high = sorted(axis.get_view_interval())
    return [tick.label1.get_text() for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]


every_figure = pytest.mark.parametrize("draw", figures.FIGURES.values(), ids=figures.FIGURES)


@every_figure
def test_equal_tables_give_equal_bytes_whatever_the_users_settings(draw):
    usual = plot_style.png(draw(found()).figure)
    with matplotlib.rc_context({"font.size": 20, "axes.grid": False, "figure.dpi": 40, "lines.linewidth": 9}):
        assert plot_style.png(draw(found()).figure) == usual
    assert b"Software" not in usual  # matplotlib's version: it would change the bytes with the library


@every_figure
def test_no_text_leaves_the_picture_and_a_phone_can_show_it_whole(draw):
    figure = draw(found()).figure
    figure.draw_without_rendering()
    box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert min(box.x0, box.y0) >= -0.01
    assert box.x1 <= width + 0.01
    assert box.y1 <= height + 0.01
    sizes = [text.get_fontsize() for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
    assert min(sizes) / 72 / figure.get_figwidth() * 360 > 7.5  # pixels on a screen of 390, margins off


@every_figure
def test_epochs_are_whole_numbers_each_once_and_a_log_axis_has_two_labels(draw):
    figure = draw(found(names=("adam", "sgd"), epochs=2, scale=0.02)).figure
    figure.draw_without_rendering()
    for axes in [axes for axes in figure.axes if axes.get_visible()]:
        if axes.get_xlabel() == "epoch":
            assert labels(axes.xaxis) == ["1", "2"]
        if axes.get_yscale() == "log":
            assert len(labels(axes.yaxis)) >= 2


def test_names_at_the_line_ends_do_not_overlap():
    boxes = [box for text, box in texts(figures.curves(found()).figure) if text in EIGHT]
    assert len(boxes) >= len(EIGHT)
    assert not any(first.overlaps(second) for first, second in combinations(boxes, 2))


def test_curves_draw_every_mean_and_its_interval():
    accuracy, *losses = figures.curves(found(names=("adam", "sgd"))).figure.axes
    drawn = [line.get_ydata().tolist() for line in losses[1].lines if line.get_marker() in plot_style.MARKERS]
    assert drawn == [[(1 + 0.01 * i) / epoch for epoch in range(1, EPOCHS + 1)] for i in range(2)]
    drawn = [line.get_ydata().tolist() for line in accuracy.lines if line.get_marker() in plot_style.MARKERS]
    assert drawn[0] == [1 / (1 + 1 / epoch) for epoch in range(1, EPOCHS + 1)]
    band = losses[1].collections[1].get_paths()[0].vertices
    assert (band[:, 1].min(), band[:, 1].max()) == pytest.approx((0.9 * 1.01 / EPOCHS, 1.1 * 1.01))


def test_a_diverged_line_ends_with_a_cross_and_is_called_diverged():
    figure = figures.curves(found(diverged="adam")).figure
    assert "adam\n(diverged)" in [text for text, _ in texts(figure)]
    assert [line.get_xdata() for line in figure.axes[0].lines if line.get_marker() == "x"] == [[3]]


def test_an_optimizer_that_diverged_at_once_is_named_though_it_has_no_line():
    figure = figures.curves(found(names=("adam", "sgd"), diverged="adam", from_epoch=1)).figure
    assert "diverged in the first epoch: adam" in [text for text, _ in texts(figure)]
    alone = found()._replace(curves=curves(["adam"], diverged="adam", from_epoch=1))
    assert "unknown, since every optimizer had a run that diverged" in figures.curves(alone).alternative


def test_ranking_shows_every_run_and_sets_the_possible_best_on_grey():
    left, right = (figure := figures.ranking(found()).figure).axes
    circles = [line for line in left.lines if line.get_marker() == "o"]
    assert circles[0].get_xdata().tolist() == pytest.approx([0.95, 0.96, 0.97])
    assert len(circles) == len(EIGHT)
    for axes in (left, right):
        assert sorted(round(patch.get_y() + 0.5) for patch in axes.patches) == [0, 1, 2, 3, 4, 5]
    assert "diverged: 1 of 3" in [text for text, _ in texts(figure)]


def test_figures_of_one_run_of_diverged_runs_alone_and_without_the_tutorial_can_be_drawn():
    whole = found()
    unknown = {"val_accuracy_low": math.nan, "behind_at_most": math.nan, "behind_at_least": math.nan}
    single = [row._replace(runs=1, may_be_best="unknown", **unknown) for row in whole.ranking[:2]]
    runs = {name: values[:1] for name, values in whole.runs.items()}
    plot_style.png(figures.ranking(whole._replace(ranking=single, runs=runs, leads=[])).figure)
    lost = figures.ranking(whole._replace(ranking=whole.ranking[-1:]))
    plot_style.png(lost.figure)
    assert "unknown, since every optimizer had a run that diverged" in lost.alternative
    plot_style.png(figures.tutorial(whole._replace(tutorial=[])).figure)
