"""Sends tasks to a Dask cluster, and hands on what they yield as it comes."""

import logging
import os
import pickle
import queue
import uuid
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from descent.cluster import address, conditions
from descent.core.parameters import InputError

LOOK_SECONDS = 2.0  # between two looks at whether there is a worker at all
# The scheduler unpickles what it passes on: a function of Python's own, so that it needs nothing of descent.
_PERFORM = "__import__('descent.cluster.worker', fromlist=['perform']).perform(*arguments)"


def _patience() -> float:
    """Seconds to wait for a scheduler, and for a first worker."""
    return float(os.environ.get("DESCENT_CLUSTER_WAIT", "60"))


@cache  # one connection a process
def _connect() -> Any:
    where = os.environ[address.VARIABLE]
    address.check(where, os.environ.get(address.INSECURE) == "1")
    try:
        import dask
        import distributed
    except ModuleNotFoundError:
        wanted = "pip install -r requirements-cluster.txt, or make repro CLUSTER=..."
        raise InputError(f"{address.VARIABLE} is set, and distributed is not installed: {wanted}") from None
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what concerns the user is said below
    dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 GiB"})  # the examples
    try:
        return distributed.Client(where, timeout=_patience(), set_as_default=False)
    except OSError:
        told = f"no Dask scheduler answered within {_patience():.0f} s"
    except (RuntimeError, TypeError, ValueError) as error:  # no certificate, as tls:// needs
        told = " ".join(str(error).split())
    raise InputError(f"{address.VARIABLE}: {where}: {told}")


def workers() -> int:
    """Count the workers, or wait for the first.

    Raises:
        InputError: if there is no such cluster, or if it has no worker.
    """
    client = _connect()
    try:
        client.wait_for_workers(1, timeout=_patience())
    except (TimeoutError, OSError):
        raise InputError(_no_worker()) from None
    return len(client.nthreads())


def run(task: Callable[..., Iterator[Any]], shares: Sequence[tuple], files: Sequence[str]) -> Iterator[Any]:
    """Run tasks there, and yield what they yield as it comes; whatever ends this, the tasks there end too.

    What a task yielded before its worker was lost comes again, from its beginning.

    Args:
        task: a generator function.
        shares: its arguments, for each call.
        files: that the tasks read.
    """
    client, topic = _connect(), f"descent-{uuid.uuid4().hex}"
    workers()
    read = {path: _send(client, path) for path in files}
    asked, name, resources = conditions.found(), f"{task.__module__}:{task.__name__}", _resources()
    news: queue.Queue = queue.Queue()
    client.subscribe_topic(topic, lambda event: news.put(event[1]))
    waiting = {}
    try:
        for number, share in enumerate(shares):
            given = {"arguments": (asked, name, pickle.dumps(share), read, topic)}
            future = client.submit(eval, _PERFORM, given, key=f"{topic}-{number}", pure=False, resources=resources)
            waiting[future.key] = future
            future.add_done_callback(news.put)
        yield from _told(client, news, waiting)
    finally:
        if client.status == "running":  # else there is nobody to tell
            client.cancel(list(waiting.values()))


def _send(client: Any, path: str) -> Any:
    """Have the cluster hold a file, once for all stages; one that is lost with its worker, the scheduler sends anew."""
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"{path}: not readable: {error.strerror}") from None
    return client.submit(bytes, content, key=f"descent-file-{sha256(content).hexdigest()}")


def _resources() -> dict[str, float] | None:
    """What a worker must have been started with, such as GPU=1."""
    given = os.environ.get(f"{address.VARIABLE}_RESOURCES", "")
    try:
        pairs = [part.split("=") for part in given.split()]
        return {name: float(amount) for name, amount in pairs} or None
    except ValueError:
        raise InputError(f"{address.VARIABLE}_RESOURCES: expected such as GPU=1, got {given!r}") from None


def _told(client: Any, news: queue.Queue, waiting: dict[str, Any]) -> Iterator[Any]:
    """Yield the events of every future in `waiting` as they come, those that got lost from its result; empties it."""
    begun: set[str] = set()  # attempts
    told: dict[str, tuple[str, int]] = {}  # key of a future -> its latest attempt, and how many of its events
    alone = 0.0  # seconds without a worker
    while waiting:
        try:
            new = news.get(timeout=LOOK_SECONDS)
        except queue.Empty:
            alone = 0.0 if client.status != "running" or client.nthreads() else alone + LOOK_SECONDS
            if alone > _patience():
                raise InputError(_no_worker()) from None
            continue
        if not isinstance(new, tuple | list):
            attempt, events = _result(new)
            yield from map(pickle.loads, events[told[new.key][1] if told.get(new.key, [""])[0] == attempt else 0 :])
            del waiting[new.key]
            continue
        key, attempt, number, event = new
        if number == 0 and attempt not in begun:
            begun.add(attempt)
            told[key] = attempt, 0
        if key in waiting and told.get(key) == (attempt, number):
            told[key] = attempt, number + 1
            yield pickle.loads(event)


def _result(future: Any) -> tuple[str, list[bytes]]:
    from distributed import KilledWorker
    from distributed.client import CancelledError

    where = os.environ[address.VARIABLE]
    try:
        return future.result()
    except KilledWorker as error:
        told = f"each of the workers that took the task was lost: of memory? {error.last_worker.address} was the last"
    except CancelledError:
        told = "the scheduler is gone; what is finished stays, and the same command goes on from there"
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("descent"):
            raise
        told = f"a worker has {error}: start it in a copy of this repository, or with PYTHONPATH"
    raise InputError(f"{address.VARIABLE}: {where}: {told}")


def _no_worker() -> str:
    return f"{address.VARIABLE}: {os.environ[address.VARIABLE]}: no worker within {_patience():.0f} s"
