"""Kills the pipeline at random moments, repairs it, lets it finish, and compares with a run that nobody disturbed.

Usage: python -m tools.kills [KILLS [SEED]]        (50 and 0 unless told; half an hour)

Real stages and MNIST, a small configuration. Four kills in a row, each followed by `make repair`'s command, then that
of `make repro` to the end; then all over from nothing. Standard output gets Markdown, standard error a line a kill.
"""

import collections
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tools.dvc_benchmark import Project, shrink

IN_A_ROW = 4
REPRO = [sys.executable, "-m", "stages.repro", "--jobs", "2"]
WAYS = {"dvc repro": [sys.executable, "-m", "dvc", "repro"], "make repro": REPRO}
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
# By the clock, or as soon as such a file changes, the one or the other time that it does.
MOMENTS = {"by the clock": "", "as data are written": "data/*/*", "as results are written": "results/**/*",
           "as dvc.lock is written": "dvc.lock"}  # fmt: skip


def made(folder: Path) -> dict[Path, bytes]:
    """Read all that the pipeline makes."""
    paths = [path for name in ("data", "results") for path in (folder / name).rglob("*")]
    return {path.relative_to(folder): path.read_bytes() for path in paths if path.is_file()}


def changes(folder: Path, pattern: str) -> set[tuple]:
    """Tell files apart by their name, time and size."""
    found = set()
    for path in folder.glob(pattern):
        try:
            found.add((path, (of := path.stat()).st_mtime_ns, of.st_size))
        except FileNotFoundError:  # it has just been removed
            found.add((path,))
    return found


def kill(folder: Path, dice: random.Random, limit: float) -> str:
    """Start the pipeline one way or the other, and kill it; returns how, when, and what it said last."""
    (way, command), (moment, pattern) = (dice.choice([*kind.items()]) for kind in (WAYS, MOMENTS))
    number, deadline = dice.choice(SIGNALS), time.monotonic() + dice.uniform(0, limit)
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    with tempfile.TemporaryFile("w+") as output:
        running = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=output, stderr=output, start_new_session=True
        )
        if pattern:
            left, before, deadline = dice.randint(1, 6), changes(folder, pattern), time.monotonic() + limit
        while running.poll() is None and time.monotonic() < deadline:
            time.sleep(0.001)
            if pattern and (now := changes(folder, pattern)) != before:
                before, left = now, left - 1
                if not left:
                    break
        alive = running.poll() is None
        if alive and dice.random() < 0.5:  # the process alone, or the group, as a terminal does
            running.send_signal(number)
        elif alive:
            os.killpg(running.pid, number)
        running.wait()
        output.seek(0)
        last = " ".join((output.read().splitlines() or [""])[-1].split())[:80]
    return f"{way}, {moment}, {number.name if alive else 'had ended'}: {last}"


def repair(project: Project) -> list[str]:
    """Repair, once those are gone that work there yet: a stage of a DVC that was killed needs a moment to see it."""
    deadline = time.monotonic() + 60
    while (done := project.attempt("python -m stages.repair")).returncode:
        if time.monotonic() > deadline:
            raise RuntimeError(done.stderr)
        time.sleep(0.5)
    return [line for line in done.stdout.splitlines() if not line.startswith(("Now:", "Nothing"))]


def main(kills: int = 50, seed: int = 0) -> None:
    """Print how many kills there were of each kind, what was repaired, and whether all bytes came out."""
    dice, kinds, repaired, wrong = random.Random(seed), collections.Counter(), collections.Counter(), 0
    with tempfile.TemporaryDirectory() as parent:
        project = Project.copy(Path(parent, "project"), Path("data/raw/mnist.npz").resolve(), shrink)
        started = time.monotonic()
        project.run("exec python -m stages.repro --jobs 2")
        limit, expected = time.monotonic() - started, made(project.folder)
        project.run("git clean -fdxq")
        number = 0
        while number < kills:
            told = kill(project.folder, dice, limit)
            lines = repair(project)
            if "had ended" in told:  # before its moment came, so nothing was killed, and all may be done
                project.run("git clean -fdxq")
                continue
            number += 1
            kinds[told.split(":")[0]] += 1
            repaired.update(line.split(": ", 1)[1] for line in lines)
            print(f"{number}: {told}", *lines, sep="\n    ", file=sys.stderr, flush=True)
            if number % IN_A_ROW == 0 or number == kills:
                project.run("exec python -m stages.repro --jobs 2")
                now = made(project.folder)
                for path in sorted(
                    {path for path in expected.keys() | now.keys() if expected.get(path) != now.get(path)}
                ):
                    print(f"    other bytes: {path}", file=sys.stderr, flush=True)
                    wrong += 1
                project.run("git clean -fdxq")
    print(
        "| how it was killed | times |\n|---|---:|",
        *(f"| {kind} | {kinds[kind]} |" for kind in sorted(kinds)),
        sep="\n",
    )
    print(f"\nRepaired: {dict(repaired) or 'nothing had to be'}. Files with other bytes in the end: {wrong}.")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
