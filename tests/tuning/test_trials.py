"""A run of the study is the run that a training alone would make, at any factor and in any order."""

from functools import partial

import keras
import numpy as np
import pytest

from descent.data.datasets import Split
from descent.training import networks, runs
from descent.training.settings import NetworkEntry, TrainingParameters
from descent.tuning import trials

pytestmark = pytest.mark.slow

RANDOM = np.random.default_rng(0)
IMAGES = Split(RANDOM.random((40, 4, 3)).astype("float32"), RANDOM.integers(0, 10, 40, dtype=np.int32))
SETTINGS = TrainingParameters(epochs=2, batch_size=16, seeds=[3], last_epochs=1, target_val_accuracy=0.5)
DECAY = partial(keras.optimizers.schedules.ExponentialDecay, decay_steps=2, decay_rate=0.5)
RATES = {"number": lambda factor: 0.01 * factor, "schedule": lambda factor: DECAY(0.01 * factor)}


@pytest.mark.parametrize("rate", RATES.values(), ids=RATES)
def test_a_run_after_others_is_the_training_of_that_rate_alone(rate):
    config = {"hidden_units": [8], "activation": "relu", "dropout": 0.5}
    network = networks.builder(NetworkEntry(file="networks/mlp.py", config=config), (4, 3), 10)
    program = trials.Trials(network, lambda: keras.optimizers.Adam(rate(1.0)), SETTINGS, IMAGES, IMAGES)
    program.run(5, 10.0)
    found = program.run(3, 4.0, IMAGES)

    alone = runs.Runs(network, lambda: keras.optimizers.Adam(rate(4.0)), SETTINGS, IMAGES, IMAGES, stacked=False)
    expected = [epoch.measurements["val_loss"][0] for epoch in alone.epochs()]
    np.testing.assert_allclose(found.epochs["val_loss"], expected, rtol=1e-6)
    np.testing.assert_allclose(found.test[0], alone.evaluate(IMAGES)[0][0], rtol=1e-6)
