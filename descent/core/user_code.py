"""Your Python files, of an optimizer or a network: how params.yaml may name one, and how it is run."""

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

from descent.core.parameters import ParametersError, one_line


def _check_path(file: str) -> str:
    # The file is a dependency in dvc.yaml: DVC would follow an address or a path that leads out of the repository.
    if not re.fullmatch(r"(?!/|.*\.\.)[A-Za-z0-9._/-]{1,200}\.py", file):
        expected = "expected a Python file in this repository: letters, digits, . _ - and /, without .., .py at the end"
        raise PydanticCustomError("python_file", expected)
    return file


PythonFile = Annotated[str, AfterValidator(_check_path)]
_ALONE = "a file of your own must stand alone, since DVC does not see what it imports from others of yours"


def load(file: str, where: str, source: Path | None = None) -> ModuleType:
    """Run a Python file as a module; each call runs it anew, as it then is.

    The module's name is the path, so that a file called keras.py stands in nobody's way.

    Args:
        file: its path from the root of the repository.
        where: file and key path that name it, for messages.
        source: a copy of the file, to be read in its place.

    Raises:
        ParametersError: if there is no such file; if it raises anything at all, `sys.exit()` included; if it imports
            another file of the repository, or changes the types that Keras works with for all others.
    """
    source = source or Path(file)
    if not source.is_file():
        is_experiment = "/.dvc/tmp/exps/" in Path.cwd().as_posix()
        cure = f"; an experiment's folder has only what Git knows: git add {file}" if is_experiment else ""
        raise ParametersError(f"{where}: no such file: {file!r}{cure}")
    module = ModuleType(file)
    module.__file__ = file
    sys.modules[file] = module  # where dataclasses look up the module of a class
    known = {*sys.modules}
    config = sys.modules["keras"].config
    floatx, policy = config.floatx(), config.dtype_policy()

    def explain(reason: str) -> str:
        missing = re.search(r"ModuleNotFoundError: No module named '(\w+)'", reason)
        alone = missing and Path(file).with_name(f"{missing[1]}.py").exists()
        return f"{where}: {file!r} cannot be run: {reason}{f'; {_ALONE}' if alone else ''}"

    with refused(explain):
        exec(compile(source.read_bytes(), file, "exec"), vars(module))
    if (config.floatx(), config.dtype_policy().name) != (floatx, policy.name):
        config.set_floatx(floatx)
        config.set_dtype_policy(policy)
        raise ParametersError(f"{where}: {file!r} changes keras.config for all others; give each layer its dtype")
    if beside := [name for name in sys.modules.keys() - known if _is_beside(sys.modules[name])]:
        for name in beside:  # or the next file that imports it would find it known
            del sys.modules[name]
        raise ParametersError(f"{where}: {file!r} imports {', '.join(sorted(beside))}: {_ALONE}")
    return module


def _is_beside(module: ModuleType | None) -> bool:
    """Tell whether a module is a file of this repository, other than the library's own or an environment's."""
    path = Path(getattr(module, "__file__", None) or sys.executable).absolute()
    library = Path(__file__).parents[1]
    return path.is_relative_to(Path.cwd()) and not any(map(path.is_relative_to, (library, sys.prefix, sys.base_prefix)))


@contextmanager
def refused(message: Callable[[str], str]) -> Iterator[None]:
    """Turn whatever your code or Keras raises inside into a ParametersError; only Ctrl-C stays as it is.

    Args:
        message: makes the message from the reason: one line with the kind of the error, its text, and the line of your
            file where there is one.
    """
    try:
        yield
    except (ParametersError, KeyboardInterrupt):
        raise
    except BaseException as error:
        own = [step for step in traceback.extract_tb(error.__traceback__) if step.filename in sys.modules]
        place = f" ({own[-1].filename}, line {own[-1].lineno})" if own else ""
        raise ParametersError(message(one_line(error) + place)) from error
