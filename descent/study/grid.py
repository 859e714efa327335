"""What the study tries: the same factors on each optimizer's learning rate, and more where the best is at an end."""

from collections.abc import Callable, Sequence
from typing import Annotated

import numpy as np
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from descent.core.parameters import ParametersError, Section
from descent.training.measurements import Run, Wanted

_MOST_DECADES = 30


class TuningParameters(Section):
    """The section `tuning`: the grid of factors on every optimizer's own learning rate, and what chooses among them."""

    grid_size: Annotated[int, Field(ge=3, le=99)]
    step_decades: Annotated[float, Field(gt=0, le=2)]
    max_extra: Annotated[int, Field(ge=0, le=99)]
    seeds: Annotated[list[Annotated[int, Field(ge=0, lt=2**31)]], Field(min_length=2, max_length=1000)]
    selection_size: Annotated[int, Field(ge=1, lt=2**31)]

    @model_validator(mode="after")
    def _check_relations(self) -> "TuningParameters":
        if len(set(self.seeds)) < len(self.seeds):
            raise PydanticCustomError("relation", "expected distinct seeds", {"key": "seeds"})
        most = _MOST_DECADES / (self.grid_size // 2 + self.max_extra)
        if self.step_decades > most:
            context = {"key": "step_decades", "decades": _MOST_DECADES, "most": f"{most:.3g}"}
            expected = "expected at most {most}, so that the farthest factor is within {decades} powers of ten"
            raise PydanticCustomError("relation", expected, context)
        return self


def refuse_shared_seeds(tuning: TuningParameters, runs: int, location: str) -> None:
    """Raise ParametersError if a run would both choose a learning rate and report it.

    Args:
        tuning: the seeds that choose.
        runs: the most that any optimizer may have, of seeds 0, 1, 2, ...
        location: the file.
    """
    if shared := sorted(seed for seed in tuning.seeds if seed < runs):
        expected = f"expected seeds from {runs} on: runs may take those below, by training, optimizers and race"
        raise ParametersError(f"{location}: tuning.seeds: {expected}, got {', '.join(map(str, shared))}")


def factors(parameters: TuningParameters, below: int = 0, above: int = 0) -> list[float]:
    """Factors of the grid, small ones first, a step apart, around 1; and as many more below and above it."""
    lowest = -(parameters.grid_size // 2)
    steps = range(lowest - below, lowest + parameters.grid_size + above)
    return [10 ** (parameters.step_decades * step) for step in steps]


def select(
    parameters: TuningParameters, accuracy_of: Callable[[Sequence[Wanted]], np.ndarray]
) -> tuple[list[float], np.ndarray, int | None]:
    """Try the factors of the grid, and go on beyond an end of it as long as the best is there.

    Args:
        parameters: grid, seeds, how far beyond.
        accuracy_of: trains runs that do not wait for each other; returns the score of each, nan where it diverged.

    Returns:
        The factors, small ones first; accuracies [factors, seeds]; index of the chosen factor, None if a run diverged
        at every factor.
    """
    found: dict[float, np.ndarray] = {}  # factor -> [seeds]
    below = above = 0
    while True:
        tried = factors(parameters, below, above)
        new = [factor for factor in tried if factor not in found]
        runs = [Wanted(seed, factor) for factor in new for seed in parameters.seeds]
        found.update(zip(new, accuracy_of(runs).reshape(len(new), -1), strict=True))
        accuracy = np.array([found[factor] for factor in tried])
        best = choose(accuracy)
        if best == 0 and below < parameters.max_extra:
            below += 1
        elif best == len(tried) - 1 and above < parameters.max_extra:
            above += 1
        else:
            return tried, accuracy, best


def choose(accuracy: np.ndarray) -> int | None:
    """Index of the factor with the best mean; the smaller of equal ones, and none at which a run diverged."""
    means = np.mean(accuracy, axis=1)
    return None if np.isnan(means).all() else int(np.nanargmax(means))  # the first of equal ones


def is_rateless(runs: Sequence[Run]) -> bool:
    """Check whether two runs with one seed and different learning rates are the same: then there is no rate to tune."""
    first, second = (run.history["loss"] for run in runs)
    return bool(np.isfinite(first).all()) and np.array_equal(first, second)
