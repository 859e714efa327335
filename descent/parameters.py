"""Reads a section of params.yaml strictly: what is not understood is refused, by name, before anything runs."""

import re
from collections.abc import Callable, Collection, Iterator
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError


class InputError(ValueError):
    """Something that a user gave cannot be used; the message alone says what, where and what would do."""


class ParametersError(InputError):
    """A parameter that cannot be used; the message names file, key path, what is allowed and what was given."""


class Section(BaseModel):
    """Base of every section's schema: immutable, no unknown keys, no missing keys, no guessed conversions.

    A schema stands beside the code that consumes it, so that changing one section's rules retrains nothing else.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, value: Any) -> Any:
        if isinstance(value, dict):
            for key in value:
                if key not in cls.model_fields:
                    context = {"key": repr(key), "allowed": ", ".join(cls.model_fields)}
                    raise PydanticCustomError("unknown_key", "unknown key {key}; allowed are {allowed}", context)
        return value


def between(low: float, high: float) -> AfterValidator:
    """Annotate a number that lies in [low, high]; the error names both ends, where `ge` and `le` name one."""

    def check(value: float) -> float:
        if not low <= value <= high:
            raise PydanticCustomError("between", "expected {low} to {high}", {"low": low, "high": high})
        return value

    return AfterValidator(check)


class OptimizerEntry(Section):
    """An optimizer in Keras' own form; whether the class exists and takes this config, only Keras can say."""

    class_name: str
    config: dict[str, JsonValue]


class OwnOptimizerEntry(OptimizerEntry):
    """An optimizer of the user's own: `file` is the Python file, from the repository's root, that defines the class."""

    file: str


def _check_name(name: str) -> str:
    # The name becomes part of a stage's name and of file names; a dot would end a key path.
    if not re.fullmatch("[A-Za-z0-9_-]+", name):
        raise PydanticCustomError("name", "expected a name of letters, digits, - and _")
    return name


OptimizerName = Annotated[str, AfterValidator(_check_name)]
Optimizers = Annotated[dict[OptimizerName, OptimizerEntry], Field(min_length=1)]
OwnOptimizers = dict[OptimizerName, OwnOptimizerEntry]
_OPTIMIZER_SECTIONS = {"optimizers": Optimizers, "own_optimizers": OwnOptimizers}


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
    document = _load(path)
    if key not in document:
        raise ParametersError(f"{path}: {key}: missing; the file has {', '.join(map(str, document))}")
    return validate(document[key], schema, f"{path}: {key}")


def _load(path: str | Path) -> dict[str, Any]:
    try:
        document = YAML(typ="safe").load(Path(path))
    except FileNotFoundError:
        raise ParametersError(f"{path}: no such file; run this from the root of the repository") from None
    except OSError as error:
        raise ParametersError(f"{path}: not readable: {error.strerror}") from None
    except MarkedYAMLError as error:
        raise ParametersError(f"{path}: line {error.problem_mark.line + 1}: {error.problem}") from None
    except YAMLError as error:
        raise ParametersError(f"{path}: not readable as YAML: {error}") from None
    if not isinstance(document, dict):
        raise ParametersError(f"{path}: expected a mapping of sections, got {document!r}")
    return document


def read_optimizers(path: str | Path, key: str) -> tuple[str, dict[str, OptimizerEntry], str]:
    """Read the optimizers beside the one at a key path such as `optimizers.adam` or `own_optimizers.nesterov`.

    Returns:
        The section's name, its entries by name, and the name of the one at `key`.

    Raises:
        ParametersError: if the key path is not of this form, the section is wrong, or it has no such entry.
    """
    section, _, name = key.partition(".")
    if section not in _OPTIMIZER_SECTIONS:
        allowed = " or ".join(f"{known}.NAME" for known in _OPTIMIZER_SECTIONS)
        raise ParametersError(f"{path}: expected the key path of an optimizer, {allowed}, got {key!r}")
    entries = read(path, section, _OPTIMIZER_SECTIONS[section])
    if name not in entries:
        raise ParametersError(f"{path}: {section}: expected one of {', '.join(entries) or 'none'}, got {name!r}")
    return section, entries, name


def refuse_unknown_sections(path: str | Path, known: Collection[str]) -> None:
    """Raise ParametersError if a YAML file has a top-level key that nothing reads."""
    if unknown := _load(path).keys() - known:
        raise ParametersError(f"{path}: unknown section {', '.join(sorted(unknown))}; allowed are {', '.join(known)}")


def validate(value: Any, schema: Any, where: str) -> Any:
    """Check a value against a schema; `where` (file and key path) opens every line of the error."""
    try:
        checked = TypeAdapter(schema).validate_python(value, strict=True)
    except ValidationError as error:
        lines = [_line(problem, value, where) for problem in error.errors()]
        raise ParametersError("\n".join(lines)) from None
    # A schema that takes any value, as an optimizer's config must, would take these too.
    if lines := list(_numbers_in_quotes(value, where)):
        raise ParametersError("\n".join(lines))
    return checked


def end_with_message(main: Callable[..., None]) -> Callable[..., None]:
    """Decorate a stage's `main`: an InputError ends the process with its message alone and exit code 1."""

    @wraps(main)
    def run(*arguments: Any) -> None:
        try:
            main(*arguments)
        except InputError as error:
            raise SystemExit(str(error)) from None

    return run


def _line(problem: dict, value: Any, where: str) -> str:
    path = where
    for step in problem["loc"]:  # pydantic puts names of union members among the keys; a reader's file has none of them
        if (isinstance(value, list) and isinstance(step, int)) or (isinstance(value, dict) and step in value):
            value = value[step]
            path += f".{step}"
    message = problem["msg"][0].lower() + problem["msg"][1:]
    context = problem.get("ctx", {})
    match problem["type"]:
        case "missing":
            return f"{path}.{problem['loc'][-1]}: missing"
        case "unknown_key":
            return f"{path}: {message}"
        case "union_tag_not_found":
            return f"{path}: {context['discriminator']} is missing"
        case "union_tag_invalid":
            allowed = context["expected_tags"]
            return f"{path}: {context['discriminator']} must be one of {allowed}, got {context['tag']!r}"
        case "model_type" | "model_attributes_type" | "dict_type":
            message = "expected a mapping"
    return f"{path}: {message}, got {problem['input']!r}"


def _numbers_in_quotes(value: Any, where: str) -> Iterator[str]:
    if isinstance(value, dict | list):
        for key, member in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _numbers_in_quotes(member, f"{where}.{key}")
    elif isinstance(value, str) and re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", value):
        yield f"{where}: expected a number without quotes, got {value!r}"
