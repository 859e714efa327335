"""Runs each stage as `dvc repro --single-item` once the stages that it needs are done, several at once.

Each DVC is forked from this process, which has loaded DVC already and read the project's YAML.
"""

import multiprocessing
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from multiprocessing import connection
from pathlib import Path

import dvc.cli
import psutil
from rich.live import Live
from rich.text import Text

from descent.parallel import view

LOOK_SECONDS = 0.5  # between two looks at the logs
KILL_SECONDS = 0.6  # between terminating a command and killing it
RECORD_SECONDS = 10.0  # for DVC to end after its command
LAST_LINES = 15  # of a failed stage's output
_BUSY = re.compile(r"is busy, it is being blocked by:\n +\(PID (\d+)\)")  # what DVC prints, before any command


class Job(multiprocessing.context.ForkProcess):
    """A stage that runs: `dvc repro`, whose output goes to logs/NAME.log."""

    def __init__(self, name: str, arguments: list[str]):
        """Start it; `arguments` are those of `dvc repro`."""
        super().__init__(name=name)
        self.arguments, self.started = arguments, time.monotonic()
        self.log = Path("logs", re.sub(r"[^\w@.-]+", "_", name) + ".log")
        self.log.parent.mkdir(exist_ok=True)
        self.log.write_bytes(b"")
        self.start()

    def run(self) -> None:
        """Be DVC, in the process of the stage."""
        os.setsid()  # the terminal sends Ctrl-C to the parent alone, which then stops its stages
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        for number, path in enumerate([os.devnull, self.log, self.log]):
            os.dup2(os.open(path, os.O_RDWR | os.O_APPEND), number)
        sys.argv = ["dvc", "--wait-for-lock", "repro", *self.arguments]
        sys.exit(dvc.cli.main())


def run(
    needs: Mapping[str, set[str]], jobs: int, arguments: Callable[[str], list[str]], live: Live, stopped: Sequence[int]
) -> bool:
    """Run all stages but those that need a failed one; their processes end before this returns.

    Args:
        needs: name of each stage, with those of them that it needs.
        jobs: number of stages that run at once.
        arguments: those of `dvc repro`, by the name of the stage.
        live: where to print.
        stopped: all stages are stopped once it holds anything.

    Returns:
        Whether every stage is done.
    """
    waiting, running, done = list(needs), list[Job](), set[str]()
    blocked, finished = set[str](), dict[str, float]()  # finished: seconds that each took whose command ran

    def say(*lines: str) -> None:
        live.console.print(Text("\n    ".join(lines)), soft_wrap=True)

    try:
        while not stopped:
            ready = [name for name in waiting if needs[name] <= done]
            for name in ready[: jobs - len(running)]:
                waiting.remove(name)
                running.append(Job(name, arguments(name)))
            if not running:
                break
            connection.wait([job.sentinel for job in running], LOOK_SECONDS)
            rows, now = [], {}
            for job in list(running):
                alive, spent = job.is_alive(), time.monotonic() - job.started
                log = job.log.read_text(encoding="utf-8", errors="replace")
                outcome, line = view.outcome(log), view.last_line(log, job.name)
                row = f"{job.name:{max(map(len, needs))}} {spent:4.0f} s  "
                if alive:
                    rows.append(row + line)
                    now[job.name] = (spent, line)
                    continue
                running.remove(job)
                busy = outcome != "done" and job.exitcode and _BUSY.search(log)
                if busy:
                    if job.name not in blocked:
                        say(f"{job.name} waits for {view.describe(int(busy[1]))}, which works on the same files")
                    blocked.add(job.name)
                    waiting.insert(0, job.name)
                    time.sleep(1)
                elif job.exitcode:
                    say(f"{row}FAILED  {job.log}", *view.output(log)[-LAST_LINES:])
                else:
                    say(f"{row}{outcome}  {line}".rstrip())
                    done.add(job.name)
                    finished |= {job.name: spent} if outcome == "done" else {}
            rows.append(f"{len(done)} of {len(needs)} done{view.time_left(waiting, now, finished, jobs)}")
            live.update(Text("\n".join(rows), no_wrap=True, overflow="ellipsis"), refresh=True)
    finally:
        _stop(running)
    if waiting and not stopped:
        say(f"Not started, since a stage that they need failed: {', '.join(waiting)}")
    return done == needs.keys()


def _stop(running: Sequence[Job]) -> None:
    """Terminate the commands, then kill them. Kill DVC only if it does not end then: it may be writing dvc.lock."""
    started = time.monotonic()
    while any(job.is_alive() for job in running) and (spent := time.monotonic() - started) < RECORD_SECONDS:
        for job in running:
            with suppress(psutil.NoSuchProcess):
                for command in psutil.Process(job.pid).children(recursive=True):
                    command.kill() if spent > KILL_SECONDS else command.terminate()
        time.sleep(0.1)
    for job in running:
        with suppress(ProcessLookupError, PermissionError):  # macOS forbids what Linux does not find
            os.killpg(job.pid, signal.SIGKILL)
        job.kill()
        job.join()
