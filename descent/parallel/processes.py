"""The DVC processes that work in this repository, and the lock that lets one `make repro` run at a time.

Usage: python -m descent.parallel.processes        (fails if DVC works here; `make repair` asks first)
"""

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from descent.core.parameters import InputError

LOCK = Path(".dvc/tmp/repro.lock")
RECORD = Path(".dvc/tmp/rwlock")  # DVC's list of the processes that read and write files


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
