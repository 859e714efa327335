"""Reproduces what is out of date as `dvc repro` does, with stages that do not need each other side by side.

Usage: python -m stages.repro [--jobs N] [TARGET]        (a dvc.yaml or a stage; ./dvc.yaml unless told)
"""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil

from descent.core import parameters
from descent.runs import executor

STAGE_BYTES = 1.5 * 2**30  # memory for a stage; a training was seen to take 1.3 GB
PROOF = "dvc repro"
STOPPED = "Stopped. What was done is kept; the same command continues."


def number_of_jobs(text: str) -> int:
    """Read a number of jobs."""
    if text.isdecimal() and int(text) > 0:
        return int(text)
    raise argparse.ArgumentTypeError(f"expected a number of 1 or more, got {text!r}")


def default_jobs(cores: int) -> int:
    """Choose a number of jobs: one a worker of the cluster, or one a core as memory goes; a GPU is not shared."""
    if os.environ.get("DESCENT_CLUSTER"):
        return executor.max_parallel()
    room = int(psutil.virtual_memory().available / STAGE_BYTES)
    return 1 if shutil.which("nvidia-smi") else max(1, min(cores, room))


def main() -> int:
    """Ask DVC what is out of date, run that side by side, let a plain `dvc repro` prove that nothing is left."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--jobs",
        type=number_of_jobs,
        help="stages at once; unless told, what cores and memory allow, or one a worker of DESCENT_CLUSTER",
    )
    parser.add_argument("target", nargs="?", default="dvc.yaml")
    options = parser.parse_args()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

    if Path("params.yaml").exists():  # some of what this refuses, DVC would read until memory ends
        parameters.read("params.yaml", "optimizers", dict[Any, Any])
    print("Asking DVC what is out of date", flush=True)
    from dvc.exceptions import DvcException  # takes half a second

    from descent.jobs import graph, memo, processes, schedule, view

    processes.warm_up()
    memo.install()
    try:
        stages = graph.read(options.target)
    except DvcException:  # DVC itself shows best what is wrong with a target or a file
        return subprocess.call([sys.executable, "-m", "dvc", "repro", "--dry", options.target]) or 1
    except OSError as error:  # DVC keeps notes here: a full disk, a folder that cannot be written
        raise parameters.InputError(f"{error.filename or '.dvc'}: {error.strerror}") from error
    needs = graph.to_do(stages)
    jobs = min(options.jobs or default_jobs(cores), len(needs)) if needs else 1
    before = graph.recorded({stage.lock for stage in stages.values()})

    with processes.signals() as stopped, view.view() as seen:
        if needs:
            seen.say(f"{len(needs)} of {len(stages)} stages to do, {jobs} at a time; logs/ has what each prints")
        done = schedule.Schedule(needs, jobs, seen).run(lambda name: ["--single-item", name], stopped)
        if not stopped:
            graph.sort(stages, before)
        done = done and schedule.Schedule({PROOF: set()}, 1, seen).run(lambda _: [options.target], stopped)
    if stopped:
        print(STOPPED)
        return 128 + stopped[0]
    return 0 if done else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print(STOPPED)  # before anything began
        sys.exit(130)
    except parameters.InputError as error:
        sys.exit(str(error))
