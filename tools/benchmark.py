"""Measures how fast training is, side by side in one process: ours, model.fit, bare matrix products, several seeds.

Usage: python -m tools.benchmark [ROUNDS]        (7 unless told; alone on the machine; needs data/prepared/mnist.npz)

Every round times each contender once, for the epochs of params.yaml, compilation excluded; the order rotates, with a
second's rest before each. The task is that of params.yaml with the optimizer `adam`. The output is Markdown.
"""

import itertools
import platform
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from descent import parameters
from descent.data import datasets
from descent.optimizers import build, entries
from descent.training import networks
from descent.training import runs as training


def epochs_of_ours(
    data: datasets.Dataset, seeds: list[int], stacked: bool, network: networks.NetworkParameters,
    settings: training.TrainingParameters, optimizer: keras.optimizers.Optimizer,
) -> Callable[[], object]:  # fmt: skip
    """Prepare runs; each call trains one more epoch."""
    endless = settings.model_copy(update={"seeds": seeds, "epochs": sys.maxsize})
    return partial(next, training.Runs(network, endless, data.train, data.validation, optimizer, stacked).epochs())


def epochs_of_fit(
    data: datasets.Dataset, network: networks.NetworkParameters, batch_size: int, optimizer: keras.optimizers.Optimizer
) -> Callable[[int], object]:
    """Prepare the same network under Keras' own model.fit; each call trains the given number of epochs."""
    model = networks.plain(network, data.train.images.shape[1])
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    return lambda epochs: model.fit(
        *data.train, batch_size=batch_size, epochs=epochs, validation_data=tuple(data.validation), verbose=0
    )


def epoch_of_products(
    data: datasets.Dataset, network: networks.NetworkParameters, batch_size: int
) -> Callable[[], None]:
    """Prepare the matrix products of one epoch in NumPy's sgemm: forward, both gradients, validation; nothing else."""
    random = np.random.default_rng(0)
    sizes = [data.train.images.shape[1], *network.hidden_units, networks.CLASSES]
    kernels = [random.normal(size=pair).astype("float32") for pair in itertools.pairwise(sizes)]

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


def main(rounds: int) -> None:
    """Time every contender in every round, and print medians, spread and ratios."""
    device = training.configure()
    data = datasets.load(Path("data/prepared/mnist.npz"))
    network = parameters.read("params.yaml", "network", networks.NetworkParameters)
    settings = parameters.read("params.yaml", "training", training.TrainingParameters)
    _, entry = entries.read_entry("params.yaml", "optimizers.adam")
    fresh = partial(build.build, entry, "params.yaml: optimizers.adam")
    single, three, stacked = (
        epochs_of_ours(data, seeds, stacked, network, settings, fresh())
        for seeds, stacked in (([0], False), ([0, 1, 2], False), ([0, 1, 2], True))
    )
    fit = epochs_of_fit(data, network, settings.batch_size, fresh())
    products = epoch_of_products(data, network, settings.batch_size)

    def repeat(epoch: Callable[[], object], epochs: int) -> None:
        for _ in range(epochs):
            epoch()

    contenders = {  # those that are compared stand side by side, and run soon after each other
        "model.fit, 1 seed": fit,
        "descent, 1 seed": partial(repeat, single),
        "matrix products alone": partial(repeat, products),
        "descent, 3 seeds in turn, as on a CPU": partial(repeat, three),
        "descent, 3 seeds stacked, as on a GPU": partial(repeat, stacked),
    }
    for contend in contenders.values():
        contend(1)  # compiles
    seconds = {name: [] for name in contenders}
    for turn in range(rounds):
        names = list(contenders)
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            time.sleep(1)  # the threads of NumPy's sgemm spin on for a while after its last product
            started = time.perf_counter()
            contenders[name](settings.epochs)
            seconds[name].append(time.perf_counter() - started)

    fit, one, products, three, stacked = (np.array(values) for values in seconds.values())
    ratios = {
        "model.fit / descent": fit / one,
        "descent / matrix products": one / products,
        "3 seeds in turn / 1 seed": three / one,
        "3 seeds stacked / 1 seed": stacked / one,
    }
    print(f"{device}; Python {platform.python_version()}, TensorFlow {tf.__version__}, Keras {keras.__version__},")
    print(
        f"NumPy {np.__version__}. Adam, {settings.epochs} epochs, {len(data.train.labels)} images, n = {rounds} runs:\n"
    )
    print("| | median | least to most |\n|---|---:|---:|")
    for name, values in seconds.items():
        print(f"| {name} | {np.median(values):.2f} s | {min(values):.2f} to {max(values):.2f} s |")
    for name, values in ratios.items():  # within a round: the machine may be slower in another
        print(f"| {name} | {np.median(values):.2f} | {min(values):.2f} to {max(values):.2f} |")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:] or ["7"]))
