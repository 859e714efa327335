"""Trains runs, each from its seed to its end, one after the other; a run is the same alone and after others."""

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import numpy as np

from descent.data.datasets import Dataset
from descent.training import networks, optimizers, stacking, traced
from descent.training.measurements import MEASUREMENTS, Run, Wanted
from descent.training.program import Program
from descent.training.settings import TrainingParameters

AfterEpoch = Callable[[int, dict[str, float]], None]


class Trainer:
    """Trains runs of one network with one optimizer.

    At seed s every optimizer gets the same initial weights, order of batches and dropout masks.

    One compiled program serves one run after the other where that is proven to be the same as a program for each: it
    must be closed (`Program.is_closed`). Where code from your files takes part, the program traced for a second run
    must also equal the first one, so that no number drawn or counted while it is built is a part of it.
    """

    def __init__(
        self,
        fresh_network: Callable[[int], keras.Model],
        fresh_optimizer: Callable[[], keras.optimizers.Optimizer],
        parameters: TrainingParameters,
        data: Dataset,
        environment: dict[str, str],
        is_trusted: bool = False,
    ):
        """Keep what runs are made of; nothing is built yet.

        Args:
            fresh_network: makes the network as it starts at a seed (`networks.builder`).
            fresh_optimizer: makes the optimizer anew.
            parameters: epochs and batch size.
            data: examples to train on, to evaluate on after every epoch and, if there are any, to test with.
            environment: stated with every run.
            is_trusted: the optimizer is a class of Keras; else a second trace must prove that one program will do.
        """
        self.fresh_network, self._fresh_optimizer = fresh_network, fresh_optimizer
        self._parameters, self._data = parameters, data
        self._environment, self._is_trusted = environment, is_trusted
        self.program: Program | None = None  # the one that holds the last run
        self.is_shared: bool | None = None  # whether one program serves all runs; None while that is unknown
        self._jit_compile = True  # with XLA, as far as the network allows it

    def train(self, run: Wanted, keep_weights: bool = False, after_epoch: AfterEpoch | None = None) -> Run:
        """Train one run from its start to its end, or until it diverges.

        Args:
            run: seed and factor.
            keep_weights: return the trained weights too.
            after_epoch: called with the number of epochs done and what the last one measured; nothing once it diverged.
        """
        start = time.monotonic()
        self._put(run)
        [trained] = self._finish([run], start, after_epoch)
        return trained._replace(weights=self._save(run, self.program.model.get_weights())) if keep_weights else trained

    def train_stacked(
        self, runs: Sequence[Wanted], weights_of: int | None = None, after_epoch: AfterEpoch | None = None
    ) -> list[Run]:
        """Train runs at factor 1 all at once, for a GPU, which one run leaves idle; on a CPU it is slower.

        Optimizer and network must be such as may be stacked (`stacking`).
        """
        start = time.monotonic()
        models = [self.fresh_network(run.seed) for run in runs]
        model = stacking.stack(models)
        self.program = self._compile(model, self._optimizer(model, 1.0), True, len(runs))
        trained = self._finish(runs, start, after_epoch)
        for number, run in enumerate(runs):
            if run.seed == weights_of:
                trained[number] = trained[number]._replace(weights=self._save(run, stacking.unstack(model, number)))
        return trained

    def _save(self, run: Wanted, weights: list[np.ndarray]) -> bytes:
        model = self.fresh_network(run.seed)
        model.set_weights(weights)
        with tempfile.TemporaryDirectory() as folder:
            saved = Path(folder, "run.weights.h5")
            model.save_weights(saved)
            return saved.read_bytes()

    def _optimizer(self, model: keras.Model, factor: float) -> keras.optimizers.Optimizer:
        optimizer = self._fresh_optimizer()
        self._learning_rate = optimizers.rate_of(optimizer)
        optimizers.scale(optimizer, factor)
        optimizer.build(model.trainable_variables)  # its state may start as a copy of the weights
        return optimizer

    def _put(self, run: Wanted) -> None:
        """Put a run at its start, in the program that is there where that may serve it."""
        model = self.fresh_network(run.seed)
        is_plain = networks.is_plain(model)
        if self.program is None and not is_plain:
            self._jit_compile = networks.should_jit_compile(model, self._data.train.examples.shape[1:])
            model = self.fresh_network(run.seed)  # anew, since the trial may have moved the states of its layers
        optimizer = self._optimizer(model, run.factor)
        if self.program is not None and self.is_shared is None:
            self.is_shared = self.program.is_closed
            if self.is_shared and not (self._is_trusted and is_plain):
                other = self._compile(model, optimizer, self._jit_compile)
                self.is_shared = traced.text_of(other.graph) == traced.text_of(self.program.graph)
                if not self.is_shared:
                    self.program = other
                    return
        if self.is_shared:
            self.program.restart(model, optimizer)
            return
        self.program = None  # or two programs were in memory
        self.program = self._compile(model, optimizer, self._jit_compile)

    def _compile(
        self, model: keras.Model, optimizer: keras.optimizers.Optimizer, jit_compile: bool, stacked: int | None = None
    ) -> Program:
        batch_size = self._parameters.batch_size
        return Program(model, optimizer, batch_size, self._data.train, self._data.validation, jit_compile, stacked)

    def _finish(self, runs: Sequence[Wanted], start: float, after_epoch: AfterEpoch | None) -> list[Run]:
        """Train the runs that the program holds to their end; from a loss that is not finite on, a run is diverged."""
        total, judging = self._parameters.epochs, len(self._data.validation.labels)
        history = {name: np.full((total, len(runs)), np.nan) for name in MEASUREMENTS}
        hits = np.zeros((total, len(runs), judging), bool)
        going = np.ones(len(runs), bool)
        for number, (measured, hit) in enumerate(self.program.epochs([run.seed for run in runs], total)):
            going &= np.isfinite(measured["loss"]) & np.isfinite(measured["val_loss"])
            for name, values in measured.items():
                history[name][number] = np.where(going, values, np.nan)
            hits[number] = hit
            if after_epoch:
                last = {name: float(np.mean(values[going])) for name, values in measured.items() if going.any()}
                after_epoch(number + 1, last)
            if not going.any():
                break
        self.program.finish()
        test = None
        if self._data.test is not None:
            test = np.where(going, self.program.evaluate(self._data.test), np.nan).T.tolist()
        return [
            Run(
                run.seed,
                run.factor,
                self._learning_rate,
                {name: values[:, number] for name, values in history.items()},
                hits[:, number],
                tuple(test[number]) if test else None,
                None,
                (time.monotonic() - start) / len(runs),
                self._environment,
            )
            for number, run in enumerate(runs)
        ]
