"""The network of params.yaml: a Keras model from a Python file of the user's, with equal starts at equal seeds."""

import inspect
import math
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import keras
import numpy as np
import tensorflow as tf

from descent import own
from descent.parameters import ParametersError, did_you_mean
from descent.training import stacking
from descent.training.settings import NetworkEntry

WHERE = "params.yaml: network"
_MOST_WEIGHTS = 10**8  # 0.4 GB, of which a training holds some ten copies: weights, gradients, an optimizer's state


def builder(entry: NetworkEntry, input_shape: tuple[int, ...], classes: int) -> Callable[[int], keras.Model]:
    """Load the network's file; what is returned builds the network as a run of the given seed starts with it.

    Keras' global seed is set first, so that the initial weights and the states of every SeedGenerator ([seed, counter])
    are those of the seed, whatever was built before.

    Raises:
        ParametersError: if the file cannot be run or has no function `build`; when that function raises.
    """
    expected = "a network from build(input_shape, classes, **config)"
    function = getattr(own.load(entry.file, f"{WHERE}.file"), "build", None)
    if not callable(function):
        raise ParametersError(f"{WHERE}.file: expected a file with a function build, got {entry.file!r} without one")

    def build(seed: int) -> keras.Model:
        keras.utils.set_random_seed(seed)
        with own.refused(lambda reason: f"{_refuse(entry, expected, reason)}{_known_activations(entry, reason)}"):
            return function(input_shape, classes, **entry.config)

    return build


def check(entry: NetworkEntry, input_shape: tuple[int, ...], classes: int) -> None:
    """Refuse a network that could not be trained fairly: built thrice, run and trained once on two blank examples.

    Raises:
        ParametersError: if the file or its function raises; if what it returns is no keras.Model, is too large, gives
            no float logits [batch, classes], starts otherwise when built again at one seed, starts alike at two seeds,
            or cannot be trained by a compiled step.
    """
    build = builder(entry, input_shape, classes)
    refuse = partial(_refuse, entry)
    if (weights := _count_weights(build, input_shape)) > _MOST_WEIGHTS:
        raise refuse(f"a network of at most {_MOST_WEIGHTS} weights", f"{weights} of them")
    models = [build(seed) for seed in (0, 0, 1)]
    for model in models:
        if not isinstance(model, keras.Model):
            raise refuse("a keras.Model from build", repr(type(model).__name__))
    expected = f"a network for examples {list(input_shape)}"
    with own.refused(lambda reason: str(refuse(expected, reason))):
        logits = models[0](np.zeros((2, *input_shape), "float32"), training=False)
    if not (isinstance(logits, tf.Tensor) and logits.dtype.is_floating and logits.shape == (2, classes)):
        got = f"{logits.dtype.name} {list(logits.shape)}" if isinstance(logits, tf.Tensor) else type(logits).__name__
        raise refuse(f"logits [batch, {classes}]", f"for two examples {got}")
    if np.allclose(np.sum(logits, axis=-1), 1, atol=1e-3) and np.min(logits) >= 0:
        raise refuse("logits", "probabilities: leave the softmax out, the loss has it")
    first, again, other = ([variable.numpy() for variable in model.variables] for model in models)
    if not models[0].trainable_variables:
        raise refuse("a network with trainable weights", "one without")
    if not all(map(np.array_equal, first, again)):
        raise refuse("equal weights whenever it is built at one seed", "other weights the second time")
    if all(map(np.array_equal, first, other)):
        raise refuse("other weights at another seed", "the same: it must draw its weights with Keras, without a seed")
    with own.refused(lambda reason: str(refuse("a network that can be trained", reason))):
        _train_once(models[0], input_shape)


def _count_weights(build: Callable[[int], keras.Model], input_shape: tuple[int, ...]) -> int:
    """Count a network's weights without making one; 0 where it cannot be built in that way, and the trial must tell."""
    try:
        with suppress(Exception), keras.StatelessScope(initialize_variables=False):
            model = build(0)
            if not model.built:
                model(keras.KerasTensor((2, *input_shape)), training=False)
            return sum(math.prod(variable.shape) for variable in model.variables)
        return 0
    finally:
        keras.utils.clear_session(free_memory=False)  # or Keras would make these weights with those of the next model


def _train_once(model: keras.Model, input_shape: tuple[int, ...]) -> None:
    """Take the gradients of two blank examples in a program like that of a training, compiled where that one is.

    XLA takes a second to compile the least of all, so a stack of Keras' own plain layers is only traced.
    """

    def gradients(examples: tf.Tensor) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(model(examples, training=True)) + sum(model.losses)
        return tape.gradient(loss, model.trainable_variables)

    examples = tf.zeros((2, *input_shape))
    if stacking.is_stackable(model) and all(map(_is_of_keras, model.layers)):
        tf.function(gradients).get_concrete_function(examples)
    else:
        tf.function(gradients, jit_compile=suits_xla(model, input_shape))(examples)


def _is_of_keras(layer: keras.layers.Layer) -> bool:
    return getattr(layer, "activation", layer).__module__.startswith("keras.")


def _refuse(entry: NetworkEntry, expected: str, got: str) -> ParametersError:
    return ParametersError(f"{WHERE}: {entry.file}: expected {expected}, got {got}")


def _known_activations(entry: NetworkEntry, reason: str) -> str:
    """End the message of an activation that Keras does not know: Keras tells neither the known nor the nearest."""
    unknown = [value for value in entry.config.values() if isinstance(value, str) and f": {value}" in reason]
    if not unknown or "activation" not in reason:
        return ""
    known = sorted(name for name, value in vars(keras.activations).items() if inspect.isfunction(value))
    known = [name for name in known if name not in ("deserialize", "get", "serialize")]
    return f"; activations are {', '.join(known)}{did_you_mean(unknown[0], known)}"


def suits_xla(model: keras.Model, input_shape: tuple[int, ...]) -> bool:
    """Tell whether to compile a model's epochs with XLA: not where it convolves or takes the maximum of a window.

    On a CPU, XLA's convolutions take longer than TensorFlow's (docs/training.md tells how much); and it has no
    deterministic gradient for max pooling. Decided from the graph, so that layers of the user's own count too, and by
    no measurement, which could come out otherwise the next time.
    """
    call = tf.function(lambda examples: model(examples, training=False))
    graph = call.get_concrete_function(tf.TensorSpec((1, *input_shape), tf.float32)).graph
    return not any(name in operation.type for operation in graph.get_operations() for name in ("Conv", "MaxPool"))
