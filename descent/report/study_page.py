"""Lays the learning-rate study out as one HTML page to play with; it needs nothing else: no network, no other file."""

import base64
import math
from collections.abc import Mapping, Sequence
from html import escape
from string import Template
from typing import Any, NamedTuple
from xml.etree.ElementTree import tostring

import contourpy
import numpy as np

from descent.analysis.study_tables import BestOfK, SensitivityPoint
from descent.report import charts
from descent.report.layout import Table, interval, number, times
from descent.report.page import table
from descent.trajectories.settings import TrajectoryParameters
from descent.trajectories.surfaces import leaves_at, survey
from descent.trajectories.thinned import Path


class Study(NamedTuple):
    """The numbers behind the page."""

    sensitivity: Sequence[SensitivityPoint]
    chosen: Mapping[str, float]  # optimizer -> its best factor, for those that have one
    best_of_k: Sequence[BestOfK]
    losses: Mapping[tuple[str, float], np.ndarray]  # optimizer, factor -> validation loss, mean over the runs, [epochs]
    paths: Sequence[Path]
    trajectories: TrajectoryParameters  # what the paths were computed with


def html(template: str, texts: Mapping[str, str], tuned: Table, study: Study, pictures: Mapping[str, bytes]) -> str:
    """Fill the template; every text is escaped on its way into it.

    Args:
        template: HTML with $names for `string.Template`, put together by `charts.assemble`.
        texts: name in the template -> what is said.
        tuned: the answer as a table.
        study: the numbers.
        pictures: name in the template -> PNG file, for readers without a script.
    """
    tables = {
        "tuned": tuned,
        "sensitivity": sensitivity(study.sensitivity),
        "best_of_k": best_of_k(study.best_of_k),
        "losses": losses(study.losses),
    }
    return Template(template).substitute(
        {name: escape(text) for name, text in texts.items()}
        | {f"{name}_table": tostring(table(content), "unicode", method="html") for name, content in tables.items()}
        | {f"{name}_png": base64.b64encode(content).decode() for name, content in pictures.items()}
        | {"data": charts.script_data(data(study))}
    )


def data(study: Study) -> dict[str, Any]:
    """Collect what the page's script draws, as JSON takes it; a number that is not known is null."""
    names = sorted({row.optimizer for row in study.sensitivity})
    factors = sorted({_key(row.factor): row.factor for row in study.sensitivity}.values())
    place = {_key(factor): i for i, factor in enumerate(factors)}
    half_width = study.trajectories.plot_range
    return {
        "optimizers": charts.looks(names),
        "factors": [times(factor) for factor in factors],
        "default": place.get(_key(1), 0),
        "sensitivity": [_point(row, place, study.chosen.get(row.optimizer)) for row in study.sensitivity],
        "losses": [
            {"optimizer": name, "place": place[_key(factor)], "losses": [charts.rounded(loss) for loss in curve]}
            for (name, factor), curve in study.losses.items()
        ],
        "half_width": half_width,
        "surfaces": [
            {
                "name": name.replace("_", " "),
                "start": surface.start,
                "contours": _contours(*survey(surface, half_width, 61)),
                "paths": [_path(path, place, half_width) for path in study.paths if path.surface == name],
            }
            for name, surface in study.trajectories.surfaces.items()
        ],
    }


def sensitivity(rows: Sequence[SensitivityPoint]) -> Table:
    """The accuracy of every optimizer at every factor, for readers without the charts."""
    cells = [
        [
            row.optimizer,
            times(row.factor),
            f"{row.learning_rate:.3g}" if math.isfinite(row.learning_rate) else "schedule",
            number(100 * row.mean, 2) if row.diverged == 0 else "–",
            interval(100 * row.low, 100 * row.high, 2) if row.diverged == 0 else "–",
            f"{row.diverged} of {row.runs}",
        ]
        for row in rows
    ]
    heads = ["Optimizer", "Times its default", "Learning rate", "Validation accuracy, %", "Interval", "Diverged"]
    return Table("Validation accuracy at every learning rate", heads, cells)


def best_of_k(rows: Sequence[BestOfK]) -> Table:
    """What to expect of the best of k learning rates, a row an optimizer."""
    ks = sorted({row.k for row in rows})
    found = {(row.optimizer, row.k): row.val_accuracy for row in rows}
    cells = [
        [name, *(number(100 * found.get((name, k), math.nan), 2) for k in ks)]
        for name in sorted({row.optimizer for row in rows})
    ]
    return Table(
        "Validation accuracy to expect of the best of k learning rates, %", ["Optimizer", *map(str, ks)], cells
    )


def losses(curves: Mapping[tuple[str, float], np.ndarray]) -> Table:
    """Validation loss after the last epoch, a row an optimizer and a column a factor."""
    factors = sorted({_key(factor): factor for _, factor in curves}.values())
    last = {(name, _key(factor)): curve[-1] for (name, factor), curve in curves.items()}
    cells = [
        [name, *(number(last.get((name, _key(factor)), math.nan), 3) for factor in factors)]
        for name in sorted({name for name, _ in curves})
    ]
    heads = ["Optimizer", *map(times, factors)]
    return Table("Validation loss after the last epoch, nats; a dash: a run diverged, or none was tried", heads, cells)


def _key(factor: float) -> float:
    """Factors are equal if they are so to the digits that a table has of them."""
    return round(math.log10(factor), 4)


def _point(row: SensitivityPoint, place: Mapping[float, int], best: float | None) -> dict[str, Any]:
    known = row.diverged == 0
    return {
        "optimizer": row.optimizer,
        "place": place[_key(row.factor)],
        "offset": None if best is None else place[_key(row.factor)] - place[_key(best)],
        "rate": charts.rounded(row.learning_rate),
        "default": charts.rounded(row.factor),
        "best": None if best is None else charts.rounded(row.factor / best),
        "times": times(row.factor),
        "error": charts.rounded(1 - row.mean) if known else None,
        "least": charts.rounded(1 - row.high) if known else None,
        "most": charts.rounded(1 - row.low) if known else None,
        "accuracy": f"{100 * row.mean:.2f} %" if known else f"diverged, {row.diverged} of {row.runs}",
    }


def _contours(line: np.ndarray, heights: np.ndarray, levels: np.ndarray) -> list[list[float]]:
    """Find the contour lines, each as x, y, x, y, ..."""
    generator = contourpy.contour_generator(line, line, heights)
    return [np.round(part, 4).ravel().tolist() for level in levels for part in generator.lines(level)]


def _path(path: Path, place: Mapping[float, int], half_width: float) -> dict[str, Any]:
    known = path.points[np.isfinite(path.points).all(axis=1)]
    left = leaves_at(path.points, half_width)
    return {
        "optimizer": path.optimizer,
        "place": place.get(_key(path.factor)),
        "points": np.round(known, 4).ravel().tolist(),
        "left": None if left is None else int(path.steps[left]),
    }
