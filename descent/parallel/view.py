"""What a user sees of a stage: what DVC did, what the command printed, how long it still takes, what it waits for."""

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress

import psutil

# What DVC prints before and after the output of the command.
_BEFORE = re.compile(r"^Running stage '.*':\n> .*\n", re.MULTILINE)
_AFTER = re.compile(r"^(?:(?:Generating|Updating) lock file '|Use `dvc push` )", re.MULTILINE)


def outcome(log: str) -> str:
    """Return `done` once DVC has started the command; else `from cache` or `unchanged`."""
    return "done" if _BEFORE.search(log) else "from cache" if " is cached - skipping run" in log else "unchanged"


def output(log: str) -> list[str]:
    """Return the lines of the command, or of a DVC that did not start it; without what progress bars overwrote."""
    lines = _AFTER.split(_BEFORE.split(log)[-1])[0].splitlines()
    return [line.rpartition("\r")[2].rstrip() for line in lines if line.strip()]


def last_line(log: str, name: str) -> str:
    """Return the last line of the command, without the stage's own name in front and `0 s left`."""
    lines = output(log) if outcome(log) == "done" else []
    return re.sub(rf"^{re.escape(re.split('[@:]', name)[-1])}(: |  )|  0 s left$", "", lines[-1]) if lines else ""


def time_left(
    waiting: Iterable[str], running: Mapping[str, tuple[float, str]], finished: Mapping[str, float], jobs: int
) -> str:
    """Estimate the time left, such as `, about 40 s left`. Stages alike before the @ take equally long.

    Args:
        waiting: names of the stages that have not begun.
        running: seconds since each began, and its last line, which may hold an estimate of its own.
        finished: seconds that each took.
        jobs: number of stages that run at once.
    """
    own = {name: float(found[1]) for name, (_, line) in running.items() if (found := re.search(r"(\d+) s left", line))}
    known = dict(finished) | {name: running[name][0] + left for name, left in own.items()}

    def expected(name: str, spent: float = 0.0) -> float:
        alike = [seconds for other, seconds in known.items() if other.split("@")[0] == name.split("@")[0]]
        return max(0.0, sum(alike) / len(alike) - spent) if alike else 0.0

    each = [own.get(name, expected(name, spent)) for name, (spent, _) in running.items()]
    each += map(expected, waiting)
    left = max(*each, 0.0, sum(each) / jobs)
    return f", about {left:.0f} s left" if 0 < left < 100 else f", about {left / 60:.0f} min left" if left else ""


def describe(process: int) -> str:
    """Return the ID and the command of a process, as far as they can be read."""
    with suppress(psutil.Error):
        return f"process {process}: {' '.join(psutil.Process(process).cmdline())[:100]}"
    return f"process {process}"
