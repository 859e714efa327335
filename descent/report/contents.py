"""Makes every file of results/report from what the trainings recorded."""

from collections.abc import Mapping
from typing import NamedTuple

from descent import style as looks
from descent.optimizers.entries import OptimizerEntry
from descent.report import figures, page, statistics, tables


class Conditions(NamedTuple):
    """The sections of params.yaml under which the trainings ran and are compared."""

    data: tables.DataConditions
    network: tables.NetworkConditions
    training: tables.TrainingConditions
    report: tables.ReportParameters


class Records(NamedTuple):
    """What each training left, optimizer -> record, and what the tutorial printed."""

    histories: Mapping[str, tables.History]
    scores: Mapping[str, tables.Score]
    environments: Mapping[str, page.Environment]
    tutorial: Mapping[str, tables.History]


def files(
    conditions: Conditions,
    entries: Mapping[str, OptimizerEntry],
    records: Records,
    template: str,
    provenance: page.Provenance,
) -> dict[str, bytes]:
    """Compute the tables, the figures and the page.

    Args:
        conditions: of the comparison.
        entries: optimizer -> its entry in params.yaml.
        records: of exactly these optimizers.
        template: of the page, see `page.html`.
        provenance: digest of the inputs, and the command that computes it.

    Returns:
        Name in results/report -> content; equal arguments give equal bytes.
    """
    data, network, training, report = conditions
    histories, tutorial = records.histories, records.tutorial
    runs = tables.final_val_accuracy(histories)
    curves, diagnostics = tables.curves(histories, report), tables.diagnostics(histories)
    differences = statistics.paired_differences(runs, report.confidence)
    ranking = tables.ranking(histories, records.scores, differences, training.target_val_accuracy, report)
    replication = tables.replication(histories, tutorial, report.confidence)
    table = tables.ranking_markdown(ranking, data, network, training, report)
    summary = tables.summary_markdown(ranking, differences, replication, data, report)
    pictures = {
        "accuracy": looks.png(figures.accuracy(ranking, runs, report.confidence)),
        "diagnostics": looks.png(figures.diagnostics(diagnostics)),
        "replication": looks.png(figures.replication(replication, curves, tutorial, report.confidence)),
        "tutorial": looks.png(figures.tutorial(curves, report.confidence)),
    }
    findings = page.Findings(
        ranking, table, summary, differences, curves, diagnostics, replication, pictures, report.confidence
    )
    settings = {name: section.model_dump() for name, section in conditions._asdict().items()}
    return {
        "curves.csv": tables.csv_text(tables.CurvePoint._fields, curves).encode(),
        "diagnostics.csv": tables.csv_text(tables.DiagnosticsPoint._fields, diagnostics).encode(),
        "differences.csv": tables.csv_text(statistics.Difference._fields, differences).encode(),
        "ranking.csv": tables.csv_text(tables.Rank._fields, ranking).encode(),
        "tutorial.csv": tables.csv_text(tables.Replication._fields, replication).encode(),
        "ranking.md": table.encode(),
        "summary.md": summary.encode(),
        "index.html": page.html(template, findings, settings, entries, records.environments, provenance).encode(),
        **{f"figures/{name}.png": content for name, content in pictures.items()},
    }
