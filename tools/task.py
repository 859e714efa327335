"""The training that benchmarks time: that of params.yaml, in descent's program and in model.fit."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import keras

from descent.core import parameters
from descent.data import datasets
from descent.optimizers import build, entries
from descent.training import networks, runs
from descent.training.settings import NetworkEntry, TrainingParameters

SPLITS = Path("data/prepared/splits.npz")


class Task:
    """Data and settings of params.yaml, and contenders that train by them: functions of a number of epochs."""

    def __init__(self):
        """Read params.yaml and the prepared examples."""
        self.data = datasets.load(SPLITS)
        self.settings = parameters.read("params.yaml", "training", TrainingParameters)

    def network(self, entry: NetworkEntry | None = None) -> Callable[[int], keras.Model]:
        """Return what makes the network of an entry, that of params.yaml unless told, as it starts at a seed."""
        entry = entry or parameters.read("params.yaml", "network", NetworkEntry)
        return networks.builder(entry, self.data.train.examples.shape[1:], self.data.classes)

    def descent(
        self, fresh: Callable[[int], keras.Model], seeds: list[int], *, stacked: bool = False, optimizer: str = "adam"
    ) -> Callable[[int], object]:
        """Return descent's training, which goes on where it is when called again."""
        changes = {"seeds": seeds, "epochs": sys.maxsize}
        settings = self.settings.model_copy(update=changes)
        fresh_optimizer = self.optimizer(optimizer)
        endless = runs.Runs(fresh, fresh_optimizer, settings, self.data.train, self.data.validation, stacked).epochs()
        return lambda epochs: [next(endless) for _ in range(epochs)]

    def fit(self, fresh: Callable[[int], keras.Model]) -> Callable[[int], object]:
        """Return Keras' own training."""
        model = fresh(0)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(self.optimizer("adam")(), loss, metrics=["accuracy"])
        options = {
            "batch_size": self.settings.batch_size,
            "validation_data": tuple(self.data.validation),
            "verbose": 0,
        }
        return lambda epochs: model.fit(*self.data.train, epochs=epochs, **options)

    def optimizer(self, name: str) -> Callable[[], keras.optimizers.Optimizer]:
        """Return what makes an optimizer of params.yaml anew."""
        _, entry = entries.read_entry("params.yaml", f"optimizers.{name}")
        return partial(build.build, entry, f"params.yaml: optimizers.{name}")
