"""Who holds DVC's lock, and whether that is in the way."""

import fcntl
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from descent.jobs import processes

LOCK = Path(".dvc/tmp/lock")  # the process that has it writes its number there


def blocker(running: Sequence[processes.Job]) -> int | None:
    """Find the process outside the jobs that holds DVC's lock while at least one of them does nothing.

    Args:
        running: the jobs.

    Returns:
        The number of the process; 0 if it does not say; None if there is none.
    """
    try:
        file = LOCK.open(encoding="utf-8")
    except FileNotFoundError:
        return None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # let go at once, by closing the file
            return None
        except BlockingIOError:
            text = file.read().strip()
    holder = int(text) if text.isdecimal() else 0
    with suppress(ProcessLookupError):
        if os.getpgid(holder) in {job.process.pid for job in running}:
            return None
    return holder if any(not processes.commands(job) for job in running) else None


def describe(holder: int) -> str:
    """Say which process it is, as far as that can be seen."""
    with suppress(psutil.Error):
        process = psutil.Process(holder)
        while "forkserver" in "".join(process.cmdline()) and (parent := process.parent()):
            process = parent  # a stage of another `make repro` bears the name of the server that it was forked from
        return f"process {process.pid}: {' '.join(process.cmdline())[:100]}"
    return f"process {holder}" if holder else "another process"
