"""Reads what one revision of the repository holds, strictly: a damaged file is refused by its name."""

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from descent.analysis.settings import Conditions, ReportParameters
from descent.core import parameters
from descent.core.parameters import InputError
from descent.runs.metrics import BALANCED, SCORES
from descent.study import selection
from descent.study.grid import TuningParameters
from descent.training.measurements import LOSSES, MEASUREMENTS

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
    sections: dict[str, Any] = {"report": report} if report else {}
    for key in Conditions._fields:
        if key not in sections:
            sections[key] = parameters.parse(text, "params.yaml", key, Conditions.__annotations__[key])
    if score:
        sections["training"] = sections["training"].model_copy(update={"score": score})
    conditions = Conditions(**sections)
    tuning = parameters.parse(text, "params.yaml", "tuning", TuningParameters) if with_study else None
    trainings, studies = {}, {}
    for name, entry in sorted(conditions.optimizers.items()):
        paths = (f"results/history/{name}.csv", f"results/metrics/{name}.json")
        runs = entry.runs or conditions.training.runs
        trainings[name] = parse_training(*map(read, paths), paths, runs, conditions)
        if tuning:
            paths = (f"results/tuning/runs/{name}.csv", f"results/tuning/metrics/{name}.json")
            runs = entry.tuned_runs or conditions.training.runs
            if study := parse_study(*map(read, paths), paths, runs, conditions, tuning):
                studies[name] = study
    return Results(conditions, trainings, tuning, studies)


@contextmanager
def _refused(location: str, cure: str = "run dvc repro") -> Iterator[None]:
    """Turn what is raised while a file is read into one line that names the file and what to do."""
    try:
        yield
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        reason = str(error) if isinstance(error, ValueError) else parameters.one_line(error)
        raise InputError(f"{location}: damaged, or of other parameters: {reason}; {cure}") from None


def parse_training(
    history: str, metrics: str, location: tuple[str, str], runs: int, conditions: Conditions
) -> Training:
    """Read the texts of the two files of one optimizer; `location` names them. Older histories lack a column, BALANCED.

    Raises:
        InputError: if a file is damaged, or is of other epochs, seeds or examples than `runs` and `conditions` say.
    """
    epochs, last_epochs = conditions.training.epochs, conditions.training.last_epochs
    images, score = conditions.data.validation_size, SCORES[conditions.training.score]
    most = runs * last_epochs  # how often an example can be right
    with _refused(location[0]):
        rows = _sorted_rows(history)
        found = [(int(row["epoch"]), int(row["seed"])) for row in rows]
        if found != [(epoch, seed) for epoch in range(1, epochs + 1) for seed in range(runs)]:
            raise ValueError(f"expected a row for each of epochs 1 to {epochs} and seeds 0 to {runs - 1}")
        columns = [*MEASUREMENTS, BALANCED] if BALANCED in rows[0] else MEASUREMENTS
        measured = {column: _by_epoch(rows, column, epochs, runs) for column in columns}
        final_accuracy = score.of_runs(measured[score.column], images, last_epochs)
    with _refused(location[1]):
        [details] = json.loads(metrics)["details"]
        test_accuracy, hits = np.array(details["test_accuracy"], dtype=float), details["val_hits"]
        expected = 0 if np.isnan(measured["val_accuracy"][-1]).any() else images
        if len(test_accuracy) != runs or len(hits or []) != expected or max(hits or [0]) > most:
            wanted = f"test_accuracy of {runs} runs and val_hits of {expected} examples, each at most {most}"
            raise ValueError(f"expected {wanted}")
        return Training(
            history=measured,
            final_accuracy=final_accuracy,
            test_accuracy=test_accuracy,
            val_shares=np.array(hits) / most if hits else None,
            environment=dict(sorted(details["environment"].items())),
            test_size=details["examples"]["test"],
        )


def parse_study(
    table: str, metrics: str, location: tuple[str, str], runs: int, conditions: Conditions, tuning: TuningParameters
) -> Study | None:
    """Read the texts of the two files of one optimizer's study; None for an optimizer that was left out of it.

    There are `runs` fresh runs at the chosen rate, under `conditions`; `tuning` is of the runs that choose.

    Raises:
        InputError: if a file is damaged.
    """
    epochs, last_epochs = conditions.training.epochs, conditions.training.last_epochs
    score = SCORES[conditions.training.score]
    with _refused(" or ".join(location), "run dvc repro tuning/dvc.yaml"):
        numbers = json.loads(metrics)
        if "left_out" in numbers:
            return None
        rows = _sorted_rows(table)
        tried = [row for row in rows if row["role"] == selection.SELECTION]
        fresh = [row for row in rows if row["role"] == selection.REPORT]
        rates = {float(row["factor"]): float(row["learning_rate"] or "nan") for row in tried}
        factors, [details] = np.array(list(rates)), numbers["details"]
        scores = _by_epoch(tried, score.column, epochs, len(rates), -1)
        chosen, final = None, np.full(runs, np.nan)
        if numbers["factor"] is not None:
            chosen = int(np.flatnonzero(np.isclose(factors, numbers["factor"], rtol=1e-4))[0])
            values = _by_epoch(fresh, score.column, epochs, runs)
            final = score.of_runs(values, conditions.data.validation_size, last_epochs)
        return Study(
            factors=factors,
            learning_rates=np.array(list(rates.values())),
            val_loss=np.moveaxis(_by_epoch(tried, "val_loss", epochs, len(rates), -1), 0, -1),
            selection_accuracy=score.of_runs(scores, tuning.selection_size, last_epochs),
            chosen=chosen,
            final_accuracy=final,
            test_accuracy=np.array(details["test_accuracy"], dtype=float),
            chance=score.turned(float(details["chance"])),
            numbers=numbers,
        )


def parse_tutorial(text: str, location: str) -> Mapping[str, Mapping[str, np.ndarray]]:
    """Read the epochs that the tutorial printed: optimizer in lower case -> column -> [epochs].

    Raises:
        InputError: if the file is damaged.
    """
    with _refused(location, "take it from Git again"):
        rows: dict[str, list[dict[str, str]]] = {}
        for row in csv.DictReader(io.StringIO(text)):
            rows.setdefault(row["optimizer"].lower(), []).append(row)
        return {
            name: {column: np.array([float(row[column]) for row in of]) for column in LOSSES}
            for name, of in rows.items()
        }


def are_same(first: Training, second: Training) -> bool:
    """Tell whether the runs of two trainings are the same to the last digit."""
    common = first.history.keys() & second.history.keys()  # older ones lack the balanced accuracy
    return np.array_equal(first.test_accuracy, second.test_accuracy, equal_nan=True) and all(
        np.array_equal(first.history[column], second.history[column], equal_nan=True) for column in common
    )


def _sorted_rows(text: str) -> list[dict[str, str]]:
    """The rows of a table of runs, by epoch, factor and seed."""
    rows = csv.DictReader(io.StringIO(text))
    return sorted(rows, key=lambda row: (int(row["epoch"]), float(row.get("factor", 1)), int(row["seed"])))


def _by_epoch(rows: Sequence[Mapping[str, str]], column: str, *shape: int) -> np.ndarray:
    """One column of sorted rows, in the shape [epochs, ...]."""
    return np.array([float(row[column]) for row in rows]).reshape(shape)
