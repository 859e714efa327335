"""Reads a section of params.yaml strictly: what is not understood is rejected by name before anything runs."""

import difflib
import re
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import lru_cache, wraps
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from pydantic_core import PydanticCustomError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError

_LONGEST_SHOWN = 200  # letters of a value that a message repeats
# Messages of pydantic and of the YAML reader in plain words; the first that fits.
_PLAIN = {
    "input should be a valid integer.*": "expected an integer",
    "input should be a valid string": "expected text",
    "input should be a valid boolean": "expected true or false",
    "input should be (a valid|an instance of) ": "expected a ",
    "input should be greater than or equal to ": "expected at least ",
    "input should be less than or equal to ": "expected at most ",
    "input should be greater than ": "expected more than ",
    "input should be ": "expected ",
    "(string|list|dictionary) should (have|match) (.*?)( after validation.*)?$": r"expected a \1 to \2 \3",
    "mapping values are not allowed here": "a colon where no key can be; indent as above, quote text with a colon",
    r"found character '\\t'.*": "found a tab; indent with spaces",
    "expected <block end>, but found .*": "indent as the lines above, and close only brackets that are open",
}

_RENAMED = {  # keys and names of earlier editions, and what to write now
    "own_optimizers": "its entries stand in optimizers now",
    "seeds": "write runs: N for the seeds 0 to N - 1",
    "keras2>": "the rules of Keras 2 are files now, such as file: optimizers/keras2_nadam.py, class_name: Nadam",
    "equivalence_points": "it is equivalence_margin now",
    "gaps_points": "remove it",
    "half_width": "it is plot_range now",
}


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
    def _mark_unknown_keys(cls, value: Any) -> Any:
        # Each is refused beside the other faults of the section; its place holds what the message needs.
        fields = tuple(cls.model_fields)
        if not isinstance(value, dict):
            return value
        return {str(key): member if key in fields else (key, fields) for key, member in value.items()}


def between(low: float, high: float) -> AfterValidator:
    """Annotate a number that lies in [low, high]; the error names both ends, where `ge` and `le` name one."""

    def check(value: float) -> float:
        if not low <= value <= high:
            raise PydanticCustomError("between", "expected {low} to {high}", {"low": low, "high": high})
        return value

    return AfterValidator(check)


# float32 holds these, and float64 what comes of them; no number that anybody means lies beyond.
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False), between(1e-30, 1e30)]
NotNegative = Annotated[float, Field(ge=0, le=1e30, allow_inf_nan=False)]
Finite = Annotated[float, Field(ge=-1e30, le=1e30, allow_inf_nan=False)]


def read(path: str | Path, key: str, schema: Any) -> Any:
    """Read one top-level key of a YAML file, and check it against a schema: a `Section`, or any type of pydantic's.

    The file is read as YAML 1.2, as DVC reads and writes it: `1e-05` is a number there, and a string in YAML 1.1.

    Raises:
        ParametersError: with one line for each thing that is wrong.
    """
    return parse(_text(path), path, key, schema)


def parse(text: bytes, path: str | Path, key: str, schema: Any) -> Any:
    """Do the same with the text of a file of another revision; `path`: its name, for messages."""
    document = _load(text, path)
    if key not in document:
        raise ParametersError(f"{path}: {key}: missing; the file has {', '.join(at('', key)[1:] for key in document)}")
    return validate(document[key], schema, f"{path}: {key}")


def refuse_unknown_sections(path: str | Path, known: Collection[str]) -> None:
    """Raise ParametersError if a YAML file has a top-level key that nothing reads."""
    allowed = f"allowed are {', '.join(known)}"
    lines = [
        f"{path}: unknown section {key!r}; {allowed}{did_you_mean(key, known)}"
        for key in _load(_text(path), path)
        if key not in known
    ]
    if lines:
        raise ParametersError("\n".join(lines))


def _text(path: str | Path) -> bytes:
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise ParametersError(f"{path}: no such file; run this from the root of the repository") from None


@lru_cache(maxsize=1)  # the sections of a file are read one by one
def _load(text: bytes, path: str | Path) -> dict[Any, Any]:
    if conflict := re.search(rb"^(<{7}|={7}|>{7})( .*)?$", text, re.MULTILINE):
        line = text.count(b"\n", 0, conflict.start()) + 1
        raise ParametersError(f"{path}: line {line}: unresolved merge conflict; keep one side and remove the markers")
    try:
        document = YAML(typ="safe").load(text)
    except MarkedYAMLError as error:
        problem = _plain(" ".join(str(error.problem).split()))
        raise ParametersError(f"{path}: line {error.problem_mark.line + 1}: {problem}") from None
    except Exception as error:  # ruamel.yaml lets other errors through, such as ValueError for a bad !!int
        raise ParametersError(f"{path}: not readable as YAML: {one_line(error)}") from None
    if not isinstance(document, dict):
        raise ParametersError(f"{path}: expected a mapping of sections, got {_shown(document)}")
    return document


def validate(value: Any, schema: Any, where: str) -> Any:
    """Check a value against a schema; `where` (file and key path) opens every line of the error."""
    try:
        return TypeAdapter(schema).validate_python(value, strict=True)
    except ValidationError as error:
        lines = [_line(problem, value, where) for problem in error.errors()]
        raise ParametersError("\n".join(lines)) from None


@contextmanager
def gathered(faults: list[str]) -> Iterator[None]:
    """Add the lines of an InputError that is raised inside to a list, and go on behind."""
    try:
        yield
    except InputError as error:
        faults += [line for line in str(error).splitlines() if line not in faults]


def end_with_message(main: Callable[..., None]) -> Callable[..., None]:
    """Decorate a stage's `main`: an InputError ends the process with its message and exit code 1, Ctrl-C with 130."""

    @wraps(main)
    def run(*arguments: Any) -> None:
        try:
            main(*arguments)
        except InputError as error:
            raise SystemExit(str(error)) from None
        except KeyboardInterrupt:
            print("Stopped", file=sys.stderr)
            raise SystemExit(130) from None

    return run


def did_you_mean(name: Any, known: Collection[str]) -> str:
    """End a message with what an old key is called today, or with the known name that is nearest to an unknown one."""
    if hint := next((hint for old, hint in _RENAMED.items() if str(name).startswith(old)), ""):
        return f"; {hint}"
    by_lower_case = {str(one).lower(): one for one in known}
    near = difflib.get_close_matches(str(name).lower(), by_lower_case, n=1)
    return f"; did you mean {by_lower_case[near[0]]}?" if near else ""


def at(where: str, key: Any) -> str:
    """Return the key path of a key below another; a key that could be taken for more, or would break a line, quoted."""
    return f"{where}.{key}" if re.fullmatch(r"[\w-]{1,100}", str(key)) else f"{where}.{_shown(key)}"


def one_line(error: BaseException) -> str:
    """Return kind and message of any error on one line."""
    text = re.sub(r"\x1b\[\d*m", "", str(error))  # Keras prints a part of its messages in bold
    return f"{type(error).__name__}: {' '.join(text.split())}".removesuffix(": ")


def _line(problem: dict, value: Any, where: str) -> str:
    path = where
    for step in problem["loc"]:  # pydantic puts names of union members among the keys; a reader's file has none of them
        if (isinstance(value, list | tuple) and isinstance(step, int)) or (isinstance(value, dict) and step in value):
            value = value[step]
            path = at(path, step)
    message = _plain(problem["msg"][0].lower() + problem["msg"][1:])
    context = problem.get("ctx", {})
    match problem["type"]:
        case "missing":
            return f"{path}.{problem['loc'][-1]}: missing"
        case "extra_forbidden":
            key, fields = problem["input"]
            above = path.removesuffix(at("", key))
            return f"{above}: unknown key {key!r}; allowed are {', '.join(fields)}{did_you_mean(key, fields)}"
        case "relation":  # between two keys of a section; `key` is the one to change
            return f"{path}.{context['key']}: {message}, got {_shown(problem['input'][context['key']])}"
        case "model_type" | "dict_type":
            message = "expected a mapping"
    return f"{path}: {message}, got {_shown(problem['input'])}"


def _plain(message: str) -> str:
    pattern = next((pattern for pattern in _PLAIN if re.match(pattern, message)), None)
    return re.sub(pattern, _PLAIN[pattern], message) if pattern else message


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."
