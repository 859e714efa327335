"""Sends tasks to a Dask cluster, and yields what they yield as it comes."""

import importlib.util
import ipaddress
import logging
import os
import pickle
import queue
import uuid
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from descent.core.parameters import InputError
from descent.runs import store

VARIABLE, INSECURE = "DESCENT_CLUSTER", "DESCENT_CLUSTER_INSECURE"
LOOK_SECONDS = 2.0  # between two looks at whether there is a worker at all
# The scheduler unpickles what it passes on: a function of Python's own, so that it needs nothing of descent.
_PERFORM = "__import__('descent.cluster.worker', fromlist=['perform']).perform(*arguments)"
_PACKAGES = {"TensorFlow": "tensorflow", "Keras": "keras", "NumPy": "numpy"}


def conditions() -> dict[str, str]:
    """Return what must be equal here and on a worker: the code that computes and brings runs, and three packages."""
    packages = {
        name: metadata.version(package) if importlib.util.find_spec(package) else "none"
        for name, package in _PACKAGES.items()
    }
    code = store.code_digest("descent/data", "descent/runs", "descent/cluster")
    return {"descent's code": code[:12], **packages}


def check_address(address: str, insecure: bool) -> None:
    """Refuse what is no address, and `tcp://` to another machine: whoever reads or answers there could run code here.

    Raises:
        InputError: which says what is allowed.
    """
    try:
        parts = urlsplit(address)
        is_address = parts.scheme in ("tls", "tcp") and parts.hostname and parts.port
    except ValueError:
        is_address = False
    if not is_address:
        raise InputError(f"{VARIABLE}: expected tls://host:port of a Dask scheduler, got {address!r}")
    try:
        is_here = ipaddress.ip_address(parts.hostname).is_loopback
    except ValueError:
        is_here = parts.hostname == "localhost"
    if parts.scheme == "tcp" and not insecure and not is_here:
        raise InputError(
            f"{VARIABLE}: {address}: tcp:// is not encrypted, and code travels over it;"
            f" use tls:// (docs/cluster.md), or set {INSECURE}=1 in a network where all may run code here"
        )


def _patience() -> float:
    """Seconds to wait for a scheduler, and for a first worker."""
    return float(os.environ.get("DESCENT_CLUSTER_WAIT", "60"))


def _failure(reason: str) -> InputError:
    return InputError(f"{VARIABLE}: {os.environ[VARIABLE]}: {reason}")


@cache  # one connection a process
def _connect() -> Any:
    check_address(os.environ[VARIABLE], os.environ.get(INSECURE) == "1")
    try:
        import dask
        import distributed
    except ModuleNotFoundError:
        wanted = "pip install -r requirements-cluster.txt, or make repro CLUSTER=..."
        raise InputError(f"{VARIABLE} is set, and distributed is not installed: {wanted}") from None
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # messages below say what concerns the user
    dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 GiB"})  # the examples
    try:
        return distributed.Client(os.environ[VARIABLE], timeout=_patience(), set_as_default=False)
    except OSError:
        raise _failure(f"no Dask scheduler answered within {_patience():.0f} s") from None
    except (RuntimeError, TypeError, ValueError) as error:  # no certificate, as tls:// needs
        raise _failure(" ".join(str(error).split())) from None


def workers() -> int:
    """Count the workers, or wait for the first.

    Raises:
        InputError: if there is no such cluster, or if it has no worker.
    """
    client = _connect()
    try:
        client.wait_for_workers(1, timeout=_patience())
    except (TimeoutError, OSError):
        raise _failure(f"no worker within {_patience():.0f} s") from None
    return len(client.nthreads())


def run(task: Callable[..., Iterator[Any]], shares: Sequence[tuple], files: Sequence[str]) -> Iterator[Any]:
    """Run tasks there, and yield what they yield as it comes; whatever ends this, the tasks there end too.

    Everything that a task yielded comes a second time when the task is done, and again if its worker was lost: an
    event may be lost, the result is not. So the caller must know what it has.

    Args:
        task: a generator function.
        shares: its arguments, for each call.
        files: that the tasks read.
    """
    client, topic = _connect(), f"descent-{uuid.uuid4().hex}"
    workers()
    read = {path: _send(client, path) for path in files}
    asked, name, resources = conditions(), f"{task.__module__}:{task.__name__}", _resources()
    news: queue.Queue = queue.Queue()
    client.subscribe_topic(topic, lambda event: news.put(event[1]))
    waiting = {}
    try:
        for number, share in enumerate(shares):
            given = {"arguments": (asked, name, pickle.dumps(share), read, topic)}
            future = client.submit(eval, _PERFORM, given, key=f"{topic}-{number}", pure=False, resources=resources)
            waiting[future.key] = future
            future.add_done_callback(news.put)
        alone = 0.0  # seconds without a worker
        while waiting:
            try:
                new = news.get(timeout=LOOK_SECONDS)
            except queue.Empty:
                alone = 0.0 if client.status != "running" or client.nthreads() else alone + LOOK_SECONDS
                if alone > _patience():
                    raise _failure(f"no worker within {_patience():.0f} s") from None
                continue
            if isinstance(new, bytes):
                yield pickle.loads(new)
            else:
                yield from map(pickle.loads, _result(new))
                del waiting[new.key]
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
    given = os.environ.get(f"{VARIABLE}_RESOURCES", "")
    try:
        pairs = [part.split("=") for part in given.split()]
        return {name: float(amount) for name, amount in pairs} or None
    except ValueError:
        raise InputError(f"{VARIABLE}_RESOURCES: expected such as GPU=1, got {given!r}") from None


def _result(future: Any) -> list[bytes]:
    from distributed import KilledWorker
    from distributed.client import CancelledError

    try:
        return future.result()
    except KilledWorker as error:
        last = error.last_worker.address
        raise _failure(f"each worker that took the task was lost: out of memory? {last} was the last") from None
    except CancelledError:
        raise _failure("the scheduler is gone; finished runs are kept, and the same command continues") from None
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("descent"):
            raise
        raise _failure(f"a worker has {error}: start it in a copy of this repository, or with PYTHONPATH") from None
