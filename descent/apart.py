"""Tries what runs code of the user's own in another process, which may end, hang or grow and takes nothing with it."""

import multiprocessing
import os
import resource
import signal
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from typing import Any

from descent import parameters, parent, startup

_LOAD_SECONDS = 600  # for TensorFlow, on a machine that is busy
_MOST_BYTES = 8 * 2**30


def refuse(attempt: Callable[..., None], cases: Mapping[str, tuple[Any, ...]], seconds: float) -> None:
    """Try cases one by one in a process that has loaded TensorFlow; when a case ends it, the next goes on in another.

    Args:
        attempt: tries a case, and raises InputError for what is wrong with it; a function of a module, so that the
            other process finds it.
        cases: where each stands, file and key path -> arguments for `attempt`.
        seconds: how long one case may take.

    Raises:
        ParametersError: with the lines of all cases that failed, ended their process, or took too long.
    """
    waiting, faults, where = dict(cases), [], "TensorFlow"
    while waiting:
        here, there = multiprocessing.get_context("spawn").Pipe(duplex=False)
        process = multiprocessing.get_context("spawn").Process(
            target=_serve, args=(attempt, [*waiting.values()], there), daemon=True
        )
        process.start()
        there.close()
        try:
            if not here.poll(_LOAD_SECONDS) or here.recv() is not None:
                raise EOFError
            for where in [*waiting]:
                del waiting[where]
                if here.poll(seconds):
                    faults += here.recv()
                else:
                    faults.append(f"{where}: took more than {seconds:g} seconds to build and to take one step")
                    break
        except EOFError:
            process.join()
            faults.append(f"{where}: {_end(process.exitcode)}")
        finally:
            process.kill()
            process.join()
            here.close()
    if faults:
        raise parameters.ParametersError("\n".join(faults))


def _serve(attempt: Callable[..., None], cases: list[tuple[Any, ...]], there: Connection) -> None:
    """Send None once TensorFlow is there, then the lines of each case."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who waits
    parent.end_with_parent()
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # two small tensors keep no GPU busy
    startup.load_tensorflow("check")
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    if hard == resource.RLIM_INFINITY or hard > _MOST_BYTES:
        resource.setrlimit(resource.RLIMIT_DATA, (_MOST_BYTES, hard))
    there.send(None)
    for case in cases:
        faults: list[str] = []
        try:
            with parameters.gathered(faults):
                attempt(*case)
        except KeyboardInterrupt:  # of the case's own making
            os._exit(128 + signal.SIGINT)
        there.send(faults)


def _end(exit_code: int) -> str:
    if exit_code < 0:
        return f"ended its process, or took more than {_MOST_BYTES >> 30} GB: {signal.Signals(-exit_code).name}"
    return f"ended its process, with exit code {exit_code}"
