"""The tables as people read them: cells of text, for Markdown and for the pages alike."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from tabulate import tabulate

from descent.analysis import tutorial
from descent.analysis.records import Environment
from descent.analysis.settings import Conditions
from descent.analysis.study_tables import BestOfK, SensitivityPoint, Tuned
from descent.analysis.tables import Lead, Rank
from descent.analysis.tutorial import Replication
from descent.data.datasets import Description
from descent.report.text import at_least, percent
from descent.runs.metrics import SCORES, Score
from descent.training.settings import OptimizerEntry


class Table(NamedTuple):
    """A table; the first column names its rows."""

    caption: str
    heads: Sequence[str]
    kinds: Sequence[str]  # of each column: words; sentence; number, on one line; range: a number with its interval
    rows: Sequence[Sequence[str]]


class Column(NamedTuple):
    """A column of a table: how it writes one row."""

    head: str
    cell: Callable[[Any], str]
    kind: str = "number"


def markdown(table: Table) -> str:
    """Write a table as Markdown, words at the left, numbers at the right."""
    sides = ["left" if kind in ("words", "sentence") else "right" for kind in table.kinds]
    return tabulate(table.rows, table.heads, "pipe", colalign=sides, disable_numparse=True)


def ranking(rows: Sequence[Rank], conditions: Conditions) -> Table:
    """The answer in full: which could be the best, how far each is behind it, how it ended."""
    training, score = conditions.training, SCORES[conditions.training.score]

    def epochs(row: Rank) -> str:
        median = f"{row.epochs_to_target:g}" if math.isfinite(row.epochs_to_target) else f"> {training.epochs}"
        return f"{median} ({row.reached} of {row.runs})" if 0 < row.reached < row.runs else median

    columns = [
        *_verdict_columns(score, score.heading),
        Column("Test accuracy, %", lambda row: accuracy(row.test_accuracy, row.test_accuracy_sd)),
        Column(f"Epochs to {percent(training.target_val_accuracy)}", epochs),
        *_runs_column(rows),
    ]
    return _filled(f"Ranking by {score.title.lower()}, best first", columns, rows)


def _verdict_columns(score: Score, head: str) -> list[Column]:
    """Name, score, verdict and distance of a `Rank` or a `Tuned`: what a phone should show first."""

    def could_be_best(row: Rank | Tuned) -> str:
        return {"no": f"no, {row.clearest_rival} leads", "diverged": "no, diverged"}.get(
            row.may_be_best, row.may_be_best
        )

    def behind(row: Rank | Tuned) -> str:
        if row.may_be_best == "no":
            return at_least(row, score)
        if row.behind_at_most == 0:
            return "0"
        return "–" if math.isnan(row.behind_at_most) else f"at most {score.text(row.behind_at_most)}"

    return [
        Column("Optimizer", lambda row: row.optimizer, "words"),
        Column(head, lambda row: accuracy(row.val_accuracy, row.val_accuracy_sd, score)),
        Column("Could be best?", could_be_best, "sentence"),
        Column("Behind the best", behind),
    ]


def _runs_column(rows: Sequence[Rank] | Sequence[Tuned]) -> list[Column]:
    """The column of the numbers of runs, at which those that are out left the race; none where all are equal."""
    return [Column("Runs", lambda row: str(row.runs))] if len({row.runs for row in rows}) > 1 else []


def leads(rows: Sequence[Lead], conditions: Conditions) -> Table:
    """By how much the best leads each other one; on other examples too, where the score is the accuracy."""
    level, score = percent(conditions.report.confidence), SCORES[conditions.training.score]
    columns = [
        Column("Rival", lambda row: row.behind, "words"),
        Column("Lead", lambda row: accuracy(row.lead, score=score)),
        Column(f"{level} interval", lambda row: points(row.low, row.high, score)),
    ]
    if score.column == "val_accuracy":
        head = f"{level} interval, other examples"
        columns.append(Column(head, lambda row: points(row.low_other_images, row.high_other_images)))
    best = f"Lead of {rows[0].ahead} over each rival" if rows else "Leads: there is no rival"
    caption = f"{best}, in {score.difference} of {score.title.lower()}"
    return _filled(caption, columns, [row for row in rows if row.ahead == rows[0].ahead])


def tuned(rows: Sequence[Tuned], score: Score = SCORES["accuracy"]) -> Table:
    """Default and tuned, side by side."""

    def gain(row: Tuned) -> str:
        if math.isclose(row.factor, 1):
            return "default kept"
        known = f"{score.text(row.gain)} ({points(row.gain_low, row.gain_high, score)})"
        return "–" if math.isnan(row.gain) else known

    columns = [
        *_verdict_columns(score, f"Tuned, {score.unit}"),
        Column("Learning rate", _rate),
        Column(f"Default, {score.unit}", lambda row: accuracy(row.default, row.default_sd, score)),
        Column("Gain", gain, "range"),
        Column("Test, %", lambda row: accuracy(row.test_accuracy)),
        *_runs_column(rows),
    ]
    return _filled(f"{score.title} at the default and at the tuned learning rate, best tuned first", columns, rows)


def choices(rows: Sequence[Tuned], score: Score = SCORES["accuracy"]) -> Table:
    """How each learning rate was chosen, and how much depends on it."""
    columns = [
        Column("Optimizer", lambda row: row.optimizer, "words"),
        Column("Learning rate", _rate),
        Column("Chosen again", lambda row: "–" if math.isnan(row.certainty) else f"{100 * row.certainty:.0f} %"),
        Column("Good range, decades", lambda row: "≥ " * row.good_range_open + number(row.good_range_decades, 1)),
        Column("Sensitivity", lambda row: accuracy(row.sensitivity, score=score)),
    ]
    return _filled("How the learning rates were chosen", columns, rows)


def _rate(row: Tuned) -> str:
    if math.isnan(row.learning_rate):
        return "none" if math.isnan(row.factor) else times(row.factor)
    return f"{'≥ ' if row.at_edge and row.factor > 1 else '≤ ' if row.at_edge else ''}{row.learning_rate:.3g}"


def sensitivity(rows: Sequence[SensitivityPoint], score: Score = SCORES["accuracy"]) -> Table:
    """The score of every optimizer at every learning rate."""
    columns = [
        Column("Optimizer", lambda row: row.optimizer, "words"),
        Column("Times its default", lambda row: times(row.factor)),
        Column("Learning rate", lambda row: f"{row.learning_rate:.3g}".replace("nan", "schedule")),
        Column(score.heading, lambda row: "–" if row.diverged else accuracy(row.mean, score=score)),
        Column("Interval", lambda row: "–" if row.diverged else points(row.low, row.high, score)),
        Column("Diverged", lambda row: f"{row.diverged} of {row.runs}"),
    ]
    return _filled(f"{score.title} at every learning rate", columns, rows)


def best_of_k(rows: Sequence[BestOfK], score: Score = SCORES["accuracy"]) -> Table:
    """What to expect of the best of k learning rates, a row an optimizer; a dash where fewer were tried."""
    values = {(row.optimizer, row.k): row.val_accuracy for row in rows}
    most = max((row.k for row in rows), default=0)
    columns = [Column("Optimizer", str, "words")]
    for k in range(1, most + 1):
        columns.append(Column(str(k), lambda name, k=k: accuracy(values.get((name, k), math.nan), score=score)))
    caption = f"{score.title} to expect of the best of k learning rates, {score.unit}"
    return _filled(caption, columns, sorted({row.optimizer for row in rows}))


def replications(rows: Sequence[Replication]) -> Table:
    """The tutorial's printed numbers beside ours."""
    loss = SCORES["loss"]
    columns = [
        Column("Optimizer", lambda row: row.optimizer, "words"),
        Column("Epochs", lambda row: row.epochs),
        Column("Accuracy, %: tutorial", lambda row: accuracy(row.printed)),
        Column("ours", lambda row: accuracy(row.mean, row.sd)),
        Column("deviation, sd", lambda row: number(row.deviation, 1)),
        Column("Loss, nats: tutorial", lambda row: accuracy(row.loss_printed, score=loss)),
        Column("ours", lambda row: accuracy(row.loss_mean, row.loss_sd, loss)),
    ]
    return _filled("The tutorial's numbers beside ours, on the validation examples", columns, rows)


def seen(examples: Description, weights: int, conditions: Conditions) -> Table:
    """What the network sees of the examples, how many parameters it has, and how long it trains."""
    scaled, names = f"{examples.dtype} divided by 255" if examples.is_divided else examples.dtype, examples.names
    shown = ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
    are_numbers = names == list(map(str, range(len(names))))
    training = conditions.training
    steps = math.ceil(conditions.data.train_size / training.batch_size)
    largest = f"{examples.largest}, {percent(round(examples.largest_share, 3))} of the validation examples"
    cells = [
        ["An example", f"{list(examples.shape)}, {scaled}"],
        ["Values that the network sees", f"{examples.low:g} to {examples.high:g}"],
        ["Classes", f"{len(names)}" if are_numbers else f"{len(names)}: {shown}"],
        ["Largest class", largest],
        ["Parameters of the network", f"{weights:,}"],
        ["Update steps of a run", f"{steps * training.epochs:,} ({training.epochs} epochs of {steps})"],
    ]
    for kind, missing in examples.missing.items():
        cells.append(["No example", f"of class {', '.join(missing)} among the {kind} examples"])
    return _of_words("What the network sees", ["Property", "Value"], cells)


def settings(conditions: Conditions) -> Table:
    """The sections of params.yaml that hold for all optimizers alike."""
    cells = [
        [f"{name}.{key}", json.dumps(value, ensure_ascii=False)]
        for name, section in conditions._asdict().items()
        if not isinstance(section, dict)
        for key, value in section.model_dump().items()
        if key != "equivalence_margin" or tutorial.applies(conditions)
    ]
    return _of_words("Conditions, as in params.yaml", ["Key", "Value"], cells)


def optimizers(entries: Mapping[str, OptimizerEntry]) -> Table:
    """Every optimizer with its class and all its hyperparameters."""
    cells = []
    for name, entry in sorted(entries.items()):
        label = entry.class_name + (f" of {entry.file}" if entry.file else "")
        cells.append([name, label, ", ".join(f"{key} {json.dumps(entry.config[key])}" for key in sorted(entry.config))])
    heads = ["Optimizer", "Update rule", "Hyperparameters"]
    return _of_words("The optimizers and all their hyperparameters", heads, cells)


def environment(environments: Mapping[str, Environment]) -> Table:
    """What computed the results; where optimizers differ, which has what."""
    cells = []
    for key in dict.fromkeys(key for _, of in sorted(environments.items()) for key in of):
        holders: dict[str, list[str]] = {}
        for name, of in sorted(environments.items()):
            holders.setdefault(str(of.get(key, "not recorded")), []).append(name)
        values = [value if len(holders) == 1 else f"{value} ({', '.join(names)})" for value, names in holders.items()]
        cells.append([key, "; ".join(values)])
    return _of_words("What computed the results", ["Property", "Value"], cells)


def accuracy(mean: float, sd: float = math.nan, score: Score = SCORES["accuracy"]) -> str:
    """Write an accuracy in [0, 1] as percent with its sd in points, or another score, as far as they are known."""
    known = f" ± {score.text(sd)}" if math.isfinite(sd) and not math.isnan(mean) else ""
    return "–" if math.isnan(mean) else score.text(mean) + known


def number(value: float, digits: int) -> str:
    """Write a number, or a dash where it is not known."""
    return "–" if math.isnan(value) else f"{value:.{digits}f}"


def points(low: float, high: float, score: Score = SCORES["accuracy"]) -> str:
    """Write an interval of shares in percent or points, or of another score, or a dash where it is not known."""
    return "–" if math.isnan(low) else f"{score.text(low)} to {score.text(high)}"


def times(factor: float) -> str:
    """Write a factor on a learning rate as people say it: "× 3.2", "÷ 100"."""
    size = max(factor, 1 / factor)
    return f"{'×' if factor >= 1 else '÷'} {round(size, 1 if size < 9.95 else None):g}"


def _filled(caption: str, columns: Sequence[Column], rows: Sequence[Any]) -> Table:
    cells = [[column.cell(row) for column in columns] for row in rows]
    return Table(caption, [column.head for column in columns], [column.kind for column in columns], cells)


def _of_words(caption: str, heads: Sequence[str], cells: Sequence[Sequence[str]]) -> Table:
    return Table(caption, heads, ["words"] * len(heads), cells)
