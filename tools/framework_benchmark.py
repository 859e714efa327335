"""Measures one training against the same one in PyTorch and in JAX, each in a process and an environment of its own.

Usage: python -m tools.framework_benchmark [ROUNDS [FOLDER]]        (7 rounds unless told; alone on the machine)

FOLDER keeps the environments, which are made there where they are missing; without one they are thrown away. PyTorch
runs eagerly, JAX one `lax.scan` an epoch, both as in tools/contenders/. Compilation is excluded. Prints Markdown.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from descent.training.environment import configure
from tools.rounds import measure, table
from tools.task import SPLITS, Task

PACKAGES = {"torch": ("torch", "numpy"), "jax": ("jax", "optax", "numpy")}
SCRIPTS = {"torch": "tools/contenders/torch_eager.py", "jax": "tools/contenders/jax_scan.py"}


def environment(name: str, folder: Path) -> Path:
    """Make an environment with a framework where there is none; returns its Python."""
    python = folder / name / "bin/python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder / name], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES[name]], check=True, stdout=sys.stderr)
    return python


def contender(name: str, python: Path, batch_size: int) -> Callable[[int], float]:
    """Return what trains in another process, and tells the seconds that its epochs took."""

    def contend(epochs: int) -> float:
        command = [python, SCRIPTS[name], SPLITS, str(epochs), str(batch_size)]
        printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        return float(printed.split()[0])

    return contend


def version(name: str, python: Path) -> str:
    """Name a framework with its version."""
    code = f"import {name}; print({name}.__version__)"
    told = subprocess.run([python, "-c", code], check=True, stdout=subprocess.PIPE, text=True).stdout
    return f"{name} {told.strip()}"


def main(rounds: int = 7, folder: str | None = None) -> None:
    """Time every contender in every round, and print medians, spread and ratios."""
    configure()
    task = Task()
    mlp, epochs = task.network(), task.settings.epochs
    with tempfile.TemporaryDirectory() as thrown_away:
        pythons = {name: environment(name, Path(folder or thrown_away)) for name in PACKAGES}
        versions = ", ".join(version(name, python) for name, python in pythons.items())
        others = {name: contender(name, python, task.settings.batch_size) for name, python in pythons.items()}
        seconds = measure({"descent": task.descent(mlp, [0]), **others, "model.fit": task.fit(mlp)}, epochs, rounds)
    print(f"{versions}. Adam, {epochs} epochs of {len(task.data.train.labels)} images, n = {rounds} rounds:\n")
    print(table(seconds, [(name, "descent") for name in (*others, "model.fit")]))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]), *sys.argv[2:])
