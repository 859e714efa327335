"""What the tests of training share: small random examples, a small network, a quick way to train."""

from typing import NamedTuple

import numpy as np

from descent.data.datasets import Dataset, Split
from descent.training import networks, stacking
from descent.training.measurements import Run, Wanted
from descent.training.settings import NetworkEntry, TrainingParameters
from descent.training.trainer import Trainer

SHAPE = (4, 3)
CLASSES = 10


def split(examples, seed, shape=SHAPE):
    """Random examples that tell a little of their label by how bright they are."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, CLASSES, examples, dtype=np.int32)
    brightness = labels.reshape(-1, *[1] * len(shape)) / 10
    return Split((random.random((examples, *shape)) + brightness).astype("float32"), labels)


DATA = Dataset(split(50, 1), split(30, 2), split(20, 3), CLASSES)
TRAIN, VALIDATION, TEST = DATA[:3]


def mlp(hidden_units=(16,), activation="relu", dropout=0.5, shape=SHAPE):
    """networks/mlp.py, as training gets it; run tests from the root of the repository."""
    config = {"hidden_units": list(hidden_units), "activation": activation, "dropout": dropout}
    return networks.builder(NetworkEntry(file="networks/mlp.py", config=config), shape, CLASSES)


# Of a kernel and a bias, it compiles in half the time: where neither depth nor masks are the claim.
SMALLEST = mlp((), dropout=0)


def settings(**changes):
    values = {"epochs": 2, "batch_size": 16, "runs": 2, "last_epochs": 1, "target_val_accuracy": 0.5}
    return TrainingParameters(**values | changes)


class Trained(NamedTuple):
    """What a trainer made."""

    trainer: Trainer
    runs: list[Run]
    weights: list[list[np.ndarray]]  # of each run, after it

    def figures(self):
        """Measurements by name, [epochs, runs] each."""
        return {name: np.stack([run.history[name] for run in self.runs], 1) for name in self.runs[0].history}


def trainer(fresh_optimizer, network=None, data=DATA, is_trusted=True, **changes):
    return Trainer(network or mlp(), fresh_optimizer, settings(**changes), data, {"device": "toy"}, is_trusted)


def train(fresh_optimizer, network=None, stacked=False, seeds=(3, 5), **options):
    """Train the runs of these seeds, one after the other or stacked."""
    made = trainer(fresh_optimizer, network, **options)
    wanted = [Wanted(seed) for seed in seeds]
    if stacked:
        runs = made.train_stacked(wanted)
        return Trained(made, runs, [stacking.unstack(made.program.model, number) for number in range(len(seeds))])
    runs, weights = [], []
    for run in wanted:
        runs.append(made.train(run))
        weights.append(made.program.model.get_weights())
    return Trained(made, runs, weights)


def equal(left, right):
    """Two lists of arrays are equal bit for bit."""
    return all(np.array_equal(a, b, equal_nan=a.dtype.kind == "f") for a, b in zip(left, right, strict=True))


def same(one, other):
    """Two runs measured the same, bit for bit."""
    arrays = ([*run.history.values(), run.hits, np.array(run.test)] for run in (one, other))
    return equal(*arrays)
