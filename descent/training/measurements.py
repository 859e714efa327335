"""A run: one training from a seed to its end, and what it measures. Without Keras, since reading results needs none."""

from typing import NamedTuple

import numpy as np

# Those of the training are taken while the weights move and units are dropped, as Keras does.
LOSSES = ("loss", "accuracy", "val_loss", "val_accuracy")
# Of the whole epoch: how far the weights moved (L2 norm), how large they are after it (L2 norm), the ratio of the two,
# and the share of weights that have the value that they had before.
DIAGNOSTICS = ("distance", "weight_norm", "relative_change", "unchanged_weights")
MEASUREMENTS = (*LOSSES, *DIAGNOSTICS)
HISTORY = ("seed", "epoch", *MEASUREMENTS)


class Wanted(NamedTuple):
    """A run to train."""

    seed: int
    factor: float = 1.0  # on the learning rate


class Run(NamedTuple):
    """What one run measured."""

    seed: int
    factor: float  # on the learning rate
    learning_rate: float  # at factor 1; nan for a schedule
    history: dict[str, np.ndarray]  # each of MEASUREMENTS -> float64 [epochs]; nan from the epoch at which it diverged
    hits: np.ndarray  # bool [epochs, judging examples]: classified right after the epoch
    test: tuple[float, float] | None  # loss and accuracy on the test examples, nan if it diverged
    weights: bytes | None  # after training, as Keras saves them: HDF5; None unless they were asked for
    seconds: float  # that it took, compiling included
    environment: dict[str, str]  # of the machine (`environment.environment`)
