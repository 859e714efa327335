"""A run of the study is the run that a training alone would make, at any factor and in any order."""

from functools import partial

import keras
import numpy as np
import pytest

from descent.data.datasets import Dataset, Split
from descent.training import networks
from descent.training.measurements import Wanted
from descent.training.settings import NetworkEntry, TrainingParameters
from descent.training.trainer import Trainer

pytestmark = pytest.mark.slow

RANDOM = np.random.default_rng(0)
IMAGES = Split(RANDOM.random((40, 4, 3)).astype("float32"), RANDOM.integers(0, 10, 40, dtype=np.int32))
DATA = Dataset(IMAGES, IMAGES, IMAGES, 10)
SETTINGS = TrainingParameters(epochs=2, batch_size=16, runs=1, last_epochs=1, target_val_accuracy=0.5)
DECAY = partial(keras.optimizers.schedules.ExponentialDecay, decay_steps=2, decay_rate=0.5)


def rate(factor):
    return DECAY(0.01 * factor)


def test_a_run_after_others_is_the_training_of_that_rate_alone():
    config = {"hidden_units": [8], "activation": "relu", "dropout": 0.5}
    network = networks.builder(NetworkEntry(file="networks/mlp.py", config=config), (4, 3), 10)
    trainer = Trainer(network, lambda: keras.optimizers.Adam(rate(1.0)), SETTINGS, DATA, {}, is_trusted=True)
    trainer.train(Wanted(5, 10.0))
    found = trainer.train(Wanted(3, 4.0))

    alone = Trainer(network, lambda: keras.optimizers.Adam(rate(4.0)), SETTINGS, DATA, {}).train(Wanted(3))
    np.testing.assert_allclose(found.history["val_loss"], alone.history["val_loss"], rtol=1e-6)
    np.testing.assert_allclose(found.test[0], alone.test[0], rtol=1e-6)
