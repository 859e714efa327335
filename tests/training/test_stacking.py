"""Claims about stacked runs: what can be stacked, and that each goes as if it were alone."""

from functools import partial

import keras
import numpy as np
import pytest
import toy
from keras import layers

from descent.training import stacking

pytestmark = pytest.mark.slow


def model(*stack):
    return keras.Sequential([keras.Input(toy.SHAPE), layers.Flatten(), *stack])


@pytest.mark.parametrize(
    ("stack", "stackable"),
    [
        ([layers.Dense(3, "tanh"), layers.Activation("relu"), layers.Dropout(0.2)], True),
        ([layers.Dense(3, use_bias=False)], True),
        ([layers.Dense(3, kernel_regularizer="l2")], False),
        ([layers.Dense(3, kernel_constraint="unit_norm")], False),
        ([layers.Dense(3, activity_regularizer="l2")], False),
        ([layers.Dense(3, dtype="mixed_float16")], False),
        ([layers.Dropout(0.2, noise_shape=(None, 1))], False),
        ([layers.BatchNormalization()], False),
        ([layers.GaussianNoise(0.1)], False),
    ],
)
def test_only_sequences_of_plain_dense_layers_are_stacked(stack, stackable):
    assert stacking.is_stackable(model(*stack)) == stackable
    inputs = keras.Input(toy.SHAPE)
    assert not stacking.is_stackable(keras.Model(inputs, layers.Dense(3)(layers.Flatten()(inputs))))


def test_stacked_run_ends_as_in_turn_masks_and_all():
    fresh, network = partial(keras.optimizers.SGD, 0.1), toy.mlp(dropout=0.5)
    stacked = toy.train(fresh, network, stacked=True, seeds=[3, 5, 8])
    turned = toy.train(fresh, network, seeds=[3, 5, 8])
    for one, other in zip(stacked.weights, turned.weights, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-6)
    for name, values in stacked.figures().items():
        np.testing.assert_allclose(values, turned.figures()[name], rtol=1e-4, atol=1e-6)
