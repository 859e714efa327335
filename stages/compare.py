"""Compares the optimizers: what each of params.yaml's trainings left -> results/report/.

Usage: python -m stages.compare
"""

import json
import sys
from pathlib import Path

from descent.analysis import records
from descent.core import parameters, process
from descent.data import datasets
from descent.report import render
from descent.training import settings

RESULTS = Path("results")
TUTORIAL = Path("data/reference/tutorial_history.csv")
TRAJECTORIES = RESULTS / "trajectories/trajectories.svg"


@parameters.end_with_message
def main() -> None:
    """Read what each listed optimizer left, compute the report, write it."""
    results = records.read_results()
    printed = records.parse_tutorial(records.read_file(TUTORIAL), str(TUTORIAL))
    trajectories = records.read_file(TRAJECTORIES)
    weights = json.loads(records.read_file(settings.NETWORK))["parameters"]
    written = render.comparison(results, printed, trajectories, datasets.describe(datasets.SPLITS), weights)
    for name, content in written.items():
        process.write_file(RESULTS / "report" / name, content)
    sys.stdout.reconfigure(errors="replace")  # where it cannot show letters as ±: no reason to fail
    print(f"{written['ranking.md'].decode()}\nReport: {RESULTS / 'report' / 'index.html'}")


if __name__ == "__main__":
    main()
