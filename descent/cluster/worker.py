"""What a Dask worker does: it runs each task in a process and a folder of its own.

Within a worker that had trained before, runs came out otherwise than in a stage here (seen). And a process can be ended
when nobody waits for its task any more.
"""

import os
import pickle
import pkgutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from descent.cluster import client
from descent.core.parameters import InputError
from descent.core.process import write_file

ROOT = Path(__file__).parents[2]
LOOK_SECONDS = 1.0  # between two looks at whether a task is still wanted
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
    from distributed import get_worker

    worker, has, events = get_worker(), client.conditions(), []
    if differences := [f"{name} {has[name]} instead of {asked[name]}" for name in asked if has[name] != asked[name]]:
        raise InputError(f"the worker {worker.address} refuses the task: it has {', '.join(differences)}")
    path = os.pathsep.join([str(ROOT), *os.environ.get("PYTHONPATH", "").split(os.pathsep)])
    command = [sys.executable, "-m", "descent.cluster.worker", task, arguments.hex()]
    with tempfile.TemporaryDirectory() as folder:
        for name, content in read.items():
            write_file(Path(folder, name), content)
        with subprocess.Popen(
            command, cwd=folder, env=os.environ | {"PYTHONPATH": path}, stdout=subprocess.PIPE
        ) as process:
            threading.Thread(target=_watch, args=(process, worker, worker.get_current_task()), daemon=True).start()
            try:
                while (event := pickle.load(process.stdout)) is not None:
                    if isinstance(event, BaseException):
                        raise event
                    if len(event) <= _LONGEST_EVENT:
                        worker.log_event(topic, event)
                    events.append(event)
            except EOFError:
                code = process.wait()
                raise InputError(f"the training on {worker.address} ended with code {code}: see its log") from None
    return events


def _watch(process: subprocess.Popen, worker: Any, key: str) -> None:
    """Kill a process once nobody waits for its task, or its worker lost the scheduler: Dask itself ends no thread."""
    while process.poll() is None:
        state = worker.state.tasks.get(key)
        if state is None or state.state == "cancelled" or worker.status.name in ("closing", "closed", "failed"):
            process.kill()
        time.sleep(LOOK_SECONDS)


def main(task: str, arguments: str) -> None:
    """Be the process of one task: write what it yields to stdout, then None or what was raised.

    Prints go to stderr, the worker's log.
    """
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)

    def send(event: object) -> None:  # if the worker is gone, this raises, and the process ends as well
        pickle.dump(event, out)
        out.flush()

    try:
        for event in pkgutil.resolve_name(task)(*pickle.loads(bytes.fromhex(arguments))):
            send(pickle.dumps(event))
    except BaseException as error:
        send(error)
        raise
    send(None)


if __name__ == "__main__":
    main(*sys.argv[1:])
