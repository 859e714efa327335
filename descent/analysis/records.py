"""Reads what one revision of the repository holds, strictly: a damaged file is refused by its name."""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from descent.analysis.settings import Conditions, ReportParameters
from descent.core import parameters
from descent.core.parameters import InputError
from descent.runs.metrics import BALANCED, SCORES, Score
from descent.study import selection
from descent.study.grid import TuningParameters
from descent.training.measurements import HISTORY, LOSSES

History = dict[str, np.ndarray]  # column of a history file -> [epochs, runs] float64, runs sorted by seed
Environment = dict[str, str | bool | int | float]  # what computed the results: property -> value


class Training(NamedTuple):
    """What the training of one optimizer left; runs are sorted by seed."""

    history: History
    final_accuracy: np.ndarray  # [runs]: the score of each run, turned (`metrics.Score`), nan where it diverged
    test_accuracy: np.ndarray  # [runs] in [0, 1], nan where the run diverged
    val_shares: np.ndarray | None  # [validation examples] in [0, 1]: how often each was right; None if a run diverged
    environment: Environment
    test_size: int  # examples that the test accuracy was measured on


class Study(NamedTuple):
    """What the study of one optimizer left; factors are sorted, small ones first."""

    factors: np.ndarray  # [factors]
    learning_rates: np.ndarray  # [factors], nan for a schedule
    val_loss: np.ndarray  # of the runs that choose, on the selection examples, [factors, seeds, epochs]
    selection_accuracy: np.ndarray  # the scores of these, turned, [factors, seeds], nan where a run diverged
    chosen: int | None  # index of the chosen factor
    final_accuracy: np.ndarray  # the scores of the fresh runs at the chosen factor, turned, [seeds]; nan without one
    test_accuracy: np.ndarray  # [seeds] of these; empty without one
    chance: float  # score of a network that has learnt nothing, turned
    numbers: Mapping[str, Any]  # of the metrics


class Results(NamedTuple):
    """What one revision holds."""

    conditions: Conditions
    trainings: Mapping[str, Training]  # of each optimizer that the conditions list, sorted by name
    tuning: TuningParameters | None = None  # of the study, where it was asked for
    studies: Mapping[str, Study] = {}  # of each optimizer that has a learning rate to tune


class _Examples(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    test: Annotated[int, Field(ge=1)]


class _Details(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    environment: Environment
    examples: _Examples
    test_accuracy: list[Annotated[float, Field(ge=0, le=1)] | None]
    val_hits: list[Annotated[int, Field(ge=0)]] | None


class _Metrics(BaseModel):
    """Of results/metrics/*.json what the report reads; the rest is for people and for DVC."""

    model_config = ConfigDict(extra="ignore", strict=True)

    details: Annotated[list[_Details], Field(min_length=1, max_length=1)]


def read_file(path: str | Path, command: str = "dvc repro") -> str:
    """Read a file of the workspace; `command`: that makes it, for the message.

    Raises:
        InputError: if it is not there or no text.
    """
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not readable: {error}; run {command}") from None


def read_results(
    read: Callable[[str], str] = read_file,
    report: ReportParameters | None = None,
    with_study: bool = False,
    score: str | None = None,
) -> Results:
    """Read a revision.

    Args:
        read: returns the text of a file of this revision; raises InputError where it has none.
        report: takes the place of the revision's own section, which decides no result.
        with_study: read the learning-rate study too.
        score: likewise takes the place of training.score.

    Raises:
        InputError: if something is missing or damaged, or is of other parameters.
    """
    text = read("params.yaml").encode()
    sections = {
        key: report if key == "report" and report else parameters.parse(text, "params.yaml", key, schema)
        for key, schema in Conditions.__annotations__.items()
    }
    if score:
        sections["training"] = sections["training"].model_copy(update={"score": score})
    conditions = Conditions(**sections)
    trainings = {}
    for name in sorted(conditions.optimizers):
        paths = (f"results/history/{name}.csv", f"results/metrics/{name}.json")
        seeds = range(conditions.optimizers[name].runs or conditions.training.runs)
        trainings[name] = parse_training(*map(read, paths), paths, seeds, conditions)
    if not with_study:
        return Results(conditions, trainings)
    tuning = parameters.parse(text, "params.yaml", "tuning", TuningParameters)
    studies = {}
    for name in trainings:
        paths = (f"results/tuning/runs/{name}.csv", f"results/tuning/metrics/{name}.json")
        runs = conditions.optimizers[name].tuned_runs or conditions.training.runs
        if study := parse_study(*map(read, paths), paths, runs, conditions, tuning):
            studies[name] = study
    return Results(conditions, trainings, tuning, studies)


def parse_training(
    history: str, metrics: str, location: tuple[str, str], seeds: Sequence[int], conditions: Conditions
) -> Training:
    """Read the two files of one optimizer.

    Args:
        history: content of its history.
        metrics: content of its metrics.
        location: names of the two files, for the message.
        seeds: of its runs.
        conditions: the epochs and examples of which they must be.

    Raises:
        InputError: if a file is damaged, or is of other epochs, seeds or examples.
    """
    try:
        (details,) = _Metrics.model_validate_json(metrics).details
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join(map(str, first["loc"]))
        raise InputError(f"{location[1]}: damaged: {path}: {first['msg'].lower()}; run dvc repro") from None
    images, last_epochs = conditions.data.validation_size, conditions.training.last_epochs
    runs, score = parse_history(history, location[0], seeds, conditions.training.epochs), _score(conditions)
    if score.column not in runs:
        raise InputError(f"{location[0]}: expected a column {score.column}, got none; run dvc repro")
    times, hits = len(seeds) * last_epochs, details.val_hits
    expected = None if np.isnan(runs["val_accuracy"][-1]).any() else images
    found = (len(details.test_accuracy), hits and len(hits), max(hits or [0]))
    if found[:2] != (len(seeds), expected) or found[2] > times:
        raise InputError(
            f"{location[1]}: expected test_accuracy of {len(seeds)} runs and val_hits of {expected} examples, each at "
            f"most {times}, got {found[0]} and {found[1]}, at most {found[2]}; run dvc repro"
        )
    return Training(
        history=runs,
        final_accuracy=score.of_runs(runs[score.column], images, last_epochs),
        test_accuracy=np.array(details.test_accuracy, dtype=float)[np.argsort(seeds)],
        val_shares=None if hits is None else np.array(hits) / times,
        environment=dict(sorted(details.environment.items())),
        test_size=details.examples.test,
    )


def parse_history(text: str, location: str, seeds: Sequence[int], epochs: int) -> History:
    """Read a history file: one row for each of these epochs and seeds, in any order.

    The balanced accuracy may be missing: older revisions have none.

    Raises:
        InputError: if the file is damaged, or is of other epochs or seeds; `location` is its name in the message.
    """
    header, *rows = list(csv.reader(io.StringIO(text))) or [[]]
    keys = [[float(seed), float(epoch)] for epoch in range(1, epochs + 1) for seed in sorted(seeds)]
    try:
        table = np.array(rows, dtype=float)
    except ValueError as error:
        raise InputError(f"{location}: damaged: {error}; run dvc repro") from None
    if table.ndim == 2 and table.shape[1] == len(header):
        table = table[np.lexsort((table[:, 0], table[:, 1]))]
    is_known = tuple(header) in (HISTORY, (*HISTORY, BALANCED))
    if not is_known or table.shape != (len(keys), len(header)) or table[:, :2].tolist() != keys:
        raise InputError(
            f"{location}: expected the columns {','.join(HISTORY)},{BALANCED} and a row for each of epochs 1 to "
            f"{epochs} and seeds {', '.join(map(str, sorted(seeds)))}, got something else; run dvc repro"
        )
    return dict(zip(header[2:], table[:, 2:].T.reshape(-1, epochs, len(seeds)), strict=True))


def parse_study(
    table: str,
    metrics: str,
    location: tuple[str, str],
    runs: int,
    conditions: Conditions,
    tuning: TuningParameters,
) -> Study | None:
    """Read the two files that the study of one optimizer left.

    Args:
        table: content of its table of runs.
        metrics: content of its metrics.
        location: names of the two files, for messages.
        runs: number of fresh runs at the chosen rate.
        conditions: of the fresh runs.
        tuning: of the runs that choose.

    Returns:
        None for an optimizer that was left out of the study.

    Raises:
        InputError: if a file is damaged.
    """
    last_epochs, score = conditions.training.last_epochs, _score(conditions)
    try:
        numbers = json.loads(metrics)
        if "left_out" in numbers:
            return None
        rows = list(csv.DictReader(io.StringIO(table)))
        selecting = [row for row in rows if row["role"] == selection.SELECTION]
        fresh = [row for row in rows if row["role"] == selection.REPORT]
        rates = {float(row["factor"]): float(row["learning_rate"] or "nan") for row in selecting}
        factors, factor = np.array(sorted(rates)), numbers["factor"]
        chosen, final = None, np.full(runs, np.nan)
        if factor is not None:
            chosen = int(np.flatnonzero(np.isclose(factors, factor, rtol=1e-4))[0])
            values = _by_epoch(fresh, score.column, 1)
            final = score.of_runs(values, conditions.data.validation_size, last_epochs)[0]
            if len(final) != runs:
                raise ValueError(f"expected {runs} fresh runs, got {len(final)}")
        [details] = numbers["details"]
        return Study(
            factors=factors,
            learning_rates=np.array([rates[factor] for factor in factors]),
            val_loss=np.moveaxis(_by_epoch(selecting, "val_loss", len(factors)), 0, -1),
            selection_accuracy=score.of_runs(
                _by_epoch(selecting, score.column, len(factors)), tuning.selection_size, last_epochs
            ),
            chosen=chosen,
            final_accuracy=final,
            test_accuracy=np.array(details["test_accuracy"], dtype=float),
            chance=score.turned(float(details["chance"])),
            numbers=numbers,
        )
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise InputError(f"{' or '.join(location)}: damaged: {error!r}; run dvc repro tuning/dvc.yaml") from None


def are_same(first: Training, second: Training) -> bool:
    """Tell whether the runs of two trainings are the same to the last digit."""
    common = first.history.keys() & second.history.keys()  # older ones lack the balanced accuracy
    return np.array_equal(first.test_accuracy, second.test_accuracy, equal_nan=True) and all(
        np.array_equal(first.history[column], second.history[column], equal_nan=True) for column in common
    )


def _score(conditions: Conditions) -> Score:
    return SCORES[conditions.training.score]


def _by_epoch(table: Sequence[Mapping[str, str]], column: str, factors: int) -> np.ndarray:
    """One column of a study's runs, [epochs, factors, seeds]."""
    table = sorted(table, key=lambda row: (int(row["epoch"]), float(row["factor"]), int(row["seed"])))
    epochs = int(table[-1]["epoch"])
    return np.array([float(row[column]) for row in table]).reshape(epochs, factors, -1)


def parse_tutorial(text: str, location: str) -> Mapping[str, Mapping[str, np.ndarray]]:
    """Read the epochs that the tutorial printed.

    Returns:
        Optimizer in lower case -> column -> [epochs].

    Raises:
        InputError: if the file is damaged.
    """
    rows = list(csv.DictReader(io.StringIO(text)))
    try:
        names = dict.fromkeys(row["optimizer"] for row in rows)
        return {
            name.lower(): {
                column: np.array([float(row[column]) for row in rows if row["optimizer"] == name]) for column in LOSSES
            }
            for name in names
        }
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{location}: damaged: {error!r}; take it from Git again") from None
