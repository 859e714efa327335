"""Reads what each training left, and what the tutorial printed, strictly: a damaged file is refused by its name."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from descent.core.parameters import InputError
from descent.training.run import HISTORY, LOSSES, MEASUREMENTS
from descent.training.settings import TrainingParameters

History = dict[str, np.ndarray]  # column of a history file -> [epochs, runs] float64, runs sorted by seed
Environment = dict[str, str | bool | int | float]  # what computed the results: property -> value


class Training(NamedTuple):
    """What the training of one optimizer left; runs are sorted by seed."""

    history: History
    test_accuracy: np.ndarray  # [runs] in [0, 1], nan where the run diverged
    val_hits: np.ndarray | None  # [validation examples] int: how often each was right; None where a run diverged
    environment: Environment
    test_size: int  # examples that the test accuracy was measured on


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


def read_file(path: Path, command: str = "dvc repro") -> str:
    """Read a file that must be there.

    Args:
        path: of the file.
        command: that makes it, for the message.

    Raises:
        InputError: if it is not there or no text.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not readable: {error}; run {command}") from None


def parse_training(
    history: str, metrics: str, where: tuple[str, str], training: TrainingParameters, validation_size: int
) -> Training:
    """Read the two files of one optimizer.

    Args:
        history: content of its history.
        metrics: content of its metrics.
        where: names of the two files, for the message.
        training: the epochs and seeds of which they must be.
        validation_size: the examples that it must have been judged by.

    Raises:
        InputError: if a file is damaged, or is of other epochs, seeds or examples.
    """
    try:
        (details,) = _Metrics.model_validate_json(metrics).details
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join(map(str, first["loc"]))
        raise InputError(f"{where[1]}: damaged: {path}: {first['msg'].lower()}; run dvc repro") from None
    runs = parse_history(history, where[0], training)
    n_runs, hits = len(training.seeds), details.val_hits
    expected = None if np.isnan(runs["val_accuracy"][-1]).any() else validation_size
    found = (len(details.test_accuracy), hits and len(hits), max(hits or [0]))
    if found[:2] != (n_runs, expected) or found[2] > n_runs * training.last_epochs:
        raise InputError(
            f"{where[1]}: expected test_accuracy of {n_runs} runs and val_hits of {expected} examples, each at most "
            f"{n_runs * training.last_epochs}, got {found[0]} and {found[1]}, at most {found[2]}; run dvc repro"
        )
    by_seed = np.argsort(training.seeds)
    test_accuracy = np.array(details.test_accuracy, dtype=float)[by_seed]
    environment = dict(sorted(details.environment.items()))
    return Training(runs, test_accuracy, None if hits is None else np.array(hits), environment, details.examples.test)


def parse_history(text: str, where: str, training: TrainingParameters) -> History:
    """Read a history file: one row for each epoch and seed that params.yaml asks for, in any order.

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
    if table.ndim == 2 and table.shape[1] == len(HISTORY):
        table = table[np.lexsort((table[:, 0], table[:, 1]))]
    shape = (len(keys), len(HISTORY))
    if tuple(header) != HISTORY or table.shape != shape or table[:, :2].tolist() != keys:
        raise InputError(
            f"{where}: expected the columns {','.join(HISTORY)} and a row for each of epochs 1 to {training.epochs} "
            f"and seeds {', '.join(map(str, sorted(training.seeds)))}, got something else; run dvc repro"
        )
    return dict(zip(MEASUREMENTS, table[:, 2:].T.reshape(-1, training.epochs, len(training.seeds)), strict=True))


def parse_tutorial(text: str, where: str) -> Mapping[str, Mapping[str, np.ndarray]]:
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
        raise InputError(f"{where}: damaged: {error!r}; take it from Git again") from None
