"""Measures the whole pipeline, one training, and what stages take but for training -> docs/experiments/benchmark.md.

Usage: python -m tools.bench [--rounds N] [PART ...]

The parts are pipeline, training and stages; by default all, with 3 rounds: 20 to 60 minutes, alone on the machine.
Every round times each contender once, in an order that rotates; a ratio is taken within a round. Each part replaces
its own section of the page, and a section of the page that has no part was measured by an earlier version.
"""

import argparse
import datetime
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from ruamel.yaml import YAML

from descent.core import parameters, process

PAGE = Path("docs/experiments/benchmark.md")
EPOCHS = 20  # of the tutorial
TUTORIAL = "tutorial's script"
IN_PARALLEL = ["python", "-m", "stages.repro"]


def timed(contend: Callable[[], object]) -> tuple[float, float]:
    """Return seconds of a call, and CPU seconds of this process and of all its children that have ended."""
    start, start_cpu = time.perf_counter(), sum(os.times()[:4])
    contend()
    return time.perf_counter() - start, sum(os.times()[:4]) - start_cpu


def measure(contenders: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Time every contender once in every round, after a second's rest; returns seconds and CPU seconds by name."""
    found, names = {name: [] for name in contenders}, list(contenders)
    for turn in range(rounds):
        start = turn % len(names)
        for name in names[start:] + names[:start]:
            time.sleep(1)
            found[name].append(timed(contenders[name]))
    return found


def table(found: Mapping[str, list[tuple[float, float]]], baseline: str | None = None) -> str:
    """Write medians and ranges as Markdown, and the ratio of each contender to the baseline."""
    rows = {name: (np.array(times), " s") for name, times in found.items()}
    for name in found if baseline else ():
        if name != baseline:
            rows[f"{name} / {baseline}"] = np.array(found[name]) / np.array(found[baseline]), ""
    lines = ["| | median | range | CPU, median | range |", "|---|---:|---:|---:|---:|"]
    for name, (times, unit) in rows.items():
        cells = [f"{np.median(part):.2f}{unit} | {part.min():.2f} to {part.max():.2f}{unit}" for part in times.T]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def run(command: list[str], folder: Path) -> None:
    """Run a program of this environment in a folder; what it prints goes to standard error."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(command, cwd=folder, env={**os.environ, "PATH": path}, stdout=sys.stderr, check=True)


@contextmanager
def fresh_clone(change: Callable[[Any], None]) -> Iterator[Path]:
    """Yield a clone of what is committed, without a cache, with MNIST from data/raw and a changed params.yaml."""
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder, "descent")
        run(["git", "clone", "--quiet", str(Path.cwd()), str(clone)], Path.cwd())
        yaml = YAML()
        settings = yaml.load(clone / "params.yaml")
        settings["download"]["mnist"]["sources"] = {"file": str(Path("data/raw/mnist.npz").resolve())}
        settings["training"]["epochs"] = EPOCHS
        change(settings)
        yaml.dump(settings, clone / "params.yaml")
        yield clone


def as_the_tutorial(settings: Any) -> None:
    """Leave the tutorial's seven optimizers, and one seed."""
    del settings["optimizers"]["tfoptimizer"]
    settings["training"]["runs"], settings["race"]["looks"] = 1, [1]


def pipeline(rounds: int) -> str:
    """Measure the whole pipeline from a fresh clone, and one changed learning rate, against the tutorial's script."""

    def ours(command: list[str], change: Callable[[Any], None]) -> None:
        with fresh_clone(change) as clone:
            run(command, clone)

    def another_rate(clone: Path, rates: Iterator[float]) -> None:
        yaml = YAML()
        settings = yaml.load(clone / "params.yaml")
        settings["optimizers"]["adam"]["config"]["learning_rate"] = next(rates)  # that no kept run has
        yaml.dump(settings, clone / "params.yaml")
        run(["dvc", "repro"], clone)

    with fresh_clone(lambda _: None) as finished:
        run(IN_PARALLEL, finished)
        contenders = {
            TUTORIAL: partial(run, ["python", "-m", "tools.tutorial", str(EPOCHS)], Path.cwd()),
            "the same seven, one seed, one by one": partial(ours, ["dvc", "repro"], as_the_tutorial),
            "the same seven, one seed, in parallel": partial(ours, IN_PARALLEL, as_the_tutorial),
            "params.yaml as it is, in parallel": partial(ours, IN_PARALLEL, lambda _: None),
            "another rate in params.yaml, `dvc repro`": partial(another_rate, finished, count(0.0011, 0.0001)),
        }
        found = measure(contenders, rounds)
    title = f"From a fresh clone, or with a change in a finished one, {EPOCHS} epochs, n = {rounds} rounds:"
    return f"{title}\n\n{table(found, TUTORIAL)}"


def training(rounds: int) -> str:
    """Measure one training of params.yaml with Adam against Keras' own `model.fit`, compilation excluded."""
    import keras

    from descent.data import datasets
    from descent.training import networks, optimizers, settings
    from descent.training.program import Program

    data = datasets.load(Path("data/prepared/splits.npz"))
    entry = settings.read_optimizer("params.yaml", "adam")
    batch_size = parameters.read("params.yaml", "training", settings.TrainingParameters).batch_size
    shape = data.train.examples.shape[1:]
    fresh = networks.builder(parameters.read("params.yaml", "network", settings.NetworkEntry), shape, data.classes)

    ours, made = fresh(0), optimizers.build(entry, "params.yaml: optimizers.adam")
    made.build(ours.trainable_variables)
    program = Program(ours, made, batch_size, data.train, data.validation, networks.should_jit_compile(ours, shape))
    epochs = program.epochs([0], sys.maxsize)

    theirs = fresh(0)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    theirs.compile(optimizers.build(entry, "params.yaml: optimizers.adam"), loss, metrics=["accuracy"])

    options = {"batch_size": batch_size, "validation_data": tuple(data.validation), "verbose": 0}
    fit = partial(theirs.fit, *data.train, **options)

    next(epochs), fit(epochs=1)  # both compile
    contenders = {"descent": lambda: [next(epochs) for _ in range(EPOCHS)], "model.fit": partial(fit, epochs=EPOCHS)}
    title = f"Adam, {EPOCHS} epochs of {len(data.train.labels)} examples, n = {rounds} rounds:"
    return f"{title}\n\n{table(measure(contenders, rounds), 'descent')}"


def stages(rounds: int) -> str:
    """Measure each stage as a process of its own, and a training of one epoch: what all but the others take."""
    found: dict[str, list[tuple[float, float]]] = {}
    with fresh_clone(as_the_tutorial) as clone:
        run(IN_PARALLEL, clone)  # makes what each stage reads
        whole = (clone / "params.yaml").read_text(encoding="utf-8")
        short = re.sub(r"^( +(last_)?epochs:) \d+", r"\1 1", whole, flags=re.MULTILINE)
        contenders = {name: (f"stages.{name}",) for name in ("check", "trace", "compare")}
        # The whole training comes last: it leaves what `compare` reads in the next round.
        contenders |= dict.fromkeys(("train adam, 1 epoch", f"train adam, {EPOCHS} epochs"), ("stages.train", "adam"))
        for _ in range(rounds):
            shutil.rmtree(clone / ".dvc/tmp/runs")
            for name, command in contenders.items():
                (clone / "params.yaml").write_text(short if name.endswith(", 1 epoch") else whole, encoding="utf-8")
                found.setdefault(name, []).append(timed(partial(run, ["python", "-m", *command], clone)))
    return f"Seven optimizers, one seed, n = {rounds} rounds:\n\n{table(found)}"


PARTS = {
    "pipeline": ("The whole pipeline", pipeline),
    "training": ("One training against model.fit", training),
    "stages": ("What stages take but for epochs", stages),
}


@parameters.end_with_message
def main() -> None:
    """Run the parts that are asked for; each replaces its section of the page."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench", description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help="pipeline, training or stages; all by default")
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    if unknown := set(asked.parts) - PARTS.keys():
        parser.error(f"no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    os.environ["PYTHONPATH"] = str(Path("tests/hiding").resolve())  # scikit-learn, which Keras would load
    process.load_tensorflow("bench")
    from descent.training import environment

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    versions = ", ".join(f"{name} {version(name.lower())}" for name in ("TensorFlow", "Keras", "NumPy", "DVC"))
    machine = f"{environment.configure()}, {cores} cores; Python {platform.python_version()}, {versions}."
    for name in asked.parts or PARTS:
        title, part = PARTS[name]
        command = f"python -m tools.bench --rounds {asked.rounds} {name}"
        printed = part(asked.rounds)
        section = f"## {title}\n\n`{command}`, {datetime.date.today()}. {machine}\n\n{printed}\n\n"
        page = PAGE.read_text(encoding="utf-8")
        here = re.compile(rf"^## {re.escape(title)}\n.*?(?=^## |\Z)", re.DOTALL | re.MULTILINE)
        page = here.sub(lambda _, new=section: new, page) if here.search(page) else f"{page.rstrip()}\n\n{section}"
        process.write_file(PAGE, (page.rstrip() + "\n").encode())


if __name__ == "__main__":
    main()
