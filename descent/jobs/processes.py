"""A stage as a real DVC process in a process group of its own: started, looked at, stopped with all that it runs.

DVC takes a second to load. So it is loaded once, by a server that forks a process for every stage (`preload`).
"""

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import forkserver
from pathlib import Path
from typing import NamedTuple

import dvc.cli
import psutil

from descent.jobs import logs

ASK_SECONDS = 0.6  # for a command to end when asked to
LIMIT_SECONDS = 1.2  # for DVC to clean up behind it
_LONG_BYTES = 2**16  # each of the two parts of a log that are looked at
_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(["descent.jobs.preload"])


class Job(NamedTuple):
    """A stage that runs."""

    name: str
    process: multiprocessing.Process
    log: Path
    started: float  # time.monotonic, seconds

    def text(self) -> str:
        """Read what it has printed so far; of very much, the beginning and the end."""
        with self.log.open("rb") as file:
            text = file.read(_LONG_BYTES)
            file.seek(max(file.tell(), self.log.stat().st_size - _LONG_BYTES))
            return (text + file.read()).decode(errors="replace")


def start(name: str, arguments: Sequence[str]) -> Job:
    """Start `dvc --wait-for-lock repro ARGUMENTS`, with all that it prints in the log of `name`.

    Args:
        name: of the stage.
        arguments: of `dvc repro`.
    """
    log = logs.path(name)
    log.parent.mkdir(exist_ok=True)
    log.write_bytes(b"")
    process = _SERVER.Process(target=_run, args=(str(log), ["--wait-for-lock", "repro", *arguments]))
    process.start()
    return Job(name, process, log, time.monotonic())


def warm_up() -> None:
    """Have the server load DVC, beside what this process does until it needs it."""
    forkserver.ensure_running()


def _run(log: str, arguments: list[str]) -> None:
    """Be DVC, in a session of one's own."""
    os.setsid()
    for number, path in enumerate([os.devnull, log, log]):
        os.dup2(os.open(path, os.O_RDWR | os.O_APPEND), number)
    sys.argv = ["dvc", *arguments]
    sys.exit(dvc.cli.main())


def commands(job: Job) -> list[psutil.Process]:
    """Find what runs below DVC; nothing while DVC waits for its lock, reads, or records."""
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(job.process.pid).children(recursive=True)
    return []


def stop(running: Sequence[Job]) -> list[Job]:
    """End jobs within two seconds, and leave no process behind.

    Not DVC is asked to end but what it runs: DVC may be at writing dvc.lock, and killed there leaves it torn. Once its
    command is gone, it ends by itself; only a DVC that does not, as one that waits for its lock, is killed.

    Returns:
        The jobs whose command had ended and which DVC could not record in time.
    """
    ended = [job for job in running if not commands(job) and logs.has_begun(job.text())]
    started, asked = time.monotonic(), set()
    while (spent := time.monotonic() - started) < LIMIT_SECONDS and any(job.process.is_alive() for job in running):
        for job in running:
            for command in commands(job):
                if job in ended:  # it had been about to begin
                    ended.remove(job)
                with suppress(psutil.NoSuchProcess):
                    if spent > ASK_SECONDS:
                        command.kill()
                    elif command not in asked:
                        asked.add(command)
                        command.terminate()
        time.sleep(0.02)
    for job in running:
        with suppress(ProcessLookupError, PermissionError):  # macOS forbids what Linux does not find
            os.killpg(job.process.pid, signal.SIGKILL)
        job.process.join()  # one that nobody waited for still counts as alive to DVC
    return [job for job in ended if job.process.exitcode]


@contextmanager
def signals() -> Iterator[list[int]]:
    """Yield a list that gets the number of each signal to end, instead of its ending this process at an awkward place.

    What was ignored from the start, as under nohup, stays so.
    """
    received: list[int] = []
    caught = [number for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
              if signal.getsignal(number) is not signal.SIG_IGN]  # fmt: skip
    before = {number: signal.signal(number, lambda number, _: received.append(number)) for number in caught}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
