"""Runs tasks here, or on the Dask cluster that the environment variable DESCENT_CLUSTER names: where, never what."""

import importlib
import os
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any

from descent.optimizers.entries import OptimizerEntry, OwnOptimizerEntry
from descent.training.settings import NetworkEntry

SPLITS, SELECTION = "data/prepared/splits.npz", "data/prepared/selection.npz"


def _cluster() -> ModuleType | None:
    # By its name, so that nothing depends on it: where a task runs changes no byte of what comes of it.
    return importlib.import_module("descent.cluster.client") if os.environ.get("DESCENT_CLUSTER") else None


def files(entry: OptimizerEntry, network: NetworkEntry) -> list[str]:
    """List the files that a training reads: examples first, then the user's own."""
    return [SPLITS, network.file, *([entry.file] if isinstance(entry, OwnOptimizerEntry) else [])]


def room() -> int:
    """How many tasks run at once: as many as the cluster has workers, one here."""
    cluster = _cluster()
    return cluster.workers() if cluster else 1


def run(task: Callable[..., Iterator[Any]], shares: Sequence[tuple], files: Sequence[str]) -> Iterator[Any]:
    """Run a task for each of the shares of a work.

    Args:
        task: a generator function of descent, which reads `files` and nothing else.
        shares: the arguments of each call; plain values.
        files: paths from the root of the repository.

    Yields:
        What the tasks yield; on a cluster in any order among shares. Where a worker is lost, its share begins anew.

    Raises:
        InputError: if there is no such cluster, or if it ends, or if it runs other code or another TensorFlow.
    """
    cluster = _cluster()
    if cluster:
        yield from cluster.run(task, shares, files)
    else:
        for arguments in shares:
            yield from task(*arguments)
