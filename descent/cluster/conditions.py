"""What must be equal here and on a worker for equal results: descent's own code, and the packages that compute."""

import importlib.util
from importlib import metadata

from descent.runs import store

CODE = "descent's code"
BESIDE = ("descent/data", "descent/runs", "descent/cluster")  # brings examples to a run, and the run back
_PACKAGES = {"TensorFlow": "tensorflow", "Keras": "keras", "NumPy": "numpy"}


def found() -> dict[str, str]:
    """Describe this process by the names that messages use, `none` for what is missing; nothing is imported for it."""
    packages = {
        name: metadata.version(package) if importlib.util.find_spec(package) else "none"
        for name, package in _PACKAGES.items()
    }
    return {CODE: store.code_digest(*BESIDE)[:12], **packages}


def differences(asked: dict[str, str], has: dict[str, str]) -> list[str]:
    """Say in what a worker that has one is not what is asked for."""
    return [
        f"no {name}" if has[name] == "none" else f"{name} {has[name]} where {value} is asked for"
        for name, value in asked.items()
        if has[name] != value
    ]
