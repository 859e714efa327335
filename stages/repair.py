"""Puts right what a killed command or a bad disk can leave, as far as that loses nothing; `make repro` does the rest.

Usage: python -m stages.repair

DVC writes dvc.lock and its list of readers and writers in place, so a kill at that moment leaves a piece; and it trusts
what is read-only in its cache, so a damaged object is handed out as it is. No stage of dvc.yaml; it trains nothing.
"""

import fcntl
import hashlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

from dvc.dvcfile import Lockfile
from dvc.exceptions import DvcException
from dvc.repo import Repo

from descent.core import parameters, process
from descent.jobs import lock

LOCK_FILES = (Path("dvc.lock"), Path("tuning/dvc.lock"))
RECORD = Path(".dvc/tmp/rwlock")  # what running DVC processes read and write


@parameters.end_with_message
def main() -> None:
    """Keep DVC out, look at each kind of damage, say what was done in a line each."""
    try:
        repo = Repo()
    except DvcException as error:
        raise parameters.InputError(f"{error}; run this from the root of the repository") from None
    lock.LOCK.parent.mkdir(parents=True, exist_ok=True)
    with lock.LOCK.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # until this ends
        except BlockingIOError:
            file.seek(0)
            text = file.read().strip()
            holder = lock.describe(int(text) if text.isdecimal() else 0)
            raise parameters.InputError(f"{holder} works here: nothing was touched; end it, then repair") from None
        done = 0
        for kind in (_lock_files(repo), _record(), _halves(), _objects(Path(repo.cache.local.path))):
            for line in kind:
                print(line, flush=True)
                done += 1
    print("Now: make repro" if done else "Nothing to repair.")


def _lock_files(repo: Repo) -> Iterator[str]:
    """Take lock files that DVC cannot read from the last commit; what they said since is found again or rerun."""
    for path in LOCK_FILES:
        if not path.exists():
            continue
        try:
            whole = bool(Lockfile(repo, str(path)).load())
        except (DvcException, UnicodeDecodeError):
            whole = False
        if not whole:
            try:
                committed = subprocess.run(["git", "show", f"HEAD:./{path}"], capture_output=True, check=True).stdout
            except (OSError, subprocess.CalledProcessError):
                path.unlink()
                yield f"{path}: damaged, and Git has no other; removed"
                continue
            process.write_file(path, committed)
            yield f"{path}: damaged; now as in the last commit"


def _record() -> Iterator[str]:
    """Remove DVC's record of who reads and writes where it is cut off; nobody does, since the lock is ours."""
    try:
        json.loads(RECORD.read_bytes())
    except FileNotFoundError:
        pass
    except ValueError:
        RECORD.unlink()
        yield f"{RECORD}: damaged; removed"


def _halves() -> Iterator[str]:
    """Remove what `files.write` had not yet put in its place."""
    # Elsewhere experiments may be at work.
    for folder in ("data", "docs", "logs", "results", ".dvc/tmp/training", ".dvc/tmp/tuning"):
        for path in sorted(Path(folder).rglob(".*.part")):
            path.unlink()
            yield f"{path}: half written; removed"


def _objects(cache: Path) -> Iterator[str]:
    """Remove objects of DVC's cache that do not have the MD5 sum by which they are called."""
    for path in sorted(cache.glob("[0-9a-f][0-9a-f]/[0-9a-f]*")):  # .NAME.tmp is one that somebody is about to add
        if not path.is_file():
            continue
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "md5").hexdigest()
        if found != path.parent.name + path.name.removesuffix(".dir"):
            path.unlink()
            yield f"{path}: damaged; removed, and what needs it is made again"


if __name__ == "__main__":
    main()
