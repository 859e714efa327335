"""Compares the optimizers: what each of params.yaml's trainings left -> results/report/.

Usage: python -m stages.compare
"""

from pathlib import Path

from descent import files, parameters
from descent.optimizers.entries import Optimizers, OwnOptimizers
from descent.report import contents as report
from descent.report import digest, page, tables

RESULTS = Path("results")
KINDS = ("environment", "history", "metrics", "models")  # folders with a file for each optimizer, NAME.*
SECTIONS = ("data", "network", "optimizers", "own_optimizers", "report", "training")
TUTORIAL = Path("data/reference/tutorial_history.csv")
CODE = [
    Path("stages/__init__.py"),
    Path("stages/compare.py"),
    Path("descent/__init__.py"),
    Path("descent/files.py"),
    Path("descent/optimizers/__init__.py"),
    Path("descent/optimizers/entries.py"),
    Path("descent/own.py"),
    Path("descent/parameters.py"),
    Path("descent/report/__init__.py"),
    Path("descent/report/contents.py"),
    Path("descent/report/digest.py"),
    Path("descent/report/figures.py"),
    Path("descent/report/page.html"),
    Path("descent/report/page.py"),
    Path("descent/report/statistics.py"),
    Path("descent/report/tables.py"),
    Path("descent/style.py"),
    Path("descent/training/__init__.py"),
    Path("descent/training/metrics.py"),
]


def read(path: Path) -> str:
    """Read a file that must be there."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise parameters.InputError(f"{path}: not readable: {error}; run dvc repro") from None


@parameters.end_with_message
def main() -> None:
    """Read what each listed optimizer left, compute the report, write it, drop what is listed no more."""
    conditions = report.Conditions(
        parameters.read("params.yaml", "data", tables.DataConditions),
        parameters.read("params.yaml", "network", tables.NetworkConditions),
        parameters.read("params.yaml", "training", tables.TrainingConditions),
        parameters.read("params.yaml", "report", tables.ReportParameters),
    )
    optimizers = parameters.read("params.yaml", "optimizers", Optimizers)
    entries = optimizers | parameters.read("params.yaml", "own_optimizers", OwnOptimizers)
    histories = {name: RESULTS / "history" / f"{name}.csv" for name in entries}
    metrics = {name: RESULTS / "metrics" / f"{name}.json" for name in entries}
    environments = {name: RESULTS / "environment" / f"{name}.json" for name in entries}
    records = report.Records(
        {name: tables.parse_history(read(path), str(path), conditions.training) for name, path in histories.items()},
        {name: tables.parse_document(read(path), tables.Score, str(path)) for name, path in metrics.items()},
        {name: tables.parse_document(read(path), page.Environment, str(path)) for name, path in environments.items()},
        tables.parse_tutorial(read(TUTORIAL)),
    )
    sections = {section: parameters.read("params.yaml", section, dict) for section in SECTIONS}
    hashed = [*CODE, TUTORIAL, *histories.values(), *metrics.values()]
    inputs = {path.as_posix(): path.read_bytes() for path in hashed}
    provenance = page.Provenance(digest.digest(sections, inputs), digest.command(SECTIONS, inputs))

    written = report.files(conditions, entries, records, read(Path("descent/report/page.html")), provenance)
    for name, content in written.items():
        files.write(RESULTS / "report" / name, content)
    left = [path for kind in KINDS for path in (RESULTS / kind).glob("[!.]*") if path.name.split(".")[0] not in entries]
    for path in left:
        path.unlink()
    print(f"{written['ranking.md'].decode()}\nFigures: {RESULTS / 'report' / 'figures'}")


if __name__ == "__main__":
    main()
