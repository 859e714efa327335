"""Measures how time and memory of a training grow with its size, and a formula for it.

Usage: python -m tools.scaling          (some ten minutes; alone on the machine; prints Markdown)
       python -m tools.scaling SIZE     (one size as JSON, in this process: seconds an epoch, peak memory)

Numbers of runs are measured in a process each, since memory that was in use stays with a process; sizes in one process,
in rounds, since machines change their speed.
"""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import scipy.optimize
from tabulate import tabulate

RUNS = (1, 2, 4, 8, 16, 32)
EPOCHS = 4  # of each number of runs
ROUNDS = 11  # of the sizes


class Size(NamedTuple):
    """A training with Adam in batches of 128: hidden layers of equal width, examples like MNIST's."""

    hidden_units: tuple[int, ...] = (512, 512)
    train_size: int = 8192
    runs: int = 1
    stacked: bool = False

    def terms(self) -> list[float]:
        """What an epoch of one run does: steps, multiplications of its products in 1e9, weights updated in 1e9."""
        sizes = [784, *self.hidden_units, 10]
        weights = sum(before * after for before, after in pairwise(sizes))
        steps = -(-self.train_size // 128)
        # Forward, both gradients, but that of the images, and scoring.
        products = self.train_size * (3 * weights - sizes[0] * sizes[1]) + 3000 * weights
        return [steps, products / 1e9, steps * weights / 1e9]


FITTED = [
    *(Size((width,) * 2) for width in (64, 256, 512, 1024)),
    *(Size((512,) * depth) for depth in (1, 4)),
    *(Size(train_size=size) for size in (1024, 32768)),
]
CHECKED = [Size((384,) * 3, 4096), Size((768,) * 2, 16384), Size((256,) * 6, 12288)]


def train(size: Size) -> Iterator[object]:
    """Start a training on made-up examples, and compile it; each item to come is an epoch of all runs."""
    from descent.data.datasets import Split
    from descent.training import networks
    from descent.training.settings import NetworkEntry
    from tools.task import Task

    task = Task()
    random = np.random.default_rng(0)
    examples = random.random((size.train_size, 28, 28), "float32")
    split = Split(examples, random.integers(10, size=size.train_size).astype("int32"))
    entry = NetworkEntry(
        file="networks/mlp.py",
        config={"hidden_units": list(size.hidden_units), "activation": "relu", "dropout": 0.2},
    )
    fresh = networks.builder(entry, (28, 28), 10)
    training = task.epochs(fresh, list(range(size.runs)), stacked=size.stacked, train=split)
    next(training)
    return training


def rounds(trainings: Sequence[Iterator[object]], number: int) -> list[float]:
    """Take an epoch of each in its turn, this number of times; returns the median seconds of each."""
    seconds = []
    for _ in range(number):
        for training in trainings:
            started = time.perf_counter()
            next(training)
            seconds.append(time.perf_counter() - started)
    return np.median(np.reshape(seconds, (number, -1)), axis=0).tolist()


def measure(size: Size) -> None:
    """Print as JSON the median seconds of an epoch, and the peak memory of this process in GiB."""
    [seconds] = rounds([train(size)], EPOCHS)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux counts in KiB
    print(json.dumps({"seconds": seconds, "gib": peak / 2**30}))


def elsewhere(size: Size) -> dict[str, float]:
    """Measure in a process of its own."""
    command = [sys.executable, "-m", "tools.scaling", json.dumps(size)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1])


def main() -> None:
    """Measure all sizes, fit the formula, say how well it predicts what it has not seen."""
    rows = []
    for runs in RUNS:
        found = elsewhere(Size(runs=runs, stacked=runs > 1))
        rows.append([runs, f"{found['seconds'] / runs:.2f}", f"{found['gib']:.2f}"])
    heads = ["Runs, stacked", "s an epoch of a run", "GiB at most"]  # one after the other, they take what one takes
    print(tabulate(rows, heads, "pipe", disable_numparse=True) + "\n")

    sizes = FITTED + CHECKED
    seconds = dict(zip(sizes, rounds([train(size) for size in sizes], ROUNDS), strict=True))
    terms = np.array([size.terms() for size in FITTED])
    took = np.array([seconds[size] for size in FITTED])
    constants, _ = scipy.optimize.nnls(terms / took[:, None], np.ones(len(took)))  # relative errors
    per_step, per_product, per_weight = constants
    print(
        f"Seconds an epoch = {per_step:.3g} x steps + {per_product:.3g} x products / 1e9 + {per_weight:.3g} x"
        f" steps x weights / 1e9; medians of {ROUNDS} rounds, an epoch of each size in a round.\n"
    )
    rows = []
    for size, found in seconds.items():
        predicted = float(np.dot(size.terms(), constants))
        kind = "fitted" if size in FITTED else "not seen"
        shape = f"{len(size.hidden_units)} x {size.hidden_units[0]}"
        rows.append([shape, size.train_size, f"{found:.3f}", f"{predicted:.3f}", f"{predicted / found - 1:+.0%}", kind])
    print(tabulate(rows, ["Hidden", "Examples", "s an epoch", "formula", "off by", ""], "pipe", disable_numparse=True))


if __name__ == "__main__":
    if sys.argv[1:]:
        units, *rest = json.loads(sys.argv[1])
        measure(Size(tuple(units), *rest))
    else:
        main()
