"""What the log of a stage tells: how it went, where it is, when it will be done."""

import re
from collections.abc import Mapping
from pathlib import Path

# What DVC prints around the output of a stage's command.
_BEGIN = re.compile(r"^Running stage '.*':\n> .*\n", re.MULTILINE)
_END = re.compile(r"^(?:(?:Generating|Updating) lock file '|Use `dvc push` )", re.MULTILINE)
_BUSY = re.compile(r"^ERROR: .* is busy, it is being blocked by:\n +\(PID (\d+)\)", re.MULTILINE)
_OUTCOMES = {
    _BEGIN: "done",
    re.compile(r"^Stage '.*' is cached - skipping run", re.MULTILINE): "from cache",
    re.compile(r"^Stage '.*' didn't change, skipping", re.MULTILINE): "unchanged",
}


def path(name: str) -> Path:
    """Name the log of a stage, whose name may hold any character."""
    return Path("logs", re.sub(r"[^\w@.-]+", "_", name) + ".log")


def has_begun(text: str) -> bool:
    """Tell whether DVC has started the command."""
    return bool(_BEGIN.search(text))


def blocker(text: str) -> int | None:
    """Find the process that reads or writes what a stage needs, if DVC gave up for it before the command."""
    found = _BUSY.search(text)
    return int(found[1]) if found and not has_begun(text) else None


def outcome(text: str) -> str:
    """Say what DVC did with a stage that did not fail: run it, take it from its run-cache, or leave it."""
    return next((word for pattern, word in _OUTCOMES.items() if pattern.search(text)), "done")


def output(text: str) -> list[str]:
    """Take off what DVC prints before and after the output of a stage's command, and what progress bars overwrote."""
    lines = _END.split(_BEGIN.split(text)[-1])[0].splitlines()
    return [line.rpartition("\r")[2].rstrip() for line in lines if line.strip()]


def last_line(text: str, name: str) -> str:
    """Find what a stage's command printed last, less its own name, which stands beside it, and `0 s left`."""
    lines = output(text) if has_begun(text) else []
    own = re.escape(re.split("[@:]", name)[-1])
    return re.sub(rf"^{own}(: |  )|  0 s left$", "", lines[-1]) if lines else ""


def seconds_left(line: str) -> float | None:
    """Read `12 s left` in a line of progress."""
    found = re.search(r"\b(\d+) s left", line)
    return float(found[1]) if found else None


def total_left(
    waiting: list[str], running: Mapping[str, tuple[float, float | None]], finished: Mapping[str, float], jobs: int
) -> float | None:
    """Estimate when all will be done, from the stages of the same kind: the same name in front of an @.

    Args:
        waiting: names of the stages that have not begun.
        running: seconds since each began, and seconds that it has left by its own account.
        finished: seconds that each took.
        jobs: how many run at the same time.

    Returns:
        Seconds, or None while nothing is known. What nothing is known of is left out.
    """
    known = dict(finished) | {name: spent + left for name, (spent, left) in running.items() if left is not None}
    kinds: dict[str, list[float]] = {}
    for name, seconds in known.items():
        kinds.setdefault(name.partition("@")[0], []).append(seconds)
    typical = {kind: sum(seconds) / len(seconds) for kind, seconds in kinds.items()}

    def expected(name: str) -> float:
        return typical.get(name.partition("@")[0], 0.0)

    lefts = [max(0.0, expected(name) - spent) if left is None else left for name, (spent, left) in running.items()]
    lefts += [expected(name) for name in waiting]
    return max(*lefts, sum(lefts) / jobs) if any(lefts) else None
