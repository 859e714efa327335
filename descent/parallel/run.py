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

from descent.parallel import processes

LOOK_SECONDS = 0.5  # between two looks at the logs
KILL_SECONDS = 0.6  # between terminating a command and killing it
RECORD_SECONDS = 10.0  # for DVC to end after its command
LAST_LINES = 50  # of a failed stage's output; all that `check` has to say
# What DVC prints before and after the output of the command, and if another process uses the stage's files.
_BEFORE = re.compile(r"^Running stage '.*':\n> .*\n", re.MULTILINE)
_AFTER = re.compile(r"^(?:(?:Generating|Updating) lock file '|Use `dvc push` )", re.MULTILINE)
_BUSY = re.compile(r"is busy, it is being blocked by:\n +\(PID (\d+)\)")


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
    waiting, running, done, blocked = list(needs), list[Job](), set[str](), set[str]()

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
            rows = []
            for job in list(running):
                is_alive, log = job.is_alive(), job.log.read_text(encoding="utf-8", errors="replace")
                row = f"{job.name:{max(map(len, needs))}} {time.monotonic() - job.started:4.0f} s  "
                if is_alive:
                    rows.append(row + _last_line(log, job.name))
                    continue
                running.remove(job)
                if not job.exitcode:
                    say(f"{row}{_outcome(log)}  {_last_line(log, job.name)}".rstrip())
                    done.add(job.name)
                elif (busy := _BUSY.search(log)) and (other := processes.others().get(int(busy[1]))):
                    if job.name not in blocked:
                        say(f"{job.name} waits for {other}, which works on the same files")
                    blocked.add(job.name)
                    waiting.insert(0, job.name)
                    time.sleep(1)
                else:
                    say(f"{row}FAILED  {job.log}", *_output(log)[-LAST_LINES:])
            rows.append(f"{len(done)} of {len(needs)} done")
            live.update(Text("\n".join(rows), no_wrap=True, overflow="ellipsis"), refresh=True)
    finally:
        _stop(running)
    if waiting and not stopped:
        say(f"Not started, since a stage that they need failed: {', '.join(waiting)}")
    return done == needs.keys()


def _outcome(log: str) -> str:
    """Return `done` once DVC has started the command; else `from cache` or `unchanged`."""
    return "done" if _BEFORE.search(log) else "from cache" if " is cached - skipping run" in log else "unchanged"


def _output(log: str) -> list[str]:
    """Return the lines of the command, or of a DVC that did not start it; without what progress bars overwrote."""
    lines = _AFTER.split(_BEFORE.split(log)[-1])[0].splitlines()
    return [line.rpartition("\r")[2].rstrip() for line in lines if line.strip()]


def _last_line(log: str, name: str) -> str:
    """Return the last line of the command, without the stage's own name in front and `0 s left`."""
    lines = _output(log) if _outcome(log) == "done" else []
    return re.sub(rf"^{re.escape(re.split('[@:]', name)[-1])}(: |  )|  0 s left$", "", lines[-1]) if lines else ""


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
