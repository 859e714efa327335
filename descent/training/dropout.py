"""Keras' Dropout with random numbers that XLA computes fast on a CPU; the masks are those of the run's seed."""

import keras
import tensorflow as tf
from keras import layers


class ThreefryDropout(layers.Dropout):
    """Dropout whose masks come from Threefry, by the [seed, counter] that the layer has as a Keras Dropout.

    Under XLA on a CPU, Keras' own generator (Philox) takes seconds an epoch. TensorFlow has Threefry on a CPU under XLA
    alone. Numbers are costly even so, and one of 64 bits decides over four units: the rate is met to the nearest
    1/65536, and the units that are kept are scaled by the rate that is met.
    """

    def call(self, inputs, training=False):
        """Drop units in training, and scale the others so that the expectation stays; else return the inputs."""
        if not training or self.rate == 0:
            return inputs
        return drop(inputs, self.rate, self.seed_generator.next())


def use_threefry(model: keras.Model) -> None:
    """Let each Dropout of a model draw from Threefry: in place, so that weights, states and structure stay.

    Left as they are: subclasses of Dropout, whose call is their own, and layers with a noise_shape.
    """
    for layer in model._flatten_layers():
        if type(layer) is layers.Dropout and layer.noise_shape is None:
            layer.__class__ = ThreefryDropout


def drop(values: tf.Tensor, rate: float, state: tf.Tensor) -> tf.Tensor:
    """Drop a share of values [batch, ...] and scale the others.

    Args:
        values: float, of a shape that is known when the program is compiled.
        rate: share to drop, (0, 1]; at least 1/65536 of the values stay.
        state: int64 [2], seed and counter: equal ones give equal masks.
    """
    cut = min(round(rate * 2**16), 2**16 - 1)  # of the numbers from 0 to 65535, those below it drop a value
    rows, columns = values.shape[0], values.shape[1:].num_elements()
    numbers = tf.random.stateless_uniform((-(-rows // 4), columns), state, None, None, tf.uint64, alg="threefry")
    parts = [tf.bitwise.bitwise_and(tf.bitwise.right_shift(numbers, bit), 0xFFFF) for bit in (0, 16, 32, 48)]
    kept = tf.reshape(tf.concat([part >= cut for part in parts], 0)[:rows], values.shape)
    return values * (tf.cast(kept, values.dtype) / (1 - cut / 2**16))
