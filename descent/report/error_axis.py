"""An axis on which accuracies stand by their error: half the error is one step up, from 80 to 90 % as from 90 to 95 %.

So one picture shows the collapse at a wrong rate and the last half point at the right one.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullLocator

from descent.report.figures import percent

TICKS = (0.1, 0.5, 0.7, 0.8, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99, 0.995, 0.999)  # of accuracies
LEAST_ERROR = 1e-4  # what the scale takes for an error of 0: one image of 10000


def scale(axes: Axes, accuracies: Sequence[float], foot: bool) -> None:
    """Scale the axis of accuracies by the error, to these as far as they are known; a foot is for what diverged."""
    axes.set_yscale("function", functions=(_height, lambda height: 1 - np.exp(-np.asarray(height))))
    heights = _height(np.array([accuracy for accuracy in accuracies if math.isfinite(accuracy)] or [0.1, 0.9]))
    low, high = heights.min(), heights.max()
    room = max(0.05, high - low)
    axes.set_ylim(*(1 - np.exp(-np.array([low - (0.22 if foot else 0.06) * room, high + 0.1 * room]))))
    axes.set_yticks([tick for tick in TICKS if low - 0.06 * room <= _height(tick) <= high + 0.06 * room])
    axes.yaxis.set_major_formatter(FuncFormatter(percent))
    axes.yaxis.set_minor_locator(NullLocator())


def _height(accuracy: Any) -> np.ndarray:
    return -np.log(np.maximum(1 - np.asarray(accuracy), LEAST_ERROR))
