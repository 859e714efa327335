"""Compares the optimizers, each at its default and its tuned learning rate -> results/tuning/.

Usage: python -m stages.compare_tuning
"""

import sys
from pathlib import Path

from descent.analysis import records
from descent.core import parameters, process
from descent.report import render
from descent.trajectories import paths
from descent.trajectories.paths import TrajectoryParameters

TUNING = Path("results/tuning")
PLOTS_PAGE = ".dvc/plots_page/page.html"


@parameters.end_with_message
def main() -> None:
    """Read what the comparison and the study of each listed optimizer left, compute the report, write it."""

    def read(path: str) -> str:
        return records.read_file(path, "dvc repro tuning/dvc.yaml")

    results = records.read_results(read, with_study=True)
    for name in sorted(results.trainings.keys() - results.studies.keys()):
        print(f"{name}: left out of the study, since its steps do not follow its learning rate")
    if not results.studies:
        raise parameters.InputError("params.yaml: optimizers: expected one whose learning rate can be tuned, got none")
    trajectories = parameters.read("params.yaml", "trajectories", TrajectoryParameters)
    traced = paths.parse(read(f"{TUNING}/paths.csv"), f"{TUNING}/paths.csv")
    written = render.study(results, trajectories, traced, read(PLOTS_PAGE))
    for name, content in written.items():
        process.write_file(TUNING / name, content)
    sys.stdout.reconfigure(errors="replace")  # where it cannot show letters as ±: no reason to fail
    print(f"{written['report/tuned.md'].decode()}\nReport: {TUNING / 'index.html'}")


if __name__ == "__main__":
    main()
