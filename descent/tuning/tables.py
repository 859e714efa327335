"""The tables of the learning-rate study, in numbers: each is a list of named tuples whose fields are the CSV columns.

Accuracies are in [0, 1]; unknown numbers are nan.
"""

from typing import NamedTuple


class SensitivityPoint(NamedTuple):
    """A row of sensitivity.csv: one optimizer at one learning rate, over the selection seeds."""

    optimizer: str
    factor: float  # on the entry's own learning rate
    learning_rate: float  # nan for a schedule
    mean: float  # validation accuracy
    low: float
    high: float
    runs: int
    diverged: int


class BestOfK(NamedTuple):
    """A row of best_of_k.csv: what to expect of the best of k learning rates of the grid."""

    optimizer: str
    k: int
    val_accuracy: float
