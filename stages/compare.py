"""Compares the optimizers: histories and metrics of all that params.yaml lists -> results/report/.

Usage: python -m stages.compare
"""

import io
from pathlib import Path

from matplotlib.figure import Figure

from descent import figures, files, parameters, statistics, tables

RESULTS = Path("results")


def read(path: Path) -> str:
    """Read a file that must be there."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise parameters.InputError(f"{path}: not readable: {error}; run dvc repro") from None


@figures.in_house_style
def png(figure: Figure) -> bytes:
    """Render a figure; without the version of matplotlib in it, equal figures are equal bytes."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()


@parameters.end_with_message
def main() -> None:
    """Read what each listed optimizer left, compute the report, write it, drop what is listed no more."""
    report = parameters.read("params.yaml", "report", tables.ReportParameters)
    data = parameters.read("params.yaml", "data", tables.DataConditions)
    network = parameters.read("params.yaml", "network", tables.NetworkConditions)
    training = parameters.read("params.yaml", "training", tables.TrainingConditions)
    names = [
        *parameters.read("params.yaml", "optimizers", parameters.Optimizers),
        *parameters.read("params.yaml", "own_optimizers", parameters.OwnOptimizers),
    ]
    history_files = {name: RESULTS / "history" / f"{name}.csv" for name in names}
    metrics_files = {name: RESULTS / "metrics" / f"{name}.json" for name in names}
    histories = {name: tables.parse_history(read(path), str(path), training) for name, path in history_files.items()}
    scores = {name: tables.parse_score(read(path), str(path)) for name, path in metrics_files.items()}
    printed = tables.parse_tutorial(read(Path("data/reference/tutorial_history.csv")))

    runs = tables.final_val_accuracy(histories)
    curves, diagnostics = tables.curves(histories, report), tables.diagnostics(histories)
    differences = statistics.paired_differences(runs, report.confidence)
    ranking = tables.ranking(histories, scores, differences, training.target_val_accuracy, report)
    replication = tables.replication(histories, printed, report.confidence)
    table = tables.ranking_markdown(ranking, data, network, training, report)
    summary = tables.summary_markdown(ranking, differences, replication, data, report)
    written = {
        "curves.csv": tables.csv_text(tables.CurvePoint._fields, curves).encode(),
        "diagnostics.csv": tables.csv_text(tables.DiagnosticsPoint._fields, diagnostics).encode(),
        "ranking.csv": tables.csv_text(tables.Rank._fields, ranking).encode(),
        "differences.csv": tables.csv_text(statistics.Difference._fields, differences).encode(),
        "tutorial.csv": tables.csv_text(tables.Replication._fields, replication).encode(),
        "ranking.md": table.encode(),
        "summary.md": summary.encode(),
        "figures/tutorial.png": png(figures.tutorial(curves, report.confidence)),
        "figures/accuracy.png": png(figures.accuracy(ranking, runs, report.confidence)),
        "figures/diagnostics.png": png(figures.diagnostics(diagnostics)),
        "figures/replication.png": png(figures.replication(replication, curves, printed, report.confidence)),
    }

    for name, content in written.items():
        files.write(RESULTS / "report" / name, content)
    stale = {*RESULTS.glob("history/*.csv"), *RESULTS.glob("metrics/*.json")}
    for path in stale - {*history_files.values(), *metrics_files.values()}:
        path.unlink()
    print(f"{table}\nFigures: {RESULTS / 'report' / 'figures'}")


if __name__ == "__main__":
    main()
