"""The training of one optimizer as a task: plain values and files in; lines, epochs and what came of it out."""

import tempfile
import time
from collections.abc import Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np

from descent import own, startup
from descent.data import datasets
from descent.optimizers.entries import OptimizerEntry
from descent.training import resume, where
from descent.training.metrics import Epoch
from descent.training.settings import NetworkEntry, TrainingParameters


class Trained(NamedTuple):
    """What came of a training."""

    test_loss: np.ndarray  # [runs], in the order of the seeds
    test_accuracy: np.ndarray  # [runs], in [0, 1]
    examples: dict[str, int]  # how many there were to train, validate and test with
    environment: dict[str, str]  # of the machine that trained
    weights: bytes  # of the first run, as Keras saves them: HDF5


def train(
    key: str, entry: OptimizerEntry, network: NetworkEntry, settings: TrainingParameters
) -> Iterator[str | tuple[int, Epoch, float] | Trained]:
    """Train one optimizer with all seeds; TensorFlow is loaded here, and not before.

    Args:
        key: key path of the optimizer, such as `optimizers.adam`.
        entry: of the optimizer.
        network: file and arguments.
        settings: the section `training`.

    Yields:
        Lines that say what it is doing; each epoch with its number, from 1, and the seconds that it took; in the end
        what came of it.

    Raises:
        InputError: for an optimizer, a network or data that do not train.
    """
    name, start = key.partition(".")[2], time.monotonic()
    data = datasets.load(Path(where.SPLITS))

    startup.load_tensorflow(name)
    from descent.optimizers import build, elementwise
    from descent.training import device, networks, runs, stacking

    yield device.configure()
    fresh_network = networks.builder(network, data.train.examples.shape[1:], data.classes)
    fresh_optimizer = partial(build.build, entry, f"params.yaml: {key}")
    stacked = (
        bool(device.gpus())
        and stacking.is_stackable(fresh_network(settings.seeds[0]))
        and elementwise.is_elementwise(fresh_optimizer)
    )
    given = [key, stacked, device.environment(), *(section.model_dump() for section in (entry, network, settings))]
    conditions = resume.digest(given, map(Path, where.files(entry, network)))
    kept = resume.Checkpoint(Path(".dvc/tmp/training", f"{name}.npz"), conditions)
    yield f"compiling, to go on after epoch {len(kept.epochs)}" if kept.epochs else "compiling"
    with own.refused(lambda reason: f"params.yaml: {network.file} and {key} do not train: {reason}"):
        training = runs.Runs(fresh_network, fresh_optimizer, settings, data.train, data.validation, stacked)
        if kept.epochs:
            training.resume(kept.states)
        running = training.epochs(tuple(kept.epochs))
        first = next(running)
    yield from zip(range(1, len(kept.epochs) + 1), kept.epochs, kept.seconds, strict=True)
    for number, epoch in enumerate(chain([first], running), start=len(kept.epochs) + 1):
        now = time.monotonic()
        yield number, epoch, now - start
        if number < settings.epochs:
            kept.add(epoch, now - start, training.states)
        start = now

    test_loss, test_accuracy = training.evaluate(data.test)
    model = fresh_network(settings.seeds[0])
    model.set_weights(training.weights()[0])
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder, f"{name}.weights.h5")
        model.save_weights(saved)
        weights = saved.read_bytes()
    examples = {kind: len(part.labels) for kind, part in data.splits().items()}
    yield Trained(test_loss, test_accuracy, examples, device.environment(), weights)
    kept.forget()
