"""Claims about the masks: their share, their independence, and that only plain Dropout layers draw from Threefry."""

from itertools import pairwise

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from descent.training.dropout import drop, use_threefry


@tf.function(jit_compile=True)
def dropped(rate, ones, state):
    return drop(ones, rate, state)


def mask(rate, shape, state):
    return dropped(rate, tf.ones(shape), tf.constant(state, tf.int64)).numpy()


@pytest.mark.parametrize(("rate", "met"), [(0.2, 0.2), (0.999999, 1 - 2**-16)])
def test_any_rate_is_met_to_16_bits_and_leaves_the_expectation(rate, met):
    values = mask(rate, (5, 100000), [1, 0])
    assert np.mean(values == 0) == pytest.approx(met, abs=0.01)
    assert values.max() == pytest.approx(1 / (1 - met), rel=1e-4)


def test_masks_change_with_seed_and_counter_and_nothing_else():
    one, again, next_step, other = (mask(0.5, (4, 1000), state) for state in ([1, 0], [1, 0], [1, 1], [2, 0]))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, next_step)
    assert not np.array_equal(one, other)
    for quarter, following in pairwise(np.split(one, 4)):  # units that share a random number do not share their fate
        assert np.mean((quarter == 0) == (following == 0)) == pytest.approx(0.5, abs=0.07)


def test_two_layers_of_a_network_draw_other_masks_and_each_step_new_ones():
    keras.utils.set_random_seed(0)
    stack = [layers.Dropout(0.5), layers.Dropout(0.5)]
    x = np.ones((4, 500), "float32")
    model = keras.Sequential([keras.Input((500,)), *stack])
    use_threefry(model)
    draw = tf.function(lambda: [layer(x, training=True) for layer in stack], jit_compile=True)
    drawn = {values.numpy().tobytes() for _ in range(2) for values in draw()}
    assert len(drawn) == 4
