"""The tables as people read them: cells of text, for Markdown and for the page alike."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tabulate import tabulate

from descent.analysis.records import Environment
from descent.analysis.settings import Conditions
from descent.analysis.study_tables import Tuned
from descent.analysis.tables import Lead, Rank
from descent.analysis.tutorial import Replication
from descent.report.sentences import percent
from descent.training.settings import OptimizerEntry


class Table(NamedTuple):
    """A table; the first column names its rows."""

    caption: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]


def markdown(table: Table, words: int = 1) -> str:
    """Write a table as Markdown, all columns but the first `words` aligned at the right."""
    sides = ["left"] * words + ["right"] * (len(table.heads) - words)
    return tabulate(table.rows, table.heads, "pipe", colalign=sides, disable_numparse=True)


def ranking(rows: Sequence[Rank], conditions: Conditions) -> Table:
    """The answer in full: which may be the best, what choosing each may cost, how it ended."""
    training = conditions.training
    heads = [
        "Optimizer", "May be best", "Costs at most, points", f"Validation accuracy, % (n = {len(training.seeds)})",
        "Test accuracy, %", f"Epochs to {percent(training.target_val_accuracy)}", "Diverged",
    ]  # fmt: skip
    cells = []
    for row in rows:
        behind = f"no: at least {100 * row.behind_at_least:.2f} behind {row.clearest_rival}"
        words = {"no": behind, "diverged": "no: diverged"}
        epochs = f"{row.epochs_to_target:g}" if math.isfinite(row.epochs_to_target) else f"> {training.epochs}"
        cells.append(
            [
                titled(row.optimizer, conditions),
                words.get(row.may_be_best, row.may_be_best),
                number(100 * row.behind_at_most, 2),
                accuracy(row.val_accuracy, row.val_accuracy_sd),
                accuracy(row.test_accuracy, row.test_accuracy_sd),
                f"{epochs} ({row.reached} of {row.runs})",
                f"{row.diverged} of {row.runs}",
            ]
        )
    return Table("Ranking by validation accuracy, best first", heads, cells)


def leads(rows: Sequence[Lead], conditions: Conditions) -> Table:
    """By how much the best leads each other one."""
    level = percent(conditions.report.confidence)
    cells = [
        [
            titled(row.behind, conditions),
            number(100 * row.lead, 2),
            interval(100 * row.low, 100 * row.high, 2),
            interval(100 * row.low_other_images, 100 * row.high_other_images, 2),
        ]
        for row in rows
        if row.ahead == rows[0].ahead
    ]
    caption = f"By how much {rows[0].ahead} leads, in points of validation accuracy" if rows else "Leads: none known"
    return Table(caption, ["Over", "Mean", f"{level} for all pairs at once", f"{level} on other examples"], cells)


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


def replications(rows: Sequence[Replication]) -> Table:
    """The tutorial's printed numbers beside ours."""
    cells = [
        [
            row.optimizer,
            row.epochs,
            number(100 * row.printed, 2),
            accuracy(row.mean, row.sd),
            number(row.deviation, 1),
            number(row.loss_printed, 4),
            number(row.loss_mean, 4) + (f" ± {row.loss_sd:.4f}" if math.isfinite(row.loss_sd) else ""),
        ]
        for row in rows
    ]
    heads = ["Optimizer", "Epochs", "Accuracy, %: tutorial", "ours", "deviation, sd", "Loss, nats: tutorial", "ours"]
    return Table("The tutorial's numbers beside ours, on the validation examples", heads, cells)


def settings(conditions: Conditions) -> Table:
    """The sections of params.yaml that hold for all optimizers alike."""
    cells = [
        [f"{name}.{key}", json.dumps(value, ensure_ascii=False)]
        for name, section in conditions._asdict().items()
        if not isinstance(section, dict)
        for key, value in section.model_dump().items()
    ]
    return Table("Conditions, as in params.yaml", ["Key", "Value"], cells)


def optimizers(entries: Mapping[str, OptimizerEntry]) -> Table:
    """Every optimizer with its class and all its hyperparameters."""
    cells = []
    for name, entry in sorted(entries.items()):
        label = entry.class_name + (f" of {entry.file}" if entry.file else "")
        cells.append([name, label, ", ".join(f"{key} {json.dumps(entry.config[key])}" for key in sorted(entry.config))])
    return Table("The optimizers and all their hyperparameters", ["Optimizer", "Update rule", "Hyperparameters"], cells)


def environment(environments: Mapping[str, Environment]) -> Table:
    """What computed the results; where optimizers differ, which has what."""
    cells = []
    for key in dict.fromkeys(key for _, of in sorted(environments.items()) for key in of):
        holders: dict[str, list[str]] = {}
        for name, of in sorted(environments.items()):
            holders.setdefault(str(of.get(key, "not recorded")), []).append(name)
        values = [value if len(holders) == 1 else f"{value} ({', '.join(names)})" for value, names in holders.items()]
        cells.append([key, "; ".join(values)])
    return Table("What computed the results", ["Property", "Value"], cells)


def titled(name: str, conditions: Conditions) -> str:
    """Name an optimizer; one that wraps another, whose own name tells nothing, with that and its hyperparameters.

    Args:
        name: as in params.yaml.
        conditions: with the entry of that name.
    """
    entry = conditions.optimizers[name]
    if entry.class_name != "TFOptimizer":
        return name
    further = sorted(entry.config.keys() - {"optimizer", "learning_rate"})
    values = [f"{key} {json.dumps(entry.config[key])}" for key in further]
    return f"{name}: TensorFlow's {', '.join([entry.config['optimizer'], *values])}"


def accuracy(mean: float, sd: float) -> str:
    """Write an accuracy in [0, 1] as percent with its sd in points, as far as they are known."""
    return number(100 * mean, 2) + ("" if math.isnan(sd) or math.isnan(mean) else f" ± {100 * sd:.2f}")


def number(value: float, digits: int) -> str:
    """Write a number, or a dash where it is not known."""
    return "–" if math.isnan(value) else f"{value:.{digits}f}"


def interval(low: float, high: float, digits: int) -> str:
    """Write an interval, or a dash where it is not known."""
    return "–" if math.isnan(low) else f"{low:.{digits}f} to {high:.{digits}f}"


def times(factor: float) -> str:
    """Write a factor on a learning rate as people say it: "× 3.2", "÷ 100"."""
    size = max(factor, 1 / factor)
    return f"{'×' if factor >= 1 else '÷'} {round(size, 1 if size < 9.95 else None):g}"
