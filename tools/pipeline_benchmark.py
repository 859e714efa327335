"""Measures the whole pipeline from cold against the tutorial's script: serial, side by side, and as it comes.

Usage: python -m tools.pipeline_benchmark [ROUNDS [EPOCHS]]        (3 and 20 unless told; alone on the machine)

Every round times each contender once; the order rotates. A pipeline is a fresh clone of what is committed, without a
cache, in this environment, with MNIST at hand in data/raw/mnist.npz.
Standard output gets Markdown, standard error what the contenders print.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tools.rounds import measure, table

TUTORIAL = "tutorial's script"


def run(command: list[str], folder: Path) -> None:
    """Run a program of this environment in a folder; what it prints goes to standard error."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(command, cwd=folder, env={**os.environ, "PATH": path}, stdout=sys.stderr, check=True)


@contextmanager
def fresh_clone(epochs: int, change: Callable[[Any], None]) -> Iterator[Path]:
    """Yield a clone of what is committed, with other params.yaml, for as long as it is needed."""
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder, "descent")
        run(["git", "clone", "--quiet", str(Path.cwd()), str(clone)], Path.cwd())
        yaml = YAML()
        parameters = yaml.load(clone / "params.yaml")
        parameters["download"]["mnist"]["sources"] = {"file": str(Path("data/raw/mnist.npz").resolve())}
        parameters["training"].update(epochs=epochs, last_epochs=min(epochs, parameters["training"]["last_epochs"]))
        change(parameters)
        yaml.dump(parameters, clone / "params.yaml")
        yield clone


def pipeline(command: list[str], change: Callable[[Any], None]) -> Callable[[int], None]:
    """Prepare a contender: a fresh clone, its params.yaml changed, and a command there."""

    def contend(epochs: int) -> None:
        with fresh_clone(epochs, change) as clone:
            run(command, clone)

    return contend


def as_the_tutorial(parameters: Any) -> None:
    """Leave the tutorial's seven optimizers, and one seed."""
    del parameters["optimizers"]["tfoptimizer"]
    parameters["training"]["seeds"] = [0]


def main(rounds: int = 3, epochs: int = 20) -> None:
    """Time every contender in every round, and print medians, spread and ratios."""
    side_by_side = [sys.executable, "-m", "stages.repro"]
    contenders = {
        TUTORIAL: lambda epochs: run([sys.executable, "-m", "tools.tutorial", str(epochs)], Path.cwd()),
        "the same seven, one seed, serial": pipeline(["dvc", "repro"], as_the_tutorial),
        "the same seven, one seed, side by side": pipeline(side_by_side, as_the_tutorial),
        "params.yaml as it is, side by side": pipeline(side_by_side, lambda _: None),
    }
    seconds = measure(contenders, epochs, rounds, warm=False)
    print(f"The whole pipeline from a fresh clone, {epochs} epochs, n = {rounds} rounds:\n")
    print(table(seconds, [(name, TUTORIAL) for name in contenders if name != TUTORIAL]))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
