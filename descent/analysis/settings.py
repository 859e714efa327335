"""The section `report` of params.yaml, and all sections under which the optimizers are compared."""

from typing import Annotated, NamedTuple

from pydantic import Field

from descent.core.parameters import Section, between
from descent.data.settings import DataParameters
from descent.training.settings import NetworkEntry, Optimizers, TrainingParameters


class ReportParameters(Section):
    """The section `report`: how sure the statements are to be, and what is said about the entries compared."""

    note: Annotated[str, Field(pattern=r"^[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]*$", max_length=500)]
    confidence: Annotated[float, Field(gt=0, lt=1), between(0.01, 0.9999)]
    equivalence_margin: Annotated[float, Field(gt=0, le=100), between(0.01, 100)]  # percentage points of accuracy


class Conditions(NamedTuple):
    """The sections that the report reads: each field is a section's name, its type the section's schema."""

    data: DataParameters
    network: NetworkEntry
    training: TrainingParameters
    optimizers: Optimizers
    report: ReportParameters
