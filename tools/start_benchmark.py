"""Measures what each stage takes but for its epochs, each as a process of its own, with one seed.

Usage: python -m tools.start_benchmark [ROUNDS]        (5 unless told; some three minutes, alone on the machine)
"""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from tools.pipeline_benchmark import as_the_tutorial, fresh_clone, run
from tools.rounds import table

EPOCHS = 20


def timed(arguments: list[str], folder: Path) -> tuple[float, float]:
    """Run a stage; returns the seconds until its first line, and until its end."""
    started = time.perf_counter()
    command = [sys.executable, "-m", *arguments]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=sys.stderr, text=True) as process:
        process.stdout.readline()
        first = time.perf_counter() - started
        process.stdout.read()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return first, time.perf_counter() - started


def run_seconds(folder: Path) -> float:
    """Read how long the only run that is kept took."""
    [path] = (folder / ".dvc/tmp/runs").glob("*.npz")
    with np.load(path) as kept:
        return json.loads(str(kept["facts"]))["seconds"]


def main(rounds: int = 5) -> None:
    """Time check, a training, trace and compare in every round, and print medians and spread."""
    found: dict[str, list[float]] = {}
    with fresh_clone(EPOCHS, as_the_tutorial) as clone:
        run([sys.executable, "-m", "stages.repro"], clone)  # what each stage reads
        for _ in range(rounds):
            for name in ("check", "trace", "compare"):
                found.setdefault(name, []).append(timed([f"stages.{name}"], clone)[1])
            shutil.rmtree(clone / ".dvc/tmp/runs")
            first, whole = timed(["stages.train", "adam"], clone)
            found.setdefault("a training, until its first line", []).append(first)
            seconds = run_seconds(clone)
            found.setdefault(f"a training, its run: {EPOCHS} epochs and compiling", []).append(seconds)
            found.setdefault("a training, all else", []).append(whole - seconds)
    print(f"Seven optimizers, one seed, n = {rounds}:\n")
    print(table(found, []))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
