"""Brings runs: kept ones from the store, the others trained here or on the Dask cluster that DESCENT_CLUSTER names."""

import importlib
import os
import time
from collections.abc import Iterator, Sequence
from types import ModuleType

import numpy as np

from descent.core import process
from descent.runs import task as training
from descent.runs.store import Store
from descent.runs.task import Task
from descent.training.environment import environment
from descent.training.run import Run, Wanted

PROGRESS_SECONDS = 5.0  # between two lines of one run


def obtain(
    task: Task, wanted: Sequence[Wanted], weights_of: int | None = None, parts: int | None = None
) -> Iterator[Run]:
    """Bring runs; each that is trained is kept as soon as it is finished.

    Args:
        task: optimizer, network, settings.
        wanted: seed and factor of each.
        weights_of: seed of the run whose weights are wanted.
        parts: in how many parts to train at once on a cluster; as many as it has workers unless given.

    Yields:
        The runs: first those that were kept, then the others as they finish, in any order on a cluster.

    Raises:
        InputError: for what does not train; if there is no such cluster, if it ends, or runs other code.
    """
    process.fix_threads()  # a part of the environment
    cluster = _cluster()
    store = Store(task.made(), None if cluster else environment())
    kept = {run: store.find(run, run.seed == weights_of) for run in wanted}
    yield from (run for run in kept.values() if run)
    missing = [run for run, found in kept.items() if not found]
    if not missing:
        return
    if cluster:
        parts = min(parts or cluster.workers(), len(missing))
        shares = [(task, missing[part::parts], weights_of) for part in range(parts)]
        trained = cluster.run(training.train, shares, task.files())
    else:
        trained = training.train(task, missing, weights_of, _Progress(task, len(wanted) - len(missing), len(wanted)))
    for run in trained:
        store.keep(run)
        yield run


def max_parallel() -> int:
    """How many runs train at once: as many as the cluster has workers, one here."""
    cluster = _cluster()
    return cluster.workers() if cluster else 1


def _cluster() -> ModuleType | None:
    # By its name, so that nothing depends on it: where a run is trained changes no byte of it.
    return importlib.import_module("descent.cluster.client") if os.environ.get("DESCENT_CLUSTER") else None


class _Progress:
    """Prints how far the runs are: a line when one is finished, and from time to time while one is trained."""

    def __init__(self, task: Task, done: int, total: int):
        self._task, self._done, self._total = task, done, total
        self._start = self._printed = self._since = time.monotonic()
        self._seconds: list[float] = []  # of each epoch but those that were compiled

    def __call__(self, epoch: int, measured: dict[str, float]) -> None:
        now, epochs = time.monotonic(), self._task.settings.epochs
        if epoch > 1:
            self._seconds.append(now - self._since)
        self._since = now
        is_finished = epoch == epochs or not measured
        if not is_finished and now - self._printed < PROGRESS_SECONDS:
            return
        self._printed = now
        state = f"loss {measured['loss']:.4f}  val_accuracy {measured['val_accuracy']:.4f}" if measured else "diverged"
        line = f"{self._task.name}  run {self._done + 1}/{self._total}  epoch {epoch}/{epochs}  {state}"
        self._done += is_finished
        left = (self._total - self._done) * epochs - (0 if is_finished else epoch)
        print(f"{line}  {np.median(self._seconds or [0]) * left:.0f} s left", flush=True)
