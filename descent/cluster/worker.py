"""What a Dask worker does for a stage that waits elsewhere: each task in a process and a folder of its own.

A process, as a stage is one: run within a worker that had trained before, runs came out otherwise than here (seen).
And what nobody waits for any more can be ended at once.
"""

import contextlib
import os
import pickle
import subprocess
import sys
import tempfile
import threading
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

from distributed import Worker, get_worker
from distributed.core import Status

from descent.cluster import conditions
from descent.core.parameters import InputError
from descent.core.process import write_file

ROOT = Path(__file__).parents[2]
LOOK_SECONDS = 1.0  # between two looks at whether a task is still wanted
_ENDED = (Status.closing, Status.closed, Status.failed)
_LONGEST_EVENT = 2**20  # bytes; what is longer, as weights are, comes with the result alone


def perform(asked: dict[str, str], task: str, arguments: bytes, read: Mapping[str, bytes], topic: str) -> tuple:
    """Perform a task; what it yields is told as events on a topic, and comes back whole in the end.

    Args:
        asked: the `conditions.found` of who asks.
        task: `module:function`, a generator function.
        arguments: its arguments, pickled; opened only if all conditions are met.
        read: the files that the task reads: path -> content.
        topic: of the events: (key of the task, this attempt, number of the event, event pickled).

    Returns:
        This attempt, and all events, pickled each.

    Raises:
        InputError: if this worker is not as asked for, or if the process is killed; and whatever the task raises.
    """
    worker = get_worker()
    if differences := conditions.differences(asked, conditions.found()):
        raise InputError(f"the worker {worker.address} refuses the task: it has {', '.join(differences)}")
    key, attempt, events = worker.get_current_task(), uuid.uuid4().hex, []
    with tempfile.TemporaryDirectory() as folder, _process(folder, read) as process, _watched(process, worker, key):
        with contextlib.suppress(BrokenPipeError):  # it has ended, and the next line but two says so
            pickle.dump((task, arguments), process.stdin)
            process.stdin.close()
        try:
            while (event := pickle.load(process.stdout)) is not None:
                if isinstance(event, BaseException):
                    raise event
                if len(event) <= _LONGEST_EVENT:
                    worker.log_event(topic, (key, attempt, len(events), event))
                events.append(event)
        except EOFError:
            raise InputError(
                f"the training on {worker.address} ended with code {process.wait()}: see its log"
            ) from None
    return attempt, events


@contextlib.contextmanager
def _process(folder: str, read: Mapping[str, bytes]) -> Iterator[subprocess.Popen]:
    """Start a process in a folder with these files alone; whatever happens, it ends."""
    for path, content in read.items():
        write_file(Path(folder, path), content)
    path = os.pathsep.join([str(ROOT), *os.environ.get("PYTHONPATH", "").split(os.pathsep)])
    with subprocess.Popen(
        [sys.executable, "-m", "descent.cluster.process"],
        cwd=folder, env=os.environ | {"PYTHONPATH": path}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


@contextlib.contextmanager
def _watched(process: subprocess.Popen, worker: Worker, key: str) -> Iterator[None]:
    """Kill a process once nobody waits for its task, or its worker lost the scheduler: Dask itself ends no thread."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(LOOK_SECONDS):
            state = worker.state.tasks.get(key)
            if state is None or state.state == "cancelled" or worker.status in _ENDED:
                process.kill()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
