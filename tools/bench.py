"""Runs all benchmarks and writes what they print -> docs/experiments/benchmark.md.

Usage: python -m tools.bench [PART ...]        (all unless told: an hour and a half, alone on the machine)
"""

import datetime
import os
import platform
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from descent.core import parameters, process
from descent.training import environment

PAGE = Path("docs/experiments/benchmark.md")
PARTS = {
    "pipeline": ("The whole pipeline", "tools.pipeline_benchmark 2"),
    "start": ("What stages take but for epochs", "tools.start_benchmark"),
    "training": ("One training", "tools.benchmark 3"),
    "frameworks": ("Other frameworks", "tools.framework_benchmark 3"),
    "scaling": ("Many runs, other sizes", "tools.scaling"),
    "cluster": ("On a Dask cluster", "tools.cluster_benchmark"),
    "dvc": ("DVC, as optimizers grow in number", "tools.dvc_benchmark 2"),
}


def machine() -> str:
    """Say what computes, and with which versions."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    versions = ", ".join(f"{name} {version(name.lower())}" for name in ("TensorFlow", "Keras", "NumPy", "DVC"))
    return f"{environment.configure()}, {cores} cores; Python {platform.python_version()}, {versions}."


@parameters.end_with_message
def main(*asked: str) -> None:
    """Run the benchmarks that are asked for; each replaces its own section of the page."""
    for name in asked:
        if name not in PARTS:
            known = ", ".join(PARTS) + parameters.did_you_mean(name, PARTS)
            raise parameters.InputError(f"no benchmark {name!r}; there are {known}")
    for name in asked or PARTS:
        title, command = PARTS[name]
        printed = subprocess.run(
            [sys.executable, "-m", *command.split()], check=True, stdout=subprocess.PIPE, text=True,
            env=os.environ | {"PYTHONPATH": str(Path("tests/hiding").resolve())},
        ).stdout  # fmt: skip
        heading = f"## {title}\n\n`python -m {command}`, {datetime.date.today()}. {machine()}"
        section = f"{heading}\n\n{printed.strip()}\n\n"
        page = PAGE.read_text(encoding="utf-8")
        here = re.compile(rf"^## {re.escape(title)}\n.*?(?=^## |\Z)", re.DOTALL | re.MULTILINE)
        page = here.sub(lambda _, new=section: new, page) if here.search(page) else f"{page.rstrip()}\n\n{section}"
        process.write_file(PAGE, (page.rstrip() + "\n").encode())


if __name__ == "__main__":
    main(*sys.argv[1:])
