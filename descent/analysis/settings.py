"""The section `report` of params.yaml, and all sections under which the optimizers are compared."""

from itertools import pairwise
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from descent.core.parameters import ParametersError, Section, between
from descent.data.settings import DataParameters
from descent.training.settings import NetworkEntry, Optimizers, Runs, TrainingParameters


class ReportParameters(Section):
    """The section `report`: how sure the statements are to be, and what is said about the entries compared."""

    note: Annotated[str, Field(pattern=r"^[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]*$", max_length=500)]
    confidence: Annotated[float, Field(gt=0, lt=1), between(0.01, 0.9999)]
    equivalence_margin: Annotated[float, Field(gt=0, le=100), between(0.01, 100)]  # percentage points of accuracy


def _rising(looks: list[int]) -> list[int]:
    if any(later <= look for look, later in pairwise(looks)):
        raise PydanticCustomError("looks", "expected numbers of runs that rise")
    return looks


class RaceParameters(Section):
    """The section `race`: the numbers of runs at which it is decided who is still in (`statistics.race`)."""

    looks: Annotated[list[Runs], Field(min_length=1, max_length=100), AfterValidator(_rising)]


def refuse_other_first_look(race: RaceParameters, training: TrainingParameters, where: str) -> None:
    """Raise ParametersError if the first look is not at the runs that every optimizer has; `where`: the file."""
    if race.looks[0] != training.runs:
        expected = f"expected the first look at training.runs, {training.runs}"
        raise ParametersError(f"{where}: race.looks: {expected}, got {race.looks}")


class Conditions(NamedTuple):
    """The sections that the report reads: each field is a section's name, its type the section's schema."""

    data: DataParameters
    network: NetworkEntry
    training: TrainingParameters
    optimizers: Optimizers
    race: RaceParameters
    report: ReportParameters
