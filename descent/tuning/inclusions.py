"""Checks the search: a rule that holds another as a special case may not lose to it when both are tuned."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from scipy import stats

from descent.optimizers.entries import OptimizerEntry
from descent.report import statistics


class Inclusion(NamedTuple):
    """A check of the search: a rule that holds another as a special case may not lose to it when both are tuned."""

    general: str
    special: str
    behind: float  # special minus general, in accuracy
    p_value: float  # of Welch's one-sided test that the special one is ahead; nan if unknown


def check(runs: Mapping[str, np.ndarray], entries: Mapping[str, OptimizerEntry], resolution: float) -> list[Inclusion]:
    """Check each pair of which one rule holds the other: momentum and sgd, Adam and RMSprop, found by their entries."""
    rows = []
    for general, entry in sorted(entries.items()):
        for special, other in sorted(entries.items()):
            if (_family(entry), _family(other)) not in {("momentum", "sgd"), ("adam", "rmsprop")}:
                continue
            both = np.stack([runs[special], runs[general]])
            p_value = math.nan
            if np.isfinite(both).all() and both.shape[-1] > 1:
                found = statistics.pairs(both, resolution)
                p_value = float(stats.t.sf(found.difference[0, 1] / found.error[0, 1], found.freedom[0, 1]))
            rows.append(Inclusion(general, special, float(both[0].mean() - both[1].mean()), p_value))
    return rows


def _family(entry: OptimizerEntry) -> str:
    name, config = entry.class_name.removeprefix("keras2>"), entry.config
    if name == "TFOptimizer":
        name = str(config.get("optimizer")).removesuffix("Optimizer")
        return {"GradientDescent": "sgd", "Momentum": "momentum", "Adam": "adam"}.get(name, "")
    if name == "SGD":
        return "momentum" if config.get("momentum") else "sgd"
    return {"Adam": "adam", "RMSprop": "rmsprop"}.get(name, "")
