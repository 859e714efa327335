"""Finds the other DVC processes that work in this folder, and waits for those that started earlier.

Usage: python -m descent.parallel.other_dvc        (fails if DVC works here; `make repair` asks first)
"""

import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil

RECORD = Path(".dvc/tmp/rwlock")  # DVC's list of the processes that read and write files
_PROGRAMS = {"dvc", "stages.repro", "stages.race"}


def find() -> dict[tuple[float, int], str]:
    """Return the others: (time of the start, process number) -> a line that names the process."""
    found, own = {}, psutil.Process()
    own_family = {own, *own.parents()}  # as `timeout 600 python -m stages.repro`, which waits for us
    for process in psutil.process_iter():
        with suppress(psutil.Error):  # of another user, or just ended
            command = process.cmdline()
            # The worker of DVC's queue of experiments works in folders of its own.
            is_dvc = _PROGRAMS & {Path(word).name for word in command} and "queue-worker" not in command
            if is_dvc and process not in own_family and Path(process.cwd()) == Path.cwd():
                line = f"process {process.pid}: {' '.join(command)[:100]}"
                found[process.create_time(), process.pid] = line
    return found


def wait() -> None:
    """Wait until all that started earlier have ended, and name them; what a killed `make repro` left is among them."""
    own, named = psutil.Process(), ""
    while earlier := [line for start, line in sorted(find().items()) if start < (own.create_time(), own.pid)]:
        if earlier[0] != named:
            named = earlier[0]
            print(f"Waiting for {named}", flush=True)
        time.sleep(0.5)
    if not find():  # a record is left of a killed DVC, whose number may be that of any process by now
        RECORD.unlink(missing_ok=True)


if __name__ == "__main__":
    if lines := find().values():
        sys.exit("\n".join(["DVC is working here, so nothing was changed. Wait for it, or stop it:", *lines]))
