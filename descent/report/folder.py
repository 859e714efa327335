"""Makes every file of results/report from what the trainings left."""

from collections.abc import Mapping

import numpy as np

from descent.analysis import tables, tutorial
from descent.analysis.records import Training
from descent.analysis.settings import Conditions
from descent.report import figures, layout, page, sentences


def contents(
    conditions: Conditions,
    trainings: Mapping[str, Training],
    printed: Mapping[str, Mapping[str, np.ndarray]],
    trajectories: str,
    template: str,
    styles: str,
) -> dict[str, bytes]:
    """Compute the tables, the figures and the page.

    Args:
        conditions: of the comparison.
        trainings: of exactly the optimizers that the conditions list.
        printed: what the tutorial printed: optimizer in lower case -> column -> [epochs].
        trajectories: the picture of the paths, an `svg` element.
        template: of the page, see `page.html`.
        styles: of the page, see `pages.css`.

    Returns:
        Name in results/report -> content; equal arguments give equal bytes, whatever the order of the optimizers.
    """
    report, last_epochs = conditions.report, conditions.training.last_epochs
    trainings = dict(sorted(trainings.items()))
    histories = {name: training.history for name, training in trainings.items()}
    test_size = max((training.test_size for training in trainings.values()), default=0)
    printed = printed if tutorial.applies(conditions) else {}
    runs = tables.best_first(trainings)
    curves, diagnostics = tables.curves(histories, report.confidence), tables.diagnostics(histories)
    ranking, leads = tables.ranking(runs, trainings, conditions), tables.leads(runs, trainings, conditions)
    points = tutorial.points(histories, printed, report.confidence)
    replications = tutorial.replications(histories, printed, last_epochs)
    agreements = tutorial.agreements(replications, report.equivalence_margin / 100, report.confidence)
    drawn = {
        "curves": figures.curves(curves, report.confidence),
        "diagnostics": figures.diagnostics(diagnostics),
        "ranking": figures.ranking(ranking, runs, leads, report.confidence),
        "tutorial": figures.tutorial(points, report.confidence),
    }
    gaps = [row.test_accuracy - histories[row.optimizer]["val_accuracy"][-1].mean() for row in ranking]
    texts = page.Texts(
        sentences.answer(ranking, leads, conditions),
        sentences.stated_conditions(conditions, test_size),
        sentences.reading(gaps),
        sentences.summary(ranking, leads, agreements, conditions, test_size),
    )
    shown = {
        "ranking": layout.ranking(ranking, conditions),
        "leads": layout.leads(leads, conditions),
        "replications": layout.replications(replications),
        "settings": layout.settings(conditions),
        "optimizers": layout.optimizers(conditions.optimizers),
        "environment": layout.environment({name: training.environment for name, training in trainings.items()}),
    }
    if not tutorial.applies(conditions):
        del drawn["tutorial"]
    pictures = {name: figures.svg(figure) for name, figure in drawn.items()}
    alternatives = page.alternatives(ranking, curves, diagnostics, points)
    table = layout.markdown(shown["ranking"], words=2)
    ranking_md = f"**{texts.answer}**\n\n{texts.conditions}\n\n{table}\n\n{texts.reading}\n"
    return {
        "accuracy.json": tables.accuracy_json(ranking).encode(),
        "curves.csv": tables.csv_text(tables.CurvePoint._fields, curves).encode(),
        "diagnostics.csv": tables.csv_text(tables.DiagnosticsPoint._fields, diagnostics).encode(),
        "differences.csv": tables.csv_text(tables.Lead._fields, leads).encode(),
        "ranking.csv": tables.csv_text(tables.Rank._fields, ranking).encode(),
        "tutorial.csv": tables.csv_text(tutorial.TutorialPoint._fields, points).encode(),
        "ranking.md": ranking_md.encode(),
        "summary.md": "".join(f"- {sentence}\n" for sentence in texts.summary).encode(),
        "index.html": page.html(
            template, styles, texts, shown, pictures | {"trajectories": trajectories}, alternatives
        ).encode(),
        **{f"figures/{name}.svg": picture.encode() for name, picture in pictures.items()},
    }
