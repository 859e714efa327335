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


def single(parameters: NetworkParameters, inputs: int, seed: int) -> keras.Sequential:
    """Build one run as it trains: `plain` with this run's initial weights and its own dropout masks."""
    stack = [keras.Input((inputs,))]
    for layer, units in enumerate(parameters.hidden_units):
        stack += [layers.Dense(units, parameters.activation), PairedDropout(parameters.dropout, [seed], layer)]
    model = keras.Sequential([*stack, layers.Dense(CLASSES)])
    _assign(model, initial_weights(parameters, inputs, seed))
    return model


def stacked(parameters: NetworkParameters, inputs: int, seeds: Sequence[int]) -> keras.Sequential:
    """Build R runs as one model: [R, batch, inputs] -> logits [R, batch, 10].

    The runs share nothing: run r of the stack computes what `single` computes with the r-th seed. Its weights are
    slices [r] of the stack's, so that an elementwise optimizer treats each run as if it were alone.
    """
    stack = [keras.Input((None, inputs))]
    for layer, units in enumerate(parameters.hidden_units):
        stack += [
            StackedDense(len(seeds), units, parameters.activation),
            PairedDropout(parameters.dropout, seeds, layer),
        ]
    model = keras.Sequential([*stack, StackedDense(len(seeds), CLASSES)])
    runs = [initial_weights(parameters, inputs, seed) for seed in seeds]
    _assign(model, [np.stack(same).reshape(len(seeds), -1, same[0].shape[-1]) for same in zip(*runs, strict=True)])
    return model


def run_weights(model: keras.Sequential, run: int | None) -> list[np.ndarray]:
    """Take one run's weights out of a model, in the order and shapes of `plain`; `run` is None for `single`."""
    if run is None:
        return [weight.numpy() for weight in model.trainable_variables]
    slices = [weight.numpy()[run] for weight in model.trainable_variables]
    return [part[0] if len(part) == 1 and index % 2 else part for index, part in enumerate(slices)]


def _assign(model: keras.Sequential, weights: list[np.ndarray]) -> None:
    for variable, value in zip(model.trainable_variables, weights, strict=True):
        variable.assign(value)


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
    CPU, TensorFlow has Threefry under XLA alone, so that this layer drops in compiled programs only.

    Args:
        rate: share of units dropped, [0, 1).
        seeds: one for each run; with one seed the input may lack the run axis.
        layer: position of this layer, so that two layers of one run draw different masks.
    """

    def __init__(self, rate: float, seeds: Sequence[int], layer: int):
        super().__init__()
        self.rate = rate
        self.keys = [int(stream(seed, DROPOUT).generate_state(layer + 1)[layer] >> 1) for seed in seeds]
        self.step = self.add_weight(shape=(), dtype="int32", initializer="zeros", trainable=False)

    def call(self, x, training=False):
        """Drop units in training, and scale the others so that the expectation stays; else return x."""
        if not training or self.rate == 0:
            return x
        shape, step = x.shape[-2:], self.step.value
        draws = [tf.random.stateless_uniform(shape, tf.stack([key, step]), alg="threefry") for key in self.keys]
        self.step.assign_add(1)
        kept = tf.reshape(tf.stack(draws), x.shape) >= self.rate
        return x * (tf.cast(kept, x.dtype) / (1 - self.rate))
