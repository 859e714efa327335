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
    weights = parse_network(records.read_file(settings.NETWORK))
    written = render.comparison(results, printed, trajectories, datasets.describe(datasets.SPLITS), weights)
    for name, content in written.items():
        process.write_file(RESULTS / "report" / name, content)
    sys.stdout.reconfigure(errors="replace")  # where it cannot show letters as ±: no reason to fail
    print(f"{written['ranking.md'].decode()}\nReport: {RESULTS / 'report' / 'index.html'}")


def parse_network(text: str) -> int:
    """Read the number of parameters of the network, which the stage `check` wrote."""
    try:
        return int(json.loads(text)["parameters"])
    except (ValueError, KeyError, TypeError) as error:
        raise parameters.InputError(f"{settings.NETWORK}: damaged: {error!r}; run dvc repro") from None


if __name__ == "__main__":
    main()
