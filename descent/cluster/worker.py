"""What a Dask worker does: it runs each task in a process and a folder of its own.

Within a worker that had trained before, runs came out otherwise than in a stage here (seen). And a process can be ended
when nobody waits for its task any more.
"""

import contextlib
import os
import pickle
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path

from distributed import Worker, get_worker
from distributed.core import Status

from descent.cluster import client
from descent.core.parameters import InputError
from descent.core.process import write_file

ROOT = Path(__file__).parents[2]
LOOK_SECONDS = 1.0  # between two looks at whether a task is still wanted
_ENDED = (Status.closing, Status.closed, Status.failed)
_LONGEST_EVENT = 2**20  # bytes; what is longer, as weights are, comes with the result alone


def perform(asked: dict[str, str], task: str, arguments: bytes, read: Mapping[str, bytes], topic: str) -> list[bytes]:
    """Perform a task; what it yields is sent at once as events on a topic, and returned whole in the end.

    Args:
        asked: the `client.conditions` of who asks.
        task: `module:function`, a generator function.
        arguments: its arguments, pickled; opened only if all conditions are met.
        read: the files that the task reads: path -> content.
        topic: of the events.

    Returns:
        What the task yielded, each pickled.

    Raises:
        InputError: if this worker has another code or package, or if the process is killed; what the task raises.
    """
    worker, has, events = get_worker(), client.conditions(), []
    differences = [
        f"no {name}" if has[name] == "none" else f"{name} {has[name]} where {value} is asked for"
        for name, value in asked.items()
        if has[name] != value
    ]
    if differences:
        raise InputError(f"the worker {worker.address} refuses the task: it has {', '.join(differences)}")
    path = os.pathsep.join([str(ROOT), *os.environ.get("PYTHONPATH", "").split(os.pathsep)])
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as ending:
        for name, content in read.items():
            write_file(Path(folder, name), content)
        process = subprocess.Popen(
            [sys.executable, "-m", "descent.cluster.process"],
            cwd=folder, env=os.environ | {"PYTHONPATH": path}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        ending.enter_context(process)
        ending.callback(process.kill)
        done = threading.Event()
        ending.callback(done.set)
        threading.Thread(target=_watch, args=(process, worker, worker.get_current_task(), done), daemon=True).start()
        with contextlib.suppress(BrokenPipeError):  # it has ended, and reading says so
            pickle.dump((task, arguments), process.stdin)
            process.stdin.close()
        try:
            while (event := pickle.load(process.stdout)) is not None:
                if isinstance(event, BaseException):
                    raise event
                if len(event) <= _LONGEST_EVENT:
                    worker.log_event(topic, event)
                events.append(event)
        except EOFError:
            raise InputError(
                f"the training on {worker.address} ended with code {process.wait()}: see its log"
            ) from None
    return events


def _watch(process: subprocess.Popen, worker: Worker, key: str, done: threading.Event) -> None:
    """Kill a process once nobody waits for its task, or its worker lost the scheduler: Dask itself ends no thread."""
    while not done.wait(LOOK_SECONDS):
        state = worker.state.tasks.get(key)
        if state is None or state.state == "cancelled" or worker.status in _ENDED:
            process.kill()
