"""The section `report` of params.yaml, and all sections under which the optimizers are compared."""

from typing import Annotated, NamedTuple

from pydantic import Field

from descent.data.settings import DataParameters
from descent.optimizers.entries import Optimizers, OwnOptimizers
from descent.parameters import Section
from descent.training.settings import NetworkEntry, TrainingParameters


class ReportParameters(Section):
    """The section `report`: how sure the statements are to be, and what is said about the entries compared."""

    note: Annotated[str, Field(pattern=r"^\S[^\n]*$")]
    confidence: Annotated[float, Field(gt=0, lt=1)]
    power: Annotated[float, Field(ge=0.5, lt=1)]
    gaps_points: Annotated[list[Annotated[float, Field(gt=0, le=100)]], Field(min_length=1)]
    equivalence_points: Annotated[float, Field(gt=0, le=100)]


class Conditions(NamedTuple):
    """The sections that the report reads: each field is a section's name, its type the section's schema."""

    data: DataParameters
    network: NetworkEntry
    training: TrainingParameters
    optimizers: Optimizers
    own_optimizers: OwnOptimizers
    report: ReportParameters
