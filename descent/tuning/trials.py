"""Runs of one optimizer at any seed and factor on its learning rate, one after the other through one program."""

from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np

from descent.data.datasets import Split
from descent.training import runs
from descent.training.columns import LOSSES
from descent.training.settings import TrainingParameters
from descent.tuning import scaling


class Trial(NamedTuple):
    """What one run measured."""

    epochs: dict[str, list[float]]  # each of columns.LOSSES -> [epochs]; nan once the run diverged
    test: tuple[float, float] | None  # loss and accuracy on the test examples, where they were asked for


class Trials(runs.Runs):
    """The program of one optimizer, compiled once, which every run starts anew with variables of its own.

    Only what one run holds is in memory, and a run that ended owes nothing to those that are still to come: a study
    that is stopped can keep it. At factor 1 a run is that of the comparison, byte for byte.
    """

    def __init__(
        self,
        fresh_network: Callable[[int], keras.Model],
        fresh_optimizer: Callable[[], keras.optimizers.Optimizer],
        parameters: TrainingParameters,
        train: Split,
        judge: Split,
    ):
        """Build and compile.

        Args:
            fresh_network: makes the network as it starts at a seed (`networks.builder`).
            fresh_optimizer: makes the optimizer anew, at its own learning rate.
            parameters: epochs and batch size; the seeds come with the runs.
            train: examples to train on.
            judge: examples to evaluate on after every epoch.
        """
        self._fresh_network = fresh_network
        self._fresh_optimizer = lambda: scaling.scale(fresh_optimizer(), 1.0)
        one = parameters.model_copy(update={"seeds": parameters.seeds[:1]})
        super().__init__(fresh_network, self._fresh_optimizer, one, train, judge, stacked=False)
        self._first = self.values()

    def run(self, seed: int, factor: float, test: Split | None = None) -> Trial:
        """Train one run from its start to its end, or until it diverges.

        Args:
            seed: of the run.
            factor: on the learning rate.
            test: examples to score the trained network on.
        """
        self.parameters = self.parameters.model_copy(update={"seeds": [seed]})
        self.put(self._first)
        model, optimizer = self._fresh_network(seed), self._fresh_optimizer()
        optimizer.build(model.trainable_variables)
        starts = runs.state(model, optimizer)
        for variable, start in zip(runs.state(self.model, self.optimizer), starts, strict=True):
            variable.assign(start)
        scaling.rate_variable(self.optimizer).assign(factor * float(scaling.rate_variable(optimizer)))

        epochs = {name: [np.nan] * self.parameters.epochs for name in LOSSES}
        for number, epoch in enumerate(self.epochs()):
            for name in LOSSES:
                epochs[name][number] = float(epoch.measurements[name][0])
            if np.isnan(epochs["val_loss"][number]):
                return Trial(epochs, None if test is None else (np.nan, np.nan))
        if test is None:
            return Trial(epochs, None)
        loss, accuracy = self.evaluate(test)
        return Trial(epochs, (float(loss[0]), float(accuracy[0])))
