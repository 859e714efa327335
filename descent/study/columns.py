"""The files of a study: results/tuning/runs/*.csv, and of results/tuning/metrics/*.json what is read again."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from descent.core.parameters import InputError
from descent.study.selection import REPORT, SELECTION
from descent.training.run import LOSSES


class Tuning(NamedTuple):
    """What the study of one optimizer left; factors are sorted, small ones first."""

    factors: np.ndarray  # [factors]
    learning_rates: np.ndarray  # [factors], nan for a schedule
    selection: dict[str, np.ndarray]  # each of LOSSES -> [factors, seeds, epochs]; val_* on the selection examples
    chosen: int | None  # index of the chosen factor
    report: dict[str, np.ndarray] | None  # each of LOSSES -> [seeds, epochs] at the chosen factor; None without one
    test_accuracy: np.ndarray  # [seeds] of the report
    chance: float  # accuracy of a network that has learnt nothing
    numbers: Mapping[str, Any]  # of the metrics


def parse(runs: str, metrics: str, where: tuple[str, str]) -> Tuning | None:
    """Read the two files of one optimizer.

    Args:
        runs: content of its table of runs.
        metrics: content of its metrics.
        where: names of the two files, for messages.

    Returns:
        None for an optimizer that was left out of the study.

    Raises:
        InputError: if a file is damaged.
    """
    try:
        numbers = json.loads(metrics)
        if "left_out" in numbers:
            return None
        table = list(csv.DictReader(io.StringIO(runs)))
        of_role = {role: [row for row in table if row["role"] == role] for role in (SELECTION, REPORT)}
        factors = sorted({float(row["factor"]) for row in of_role[SELECTION]})
        rates = {float(row["factor"]): float(row["learning_rate"] or "nan") for row in of_role[SELECTION]}
        selection = _shaped(of_role[SELECTION], len(factors))
        factor = numbers["factor"]
        report = None if factor is None else {key: value[0] for key, value in _shaped(of_role[REPORT], 1).items()}
        chosen = None if factor is None else int(np.flatnonzero(np.isclose(factors, factor, rtol=1e-4))[0])
        [details] = numbers["details"]
        test, chance = np.array(details["test_accuracy"], dtype=float), float(details["chance"])
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise InputError(f"{' or '.join(where)}: damaged: {error!r}; run dvc repro tuning/dvc.yaml") from None
    return Tuning(
        np.array(factors), np.array([rates[f] for f in factors]), selection, chosen, report, test, chance, numbers
    )  # fmt: skip


def _shaped(table: Sequence[Mapping[str, str]], factors: int) -> dict[str, np.ndarray]:
    """Columns [factors, seeds, epochs]."""
    table = sorted(table, key=lambda row: (float(row["factor"]), int(row["seed"]), int(row["epoch"])))
    epochs = max(int(row["epoch"]) for row in table)
    return {name: np.array([float(row[name]) for row in table]).reshape(factors, -1, epochs) for name in LOSSES}
