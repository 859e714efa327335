"""Loads a Python file of the user's own: an optimizer's class or a network's function."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from descent.parameters import ParametersError


def load(file: str, where: str) -> ModuleType:
    """Run a Python file as a module; each call runs it anew.

    Raises:
        ParametersError: if there is no such file, or if it raises anything at all; `where` is its key path.
    """
    if not (Path(file).is_file() and Path(file).suffix == ".py"):
        raise ParametersError(f"{where}: expected a Python file that exists (.py), got {file!r}")
    spec = importlib.util.spec_from_file_location(Path(file).stem, file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module  # dataclasses look their module up there
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise ParametersError(f"{where}: expected a file that Python can run, got {file!r}: {reason}") from error
    return module
