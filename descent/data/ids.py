"""Tries a network on real examples before it trains.

An id that an Embedding layer has no row for would train in silence: XLA takes the nearest row.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from descent.core import user_code
from descent.core.parameters import ParametersError
from descent.data.datasets import Split, extremes

_BATCH = 128


def try_examples(model: Any, examples: Iterable[np.ndarray], where: str, hint: str = "") -> None:
    """Run a network eagerly on examples, and look at what its Embedding layers read.

    Args:
        model: the keras.Model.
        examples: arrays [n, ...] float32, as the network sees them.
        where: file and key path of the network, for messages.
        hint: how to mend ids that are no whole numbers.

    Raises:
        ParametersError: for ids that are no whole numbers, or have no row in the layer; for what the network raises.
    """
    faults: list[str] = []  # Keras would wrap an error that is raised in a call

    def look(layer: Any, ids: np.ndarray) -> None:
        if fault := _fault(layer, ids, hint):
            faults.append(f"{where}: {layer.name}: {fault}")

    def explain(reason: str) -> str:
        return faults[0] if faults else f"{where}: expected a network for the examples of data.file, got {reason}"

    with user_code.refused(explain), _watched(look):
        for array in examples:
            for start in range(0, len(array), _BATCH):
                model(array[start : start + _BATCH], training=False)
    if faults:
        raise ParametersError(faults[0])


def try_splits(fresh_network: Callable[[int], Any], splits: Iterable[Split], where: str) -> None:
    """Try a network before it trains, on splits that may hold ids: those whose first examples are whole numbers."""
    whole = [split.examples for split in splits if not (split.examples[:100] % 1).any()]
    if whole:
        try_examples(fresh_network(0), map(extremes, whole), where)


@contextmanager
def _watched(look: Callable[[Any, np.ndarray], None]) -> Iterator[None]:
    """Call `look` with every Embedding layer that is called eagerly, and with what it reads."""
    import keras

    original = keras.layers.Embedding.call

    def call(layer, inputs, *arguments, **more):
        if hasattr(inputs, "numpy"):  # a tensor of a traced function has none
            look(layer, inputs.numpy())
        return original(layer, inputs, *arguments, **more)

    keras.layers.Embedding.call = call
    try:
        yield
    finally:
        keras.layers.Embedding.call = original


def _fault(layer: Any, ids: np.ndarray, hint: str) -> str:
    """Say what is wrong with what an Embedding layer reads, if anything is."""
    if (ids % 1).any():
        return f"expected whole numbers as ids, got {ids[ids % 1 != 0].flat[0]:g}{hint}"
    low, high = int(ids.min()), int(ids.max())
    if low < 0 or high >= layer.input_dim:
        larger = f"; input_dim must be at least {high + 1}" if high >= layer.input_dim else ""
        return f"expected ids from 0 to {layer.input_dim - 1}, got {high if larger else low}{larger}"
    return ""
