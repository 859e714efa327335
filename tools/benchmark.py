"""Measures how fast training is, side by side in one process: ours, model.fit, bare matrix products, several seeds.

Usage: python -m tools.benchmark [ROUNDS]        (7 unless told; alone on the machine; needs data/prepared/splits.npz)

Every round times each contender once, for the epochs of params.yaml, compilation excluded; the order rotates, with a
second's rest before each. The task is that of params.yaml with the optimizer `adam`. The output is Markdown.
"""

import sys
from collections.abc import Callable

import keras
import numpy as np

from descent.core import parameters
from descent.data import datasets
from descent.training import environment
from descent.training.settings import NetworkEntry, Optimizers
from tools.rounds import measure, table
from tools.task import Task


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


def main(rounds: int) -> None:
    """Time every contender in every round, and print medians, spread and ratios."""
    environment.configure()
    task = Task()
    mlp, epochs = task.network(), task.settings.epochs
    products = epoch_of_products(mlp(0), task.data, task.settings.batch_size)
    print(f"Adam, {epochs} epochs of {len(task.data.train.labels)} images, n = {rounds} rounds:\n")
    seconds = measure(
        {  # those that are compared stand side by side, and run soon after each other
            "model.fit": task.fit(mlp),
            "descent": task.descent(mlp, [0]),
            "matrix products alone": lambda epochs: [products() for _ in range(epochs)],
            "3 seeds in turn": task.descent(mlp, [0, 1, 2]),
            "3 seeds stacked": task.descent(mlp, [0, 1, 2], stacked=True),
        },
        epochs,
        rounds,
    )
    pairs = [("model.fit", "descent"), ("descent", "matrix products alone")]
    print(table(seconds, [*pairs, ("3 seeds in turn", "descent"), ("3 seeds stacked", "descent")]))

    read = parameters.read("params.yaml", "optimizers", Optimizers)
    steps = {name: task.descent(mlp, [0], name=name) for name in read}
    print(f"\nFive epochs with every optimizer, n = {rounds} rounds:\n")
    print(table(measure(steps, 5, rounds), [(name, "sgd") for name in read if name != "sgd"]))

    cnn = task.network(NetworkEntry(file="networks/cnn.py", config={}))
    without, with_xla = task.descent(cnn, [0]), task.descent(cnn, [0], jit_compile=True)
    contenders = {"model.fit": task.fit(cnn), "descent, without XLA": without, "descent, with XLA": with_xla}
    seconds = measure(contenders, 1, rounds)
    print(f"\nOne epoch of `networks/cnn.py`, n = {rounds} rounds:\n")
    print(table(seconds, [("descent, without XLA", "model.fit"), ("descent, with XLA", "model.fit")]))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:] or ["7"]))
