"""The answer of the learning-rate study in sentences, and its table as people read it."""

import math
from collections.abc import Sequence

from descent.analysis.settings import Conditions
from descent.analysis.study_tables import Tuned
from descent.report.layout import Table, accuracy, interval, number
from descent.report.sentences import listed, percent
from descent.report.study_figures import times
from descent.study.settings import TuningParameters


def answer(rows: Sequence[Tuned], conditions: Conditions) -> str:
    """Say which of the tuned may be the best, and what tuning bought most."""
    known = [row for row in rows if row.may_be_best in ("yes", "no")]
    if not known:
        return "These runs cannot tell which optimizer is the best with its learning rate tuned."
    names = listed([row.optimizer for row in known if row.may_be_best == "yes"], "or")
    text = f"With every learning rate tuned, at {percent(conditions.report.confidence)} confidence the best is {names}"
    gained = max((row for row in known if not math.isnan(row.gain)), key=lambda row: row.gain, default=None)
    if gained is not None and gained.gain > 0:
        text += f"; tuning bought {gained.optimizer} most, {100 * gained.gain:.2f} points"
    return f"{text}."


def conditions_line(conditions: Conditions, parameters: TuningParameters) -> str:
    """State how the rates were chosen, in one line."""
    seeds = ", ".join(map(str, sorted(parameters.seeds)))
    return (
        f"Learning rate tuned, all else at its default: {parameters.points} factors on each entry's own rate, "
        f"{parameters.step_decades:g} decades apart and up to {parameters.extension} more beyond an end where the best "
        f"was, chosen by seeds {seeds} on {parameters.selection_size} examples that nothing else uses, reported on "
        f"fresh runs ({len(conditions.training.seeds)} each)."
    )


def reading(rows: Sequence[Tuned], conditions: Conditions) -> str:
    """Say how to read the table, and what must be doubted."""
    level = percent(conditions.report.confidence)
    text = (
        f"±: standard deviation over the fresh runs. Gain: tuned minus default, with its interval at {level} for all "
        "optimizers together. Sure: how often redrawn selections choose this rate. Good range: decades within 1 point "
        "of the best. Loses: points lost in the mean within a decade of the best. The interval is for the chosen rate; "
        "rankings may change again once other hyperparameters are tuned too."
    )
    if edges := [row.optimizer for row in rows if row.at_edge]:
        text += f" Still best at the end of the grid, so that another rate may be better yet: {', '.join(edges)}."
    if left_out := sorted(conditions.optimizers.keys() - {row.optimizer for row in rows}):
        text += f" Left out, since their steps do not follow their learning rates: {', '.join(left_out)}."
    return text


def tuned(rows: Sequence[Tuned], conditions: Conditions) -> Table:
    """Default and tuned, side by side."""
    heads = [
        "Optimizer", "May be best, tuned", "Learning rate", f"Default, % (n = {len(conditions.training.seeds)})",
        "Tuned, %", "Interval", "Gain, points", "Test, %", "Sure", "Good range, decades", "Loses, points", "Trials",
        "Diverged",
    ]  # fmt: skip
    cells = []
    for row in rows:
        rate = "none" if math.isnan(row.factor) else times(row.factor)
        if not math.isnan(row.learning_rate):
            rate = f"{'≥ ' if row.at_edge and row.factor > 1 else '≤ ' if row.at_edge else ''}{row.learning_rate:.3g}"
        kept = math.isclose(row.factor, 1)
        gain = f"{100 * row.gain:.2f} ({interval(100 * row.gain_low, 100 * row.gain_high, 2)})"
        width = "≥ " * row.good_range_open + number(row.good_range_decades, 1)
        cells.append(
            [
                row.optimizer,
                row.may_be_best,
                rate,
                accuracy(row.default, row.default_sd),
                accuracy(row.val_accuracy, row.val_accuracy_sd),
                interval(100 * row.val_accuracy_low, 100 * row.val_accuracy_high, 2),
                "default kept" if kept else "–" if math.isnan(row.gain) else gain,
                number(100 * row.test_accuracy, 2),
                "–" if math.isnan(row.certainty) else f"{100 * row.certainty:.0f} %",
                width,
                number(100 * row.sensitivity, 2),
                str(row.trials),
                f"{row.diverged} of {len(conditions.training.seeds)}",
            ]
        )
    return Table("Validation accuracy at the default and at the tuned learning rate, best tuned first", heads, cells)
