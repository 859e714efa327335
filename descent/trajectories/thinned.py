"""Paths over the surfaces at every factor of the grid, thinned to what a picture can show; without Keras."""

import csv
import io
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from descent.core.parameters import InputError
from descent.trajectories.surfaces import leaves_at

PARTS = 150  # of half a picture's width: nearer points cannot be told apart
COLUMNS = ("surface", "optimizer", "factor", "step", "x", "y")


class Path(NamedTuple):
    """What a picture shows of one path; its last point is outside, or nan, where the path leaves the picture."""

    surface: str
    optimizer: str
    factor: float  # on the optimizer's learning rate
    steps: np.ndarray  # int [points], from 0 on
    points: np.ndarray  # [points, 2]


def thin(path: np.ndarray, plot_range: float) -> tuple[np.ndarray, np.ndarray]:
    """Keep of a path what a picture can show: points that can be told apart, and none after it has left.

    The first point outside moves near on its line, as far as the picture does not show.

    Args:
        path: positions [steps + 1, 2] from the start on.
        plot_range: the picture shows - to + this.

    Returns:
        Steps, int [points], and points [points, 2] of a `Path`.
    """
    left, path = leaves_at(path, plot_range), path.astype("float64")
    end = len(path) - 1 if left is None else left
    steps = [0]
    for step in range(1, end):
        if np.abs(path[step] - path[steps[-1]]).max() >= plot_range / PARTS:
            steps.append(step)
    steps = np.array([*steps, end] if end else [0])
    points = path[steps]
    if left and np.isfinite(points[-1]).all():
        leap = points[-1] - points[-2]
        points[-1] = points[-2] + leap * min(1, 3 * plot_range / np.abs(leap).max())
    return steps, points


def csv_text(paths: Iterable[Path]) -> str:
    """Write paths as a table, a row a point."""
    lines = [",".join(COLUMNS)]
    for path in paths:
        head = f"{path.surface},{path.optimizer},{path.factor:.6g}"
        lines += [f"{head},{step},{x:.4g},{y:.4g}" for step, (x, y) in zip(path.steps, path.points, strict=True)]
    return "\n".join(lines) + "\n"


def parse(text: str, location: str) -> list[Path]:
    """Read what `csv_text` wrote.

    Args:
        text: the table.
        location: the file, for messages.

    Raises:
        InputError: if it is another table.
    """
    rows = list(csv.reader(io.StringIO(text)))
    found: dict[tuple[str, ...], list[list[str]]] = {}
    try:
        if tuple(rows.pop(0)) != COLUMNS:
            raise ValueError(f"expected the columns {','.join(COLUMNS)}")
        for surface, optimizer, factor, *point in rows:
            found.setdefault((surface, optimizer, factor), []).append(point)
        return [
            Path(surface, optimizer, float(factor), (table := np.array(points, float))[:, 0].astype(int), table[:, 1:])
            for (surface, optimizer, factor), points in found.items()
        ]
    except (ValueError, IndexError) as error:
        raise InputError(f"{location}: damaged: {error}; run dvc repro tuning/dvc.yaml") from None
