"""Refuses a network that could not be trained fairly."""

import inspect
import math
import re
import typing
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from pydantic.errors import PydanticSchemaGenerationError

from descent.core import user_code
from descent.core.parameters import Finite, ParametersError, at, did_you_mean, gathered, validate
from descent.data import ids
from descent.data.datasets import as_seen, extremes, is_divided
from descent.data.settings import DatasetInfo
from descent.training import networks, traced
from descent.training.networks import WHERE
from descent.training.settings import NetworkEntry

_MOST_WEIGHTS = 10**8  # 0.4 GB, of which a training holds some ten copies: weights, gradients, an optimizer's state
_LARGE = 20  # a value beyond it makes first steps large, unless the network scales or looks it up
_SCALING = (
    keras.layers.BatchNormalization, keras.layers.Embedding, keras.layers.GroupNormalization,
    keras.layers.LayerNormalization, keras.layers.Normalization, keras.layers.Rescaling,
)  # fmt: skip
# The type of an argument that has no annotation is that of its default.
_OF_DEFAULT = {bool: bool, int: int, float: Finite, str: str, list: list, tuple: list}


def check_network(entry: NetworkEntry, input_shape: tuple[int, ...], classes: int) -> keras.Model:
    """Refuse a network that could not be trained fairly: built thrice, run and trained once on two blank examples.

    Returns:
        The network at seed 0.

    Raises:
        ParametersError: if the file or its function raises; if `build` does not take the config; if what it returns is
            no keras.Model, is too large, gives no float logits [batch, classes], starts otherwise when built again at
            one seed, starts alike at two seeds, or cannot be trained by a compiled step.
    """
    _refuse_config(entry)
    build = networks.builder(entry, input_shape, classes)
    refuse = partial(networks.refusal, entry)
    if (
        weights := _count_weights(networks.builder_without_seed(entry, input_shape, classes), input_shape)
    ) > _MOST_WEIGHTS:
        raise refuse(f"a network of at most {_MOST_WEIGHTS} weights", f"{weights} of them")
    with _blamed(entry):
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
        jit_compile = networks.should_jit_compile(models[0], input_shape)
        step = networks.trace_step(models[0], input_shape, jit_compile)
        if not networks.is_plain(models[0]):
            _check_step(entry, models[0], input_shape, step)
    return models[0]


def check_examples(entry: NetworkEntry, model: keras.Model, facts: DatasetInfo) -> None:
    """Let a network see the examples that hold the least and the greatest values, and judge the range that it sees.

    A data set that is not here yet is one of images, divided by 255. Prints a line where a layer or the range makes it
    likely that the examples are scaled twice, or not at all.

    Raises:
        ParametersError: for ids that an Embedding layer has no row for, and for what the network raises.
    """
    where = f"{WHERE}: {entry.file}"
    examples = [array for name, array in (facts.arrays or {}).items() if name.startswith("x_")]
    divided = not examples or is_divided(examples[0])
    largest = max((float(np.abs(as_seen(np.array([array.min(), array.max()]))).max()) for array in examples), default=1)
    layers = list(model._flatten_layers())  # those inside of others too, for which Keras has no public name
    rescaling = [layer for layer in layers if isinstance(layer, keras.layers.Rescaling)]
    for layer in rescaling:
        if divided and np.max(np.abs(layer.scale)) < 0.1:
            print(f"{where}: {layer.name}: uint8 is divided by 255 already, and this layer scales it again: remove it")
    if largest > _LARGE and not any(isinstance(layer, _SCALING) for layer in layers):
        size = "255" if largest == 255 else "(np.abs(x_train).max(axis=0) + 1e-9)"
        scale = f"size = {size}; x_train, x_test = x_train / size, x_test / size"
        print(
            f"{where}: the network sees values up to {largest:g}, and no layer of Keras scales them: begin build with "
            f"layers.BatchNormalization(), or in NumPy: {scale}"
        )
    if not networks.is_plain(model):
        hint = "; uint8 is divided by 255: save ids as another type, x.astype('int32')" if divided else ""
        blank = np.full((1, *facts.shape), 1 / 255, np.float32)
        ids.try_examples(model, list(map(extremes, examples)) or [blank], where, hint)


def _refuse_config(entry: NetworkEntry) -> None:
    """Refuse arguments that `build` does not take, or that are not of the type of its annotation or default."""
    function = getattr(user_code.load(entry.file, f"{WHERE}.file"), "build", None)
    if not callable(function):
        return  # `networks.builder` tells
    where, faults = f"{WHERE}.config", []
    signature = inspect.signature(function).parameters
    takes_all = any(argument.kind is argument.VAR_KEYWORD for argument in signature.values())
    known = dict(list(signature.items())[2:])  # behind input_shape and classes
    named = [
        name for name, argument in known.items() if argument.kind not in (argument.VAR_KEYWORD, argument.VAR_POSITIONAL)
    ]
    listed = f"build of {entry.file} takes {', '.join(named) or 'no more arguments'}"
    for name in named:
        if name not in entry.config and known[name].default is inspect.Parameter.empty:
            faults.append(f"{where}.{name}: missing; {listed}")
    for name, value in entry.config.items():
        if name in named:
            with gathered(faults):
                _check_argument(value, known[name], _annotations(function).get(name), f"{where}.{name}")
        elif not takes_all:
            faults.append(f"{at(where, name)}: unknown argument; {listed}{did_you_mean(name, named)}")
    if faults:
        raise ParametersError("\n".join(faults))


@contextmanager
def _blamed(entry: NetworkEntry) -> Iterator[None]:
    """Where `build` raises, name the one key of the config whose value, or a member of it, the reason repeats."""
    try:
        yield
    except ParametersError as error:
        _, _, reason = str(error).partition(f"{WHERE}: {entry.file}: ")
        members = {key: [*value, value] if isinstance(value, list) else [value] for key, value in entry.config.items()}
        named = [key for key, values in members.items() if any(_is_named(value, reason) for value in values)]
        if not reason or len(named) != 1:
            raise
        reason = reason.split("**config), got ", 1)[-1]
        raise ParametersError(f"{at(f'{WHERE}.config', named[0])}: {entry.file} cannot take it: {reason}") from error


def _is_named(value: Any, reason: str) -> bool:
    """Tell whether a reason speaks of a value: `rate=2`, `: rleu`, or of its type as Python does: 'int' object."""
    shown = re.escape(str(value))
    return bool(re.search(rf"[=:] ?'?{shown}(?!\w|\.\d)|'{type(value).__name__}' object", reason))


def _annotations(function: Callable[..., Any]) -> Mapping[str, Any]:
    with suppress(Exception):  # of a name that is imported for a type checker alone
        return typing.get_type_hints(function, include_extras=True)
    return {}


def _check_argument(value: Any, argument: inspect.Parameter, annotation: Any, where: str) -> None:
    if argument.default is value or value == argument.default:
        return
    kind = annotation or _OF_DEFAULT.get(type(argument.default), Any)
    if isinstance(value, list) and (typing.get_origin(kind) or kind) is tuple:
        value = tuple(value)  # YAML has none
    with suppress(PydanticSchemaGenerationError):  # an annotation that says nothing of what YAML holds
        validate(value, kind, where)


def _check_step(entry: NetworkEntry, model: keras.Model, input_shape: tuple[int, ...], step) -> None:
    """Run a traced step of a network that may hold code of the user's, and look at what tracing it did."""
    gradients = step(*networks.blank(input_shape))
    if all(gradient is None for gradient in gradients):
        raise networks.refusal(entry, "a network whose loss has a gradient", "none for any of its weights")
    if idle := [v.path for v, gradient in zip(model.trainable_variables, gradients, strict=True) if gradient is None]:
        print(f"{WHERE}: {entry.file}: no gradient for {', '.join(idle)}: not trained, as in Keras")
    traced.refuse_hidden_random(step.graph, f"{WHERE}: {entry.file}")
    first, again = (traced.text_of(networks.trace_step(model, input_shape, jit_compile=False).graph) for _ in range(2))
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
