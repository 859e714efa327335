"""Python files of the user's own, an optimizer's or a network's: how params.yaml may name one, and how it is run."""

import re
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Annotated

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from descent.parameters import ParametersError, one_line


def _check_path(file: str) -> str:
    # The file is a dependency in dvc.yaml: DVC would follow an address or a path that leads out of the repository.
    if not re.fullmatch(r"(?!/|.*\.\.)[A-Za-z0-9._/-]{1,200}\.py", file):
        expected = "expected a Python file in this repository: letters, digits, . _ - and /, without .., .py at the end"
        raise PydanticCustomError("python_file", expected)
    return file


PythonFile = Annotated[str, AfterValidator(_check_path)]


def load(file: str, where: str) -> ModuleType:
    """Run a Python file as a module; each call runs it anew, as it then is.

    Args:
        file: its path from the root of the repository.
        where: file and key path that name it, for messages.

    Returns:
        The module. Its name is the path, so that a file called keras.py stands in nobody's way.

    Raises:
        ParametersError: if there is no such file, or if it raises anything at all, `sys.exit()` included.
    """
    if not Path(file).is_file():
        raise ParametersError(f"{where}: no such file: {file!r}")
    module = ModuleType(file)
    module.__file__ = file
    sys.modules[file] = module  # where dataclasses look up the module of a class
    with refused(lambda reason: f"{where}: {file!r} cannot be run: {reason}"):
        exec(compile(Path(file).read_bytes(), file, "exec"), vars(module))
    return module


@contextmanager
def refused(message: Callable[[str], str]) -> Iterator[None]:
    """Turn whatever is raised inside, by code of the user's or of Keras, into a ParametersError; Ctrl-C alone stays.

    Args:
        message: makes the message from the reason: one line with the kind of the error, its text, and the line of the
            user's own file where there is one.
    """
    try:
        yield
    except (ParametersError, KeyboardInterrupt):
        raise
    except BaseException as error:
        own = [step for step in traceback.extract_tb(error.__traceback__) if step.filename in sys.modules]
        place = f" ({own[-1].filename}, line {own[-1].lineno})" if own else ""
        raise ParametersError(message(one_line(error) + place)) from error
