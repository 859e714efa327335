"""Measures what DVC itself costs as optimizers grow in number: the tests' small project, whose stages take no time.

Usage: python -m tools.dvc_benchmark [ROUNDS]        (3 unless told; some twenty minutes, alone on the machine)
"""

import sys
import tempfile
import time
from pathlib import Path

from tools.rounds import table

sys.path.insert(0, "tests")  # the small project is theirs

from pipeline import STUBS, Project, shrink

NUMBERS = (8, 32, 100)
COMMANDS = {
    "no-op `dvc repro`": "dvc repro",
    "one parameter changed": "dvc repro",
    "`dvc metrics diff HEAD`": "dvc metrics diff HEAD",
}


def seconds(project: Project, command: str) -> float:
    """Run a command; returns the seconds that it took."""
    started = time.perf_counter()
    project.run(f"exec {command}")  # a DVC of its own, as a user starts it; the tests fork theirs
    return time.perf_counter() - started


def several(number: int):
    """Return a change of the parameters: this many optimizers, which differ in their learning rate."""

    def change(parameters):
        shrink(parameters)
        entry = parameters["optimizers"]["adam"]
        for index in range(number):
            config = {**entry["config"], "learning_rate": (index + 1) / 1e4}
            parameters["optimizers"][f"adam{index}"] = {"class_name": "Adam", "config": config}
        for name in ("adam", "sgd"):
            del parameters["optimizers"][name]

    return change


def main(rounds: int = 3) -> None:
    """Measure every command with every number of optimizers, and print Markdown."""
    found = {}
    for number in NUMBERS:
        with tempfile.TemporaryDirectory() as folder:
            archive = Path("data/raw/mnist.npz").resolve()
            project = Project.copy(Path(folder, "project"), archive, several(number), STUBS)
            found[f"first `dvc repro`, {number} optimizers"] = [seconds(project, "dvc repro")]
            project.commit("Baseline")
            for turn in range(rounds):
                for name, command in COMMANDS.items():
                    if name == "one parameter changed":
                        rate = (turn + 1) / 1e5
                        project.edit(lambda of, to=rate: of["optimizers"]["adam0"]["config"].update(learning_rate=to))
                    found.setdefault(f"{name}, {number} optimizers", []).append(seconds(project, command))
    print(table(found, []))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
