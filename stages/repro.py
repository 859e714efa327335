"""Runs what is out of date, as `dvc repro` does, with independent stages in parallel.

Usage: python -m stages.repro [--jobs N] [TARGET]        (a dvc.yaml or a stage; the default is ./dvc.yaml)
"""

import argparse
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from rich.live import Live

from descent.core import parameters
from descent.parallel import processes


@parameters.end_with_message
def main() -> None:
    """Ask DVC what is out of date, run that in parallel, and let a plain `dvc repro` prove that nothing is left."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, help="stages at once; the default depends on cores and memory")
    parser.add_argument("target", nargs="?", default="dvc.yaml")
    options = parser.parse_args()
    if options.jobs is not None and options.jobs < 1:
        parser.error(f"--jobs must be 1 or more, got {options.jobs}")
    if Path("params.yaml").exists():
        parameters.read("params.yaml", "optimizers", dict[Any, Any])  # DVC's own message names no key
    with processes.alone():
        sys.exit(_run(options.target, options.jobs))


def _run(target: str, jobs: int | None) -> int | str:
    """Run what is out of date; returns what to exit with."""
    print("Asking DVC what is out of date", flush=True)
    from dvc.exceptions import DvcException  # takes half a second

    from descent.parallel import graph, run

    graph.prepare_forks()
    try:
        plan = graph.plan(target)
    except DvcException as error:  # DVC itself explains best what is wrong with a target or a file
        return subprocess.call([sys.executable, "-m", "dvc", "repro", "--dry", target]) or str(error)

    stopped: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, lambda number, _: stopped.append(number))
    jobs = jobs or processes.default_jobs()
    print(f"{len(plan.needs)} of {plan.total} stages to do, {jobs} at a time; their output is in logs/", flush=True)
    with Live(auto_refresh=False, transient=True) as live:
        done = run.run(plan.needs, jobs, lambda name: ["--single-item", name], live, stopped)
        if not stopped:
            graph.sort_locks(plan.orders)
        done = done and run.run({"dvc repro": set()}, 1, lambda _: [target], live, stopped)
    if stopped:
        print("Stopped. What was done is kept; the same command continues.")
        return 128 + stopped[0]
    return 0 if done else 1


if __name__ == "__main__":
    main()
