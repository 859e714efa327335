"""Reads a section of params.yaml strictly: what is not understood is refused, by name, before anything runs."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError, model_validator
from pydantic_core import PydanticCustomError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError


class ParametersError(ValueError):
    """A parameter that cannot be used; the message names file, key path, what is allowed and what was given."""


class Section(BaseModel):
    """Base of every section's schema: immutable, no unknown keys, no missing keys, no guessed conversions.

    A schema stands beside the code that consumes it, so that changing one section's rules retrains nothing else.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, value: Any) -> Any:
        if isinstance(value, dict):
            for key in value:
                if key not in cls.model_fields:
                    message = f"unknown key {key!r}; allowed are {', '.join(cls.model_fields)}"
                    raise PydanticCustomError("unknown_key", "{message}", {"message": message})
        return value


class OptimizerEntry(Section):
    """An optimizer in Keras' own form; whether the class exists and takes this config, only Keras can say."""

    class_name: str
    config: dict[str, Any]


# The name becomes part of a stage's name and of file names; a dot would end a key path.
OptimizerName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]+$")]
Optimizers = Annotated[dict[OptimizerName, OptimizerEntry], Field(min_length=1)]


def read(path: str | Path, key: str, schema: Any) -> Any:
    """Read one top-level key of a YAML file and check it against a schema.

    The file is read as YAML 1.2, as DVC reads and writes it: `1e-05` is a number there, and a string in YAML 1.1.

    Args:
        path: the YAML file, for instance `params.yaml`.
        key: top-level key of the section, for instance `training`.
        schema: a `Section`, or any type that pydantic understands, such as `dict[str, Entry]`.

    Returns:
        An instance of `schema`.

    Raises:
        ParametersError: with one line for each thing that is wrong.
    """
    try:
        document = YAML(typ="safe").load(Path(path))
    except FileNotFoundError:
        raise ParametersError(f"{path}: no such file; run this from the root of the repository") from None
    except YAMLError as error:
        raise ParametersError(f"{path}: not readable as YAML: {error}") from error
    if not isinstance(document, dict):
        raise ParametersError(f"{path}: expected a mapping of sections, got {document!r}")
    if key not in document:
        raise ParametersError(f"{path}: {key}: missing; the file has {', '.join(map(str, document))}")
    return validate(document[key], schema, f"{path}: {key}")


def validate(value: Any, schema: Any, where: str) -> Any:
    """Check a value against a schema; `where` (file and key path) opens every line of the error."""
    try:
        return TypeAdapter(schema).validate_python(value)
    except ValidationError as error:
        lines = [_line(problem, where) for problem in error.errors()]
        raise ParametersError("\n".join(lines)) from None


def _line(problem: dict, where: str) -> str:
    path = ".".join([where, *map(str, problem["loc"])])
    if problem["type"] == "missing":
        return f"{path}: missing"
    message = problem["msg"][0].lower() + problem["msg"][1:]
    return f"{path}: {message}, got {problem['input']!r}"
