"""Makes every file of results/tuning/report, and the page, from what the stages of the study left."""

from collections.abc import Mapping, Sequence

import numpy as np

from descent.analysis import study_tables as tables
from descent.analysis.records import Study
from descent.analysis.settings import Conditions
from descent.analysis.tables import csv_text
from descent.core import style
from descent.report import layout, sentences
from descent.report import study_figures as figures
from descent.report import study_page as page
from descent.study.settings import TuningParameters
from descent.trajectories.settings import TrajectoryParameters
from descent.trajectories.thinned import Path


def contents(
    conditions: Conditions,
    parameters: TuningParameters,
    trajectories: TrajectoryParameters,
    tunings: Mapping[str, Study],
    defaults: Mapping[str, np.ndarray],
    paths: Sequence[Path],
    template: str,
) -> dict[str, bytes]:
    """Compute the tables, the figures and the page.

    Args:
        conditions: of the comparison.
        parameters: of the study.
        trajectories: what the paths were computed with.
        tunings: of exactly the optimizers that the conditions list.
        defaults: by what the comparison's runs are judged, optimizer -> [seeds].
        paths: on the surfaces.
        template: of the page, see `page.html`, put together.

    Returns:
        Name in results/tuning -> content.
    """
    confidence = conditions.report.confidence
    rows = tables.tuned(tunings, defaults, conditions)
    points = tables.sensitivity(tunings, conditions, parameters)
    expected = tables.best_of_k(tunings, parameters)
    chosen = {row.optimizer: row.factor for row in rows if not np.isnan(row.factor)}
    losses = {
        (name, float(factor)): curves.mean(axis=0)
        for name, tuning in sorted(tunings.items())
        for factor, curves in zip(tuning.factors, tuning.val_loss, strict=True)
    }
    texts = {
        "answer": sentences.study_answer(rows, conditions),
        "conditions": sentences.study_conditions(conditions, parameters),
        "reading": sentences.study_reading(rows, conditions),
    }
    shown = layout.tuned(rows, conditions)
    pictures = {
        "sensitivity": style.png(figures.sensitivity(points, chosen, confidence)),
        "relative": style.png(figures.relative(points, chosen)),
        "best_of_k": style.png(figures.best_of_k(expected)),
    }
    study = page.Study(points, chosen, expected, losses, paths, trajectories)
    answer = f"**{texts['answer']}**\n\n{texts['conditions']}\n\n{layout.markdown(shown, 2)}\n\n{texts['reading']}\n"
    return {
        "report/tuned.md": answer.encode(),
        "report/tuned.csv": csv_text(tables.Tuned._fields, rows).encode(),
        "report/sensitivity.csv": csv_text(tables.SensitivityPoint._fields, points).encode(),
        "report/best_of_k.csv": csv_text(tables.BestOfK._fields, expected).encode(),
        "index.html": page.html(template, texts, shown, study, pictures).encode(),
        **{f"report/figures/{name}.png": content for name, content in pictures.items()},
    }
