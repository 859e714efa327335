"""Sends tasks to a Dask cluster, and yields what they yield as it comes."""

import logging
import os
import pickle
import queue
import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from typing import Any

from descent.core.parameters import InputError
from descent.runs import store

VARIABLE, INSECURE = "DESCENT_CLUSTER", "DESCENT_CLUSTER_INSECURE"
# The scheduler unpickles what it passes on: a function of Python's own, so that it needs nothing of descent.
_PERFORM = "__import__('descent.cluster.worker', fromlist=['perform']).perform(*arguments)"


def conditions() -> dict[str, str]:
    """Return what must be equal here and on a worker: the code that computes and brings runs, and three packages."""
    packages = {name: metadata.version(name) for name in ("tensorflow", "keras", "numpy")}
    return {"descent's code": store.code_digest("descent/data", "descent/runs", "descent/cluster")[:12], **packages}


def check_address(address: str, insecure: bool) -> None:
    """Reject what is no address, and `tcp://` to another machine: whoever reads or answers there could run code here.

    Raises:
        InputError: which says what is allowed.
    """
    parts = re.fullmatch(r"(tls|tcp)://([\w.-]+|\[[\da-fA-F:]+\]):\d{1,5}", address)
    if not parts:
        raise InputError(f"{VARIABLE}: expected tls://host:port of a Dask scheduler, got {address!r}")
    is_here = re.fullmatch(r"localhost|127(\.\d{1,3}){3}|\[::1\]", parts[2])
    if parts[1] == "tcp" and not insecure and not is_here:
        raise InputError(
            f"{VARIABLE}: {address}: tcp:// is not encrypted, and code travels over it;"
            f" use tls:// (docs/cluster.md), or set {INSECURE}=1 in a network where all may run code here"
        )


def _patience() -> float:
    """Seconds to wait for a scheduler, and for a worker."""
    return float(os.environ.get("DESCENT_CLUSTER_WAIT", "60"))


def _failure(reason: str) -> InputError:
    return InputError(f"{VARIABLE}: {os.environ[VARIABLE]}: {reason}")


def _connect() -> Any:
    check_address(os.environ[VARIABLE], os.environ.get(INSECURE) == "1")
    try:
        import dask
        import distributed
    except ModuleNotFoundError:
        wanted = "pip install -r requirements-cluster.txt, or make repro CLUSTER=..."
        raise InputError(f"{VARIABLE} is set, and distributed is not installed: {wanted}") from None
    for name in ("distributed", "distributed.client"):  # messages below say what concerns the user
        logging.getLogger(name).setLevel(logging.CRITICAL)
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
    with _connect() as client:
        return _workers(client)


def _workers(client: Any) -> int:
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
    topic, name, news = f"descent-{uuid.uuid4().hex}", f"{task.__module__}:{task.__name__}", queue.Queue()
    asked, contents = conditions(), [Path(path).read_bytes() for path in files]
    with _connect() as client:  # at its end, the scheduler drops the tasks
        _workers(client)
        # A file is sent once for all shares and stages; the scheduler sends anew what is lost with its worker.
        keys = [f"descent-file-{sha256(content).hexdigest()}" for content in contents]
        sent = [client.submit(bytes, content, key=key) for content, key in zip(contents, keys, strict=True)]
        client.subscribe_topic(topic, lambda event: news.put(event[1]))
        waiting = {}
        for number, share in enumerate(shares):
            given = {"arguments": (asked, name, pickle.dumps(share), dict(zip(files, sent, strict=True)), topic)}
            future = client.submit(eval, _PERFORM, given, key=f"{topic}-{number}", pure=False)
            waiting[future.key] = future
            future.add_done_callback(news.put)
        while waiting:
            try:
                new = news.get(timeout=_patience())
            except queue.Empty:
                _workers(client)  # is there still one?
                continue
            if isinstance(new, bytes):
                yield pickle.loads(new)
            else:
                yield from map(pickle.loads, _result(new))
                del waiting[new.key]


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
        cure = "give it the same packages, and start it in a copy of this repository or with PYTHONPATH"
        raise _failure(f"a worker reports: {error}; {cure}") from None
