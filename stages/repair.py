"""Repairs files that a kill left cut off. Nothing else changes, and `make repro` continues from there.

Usage: python -m stages.repair

DVC writes dvc.lock and its list of readers and writers in place, so a kill at that moment cuts them off.
"""

import json
import subprocess
from pathlib import Path

import psutil
from dvc.dvcfile import Lockfile
from dvc.exceptions import DvcException
from dvc.lock import LockError
from dvc.repo import Repo

from descent.core import parameters

LOCK_FILES = ("dvc.lock", "tuning/dvc.lock")
RECORD = Path(".dvc/tmp/rwlock")  # what running DVC processes read and write


@parameters.end_with_message
def main() -> None:
    """Take lock files that DVC cannot read from Git; remove a cut-off record and half-written files."""
    try:
        with Repo(".") as repo, repo.lock:
            for path in filter(Path.exists, map(Path, LOCK_FILES)):
                if not _is_readable(repo, path):
                    path.unlink()
                    subprocess.run(["git", "checkout", "--quiet", "--", str(path)], stderr=subprocess.DEVNULL)
                    print(f"{path} was cut off:", "restored from Git" if path.exists() else "removed")
            try:
                json.loads(RECORD.read_bytes() if RECORD.exists() else "{}")
            except ValueError:
                RECORD.unlink()
                print(f"{RECORD} was cut off: removed")
            for path in [path for folder in ("data", "results") for path in Path(folder).rglob(".*.part")]:
                writer = path.suffixes[-2][1:]  # process.write_file names its process
                if not (writer.isdecimal() and psutil.pid_exists(int(writer))):
                    path.unlink()
                    print(f"{path} was half written: removed")
    except LockError:
        raise parameters.InputError("DVC is running here, so nothing was changed: stop it, then repair") from None
    except DvcException as error:
        raise parameters.InputError(str(error)) from None


def _is_readable(repo: Repo, path: Path) -> bool:
    try:
        return bool(Lockfile(repo, str(path)).load())
    except (DvcException, UnicodeDecodeError):
        return False


if __name__ == "__main__":
    main()
