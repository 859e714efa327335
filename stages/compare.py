"""Compares the optimizers: what each of params.yaml's trainings left -> results/report/.

Usage: python -m stages.compare
"""

import sys
from pathlib import Path

from descent.core import parameters, process
from descent.report import folder, records
from descent.report.settings import Conditions

RESULTS = Path("results")
TUTORIAL = Path("data/reference/tutorial_history.csv")
TRAJECTORIES = RESULTS / "trajectories/trajectories.svg"
PAGE = ("descent/report/page.html", "descent/report/pages.css")


def read(path: Path) -> str:
    """Read a file that must be there."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise parameters.InputError(f"{path}: not readable: {error}; run dvc repro") from None


@parameters.end_with_message
def main() -> None:
    """Read what each listed optimizer left, compute the report, write it."""
    sections = {key: parameters.read("params.yaml", key, schema) for key, schema in Conditions.__annotations__.items()}
    conditions = Conditions(**sections)
    trainings = {}
    for name in conditions.optimizers:
        paths = (RESULTS / "history" / f"{name}.csv", RESULTS / "metrics" / f"{name}.json")
        trainings[name] = records.parse_training(
            *map(read, paths), tuple(map(str, paths)), conditions.training, conditions.data.validation_size
        )
    printed = records.parse_tutorial(read(TUTORIAL), str(TUTORIAL))

    page = (read(Path(part)) for part in PAGE)
    written = folder.contents(conditions, trainings, printed, read(TRAJECTORIES), *page)
    for name, content in written.items():
        process.write_file(RESULTS / "report" / name, content)
    sys.stdout.reconfigure(errors="replace")  # where it cannot show letters as ±: no reason to fail
    print(f"{written['ranking.md'].decode()}\nReport: {RESULTS / 'report' / 'index.html'}")


if __name__ == "__main__":
    main()
