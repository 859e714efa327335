"""Trains the runs of one optimizer: plain values and files in, a finished run after the other out."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from descent.core import process, user_code
from descent.data import datasets
from descent.data.datasets import Dataset
from descent.runs.store import Made
from descent.training import settings
from descent.training.environment import configure, environment, gpu_name
from descent.training.measurements import Run, Wanted
from descent.training.settings import NetworkEntry, OptimizerEntry, TrainingParameters

_last: tuple["Task", Any] | None = None  # the trainer that was made last, with its compiled program, and of what
SPLITS, SELECTION = Path("data/prepared/splits.npz"), Path("data/prepared/selection.npz")


class Task(NamedTuple):
    """What is to be trained, but for the runs themselves."""

    name: str  # of the optimizer
    entry: OptimizerEntry
    network: NetworkEntry
    settings: TrainingParameters
    selects: bool = False  # the runs choose a learning rate: the selection examples judge, none test

    @property
    def rule(self) -> Path:
        """The code of the optimizer's class, which the stage `check` writes."""
        return settings.rule_path(self.name)

    def files(self) -> list[str]:
        """List the files that a training reads."""
        examples = [SPLITS, SELECTION] if self.selects else [SPLITS]
        return list(map(str, [*examples, self.network.file, self.rule]))

    def load(self) -> Dataset:
        """Load the examples; where the runs choose a learning rate, others judge and none test."""
        data = datasets.load(SPLITS)
        return data._replace(validation=datasets.load_selection(SELECTION), test=None) if self.selects else data

    def made(self) -> Made:
        """Gather all that determines a run."""
        return Made(self.entry, self.rule.read_bytes(), self.network, self.settings, self.load())


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
