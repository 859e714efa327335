"""The multilayer perceptron that every optimizer trains: many runs stacked in one Keras model, or one run alone."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from pydantic import AfterValidator, Field

from descent.parameters import Section

CLASSES = 10

# Each seed feeds three independent streams of random numbers: what one of them consumes never shifts another.
WEIGHTS, DROPOUT, ORDER = range(3)


def _known_activation(name: str) -> str:
    keras.activations.get(name)  # raises ValueError for an unknown name
    return name


class NetworkParameters(Section):
    """The params.yaml section `network`."""

    hidden_units: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1, max_length=8)]
    activation: Annotated[str, AfterValidator(_known_activation)]
    dropout: Annotated[float, Field(ge=0, lt=1)]


def stream(seed: int, purpose: int) -> np.random.SeedSequence:
    """Random stream of one run for one purpose (WEIGHTS, DROPOUT or ORDER), the same for every optimizer."""
    return np.random.SeedSequence(seed, spawn_key=(purpose,))


def initial_weights(parameters: NetworkParameters, inputs: int, seed: int) -> list[np.ndarray]:
    """Draw the weights that run `seed` starts from: Glorot uniform kernels and zero biases, as Keras' Dense does.

    Args:
        parameters: the network.
        inputs: number of input values.
        seed: seed of the run.

    Returns:
        For each layer a kernel [in, out] and a bias [out], float32, in the order of `keras.Sequential.get_weights`.

    References:
        Glorot and Bengio (2010), "Understanding the difficulty of training deep feedforward neural networks", eq. 16.
    """
    random = np.random.default_rng(stream(seed, WEIGHTS))
    sizes = [inputs, *parameters.hidden_units, CLASSES]
    weights = []
    for fan_in, fan_out in pairwise(sizes):
        limit = np.sqrt(6 / (fan_in + fan_out))
        weights += [random.uniform(-limit, limit, (fan_in, fan_out)).astype("float32"), np.zeros(fan_out, "float32")]
    return weights


def plain(parameters: NetworkParameters, inputs: int) -> keras.Sequential:
    """Build the network from Keras' own layers alone: [batch, inputs] -> logits [batch, 10].

    This is the model that `results/models/*.weights.h5` loads into.
    """
    stack = [keras.Input((inputs,))]
    for units in parameters.hidden_units:
        stack += [layers.Dense(units, parameters.activation), layers.Dropout(parameters.dropout)]
    return keras.Sequential([*stack, layers.Dense(CLASSES)])


def single(parameters: NetworkParameters, inputs: int) -> keras.Sequential:
    """Build one run as it trains: `plain`, but with the run's own dropout masks. `start` gives it its seed."""
    stack = [keras.Input((inputs,))]
    for layer, units in enumerate(parameters.hidden_units):
        stack += [layers.Dense(units, parameters.activation), PairedDropout(parameters.dropout, 1, layer)]
    return keras.Sequential([*stack, layers.Dense(CLASSES)])


def stacked(parameters: NetworkParameters, inputs: int, runs: int) -> keras.Sequential:
    """Build R runs as one model: [R, batch, inputs] -> logits [R, batch, 10]. `start` gives it the seeds.

    The runs share nothing: run r of the stack computes what `single` computes with the r-th seed. Its weights are
    slices [r] of the stack's, so that an elementwise optimizer treats each run as if it were alone.
    """
    stack = [keras.Input((None, inputs))]
    for layer, units in enumerate(parameters.hidden_units):
        stack += [StackedDense(runs, units, parameters.activation), PairedDropout(parameters.dropout, runs, layer)]
    return keras.Sequential([*stack, StackedDense(runs, CLASSES)])


def start(model: keras.Sequential, parameters: NetworkParameters, inputs: int, seeds: Sequence[int]) -> None:
    """Put a `single` or `stacked` model where the runs of these seeds start: initial weights, first dropout masks."""
    runs = [initial_weights(parameters, inputs, seed) for seed in seeds]
    for variable, values in zip(model.trainable_variables, zip(*runs, strict=True), strict=True):
        variable.assign(np.reshape(values, variable.shape))
    for layer in model.layers:
        if isinstance(layer, PairedDropout):
            layer.start(seeds)


def run_weights(model: keras.Sequential, run: int) -> list[np.ndarray]:
    """Take one run's weights out of a model, in the order and shapes of `plain`; a `single` model holds run 0 alone."""
    if len(model.output_shape) == 2:
        return [weight.numpy() for weight in model.trainable_variables]
    slices = [weight.numpy()[run] for weight in model.trainable_variables]
    return [part[0] if len(part) == 1 and index % 2 else part for index, part in enumerate(slices)]


class StackedDense(layers.Layer):
    """Dense over a leading run axis: [R, batch, in] -> [R, batch, units]; kernel [R, in, units], bias [R, 1, units]."""

    def __init__(self, runs: int, units: int, activation: str | None = None):
        super().__init__()
        self.runs, self.units, self.activation = runs, units, keras.activations.get(activation)

    def build(self, shape):
        """Create the weights; `stacked` gives them their values."""
        self.kernel = self.add_weight(shape=(self.runs, shape[-1], self.units), initializer="zeros")
        self.bias = self.add_weight(shape=(self.runs, 1, self.units), initializer="zeros")

    def call(self, x):
        """Multiply each run's batch with its own kernel."""
        return self.activation(tf.matmul(x, self.kernel) + self.bias)


class PairedDropout(layers.Layer):
    """Dropout whose masks depend on the run's seed, the layer and the step alone, so that optimizers can be paired.

    The numbers are Threefry's: under XLA on a CPU, TensorFlow's default generator (Philox) takes seconds an epoch. On a
    CPU, TensorFlow has Threefry under XLA alone, so that this layer drops in compiled programs only. Numbers are
    costly even so, and one of 64 bits decides over four units: the rate is met to the nearest 1/65536, and the units
    that are kept are scaled by the rate that is met.

    Args:
        rate: share of units dropped, [0, 1).
        runs: number of runs R; with one the input may lack the run axis.
        layer: position of this layer, so that two layers of one run draw different masks.
    """

    def __init__(self, rate: float, runs: int, layer: int):
        super().__init__()
        self.cut = min(round(rate * 2**16), 2**16 - 1)  # of the numbers from 0 to 65535, those below it drop a unit
        self.layer = layer
        self.keys = self.add_weight(shape=(runs,), dtype="int32", initializer="zeros", trainable=False)
        self.step = self.add_weight(shape=(), dtype="int32", initializer="zeros", trainable=False)

    def start(self, seeds: Sequence[int]) -> None:
        """Go to the first mask of these runs."""
        states = [stream(seed, DROPOUT).generate_state(self.layer + 1)[self.layer] for seed in seeds]
        self.keys.assign([int(state >> 1) for state in states])
        self.step.assign(0)

    def call(self, x, training=False):
        """Drop units in training, and scale the others so that the expectation stays; else return x."""
        if not training or self.cut == 0:
            return x
        images, units = x.shape[-2:]
        kept = tf.stack([self._kept(-(-images // 4), units, key)[:images] for key in tf.unstack(self.keys.value)])
        self.step.assign_add(1)
        return x * (tf.cast(tf.reshape(kept, x.shape), x.dtype) / (1 - self.cut / 2**16))

    def _kept(self, rows: int, units: int, key: tf.Tensor) -> tf.Tensor:
        """Draw the mask of one run, bool [4 * rows, units]."""
        numbers = tf.random.stateless_uniform(
            (rows, units), tf.stack([key, self.step.value]), None, None, tf.uint64, alg="threefry"
        )
        parts = [tf.bitwise.bitwise_and(tf.bitwise.right_shift(numbers, bit), 0xFFFF) for bit in (0, 16, 32, 48)]
        return tf.concat([part >= self.cut for part in parts], 0)
