"""Times contenders in rounds, each once a round in an order that rotates; a ratio is taken within a round."""

import time
from collections.abc import Callable

import numpy as np


def measure(
    contenders: dict[str, Callable[[int], object]], epochs: int, rounds: int, *, warm: bool = True
) -> dict[str, np.ndarray]:
    """Time every contender once in every round; returns seconds [rounds] by name, compilation excluded.

    A contender that returns a number, from a process of its own say, has timed itself. Warm, each first runs an epoch,
    in which it compiles.
    """
    for contend in contenders.values() if warm else ():
        contend(1)
    seconds = {name: [] for name in contenders}
    names = list(contenders)
    for turn in range(rounds):
        start = turn % len(names)
        for name in names[start:] + names[:start]:
            time.sleep(1)  # the threads of NumPy's sgemm spin on for a while after its last product
            started = time.perf_counter()
            told = contenders[name](epochs)
            seconds[name].append(told if isinstance(told, float) else time.perf_counter() - started)
    return {name: np.array(values) for name, values in seconds.items()}


def table(seconds: dict[str, np.ndarray], ratios: list[tuple[str, str]]) -> str:
    """Write medians and spread as Markdown; a ratio is taken within a round."""
    rows = [(name, np.asarray(values), " s") for name, values in seconds.items()]
    rows += [(f"{one} / {other}", seconds[one] / seconds[other], "") for one, other in ratios]
    lines = [f"| {name} | {np.median(v):.2f}{unit} | {v.min():.2f} to {v.max():.2f}{unit} |" for name, v, unit in rows]
    return "\n".join(["| | median | least to most |", "|---|---:|---:|", *lines])
