"""The commands of dvc.yaml and of the Makefile, one verb a file.

While their modules load, a wrong `python` and Ctrl-C are one line; later `parameters.end_with_message` sees to that.
"""

import sys


def _explain(kind, error, trace):
    if issubclass(kind, KeyboardInterrupt):
        print("Stopped", file=sys.stderr)
    elif sys.version_info < (3, 11) or (issubclass(kind, ModuleNotFoundError) and _is_package(error.name)):
        version = ".".join(map(str, sys.version_info[:2]))
        print(f"{sys.executable}, Python {version}, is first on PATH and cannot run descent: {error}.", file=sys.stderr)
        print("Put descent's environment first (. .venv/bin/activate), or use make repro.", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)


def _is_package(name):
    return (name or "").split(".")[0] not in ("", "descent", "stages")


sys.excepthook = _explain
