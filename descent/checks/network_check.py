"""Refuses a network that could not be trained fairly."""

import math
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import keras
import numpy as np
import tensorflow as tf

from descent.core import user_code
from descent.training import graphs, networks
from descent.training.networks import WHERE
from descent.training.settings import NetworkEntry

_MOST_WEIGHTS = 10**8  # 0.4 GB, of which a training holds some ten copies: weights, gradients, an optimizer's state


def check_network(entry: NetworkEntry, input_shape: tuple[int, ...], classes: int) -> keras.Model:
    """Refuse a network that could not be trained fairly: built thrice, run and trained once on two blank examples.

    Returns:
        The network at seed 0.

    Raises:
        ParametersError: if the file or its function raises; if what it returns is no keras.Model, is too large, gives
            no float logits [batch, classes], starts otherwise when built again at one seed, starts alike at two seeds,
            or cannot be trained by a compiled step.
    """
    build = networks.builder(entry, input_shape, classes)
    refuse = partial(networks.refusal, entry)
    if (
        weights := _count_weights(networks.builder_without_seed(entry, input_shape, classes), input_shape)
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
        step = networks.trace_step(models[0], input_shape, networks.should_jit_compile(models[0], input_shape))
        if not networks.is_plain(models[0]):
            _check_step(entry, models[0], input_shape, step)
    return models[0]


def _check_step(entry: NetworkEntry, model: keras.Model, input_shape: tuple[int, ...], step) -> None:
    """Run a traced step of a network that may hold code of the user's, and look at what tracing it did."""
    gradients = step(*networks.blank(input_shape))
    if all(gradient is None for gradient in gradients):
        raise networks.refusal(entry, "a network whose loss has a gradient", "none for any of its weights")
    if idle := [v.path for v, gradient in zip(model.trainable_variables, gradients, strict=True) if gradient is None]:
        print(f"{WHERE}: {entry.file}: no gradient for {', '.join(idle)}: not trained, as in Keras")
    graphs.refuse_hidden_random(step.graph, f"{WHERE}: {entry.file}")
    first, again = (graphs.text_of(networks.trace_step(model, input_shape, jit_compile=False).graph) for _ in range(2))
    if first != again:
        raise networks.refusal(entry, "Python code that does the same at every call", "another program the second time")


def _count_weights(build: Callable[[], keras.Model], input_shape: tuple[int, ...]) -> int:
    """Count a network's weights without making one; 0 where it cannot be built in that way, and the trial must tell."""
    try:
        with suppress(Exception), keras.StatelessScope(initialize_variables=False):
            model = build()
            if not model.built:
                model(keras.KerasTensor((2, *input_shape)), training=False)
            return sum(math.prod(variable.shape) for variable in model.variables)
        return 0
    finally:
        keras.utils.clear_session(free_memory=False)  # or Keras would make these weights with those of the next model
