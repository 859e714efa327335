"""Brings runs: kept ones from the store, the others trained here or on the Dask cluster that DESCENT_CLUSTER names."""

import importlib
import os
import time
from collections.abc import Iterator, Sequence
from types import ModuleType

import numpy as np

from descent.core import process
from descent.runs import metrics
from descent.runs import task as training
from descent.runs.store import Store
from descent.runs.task import Task
from descent.training.environment import environment
from descent.training.measurements import Run, Wanted

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
        The runs, with their balanced accuracy: first those that were kept, then the others as they finish, in any order
        on a cluster.

    Raises:
        InputError: for what does not train; if there is no such cluster, if it ends, or runs other code.
    """
    process.fix_threads()  # a part of the environment
    cluster = _cluster()
    made = task.made()
    store, labels = Store(made, None if cluster else environment()), made.data.validation.labels
    kept = {run: store.find(run, run.seed == weights_of) for run in wanted}
    found, missing = [run for run in kept.values() if run], [run for run in kept if not kept[run]]
    yield from (metrics.with_balanced_accuracy(run, labels) for run in found)
    if found:
        print(f"{task.name}: {len(found)} of {len(kept)} runs were kept", flush=True)
    if not missing:
        return
    progress = _Progress(task, len(missing))
    if cluster:
        parts = min(parts or cluster.workers(), len(missing))
        missing.sort(key=lambda run: run.seed == weights_of)  # what holds weights comes late, and holds up what follows
        shares = [(task, missing[part::parts], weights_of) for part in range(parts)]
        trained = cluster.run(training.train, shares, task.files())
    else:
        trained = training.train(task, missing, weights_of, progress.after_epoch)
    awaited = set(missing)
    for run in trained:
        if Wanted(run.seed, run.factor) not in awaited:  # a cluster brings it at once, and again with the result
            continue
        awaited.remove(Wanted(run.seed, run.factor))
        store.keep(run)
        progress.after_run(run)
        yield metrics.with_balanced_accuracy(run, labels)


def _cluster() -> ModuleType | None:
    # By its name, so that nothing depends on it: where a run is trained changes no byte of it.
    return importlib.import_module("descent.cluster.client") if os.environ.get("DESCENT_CLUSTER") else None


class _Progress:
    """Prints how far the runs are: a line when one is finished, and from time to time while one is trained."""

    def __init__(self, task: Task, total: int):
        self._task, self._done, self._total = task, 0, total
        self._start = self._printed = time.monotonic()

    def after_epoch(self, epoch: int, measured: dict[str, float]) -> None:
        """Print a line if the last one is some time ago."""
        epochs = self._task.settings.epochs
        if epoch < epochs and measured and time.monotonic() - self._printed > PROGRESS_SECONDS:
            state = f"loss {measured['loss']:.4f}  val_accuracy {measured['val_accuracy']:.4f}"
            self._print(self._done + 1, f"epoch {epoch}/{epochs}  {state}", self._done + epoch / epochs)

    def after_run(self, run: Run) -> None:
        """Print a line about a finished run."""
        self._done += 1
        accuracy = run.history["val_accuracy"][-1]
        state = "diverged" if np.isnan(accuracy) else f"val_accuracy {accuracy:.4f}"
        factor = "" if run.factor == 1 else f"  learning rate x {run.factor:.4g}"
        self._print(self._done, f"seed {run.seed}{factor}  {state}  took {run.seconds:.1f} s", self._done)

    def _print(self, run: int, state: str, done: float) -> None:
        self._printed = time.monotonic()
        left = (self._printed - self._start) / done * (self._total - done)
        print(f"{self._task.name}  run {run}/{self._total}  {state}  {left:.0f} s left", flush=True)
