"""The commands of dvc.yaml and of the Makefile, one verb a file.

A wrong `python` and Ctrl-C while modules load are reported in a line; later `parameters.end_with_message` does that.
"""

import sys


def _explain(kind, error, trace):
    package = (getattr(error, "name", None) or "").split(".")[0]
    is_missing = issubclass(kind, ModuleNotFoundError) and package not in ("", "descent", "stages")
    if issubclass(kind, KeyboardInterrupt):
        print("Stopped", file=sys.stderr)
    elif sys.version_info < (3, 11) or is_missing:
        version = ".".join(map(str, sys.version_info[:2]))
        print(f"{sys.executable}, Python {version}, is first on PATH and cannot run descent: {error}.", file=sys.stderr)
        print("Put descent's environment first (. .venv/bin/activate), or use make repro.", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)


sys.excepthook = _explain
