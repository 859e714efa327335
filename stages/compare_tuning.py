"""Compares the optimizers, each at its default and its tuned learning rate -> results/tuning/.

Usage: python -m stages.compare_tuning
"""

import sys
from pathlib import Path

from descent.analysis import records, tables
from descent.analysis.settings import Conditions
from descent.core import parameters, process
from descent.report import render
from descent.study import columns, paths
from descent.study.settings import TuningParameters
from descent.trajectories.settings import TrajectoryParameters

RESULTS, TUNING = Path("results"), Path("results/tuning")
PLOTS_PAGE = Path(".dvc/plots_page/page.html")


def read(path: Path) -> str:
    """Read a file that must be there."""
    return records.read_file(path, "dvc repro tuning/dvc.yaml")


@parameters.end_with_message
def main() -> None:
    """Read what the comparison and the study of each listed optimizer left, compute the report, write it."""
    sections = {key: parameters.read("params.yaml", key, schema) for key, schema in Conditions.__annotations__.items()}
    conditions = Conditions(**sections)
    tuning = parameters.read("params.yaml", "tuning", TuningParameters)
    trajectories = parameters.read("params.yaml", "trajectories", TrajectoryParameters)
    trainings, tunings = {}, {}
    for name in conditions.optimizers:
        where = (RESULTS / "history" / f"{name}.csv", RESULTS / "metrics" / f"{name}.json")
        trainings[name] = records.parse_training(
            *map(read, where), tuple(map(str, where)), conditions.training, conditions.data.validation_size
        )
        where = (TUNING / "runs" / f"{name}.csv", TUNING / "metrics" / f"{name}.json")
        if tuned := columns.parse(*map(read, where), tuple(map(str, where))):
            tunings[name] = tuned
        else:
            print(f"{name}: left out of the study, since its steps do not follow its learning rate")
    if not tunings:
        raise parameters.InputError("params.yaml: optimizers: expected one whose learning rate can be tuned, got none")
    traced = paths.parse(read(TUNING / "paths.csv"), str(TUNING / "paths.csv"))
    defaults = tables.endpoints(trainings, conditions)

    written = render.study(conditions, tuning, trajectories, tunings, defaults, traced, read(PLOTS_PAGE))
    for name, content in written.items():
        process.write_file(TUNING / name, content)
    sys.stdout.reconfigure(errors="replace")  # where it cannot show letters as ±: no reason to fail
    print(f"{written['report/tuned.md'].decode()}\nReport: {TUNING / 'index.html'}")


if __name__ == "__main__":
    main()
