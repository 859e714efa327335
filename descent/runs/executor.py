"""Brings the runs of one optimizer: kept ones from the store, the others trained here or on a Dask cluster.

The environment variable DESCENT_CLUSTER names the cluster.
"""

import importlib
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import numpy as np

from descent.core import process, user_code
from descent.data import datasets
from descent.runs import metrics
from descent.runs.store import Store, Task
from descent.training.environment import configure, environment, gpu_name
from descent.training.measurements import Run, Wanted

PROGRESS_SECONDS = 5.0  # between two lines of one run
_last: tuple["Task", Any] | None = None  # the trainer that was made last, with its compiled program, and of what


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
    # By its name, so that nothing depends on it: where a run is trained changes no byte of it.
    cluster = importlib.import_module("descent.cluster.client") if os.environ.get("DESCENT_CLUSTER") else None
    data = task.load()
    store, labels = Store(task, data, None if cluster else environment()), data.validation.labels
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
        trained = cluster.run(train, shares, task.files())
    else:
        trained = train(task, missing, weights_of, progress.after_epoch)
    awaited = set(missing)
    for run in trained:
        if Wanted(run.seed, run.factor) not in awaited:  # a cluster brings it at once, and again with the result
            continue
        awaited.remove(Wanted(run.seed, run.factor))
        store.keep(run)
        progress.after_run(run)
        yield metrics.with_balanced_accuracy(run, labels)


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


def train(task: Task, runs: Sequence[Wanted], weights_of: int | None = None, after_epoch=None) -> Iterator[Run]:
    """Train runs one after the other; with a GPU, where optimizer and network allow it, all at once.

    TensorFlow is loaded here, and not before.

    Args:
        task: optimizer, network, settings.
        runs: seed and factor of each.
        weights_of: seed of the run whose weights are wanted.
        after_epoch: see `trainer.Trainer.train`.

    Yields:
        The runs as they finish.

    Raises:
        InputError: for an optimizer, a network or data that do not train.
    """
    with _named(task):
        trainer = _trainer(task)
        is_stacked = len(runs) > 1 and all(run.factor == 1 for run in runs) and _may_stack(task, trainer)
    if is_stacked:
        with _named(task):
            trained = trainer.train_stacked(runs, weights_of, after_epoch)
        yield from trained
        return
    for run in runs:
        with _named(task):
            trained = trainer.train(run, run.seed == weights_of, after_epoch)
        yield trained


def _trainer(task: Task) -> Any:
    """Make the trainer of a task, or take the one that was made last."""
    global _last
    if _last is None or _last[0] != task:
        data = task.load()
        process.load_tensorflow(task.name)
        from descent.training import networks, optimizers
        from descent.training.trainer import Trainer

        print(f"{task.name}: {configure()}", flush=True)
        fresh_network = networks.builder(task.network, data.train.examples.shape[1:], data.classes)
        fresh_optimizer = partial(optimizers.build, task.entry, f"params.yaml: optimizers.{task.name}", task.rule)
        is_trusted = task.entry.file is None
        datasets.try_splits(fresh_network, data.splits().values(), f"params.yaml: network: {task.network.file}")
        _last = task, Trainer(fresh_network, fresh_optimizer, task.settings, data, environment(), is_trusted)
    return _last[1]


def _may_stack(task: Task, trainer: Any) -> bool:
    from descent.training import stacking

    return gpu_name() is not None and stacking.may_stack(trainer.fresh_network(0), task.entry)


def _named(task: Task) -> AbstractContextManager:
    """Turn what is raised inside into one line that names network and optimizer."""
    return user_code.refused(
        lambda reason: f"params.yaml: {task.network.file} and optimizers.{task.name} do not train: {reason}"
    )
