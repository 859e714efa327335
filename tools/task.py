"""The training that benchmarks time: that of params.yaml, in descent's program and in model.fit."""

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import keras

from descent.core import parameters
from descent.data import datasets
from descent.data.datasets import Split
from descent.training import networks, optimizers, settings, stacking
from descent.training.program import Program
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
        self,
        fresh: Callable[[int], keras.Model],
        seeds: list[int],
        *,
        stacked: bool = False,
        name: str = "adam",
        jit_compile: bool | None = None,
    ) -> Callable[[int], object]:
        """Return descent's training of an optimizer.

        One run, or several stacked ones, go on where they are when it is called again; several runs without
        `stacked` train one after the other, each from its start.
        """
        if stacked or len(seeds) == 1:
            endless = self.epochs(fresh, seeds, stacked=stacked, name=name, jit_compile=jit_compile)
            return lambda epochs: [next(endless) for _ in range(epochs)]
        program = self._program(fresh(seeds[0]), name, jit_compile)

        def train(epochs: int) -> None:
            for seed in seeds:
                model = fresh(seed)
                program.restart(model, self._built(model, name))
                list(program.epochs([seed], epochs))

        return train

    def epochs(
        self,
        fresh: Callable[[int], keras.Model],
        seeds: list[int],
        *,
        stacked: bool = False,
        name: str = "adam",
        jit_compile: bool | None = None,
        train: Split | None = None,
    ) -> Iterator[object]:
        """Train one run, or several stacked ones, without an end; each item is an epoch of all of them."""
        model = stacking.stack([fresh(seed) for seed in seeds]) if stacked else fresh(*seeds)
        runs = len(seeds) if stacked else None
        return self._program(model, name, True if stacked else jit_compile, train, runs).epochs(seeds, sys.maxsize)

    def _program(
        self,
        model: keras.Model,
        name: str,
        jit_compile: bool | None,
        train: Split | None = None,
        stacked: int | None = None,
    ) -> Program:
        if jit_compile is None:
            jit_compile = networks.should_jit_compile(model, self.data.train.examples.shape[1:])
        train, batch_size = train or self.data.train, self.settings.batch_size
        made = self._built(model, name)
        return Program(model, made, batch_size, train, self.data.validation, jit_compile, stacked)

    def _built(self, model: keras.Model, name: str) -> keras.optimizers.Optimizer:
        made = self.optimizer(name)()
        made.build(model.trainable_variables)
        return made

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
        return partial(
            optimizers.build, settings.read_optimizer("params.yaml", name), f"params.yaml: optimizers.{name}"
        )
