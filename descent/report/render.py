"""Makes every file of the two reports from what the stages left: the comparison's and the study's."""

from collections.abc import Mapping, Sequence

import numpy as np

from descent.analysis import study_tables, tables, tutorial
from descent.analysis.records import Results
from descent.analysis.tables import csv_text
from descent.core import plot_style
from descent.data.datasets import Description
from descent.report import display_tables, figures, page, text
from descent.runs.metrics import SCORES
from descent.trajectories.paths import Path, TrajectoryParameters

COMPARISON = "Which optimizer trains this network best, and by how much beyond noise?"
STUDY = "Which optimizer wins when every learning rate is tuned, and how wrong may yours be?"


def comparison(
    results: Results,
    printed: Mapping[str, Mapping[str, np.ndarray]],
    trajectories: str,
    seen: Description,
    weights: int,
) -> dict[str, bytes]:
    """Compute the tables, the figures and the page of the comparison.

    Args:
        results: the trainings of exactly the optimizers that its conditions list.
        printed: what the tutorial printed: optimizer in lower case -> column -> [epochs].
        trajectories: the picture of the paths, an `svg` element.
        seen: what the network sees.
        weights: parameters of the network.

    Returns:
        Name in results/report -> content; equal arguments give equal bytes, whatever the order of the optimizers.
    """
    conditions, trainings = results.conditions, dict(sorted(results.trainings.items()))
    report, score = conditions.report, SCORES[conditions.training.score]
    histories = {name: training.history for name, training in trainings.items()}
    test_size = max((training.test_size for training in trainings.values()), default=0)
    with_tutorial = tutorial.applies(conditions)
    printed = printed if with_tutorial else {}
    runs = tables.best_first(trainings)
    found = figures.Findings(
        ranking=tables.ranking(runs, trainings, conditions),
        runs={name: score.turned(values) for name, values in runs.items()},
        leads=tables.leads(runs, trainings, conditions),
        curves=tables.curves(histories, report.confidence),
        diagnostics=tables.diagnostics(histories),
        tutorial=tutorial.points(histories, printed, report.confidence),
        confidence=report.confidence,
        score=score,
        largest=(seen.largest, seen.largest_share),
    )
    replications = tutorial.replications(histories, printed, conditions.training.last_epochs)
    agreements = tutorial.agreements(replications, report.equivalence_margin / 100, report.confidence)
    gaps = [row.test_accuracy - histories[row.optimizer]["val_accuracy"][-1].mean() for row in found.ranking]
    texts = {
        "answer": text.answer(found.ranking, found.leads, conditions),
        "conditions": text.stated_conditions(conditions, test_size, found.largest),
        "reading": text.reading(found.ranking, gaps, conditions),
        "leads": text.leads_reading(found.ranking, conditions),
        "summary": text.summary(found.ranking, agreements, conditions, test_size),
    }
    shown = {
        "ranking": display_tables.ranking(found.ranking, conditions),
        "leads": display_tables.leads(found.leads, conditions),
        "replications": display_tables.replications(replications),
        "seen": display_tables.seen(seen, weights, conditions),
        "settings": display_tables.settings(conditions),
        "optimizers": display_tables.optimizers(conditions.optimizers),
        "environment": display_tables.environment({name: run.environment for name, run in trainings.items()}),
    }
    drawn = {name: draw(found) for name, draw in figures.FIGURES.items() if name != "tutorial" or with_tutorial}
    pictures = {name: (figures.svg(figure), alternative) for name, (figure, alternative) in drawn.items()}
    on_page = pictures | {"trajectories": (trajectories, figures.TRAJECTORIES)}
    return {
        "score.json": tables.score_json(found.ranking, score).encode(),
        "curves.csv": csv_text(tables.CurvePoint._fields, found.curves).encode(),
        "diagnostics.csv": csv_text(tables.DiagnosticsPoint._fields, found.diagnostics).encode(),
        "differences.csv": csv_text(tables.Lead._fields, found.leads).encode(),
        "ranking.csv": csv_text(tables.Rank._fields, found.ranking, score).encode(),
        "tutorial.csv": csv_text(tutorial.TutorialPoint._fields, found.tutorial).encode(),
        "ranking.md": _answer(texts, shown["ranking"]),
        "summary.md": "".join(f"- {sentence}\n" for sentence in texts["summary"]).encode(),
        "index.html": page.html("comparison.html", COMPARISON, texts, shown, on_page).encode(),
        **{f"figures/{name}.svg": picture.encode() for name, (picture, _) in pictures.items()},
    }


def study(
    results: Results, trajectories: TrajectoryParameters, paths: Sequence[Path], plots_page: str
) -> dict[str, bytes]:
    """Compute the tables, the figures and the page of the study.

    Args:
        results: the trainings and the studies of the optimizers that its conditions list.
        trajectories: what the paths were computed with.
        paths: on the surfaces.
        plots_page: .dvc/plots_page/page.html, which holds the drawing libraries.

    Returns:
        Name in results/tuning -> content.
    """
    conditions, studies, parameters = results.conditions, results.studies, results.tuning
    score = SCORES[conditions.training.score]
    defaults = {name: training.final_accuracy for name, training in results.trainings.items()}
    rows = study_tables.tuned(studies, defaults, conditions)
    found = figures.Study(
        sensitivity=study_tables.sensitivity(studies, conditions, parameters),
        chosen={row.optimizer: row.factor for row in rows if not np.isnan(row.factor)},
        best_of_k=study_tables.best_of_k(studies, parameters, score),
        losses={
            (name, float(factor)): curves.mean(axis=0)
            for name, one in sorted(studies.items())
            for factor, curves in zip(one.factors, one.val_loss, strict=True)
        },
        paths=paths,
        trajectories=trajectories,
        confidence=conditions.report.confidence,
        score=score,
    )
    trials = [row.trials for row in rows]
    texts = {
        "answer": text.study_answer(rows, conditions),
        "conditions": text.study_conditions(conditions, parameters),
        "reading": text.study_reading(rows, conditions),
        "near": f"{score.factor * score.near:g} {score.difference.removesuffix('s')}",
        "difference": score.difference,
        "kind": score.title.split()[-1],
        "trials": " to ".join(map(str, sorted({min(trials), max(trials)}))),
    }
    shown = {
        "tuned": display_tables.tuned(rows, score),
        "choices": display_tables.choices(rows, score),
        "sensitivity": display_tables.sensitivity(found.sensitivity, score),
        "best_of_k": display_tables.best_of_k(found.best_of_k, score),
    }
    drawn = {name: draw(found) for name, draw in figures.STUDY_FIGURES.items()}
    files = {f"report/figures/{name}.png": plot_style.png(figure) for name, (figure, _) in drawn.items()}
    pictures = {name: (figures.svg(figure), alternative) for name, (figure, alternative) in drawn.items()}
    scripts = page.study_scripts(found, plots_page)
    return {
        "report/tuned.md": _answer(texts, shown["tuned"]),
        "report/tuned.csv": csv_text(study_tables.Tuned._fields, rows, score).encode(),
        "report/sensitivity.csv": csv_text(study_tables.SensitivityPoint._fields, found.sensitivity).encode(),
        "report/best_of_k.csv": csv_text(study_tables.BestOfK._fields, found.best_of_k, score).encode(),
        "index.html": page.html("study.html", STUDY, texts, shown, pictures, **scripts).encode(),
        **files,
    }


def _answer(texts: Mapping[str, str], table: display_tables.Table) -> bytes:
    """Write ranking.md or tuned.md, which README quotes."""
    markdown = display_tables.markdown(table)
    return f"**{texts['answer']}**\n\n{texts['conditions']}\n\n{markdown}\n\n{texts['reading']}\n".encode()
