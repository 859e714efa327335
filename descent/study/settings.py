"""The section `tuning` of params.yaml; without Keras, which takes seconds to load."""

from typing import Annotated

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from descent.core.parameters import ParametersError, Section
from descent.training.settings import TrainingParameters

_MOST_DECADES = 30


class TuningParameters(Section):
    """The section `tuning`: the grid of factors on every optimizer's own learning rate, and what chooses among them."""

    grid_size: Annotated[int, Field(ge=3, le=99)]
    step_decades: Annotated[float, Field(gt=0, le=2)]
    max_extra: Annotated[int, Field(ge=0, le=99)]
    seeds: Annotated[list[Annotated[int, Field(ge=0, lt=2**31)]], Field(min_length=2, max_length=1000)]
    selection_size: Annotated[int, Field(ge=1, lt=2**31)]

    @model_validator(mode="after")
    def _distinct_seeds(self) -> "TuningParameters":
        if len(set(self.seeds)) < len(self.seeds):
            context = {"key": "seeds"}
            raise PydanticCustomError("relation", "expected distinct seeds", context)
        return self

    @model_validator(mode="after")
    def _factors_are_numbers(self) -> "TuningParameters":
        most = _MOST_DECADES / (self.grid_size // 2 + self.max_extra)
        if self.step_decades > most:
            context = {"key": "step_decades", "decades": _MOST_DECADES, "most": f"{most:.3g}"}
            expected = "expected at most {most}, so that the farthest factor is within {decades} powers of ten"
            raise PydanticCustomError("relation", expected, context)
        return self


def refuse_shared_seeds(tuning: TuningParameters, training: TrainingParameters, location: str) -> None:
    """Raise ParametersError if a run would both choose a learning rate and report it; `location`: the file."""
    if shared := sorted({*tuning.seeds} & {*training.seeds}):
        expected = "expected other seeds than training.seeds, or the luck that chose a rate would be reported too"
        raise ParametersError(f"{location}: tuning.seeds: {expected}, got {', '.join(map(str, shared))} in both")
