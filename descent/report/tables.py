"""Turns what the trainings recorded into the tables of the report, and the tables into CSV and Markdown.

A table is a list of named tuples: their fields are its columns. Rows are sorted by what they hold, never by the order
of params.yaml. Accuracies are in [0, 1]; a number that is not known is nan.
"""

import csv
import io
import json
import math
import string
from collections.abc import Mapping
from typing import Annotated, Literal, NamedTuple, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from descent.parameters import InputError, Section, validate
from descent.report import statistics
from descent.training import metrics

DIAGNOSTICS = ("gradient_norm", "update_norm", "update_to_weight", "unmoved_share")
HISTORY_COLUMNS = ("seed", "epoch", "loss", "accuracy", "val_loss", "val_accuracy", *DIAGNOSTICS)
IMAGES_HELD_OUT = 10000  # MNIST's own test images; what validation does not take of them is the test set

Document = TypeVar("Document")
History = dict[str, np.ndarray]  # column of a history file -> [epochs, runs], runs sorted by seed


class ReportParameters(Section):
    """The section `report` of params.yaml."""

    confidence: Annotated[float, Field(gt=0, lt=1)]
    interval: Literal["t", "bootstrap"]
    power: Annotated[float, Field(ge=0.5, lt=1)]
    gaps_points: Annotated[list[Annotated[float, Field(gt=0, le=100)]], Field(min_length=1)]


class Excerpt(BaseModel):
    """Base of what the report states of files and sections that others own: the other keys are theirs to check."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)


class DataConditions(Excerpt):
    """Of the section `data`, in images."""

    train_size: int
    validation_size: int


class NetworkConditions(Excerpt):
    """Of the section `network`."""

    hidden_units: list[int]
    activation: str
    dropout: float


class TrainingConditions(Excerpt):
    """Of the section `training`."""

    epochs: Annotated[int, Field(ge=1)]
    batch_size: int
    seeds: Annotated[list[int], Field(min_length=1)]
    target_val_accuracy: float


class Score(Excerpt):
    """Of an optimizer's metrics, on the test images: None where a run diverged, the sd also where there is one run."""

    test_accuracy: float | None
    test_accuracy_sd: float | None


class CurvePoint(NamedTuple):
    """A row of curves.csv: mean and interval over the runs."""

    optimizer: str
    split: str  # train or val
    epoch: int
    loss: float
    accuracy: float
    loss_low: float
    loss_high: float
    accuracy_low: float
    accuracy_high: float


class DiagnosticsPoint(NamedTuple):
    """A row of diagnostics.csv: means over the runs, of the last update of the epoch."""

    optimizer: str
    epoch: int
    gradient_norm: float
    update_norm: float
    update_to_weight: float
    unmoved_share: float


class Rank(NamedTuple):
    """A row of ranking.csv: one optimizer at the end of the same budget; best first, diverged last."""

    ties: str  # optimizers that share a letter are not told apart; empty if a run diverged
    optimizer: str
    val_accuracy: float
    val_accuracy_sd: float
    val_accuracy_low: float
    val_accuracy_high: float
    test_accuracy: float
    test_accuracy_sd: float
    epochs_to_target: float  # inf if fewer than half of the runs reach the target
    reached: int
    diverged: int
    runs: int


class Replication(NamedTuple):
    """A row of tutorial.csv: a figure that the tutorial printed beside ours at the same epoch."""

    optimizer: str
    figure: str  # val_accuracy or val_loss
    epoch: int
    tutorial: float
    mean: float
    sd: float
    n: int
    low: float  # prediction interval for one further run of ours
    high: float
    inside: str  # true, false; unknown without a prediction interval


def parse_history(text: str, where: str, training: TrainingConditions) -> History:
    """Read a history file: one row for each epoch and seed that params.yaml asks for, sorted.

    Args:
        text: content of the file.
        where: its name, for the message.
        training: the epochs and seeds that it must hold.

    Raises:
        InputError: if the file is damaged, or is of other epochs or seeds.
    """
    header, *rows = list(csv.reader(io.StringIO(text))) or [[]]
    keys = [[float(seed), float(epoch)] for epoch in range(1, training.epochs + 1) for seed in sorted(training.seeds)]
    try:
        table = np.array(rows, dtype=float)
    except ValueError as error:
        raise InputError(f"{where}: damaged: {error}; run dvc repro") from None
    shape = (len(keys), len(HISTORY_COLUMNS))
    if tuple(header) != HISTORY_COLUMNS or table.shape != shape or table[:, :2].tolist() != keys:
        raise InputError(
            f"{where}: expected the columns {','.join(HISTORY_COLUMNS)} and a row for each of epochs 1 to "
            f"{training.epochs} and seeds {sorted(training.seeds)}, got something else; run dvc repro"
        )
    columns = table[:, 2:].T.reshape(-1, training.epochs, len(training.seeds))
    return dict(zip(HISTORY_COLUMNS[2:], columns, strict=True))


def parse_document(text: str, schema: type[Document], where: str) -> Document:
    """Read what a training left as JSON; `where` names the file in a message.

    Raises:
        InputError: if the file is damaged, or not what the schema says.
    """
    try:
        document = json.loads(text)
    except ValueError as error:
        raise InputError(f"{where}: damaged: {error}; run dvc repro") from None
    return validate(document, schema, where)


def parse_tutorial(text: str) -> dict[str, History]:
    """Read the tutorial's printed epochs: optimizer in lower case -> column -> [epochs]."""
    rows = list(csv.DictReader(io.StringIO(text)))
    figures = ("loss", "accuracy", "val_loss", "val_accuracy")
    names = sorted({row["optimizer"] for row in rows})
    return {
        name.lower(): {
            figure: np.array([float(row[figure]) for row in rows if row["optimizer"] == name]) for figure in figures
        }
        for name in names
    }


def curves(histories: Mapping[str, History], report: ReportParameters) -> list[CurvePoint]:
    """Mean and interval over the runs of each epoch's loss and accuracy, sorted by optimizer, split, epoch."""
    rows = []
    for optimizer, history in sorted(histories.items()):
        for split, prefix in (("train", ""), ("val", "val_")):
            loss = statistics.summarize(history[prefix + "loss"], report.confidence, report.interval)
            accuracy = statistics.summarize(history[prefix + "accuracy"], report.confidence, report.interval)
            columns = (loss.mean, accuracy.mean, loss.low, loss.high, accuracy.low, accuracy.high)
            rows += [CurvePoint(optimizer, split, i, *point) for i, point in enumerate(zip(*columns, strict=True), 1)]
    return rows


def diagnostics(histories: Mapping[str, History]) -> list[DiagnosticsPoint]:
    """Means over the runs of what each epoch's last update did, sorted by optimizer, epoch."""
    return [
        DiagnosticsPoint(optimizer, epoch, *point)
        for optimizer, history in sorted(histories.items())
        for epoch, point in enumerate(zip(*(history[name].mean(axis=-1) for name in DIAGNOSTICS), strict=True), 1)
    ]


def final_val_accuracy(histories: Mapping[str, History]) -> dict[str, np.ndarray]:
    """Validation accuracy of each run after the last epoch: optimizer -> [runs], nan where it diverged."""
    return {optimizer: history["val_accuracy"][-1] for optimizer, history in sorted(histories.items())}


def ranking(
    histories: Mapping[str, History],
    scores: Mapping[str, Score],
    differences: list[statistics.Difference],
    target_val_accuracy: float,
    report: ReportParameters,
) -> list[Rank]:
    """Order the optimizers by mean validation accuracy after the last epoch; those with a diverged run come last.

    Args:
        histories: of every optimizer.
        scores: of every optimizer on the test images; they order nothing.
        differences: of every pair, for the ties: told apart is what Holm's correction leaves at 1 - confidence.
        target_val_accuracy: in (0, 1].
        report: confidence and method of the intervals.
    """
    runs = final_val_accuracy(histories)
    summaries = {name: statistics.summarize(runs[name], report.confidence, report.interval) for name in runs}
    order = sorted(runs, key=lambda name: (np.isnan(summaries[name].mean), -summaries[name].mean, name))
    told_apart = {frozenset((row.first, row.second)) for row in differences if row.p_holm <= 1 - report.confidence}
    groups = statistics.tie_groups([name for name in order if np.isfinite(summaries[name].mean)], told_apart)
    letters = [f"{string.ascii_lowercase[i % 26]}{i // 26 or ''}" for i in range(len(groups))]
    rows = []
    for name in order:
        ties = "".join(letter for letter, group in zip(letters, groups, strict=True) if name in group)
        test = [math.nan if value is None else value for value in scores[name].model_dump().values()]
        time = statistics.time_to_target(metrics.epochs_to_target(histories[name]["val_accuracy"], target_val_accuracy))
        diverged = int(np.isnan(runs[name]).sum())
        rows.append(Rank(ties, name, *summaries[name], *test, time.median, time.reached, diverged, time.runs))
    return rows


def replication(
    histories: Mapping[str, History], tutorial: Mapping[str, History], confidence: float
) -> list[Replication]:
    """Set the tutorial's single run beside the interval in which one further run of ours would fall.

    Both are taken at the last epoch that both have. An optimizer that the tutorial did not run, and one that is no
    longer trained here, has no row; the case of its name does not count.
    """
    rows = []
    for optimizer, history in sorted(histories.items()):
        for figure in ("val_accuracy", "val_loss") if optimizer.lower() in tutorial else ():
            printed = tutorial[optimizer.lower()][figure]
            epoch = min(len(printed), len(history[figure]))
            value, runs = float(printed[epoch - 1]), history[figure][epoch - 1]
            low, high = statistics.prediction_interval(runs, confidence)
            inside = "unknown" if math.isnan(low) else str(low <= value <= high).lower()
            ours = (runs.mean(), statistics.sd(runs), len(runs), low, high)
            rows.append(Replication(optimizer, figure, epoch, value, *ours, inside))
    return rows


def csv_text(columns: tuple[str, ...], rows: list[tuple]) -> str:
    """Write a table as CSV: six significant digits, so that equal results are equal bytes; nan and inf as such."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([f"{cell:.6g}" if isinstance(cell, float) else cell for cell in row] for row in rows)
    return stream.getvalue()


def percent(accuracy: float, accuracy_sd: float) -> str:
    """Write an accuracy in [0, 1] as percent with its sd in points, as far as they are known."""
    if math.isnan(accuracy):
        return "–"
    return f"{100 * accuracy:.2f}" + ("" if math.isnan(accuracy_sd) else f" ± {100 * accuracy_sd:.2f}")


def ranking_markdown(
    rows: list[Rank],
    data: DataConditions,
    network: NetworkConditions,
    training: TrainingConditions,
    report: ReportParameters,
) -> str:
    """The ranking as README and the console show it: the table, and one line of conditions under it."""
    target = f"{100 * training.target_val_accuracy:g} %"
    table = [
        ["Optimizer", "Ties", "Validation accuracy, %", "Test accuracy, %", f"Epochs to {target}", "Diverged"],
        *(
            [
                row.optimizer,
                row.ties or "–",
                percent(row.val_accuracy, row.val_accuracy_sd),
                percent(row.test_accuracy, row.test_accuracy_sd),
                (f"{row.epochs_to_target:g}" if math.isfinite(row.epochs_to_target) else f"> {training.epochs}")
                + f" ({row.reached} of {row.runs})",
                f"{row.diverged} of {row.runs}",
            ]
            for row in rows
        ),
    ]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    table.insert(1, ["-" * widths[0], "-" * widths[1], *("-" * (width - 1) + ":" for width in widths[2:])])
    lines = [[f"{cell:{'<<>>>>'[i]}{widths[i]}}" for i, cell in enumerate(line)] for line in table]
    n = len(training.seeds)
    seeds = ", ".join(map(str, sorted(training.seeds)))
    spread = f"mean ± sd over {n} paired seeds ({seeds})" if n > 1 else f"one seed ({seeds})"
    ties = (
        f"optimizers that share a letter cannot be told apart (paired t tests at {100 * (1 - report.confidence):g} %, "
        "Holm's correction for all pairs)"
        if n > 1
        else "one seed shows no spread, so nothing can be told apart"
    )
    conditions = (
        f"{spread} after {training.epochs} epochs; MNIST: first {data.train_size} training images in batches of "
        f"{training.batch_size}, {data.validation_size} validation and {IMAGES_HELD_OUT - data.validation_size} test "
        f"images; network {'-'.join(map(str, (784, *network.hidden_units, 10)))}, {network.activation}, dropout "
        f"{network.dropout:g}; epochs to target: median (runs that reached it); {ties}."
    )
    conditions = conditions[0].upper() + conditions[1:]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + f"\n\n{conditions}\n"


def summary_markdown(
    rows: list[Rank],
    differences: list[statistics.Difference],
    replications: list[Replication],
    data: DataConditions,
    report: ReportParameters,
) -> str:
    """What the seeds can and cannot tell, in sentences: replication, ties, seeds needed, sources of error."""
    tested = [row for row in differences if math.isfinite(row.p_holm)]
    sentences = [
        _replication_sentence(replications, report.confidence),
        _pairs_sentence(differences, tested, 1 - report.confidence),
        _seeds_sentence(tested, report),
        _errors_sentence(rows, IMAGES_HELD_OUT - data.validation_size),
    ]
    return "".join(f"- {sentence}\n" for sentence in sentences)


def _replication_sentence(rows: list[Replication], confidence: float) -> str:
    known = [row for row in rows if row.inside != "unknown"]
    if not known:
        return "Whether the tutorial's figures agree with ours cannot be said: there is no prediction interval."
    outside = [row for row in known if row.inside == "false"]
    unknown = f" ({len(rows) - len(known)} more cannot be judged)" if len(known) < len(rows) else ""
    figures = [f"{row.optimizer} {row.figure} {row.tutorial:.4g} ({row.low:.4g} to {row.high:.4g})" for row in outside]
    return (
        f"{len(known) - len(outside)} of the tutorial's {len(known)} printed figures{unknown} lie in the "
        f"{100 * confidence:g} % prediction interval of one further run of ours (n = {known[0].n})"
        + (f"; outside: {', '.join(figures)}." if outside else ".")
    )


def _pairs_sentence(differences: list[statistics.Difference], tested: list[statistics.Difference], level: float) -> str:
    if not tested:
        return "No two optimizers can be told apart: no pair shows a spread over seeds."
    apart = sum(row.p_holm <= level for row in tested)
    untested = f" ({len(differences) - len(tested)} more could not be tested)" if len(tested) < len(differences) else ""
    told = f"are told apart at {100 * level:g} % after Holm's correction"
    return f"{apart} of {len(tested)} pairs of optimizers{untested} {told}."


def _seeds_sentence(tested: list[statistics.Difference], report: ReportParameters) -> str:
    if not tested:
        return "How many seeds separate two optimizers cannot be said: no pair shows a spread over seeds."
    pooled = statistics.pooled_sd([row.sd for row in tested])
    widest = max(tested, key=lambda row: row.sd)
    level = 1 - report.confidence
    counts = [
        f"at a gap of {gap:g} points {statistics.seeds_needed(gap / 100, pooled, level, report.power)} seeds "
        f"({statistics.seeds_needed(gap / 100, widest.sd, level, report.power)} for the noisiest pair)"
        for gap in report.gaps_points
    ]
    return (
        f"Seeds that separate two optimizers with a chance of {100 * report.power:g} % (paired t test of this pair "
        f"alone at {100 * level:g} %): {', '.join(counts)}. Measured sd of paired differences in final validation "
        f"accuracy: {100 * pooled:.2f} points pooled over {len(tested)} pairs, {100 * widest.sd:.2f} for the noisiest, "
        f"{widest.first} and {widest.second}."
    )


def _errors_sentence(rows: list[Rank], images: int) -> str:
    errors = [
        statistics.accuracy_errors(row.test_accuracy, row.test_accuracy_sd, row.runs, images)
        for row in rows
        if math.isfinite(row.test_accuracy_sd)
    ]
    if not errors:
        return "Whether the seeds or the finite test set limit the test accuracy cannot be said without a spread."
    sampling, seeds = (sorted(100 * np.array(column)) for column in zip(*errors, strict=True))
    dominated = sum(error.sampling > error.seeds for error in errors)
    return (
        f"Standard error of the mean test accuracy: {sampling[0]:.2f} to {sampling[-1]:.2f} points from the finite "
        f"test set ({images} images, binomial), {seeds[0]:.2f} to {seeds[-1]:.2f} points from the seeds; the test set "
        f"dominates for {dominated} of {len(errors)} optimizers. The optimizers share these images, so their "
        f"differences suffer less from them."
    )
