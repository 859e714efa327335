"""What the tests of training share: small random examples, a small network, a quick way to train."""

import numpy as np

from descent.data.datasets import Split
from descent.training import networks, runs
from descent.training.settings import NetworkEntry, TrainingParameters

SHAPE = (4, 3)
CLASSES = 10


def split(examples, seed, shape=SHAPE):
    """Random examples that tell a little of their label by how bright they are."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, CLASSES, examples, dtype=np.int32)
    brightness = labels.reshape(-1, *[1] * len(shape)) / 10
    return Split((random.random((examples, *shape)) + brightness).astype("float32"), labels)


TRAIN, VALIDATION, TEST = split(50, 1), split(30, 2), split(20, 3)


def mlp(hidden_units=(16,), activation="relu", dropout=0.5, shape=SHAPE):
    """networks/mlp.py, as training gets it; run tests from the root of the repository."""
    config = {"hidden_units": list(hidden_units), "activation": activation, "dropout": dropout}
    return networks.builder(NetworkEntry(file="networks/mlp.py", config=config), shape, CLASSES)


# Of a kernel and a bias, it compiles in half the time: where neither depth nor masks are the claim.
SMALLEST = mlp((), dropout=0)
# In one batch, a step is compiled once: where a loop over batches is not the claim.
AT_ONCE = {"batch_size": len(TRAIN.labels)}


def settings(**changes):
    values = {"epochs": 2, "batch_size": 16, "seeds": [3, 5], "last_epochs": 1, "target_val_accuracy": 0.5}
    return TrainingParameters(**values | changes)


def run(fresh_optimizer, network=None, stacked=False, train=TRAIN, validation=VALIDATION, **changes):
    """Train; returns the runs and the measurements by name as [epochs, runs]."""
    trained = runs.Runs(network or mlp(), fresh_optimizer, settings(**changes), train, validation, stacked)
    epochs = list(trained.epochs())
    return trained, {name: np.stack([epoch.measurements[name] for epoch in epochs]) for name in epochs[0].measurements}


def equal(left, right):
    """Two lists of arrays are equal bit for bit."""
    return all(np.array_equal(a, b) for a, b in zip(left, right, strict=True))
