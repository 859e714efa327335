"""Puts how long the trainings took on this machine into a copy of the report page -> logs/report.html.

Usage: python -m stages.times        (after dvc repro)

The page itself is cached and the same wherever it is made, so it tells no times; logs/ does, of what trained here.
"""

import math
from pathlib import Path
from xml.etree.ElementTree import tostring

import numpy as np

from descent import files, parameters
from descent.optimizers.entries import Optimizers, OwnOptimizers
from descent.report import layout, page
from descent.training import metrics
from descent.training.settings import TrainingParameters

PAGE, COPY = Path("results/report/index.html"), Path("logs/report.html")
MARK = "<!-- times -->"


@parameters.end_with_message
def main() -> None:
    """Read the logs of the optimizers of params.yaml; write the copy, and nothing where none was trained here."""
    training = parameters.read("params.yaml", "training", TrainingParameters)
    optimizers = parameters.read("params.yaml", "optimizers", Optimizers)
    optimizers |= parameters.read("params.yaml", "own_optimizers", OwnOptimizers)
    seconds = {name: metrics.read_clock(Path("logs", f"{name}.json")) for name in sorted(optimizers)}
    seconds = {name: epochs for name, epochs in seconds.items() if len(epochs) == training.epochs}
    if not seconds or not PAGE.exists():
        return
    written = PAGE.read_text(encoding="utf-8").replace(MARK, tostring(page.table(times(seconds)), "unicode"))
    files.write(COPY, written.encode())
    print(f"With the times of this machine: {COPY}")


def times(seconds: dict[str, list[float]]) -> layout.Table:
    """Lay out the seconds of each optimizer's epochs, those of all its runs together."""
    rows = [
        (name, f"{math.fsum(epochs):.1f}", f"{epochs[0]:.1f}", f"{np.median(epochs[1:] or epochs):.2f}")
        for name, epochs in seconds.items()
    ]
    heads = ("Optimizer", "All epochs, s", "The first, with loading and compiling, s", "Each further one, median, s")
    return layout.Table("How long the last training of each took on this machine, all runs together", heads, rows)


if __name__ == "__main__":
    main()
