"""The sections `training` and `network` of params.yaml; without Keras, since the report states them too."""

from typing import Annotated

from pydantic import AfterValidator, Field, JsonValue, model_validator
from pydantic_core import PydanticCustomError

from descent.own import PythonFile
from descent.parameters import ParametersError, Section


def _distinct(seeds: list[int]) -> list[int]:
    if len(set(seeds)) < len(seeds):
        raise PydanticCustomError("distinct", "expected distinct seeds: a run repeated is no second measurement")
    return seeds


_Seed = Annotated[int, Field(ge=0, lt=2**31)]


class TrainingParameters(Section):
    """The section `training`: how long every run trains, and how it is judged."""

    epochs: Annotated[int, Field(ge=1, le=1_000_000)]
    batch_size: Annotated[int, Field(ge=1, lt=2**31)]
    seeds: Annotated[list[_Seed], Field(min_length=1, max_length=1000), AfterValidator(_distinct)]
    last_epochs: Annotated[int, Field(ge=1)]
    target_val_accuracy: Annotated[float, Field(gt=0, le=1)]

    @model_validator(mode="after")
    def _last_epochs_exist(self) -> "TrainingParameters":
        if self.last_epochs > self.epochs:
            context = {"key": "last_epochs", "epochs": self.epochs}
            raise PydanticCustomError("relation", "expected 1 to epochs, {epochs}", context)
        return self


def refuse_large_batches(settings: TrainingParameters, train_size: int, where: str) -> None:
    """Raise ParametersError if a batch would hold more images than there are; `where` is the section's key path."""
    if settings.batch_size > train_size:
        expected = f"expected 1 to data.train_size, {train_size}"
        raise ParametersError(f"{where}.batch_size: {expected}, got {settings.batch_size}")


class NetworkEntry(Section):
    """The section `network`: a Python file with a function `build`, and the arguments that it gets."""

    file: PythonFile
    config: dict[str, JsonValue]
