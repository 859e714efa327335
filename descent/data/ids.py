"""Tries a network on real examples before it trains: for an id that an Embedding lacks, XLA takes the nearest row."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from descent.core import user_code
from descent.core.parameters import ParametersError
from descent.data.datasets import Split, extremes

_BATCH = 128


def try_examples(model: Any, examples: Iterable[np.ndarray], where: str, hint: str = "") -> None:
    """Run a network eagerly on examples [n, ...], as it sees them, and check what its Embedding layers read.

    Raises:
        ParametersError: for ids that are no whole numbers or have no row in the layer, and for what the network raises.
            `where` (file and key path of the network) opens the message, `hint` ends it for a wrong id.
    """
    import keras

    original, faults = keras.layers.Embedding.call, []  # Keras would wrap an error that is raised in a call

    def call(layer, inputs, *arguments, **more):
        if hasattr(inputs, "numpy"):  # a tensor of a traced function has none
            ids, last = inputs.numpy(), layer.input_dim - 1
            if (wrong := ids[(ids % 1 != 0) | (ids < 0) | (ids > last)]).size:
                expected = f"expected whole numbers from 0 to {last} as ids"
                faults.append(f"{where}: {layer.name}: {expected}, got {wrong.max():.9g}{hint}")
        return original(layer, inputs, *arguments, **more)

    def explain(reason: str) -> str:
        return faults[0] if faults else f"{where}: expected a network for the examples of data.file, got {reason}"

    keras.layers.Embedding.call = call
    try:
        with user_code.refused(explain):
            for array in examples:
                for start in range(0, len(array), _BATCH):
                    model(array[start : start + _BATCH], training=False)
    finally:
        keras.layers.Embedding.call = original
    if faults:
        raise ParametersError(faults[0])


def try_splits(fresh_network: Callable[[int], Any], splits: Iterable[Split], where: str) -> None:
    """Try a network before it trains, on splits that may hold ids: those whose first examples are whole numbers."""
    whole = [split.examples for split in splits if not (split.examples[:100] % 1).any()]
    if whole:
        try_examples(fresh_network(0), map(extremes, whole), where)
