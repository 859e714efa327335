"""Runs stages as soon as what they need is done, several at a time."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from descent.jobs import lock, logs, processes
from descent.jobs.view import View, duration, labels, row

TICK_SECONDS = 0.05
LOOK_SECONDS = 0.5  # between two looks at the logs and at DVC's lock
PATIENCE_SECONDS = 3.0  # with another process that holds the lock, before a word is said
LIMIT_SECONDS = 120.0  # with it, once no job does anything but wait; with one that works on what a stage needs
LAST_LINES = 15  # of a log, shown when its stage failed


class Schedule:
    """Stages that wait, run, or have ended; those that need one that failed are never started."""

    def __init__(self, needs: Mapping[str, set[str]], jobs: int, view: View):
        """Begin with every stage waiting.

        Args:
            needs: name of each stage -> names of those among them that must be done before.
            jobs: how many may run at the same time.
            view: where to say what happens.
        """
        self._needs, self._jobs, self._view = needs, jobs, view
        self._waiting, self._done = list(needs), set()
        self._running: list[processes.Job] = []
        self._seconds: dict[str, float] = {}  # that each took whose command ran
        self._blocked: dict[str, float] = {}  # time.monotonic, since when another process works on what a stage needs
        self._labels = labels(list(needs))
        self._width = max(map(len, self._labels.values()), default=0)

    def run(self, arguments: Callable[[str], Sequence[str]], stopped: Sequence[int]) -> bool:
        """Run all stages that can be run; whatever ends this, none of their processes outlives it.

        Args:
            arguments: of `dvc repro`, for the name of a stage.
            stopped: once it holds anything, all is stopped.

        Returns:
            Whether every stage is done.
        """
        patience = self._lose_patience()
        looked = time.monotonic()
        try:
            while not stopped:
                self._start(arguments)
                if not self._running:
                    break
                time.sleep(TICK_SECONDS)
                if self._reap() or time.monotonic() - looked > LOOK_SECONDS:
                    looked = time.monotonic()
                    self._view.show(list(self._lines()))
                    if next(patience):
                        break
        finally:
            for job in processes.stop(self._running):
                self._view.say(
                    f"{job.name} has ended, and DVC could not record it. If {job.log} shows no error, do so before you"
                    f" change anything: dvc commit --force {job.name}"
                )
        if not stopped and not self._running and self._waiting:
            self._view.say(f"Not started, since a stage that they need failed: {', '.join(self._waiting)}")
        return self._done == self._needs.keys()

    def _start(self, arguments: Callable[[str], Sequence[str]]) -> None:
        ready = [name for name in self._waiting if self._needs[name] <= self._done]
        for name in ready[: self._jobs - len(self._running)]:
            self._waiting.remove(name)
            self._running.append(processes.start(name, arguments(name)))

    def _reap(self) -> bool:
        """Say of every job that has ended how it went; tells whether any has."""
        ended = [job for job in self._running if not job.process.is_alive()]
        for job in ended:
            self._running.remove(job)
            text, seconds = job.text(), time.monotonic() - job.started
            if job.process.exitcode and self._waits(job.name, logs.blocker(text)):
                continue
            if job.process.exitcode:
                self._view.say(row(self._labels[job.name], self._width, seconds, "FAILED", str(job.log)))
                self._view.say("\n".join(f"    {line}" for line in logs.output(text)[-LAST_LINES:]))
                continue
            outcome = logs.outcome(text)
            self._view.say(row(self._labels[job.name], self._width, seconds, outcome, logs.last_line(text, job.name)))
            self._done.add(job.name)
            if outcome == "done":
                self._seconds[job.name] = seconds
        return bool(ended)

    def _waits(self, name: str, blocker: int | None) -> bool:
        """Tell whether a stage is to begin again, since another process is in its way, and not for too long."""
        if blocker is None:
            return False
        if name not in self._blocked:
            self._blocked[name] = time.monotonic()
            self._view.say(f"{name} waits for {lock.describe(blocker)}")
        elif time.monotonic() - self._blocked[name] > LIMIT_SECONDS:
            return False
        self._waiting.insert(0, name)
        return True

    def _lines(self) -> Iterator[str]:
        """What runs, a line each, and how far all is."""
        running = {}
        for job in self._running:
            text, seconds = job.text(), time.monotonic() - job.started
            line = logs.last_line(text, job.name) or (text.splitlines() or ["starting"])[-1]
            left = logs.seconds_left(line)
            silent = time.time() - job.log.stat().st_mtime  # since it said so
            running[job.name] = (seconds, None if left is None else max(0.0, left - silent))
            yield row(self._labels[job.name], self._width, seconds, line)
        if len(self._needs) == 1:
            return
        left = logs.total_left(self._waiting, running, self._seconds, self._jobs)
        total = f"{len(self._done)} of {len(self._needs)} done"
        yield total if left is None else f"{total}, about {duration(left)} left"

    def _lose_patience(self) -> Iterator[bool]:
        """Tell at each look whether to give up waiting for DVC's lock; says so, and who holds it."""
        blocker, since, told = None, 0.0, False
        while True:
            current = lock.blocker(self._running)
            if current != blocker:
                blocker, since, told = current, time.monotonic(), False
            waited = 0.0 if blocker is None else time.monotonic() - since
            if waited > PATIENCE_SECONDS and not told:
                told = True
                self._view.say(f"Waiting for DVC's lock, held by {lock.describe(blocker)}")
            give_up = waited > LIMIT_SECONDS and not any(map(processes.commands, self._running))
            if give_up:
                self._view.say(f"Gave up after {waited:.0f} s: DVC's lock is still held by {lock.describe(blocker)}")
            yield give_up
