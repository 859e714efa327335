"""Many runs of one network as one model with a leading run axis: for a GPU, which one run leaves idle."""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from descent.training.dropout import drop
from descent.training.settings import OptimizerEntry

_STACKABLE = (layers.Flatten, layers.Dense, layers.Activation, layers.Dropout)
# Classes of Keras that update every weight by that weight's own gradients alone: stacked runs stay apart.
ELEMENTWISE = ("SGD", "RMSprop", "Adagrad", "Adadelta", "Adam", "AdamW", "Adamax", "Nadam", "Ftrl", "Lion")


def may_stack(model: keras.Model, entry: OptimizerEntry) -> bool:
    """Tell whether runs of a network and an optimizer may train stacked.

    A class from a file never does: what its rule does with names, sizes and norms of a tensor, no trial can find out.
    """
    by_norm = any(entry.config.get(name) is not None for name in ("clipnorm", "global_clipnorm"))
    return is_stackable(model) and entry.class_name in ELEMENTWISE and not by_norm and not entry.file


def is_stackable(model: keras.Model) -> bool:
    """Tell whether `stack` knows the network: a Sequential of plain float32 Flatten, Dense, Activation and Dropout."""
    return isinstance(model, keras.Sequential) and all(
        type(layer) in _STACKABLE
        and layer.dtype_policy.name == "float32"
        and not getattr(layer, "noise_shape", None)
        and not any(value for key, value in vars(layer).items() if key.endswith(("_regularizer", "_constraint")))
        for layer in model.layers
    )


def stack(models: Sequence[keras.Sequential]) -> keras.Sequential:
    """Put R networks that `is_stackable` knows into one: [R, batch, ...] -> logits [R, batch, classes].

    The runs share nothing: run r of the stack computes what models[r] computes, from its weights and with its dropout
    masks. Its weights are slices [r] of the stack's, so that an elementwise optimizer treats each run as if it were
    alone.
    """
    rows = zip(*(model.layers for model in models), strict=True)
    return keras.Sequential([keras.Input((None, *models[0].input_shape[1:])), *map(_stack_layers, rows)])


def unstack(model: keras.Sequential, run: int) -> list[np.ndarray]:
    """Take one run's weights out of a stack, in the order and shapes of the network that it was made from."""
    return [
        weight.numpy()[run].reshape(shape)
        for layer in model.layers
        if isinstance(layer, StackedDense)
        for weight, shape in zip(layer.weights, layer.single_shapes, strict=True)
    ]


def _stack_layers(runs: Sequence[layers.Layer]) -> layers.Layer:
    match runs[0]:
        case layers.Flatten():
            return StackedFlatten(len(runs))
        case layers.Dense():
            return StackedDense(runs)
        case layers.Dropout(rate=rate) if rate > 0:
            return StackedDropout(rate, [layer.seed_generator.state for layer in runs])
        case layers.Dropout():
            return layers.Activation("linear")
        case activation:
            return layers.Activation(activation.activation)


class StackedFlatten(layers.Layer):
    """Flatten each example: [R, batch, ...] -> [R, batch, values]."""

    def __init__(self, runs: int):
        super().__init__()
        self.runs = runs

    def call(self, x):
        """Merge the axes of an example."""
        return tf.reshape(x, [self.runs, -1, x.shape[2:].num_elements()])


class StackedDense(layers.Layer):
    """Dense over a leading run axis: [R, batch, in] -> [R, batch, units]; kernel [R, in, units], bias [R, 1, units]."""

    def __init__(self, runs: Sequence[layers.Dense]):
        super().__init__()
        self.activation, self.use_bias = runs[0].activation, runs[0].use_bias
        self.single_shapes = [tuple(weight.shape) for weight in runs[0].weights]
        self.kernel = self._stack([layer.kernel.numpy() for layer in runs])
        if self.use_bias:
            self.bias = self._stack([layer.bias.numpy()[None] for layer in runs])

    def _stack(self, runs: Sequence[np.ndarray]) -> keras.Variable:
        values = np.stack(runs)
        return self.add_weight(shape=values.shape, initializer=lambda *_, **__: values)

    def call(self, x):
        """Multiply each run's batch with its own kernel."""
        x = tf.matmul(x, self.kernel)
        return self.activation(x + self.bias if self.use_bias else x)


class StackedDropout(layers.Layer):
    """Dropout over a leading run axis, each run with the masks that it has alone."""

    def __init__(self, rate: float, states: Sequence[keras.Variable]):
        super().__init__()
        self.rate = rate
        values = np.stack([state.numpy() for state in states])
        self.states = self.add_weight(
            shape=values.shape, dtype="int64", initializer=lambda *_, **__: values, trainable=False
        )

    def call(self, x, training=False):
        """Drop units in training; see `dropout.drop`."""
        if not training:
            return x
        states = tf.unstack(self.states.value * 1)  # a copy: the counters move on
        self.states.assign_add(tf.constant([[0, 1]], "int64"))
        return tf.stack([drop(run, self.rate, state) for run, state in zip(tf.unstack(x), states, strict=True)])
