"""How many stages run at once, the DVC processes that work here, the lock that lets one `make repro` run at a time.

Usage: python -m descent.parallel.processes        (fails if DVC works here; `make repair` asks first)
"""

import fcntl
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from descent.core.parameters import InputError
from descent.runs import executor

LOCK = Path(".dvc/tmp/repro.lock")
RECORD = Path(".dvc/tmp/rwlock")  # DVC's list of the processes that read and write files
STAGE_BYTES = 1.5 * 2**30  # memory of a stage; the largest training took 1.3 GB


def default_jobs() -> int:
    """Choose a number of jobs: one a worker of the cluster, one on a GPU, else one a core as far as memory goes."""
    if os.environ.get("DESCENT_CLUSTER"):
        return executor.max_parallel()
    if shutil.which("nvidia-smi"):
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, int(psutil.virtual_memory().available / STAGE_BYTES)))


def others() -> dict[int, str]:
    """Return the DVC processes that work in this folder, but for this one: number -> number and command."""
    here, found = Path.cwd(), {}
    for process in psutil.process_iter():
        with suppress(psutil.Error):  # of another user, or just ended
            command = process.cmdline()
            is_dvc = any(Path(word).name in ("dvc", "stages.repro") for word in command)
            if is_dvc and process.pid != os.getpid() and Path(process.cwd()) == here:
                found[process.pid] = f"process {process.pid}: {' '.join(command)[:100]}"
    return found


@contextmanager
def alone() -> Iterator[None]:
    """Wait until no other `make repro` works here, and print which one that is.

    What is forked from this process keeps the lock: DVC processes that a killed `make repro` left are waited for.
    """
    if not Path(".dvc").is_dir():
        raise InputError("This is not the root of the repository: there is no folder .dvc")
    LOCK.parent.mkdir(exist_ok=True)
    with LOCK.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"Waiting for {next(iter(others().values()), 'another make repro')}", flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def forget_killed() -> None:
    """Remove DVC's record if no DVC works here: a number in it may be that of any process by now."""
    if not others():
        RECORD.unlink(missing_ok=True)


if __name__ == "__main__":
    if working := others().values():
        sys.exit("\n".join(["DVC is working here, so nothing was changed. Wait for it, or stop it:", *working]))
