"""Measures how fast training is, side by side in one process: ours, model.fit, bare matrix products, several seeds.

Usage: python -m tools.benchmark [ROUNDS]        (7 unless told; alone on the machine; needs data/prepared/splits.npz)

Every round times each contender once, for the epochs of params.yaml, compilation excluded; the order rotates, with a
second's rest before each. The task is that of params.yaml with the optimizer `adam`. The output is Markdown.
"""

import platform
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from unittest import mock

import keras
import numpy as np
import tensorflow as tf

from descent import parameters
from descent.data import datasets
from descent.optimizers import build, entries
from descent.training import device, networks, runs
from descent.training.settings import NetworkEntry, TrainingParameters


def epoch_of_products(model: keras.Model, data: datasets.Dataset, batch_size: int) -> Callable[[], None]:
    """Prepare the matrix products of one epoch in NumPy's sgemm: forward, both gradients, validation; nothing else."""
    random = np.random.default_rng(0)
    kernels = [weight.numpy() for weight in model.trainable_variables if len(weight.shape) == 2]
    sizes = [kernels[0].shape[0], *(kernel.shape[1] for kernel in kernels)]

    def activations(rows: int) -> list[np.ndarray]:
        return [random.normal(size=(rows, size)).astype("float32") for size in sizes]

    batch, whole = activations(batch_size), activations(len(data.validation.labels))

    def epoch() -> None:
        for _ in range(len(data.train.labels) // batch_size):
            for layer, kernel in enumerate(kernels):
                batch[layer] @ kernel
                batch[layer].T @ batch[layer + 1]
                if layer:  # nobody needs the gradient of the images
                    batch[layer + 1] @ kernel.T
        for layer, kernel in enumerate(kernels):
            whole[layer] @ kernel

    return epoch


def measure(contenders: dict[str, Callable[[int], object]], epochs: int, rounds: int) -> dict[str, np.ndarray]:
    """Time every contender once in every round; returns seconds [rounds] by name, compilation excluded."""
    for contend in contenders.values():
        contend(1)  # compiles
    seconds = {name: [] for name in contenders}
    names = list(contenders)
    for turn in range(rounds):
        start = turn % len(names)
        for name in names[start:] + names[:start]:
            time.sleep(1)  # the threads of NumPy's sgemm spin on for a while after its last product
            started = time.perf_counter()
            contenders[name](epochs)
            seconds[name].append(time.perf_counter() - started)
    return {name: np.array(values) for name, values in seconds.items()}


def table(seconds: dict[str, np.ndarray], ratios: list[tuple[str, str]]) -> str:
    """Write medians and spread as Markdown; a ratio is taken within a round."""
    rows = [(name, values, " s") for name, values in seconds.items()]
    rows += [(f"{one} / {other}", seconds[one] / seconds[other], "") for one, other in ratios]
    lines = [f"| {name} | {np.median(v):.2f}{unit} | {v.min():.2f} to {v.max():.2f}{unit} |" for name, v, unit in rows]
    return "\n".join(["| | median | least to most |", "|---|---:|---:|", *lines])


def main(rounds: int) -> None:
    """Time every contender in every round, and print medians, spread and ratios."""
    where = device.configure()
    data = datasets.load(Path("data/prepared/splits.npz"))
    settings = parameters.read("params.yaml", "training", TrainingParameters)
    _, entry = entries.read_entry("params.yaml", "optimizers.adam")
    adam = partial(build.build, entry, "params.yaml: optimizers.adam")

    def network(entry: NetworkEntry) -> Callable[[int], keras.Model]:
        return networks.builder(entry, data.train.examples.shape[1:], 10)

    def descent(fresh: Callable[[int], keras.Model], seeds: list[int], stacked: bool = False) -> Callable[[int], None]:
        changes = {"seeds": seeds, "epochs": sys.maxsize}
        trained = runs.Runs(fresh, adam, settings.model_copy(update=changes), data.train, data.validation, stacked)
        endless = trained.epochs()
        return lambda epochs: [next(endless) for _ in range(epochs)]

    def fit(fresh: Callable[[int], keras.Model]) -> Callable[[int], object]:
        model = fresh(0)
        model.compile(adam(), keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
        options = {"batch_size": settings.batch_size, "validation_data": tuple(data.validation), "verbose": 0}
        return lambda epochs: model.fit(*data.train, epochs=epochs, **options)

    mlp = network(parameters.read("params.yaml", "network", NetworkEntry))
    products = epoch_of_products(mlp(0), data, settings.batch_size)
    seconds = measure(
        {  # those that are compared stand side by side, and run soon after each other
            "model.fit": fit(mlp),
            "descent": descent(mlp, [0]),
            "matrix products alone": lambda epochs: [products() for _ in range(epochs)],
            "3 seeds in turn": descent(mlp, [0, 1, 2]),
            "3 seeds stacked": descent(mlp, [0, 1, 2], stacked=True),
        },
        settings.epochs,
        rounds,
    )
    versions = f"TensorFlow {tf.__version__}, Keras {keras.__version__}, NumPy {np.__version__}"
    print(f"{where}; Python {platform.python_version()}, {versions}.\n")
    task = f"Adam, {settings.epochs} epochs of {len(data.train.labels)} images"
    print(f"{task}, n = {rounds} rounds, the network of params.yaml:\n")
    pairs = [("model.fit", "descent"), ("descent", "matrix products alone")]
    print(table(seconds, [*pairs, ("3 seeds in turn", "descent"), ("3 seeds stacked", "descent")]))

    cnn = network(NetworkEntry(file="networks/cnn.py", config={}))
    without = descent(cnn, [0])
    with mock.patch.object(networks, "suits_xla", return_value=True):
        with_xla = descent(cnn, [0])
    contenders = {"model.fit": fit(cnn), "descent, without XLA": without, "descent, with XLA": with_xla}
    seconds = measure(contenders, 1, rounds)
    print(f"\nOne epoch of `networks/cnn.py`, n = {rounds} rounds:\n")
    print(table(seconds, [("descent, without XLA", "model.fit"), ("descent, with XLA", "model.fit")]))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:] or ["7"]))
