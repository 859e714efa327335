"""The network of params.yaml: a Keras model from a Python file of the user's, with equal starts at equal seeds."""

import inspect
import math
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import keras
import numpy as np
import tensorflow as tf

from descent.core import user_code
from descent.core.parameters import ParametersError, did_you_mean
from descent.training import graphs, stacking
from descent.training.settings import NetworkEntry

WHERE = "params.yaml: network"
_MOST_WEIGHTS = 10**8  # 0.4 GB, of which a training holds some ten copies: weights, gradients, an optimizer's state


def builder(
    entry: NetworkEntry, input_shape: tuple[int, ...], classes: int, with_weights: bool = True
) -> Callable[[int], keras.Model]:
    """Load the network's file; what is returned builds the network as a run of the given seed starts with it.

    A model that has no weights before it is called, such as a subclassed one, is called once on two blank examples,
    unless `with_weights` is false.

    Keras' global seed is set first, so that the initial weights and the states of every SeedGenerator ([seed, counter])
    are those of the seed, whatever was built before.

    Raises:
        ParametersError: if the file cannot be run or has no function `build`; when that function raises.
    """
    expected = "a network from build(input_shape, classes, **config)"
    function = getattr(user_code.load(entry.file, f"{WHERE}.file"), "build", None)
    if not callable(function):
        raise ParametersError(f"{WHERE}.file: expected a file with a function build, got {entry.file!r} without one")

    def build(seed: int) -> keras.Model:
        keras.utils.clear_session(free_memory=False)  # or layers would be named dense_2, dense_3, ... in the next one
        keras.utils.set_random_seed(seed)
        with user_code.refused(lambda reason: f"{_refuse(entry, expected, reason)}{_known_activations(entry, reason)}"):
            model = function(input_shape, classes, **entry.config)
            if with_weights and isinstance(model, keras.Model) and not model.built:
                model(_blank(input_shape)[0], training=False)
            return model

    return build


def check(entry: NetworkEntry, input_shape: tuple[int, ...], classes: int) -> keras.Model:
    """Refuse a network that could not be trained fairly: built thrice, run and trained once on two blank examples.

    Returns:
        The network at seed 0.

    Raises:
        ParametersError: if the file or its function raises; if what it returns is no keras.Model, is too large, gives
            no float logits [batch, classes], starts otherwise when built again at one seed, starts alike at two seeds,
            or cannot be trained by a compiled step.
    """
    build = builder(entry, input_shape, classes)
    refuse = partial(_refuse, entry)
    if (
        weights := _count_weights(builder(entry, input_shape, classes, with_weights=False), input_shape)
    ) > _MOST_WEIGHTS:
        raise refuse(f"a network of at most {_MOST_WEIGHTS} weights", f"{weights} of them")
    models = [build(seed) for seed in (0, 0, 1)]
    for model in models:
        if not isinstance(model, keras.Model):
            raise refuse("a keras.Model from build", repr(type(model).__name__))
    first, again, other = ([variable.numpy() for variable in model.variables] for model in models)
    expected = f"a network for examples {list(input_shape)}"
    with user_code.refused(lambda reason: str(refuse(expected, reason))):
        logits = models[0](np.zeros((2, *input_shape), "float32"), training=False)
    if not (isinstance(logits, tf.Tensor) and logits.dtype.is_floating and logits.shape == (2, classes)):
        got = f"{logits.dtype.name} {list(logits.shape)}" if isinstance(logits, tf.Tensor) else type(logits).__name__
        raise refuse(f"logits [batch, {classes}]", f"for two examples {got}")
    logits = tf.cast(logits, tf.float32)
    if np.allclose(np.sum(logits, axis=-1), 1, atol=1e-3) and np.min(logits) >= 0:
        raise refuse("logits", "probabilities: leave the softmax out, the loss has it")
    if not models[0].trainable_variables:
        raise refuse("a network with trainable weights", "one without")
    if not all(map(np.array_equal, first, again)):
        raise refuse("equal weights whenever it is built at one seed", "other weights the second time")
    if all(map(np.array_equal, first, other)):
        raise refuse("other weights at another seed", "the same: it must draw its weights with Keras, without a seed")
    with user_code.refused(lambda reason: str(refuse("a network that can be trained", reason))):
        step = trace_step(models[0], input_shape, should_jit_compile(models[0], input_shape))
        if not is_plain(models[0]):
            _check_step(entry, models[0], input_shape, step)
    return models[0]


def _check_step(entry: NetworkEntry, model: keras.Model, input_shape: tuple[int, ...], step) -> None:
    """Run a traced step of a network that may hold code of the user's, and look at what tracing it did."""
    gradients = step(*_blank(input_shape))
    if idle := [v.path for v, gradient in zip(model.trainable_variables, gradients, strict=True) if gradient is None]:
        print(f"{WHERE}: {entry.file}: no gradient for {', '.join(idle)}: not trained, as in Keras")
    graphs.refuse_hidden_random(step.graph, f"{WHERE}: {entry.file}")
    first, again = (graphs.text_of(trace_step(model, input_shape, jit_compile=False).graph) for _ in range(2))
    if first != again:
        raise _refuse(
            entry, "a network whose Python code does the same at every call", "another program the second time"
        )


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


def should_jit_compile(model: keras.Model, input_shape: tuple[int, ...]) -> bool:
    """Tell whether to compile a network's epochs with XLA.

    Not where it convolves or takes the maximum of a window: on a CPU, XLA's convolutions take longer than TensorFlow's
    (docs/training.md tells how much), and it has no deterministic gradient for max pooling. And not where XLA has no
    kernel for what the network does. Decided by the graph, so that your layers count too, and by no measurement of
    time, which could come out otherwise.
    """
    if is_plain(model):
        return True
    graph = trace_step(model, input_shape, jit_compile=False).graph
    if any(name in operation.type for operation in graph.get_operations() for name in ("Conv", "MaxPool")):
        return False
    try:
        trace_step(model, input_shape, jit_compile=True)(*_blank(input_shape))
    except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError):
        return False
    return True


def is_plain(model: keras.Model) -> bool:
    """Tell whether a network is a Sequential of Keras' own plain layers, in which nothing of yours can be hidden."""
    return stacking.is_stackable(model) and all(map(_is_of_keras, model.layers))


def trace_step(model: keras.Model, input_shape: tuple[int, ...], jit_compile: bool) -> Callable[..., list[tf.Tensor]]:
    """Trace the gradients of a batch of two examples."""

    def gradients(examples: tf.Tensor, labels: tf.Tensor) -> list[tf.Tensor | None]:
        with tf.GradientTape() as tape:
            logits = tf.cast(model(examples, training=True), tf.float32)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
            loss += sum(tf.cast(penalty, tf.float32) for penalty in model.losses)
        return tape.gradient(loss, model.trainable_variables)

    return tf.function(gradients, jit_compile=jit_compile).get_concrete_function(*_blank(input_shape))


def _blank(input_shape: tuple[int, ...]) -> tuple[tf.Tensor, tf.Tensor]:
    return tf.zeros((2, *input_shape)), tf.zeros((2,), tf.int32)
