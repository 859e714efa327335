"""Refuses a network that could not be trained fairly."""

import inspect
import typing
from contextlib import suppress
from functools import partial

import keras
import numpy as np
import tensorflow as tf
from pydantic.errors import PydanticSchemaGenerationError

from descent.core import user_code
from descent.core.parameters import Finite, ParametersError, at, did_you_mean, gathered, validate
from descent.data.datasets import as_seen, extremes, is_divided, try_examples
from descent.data.settings import DatasetInfo
from descent.training import networks, traced
from descent.training.networks import WHERE
from descent.training.settings import NetworkEntry

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
            no keras.Model, gives no float logits [batch, classes], starts otherwise when built again at one seed,
            starts alike at two seeds, or cannot be trained by a compiled step.
    """
    build = networks.builder(entry, input_shape, classes)
    _refuse_config(entry)
    refuse = partial(networks.refusal, entry)
    models = [build(seed) for seed in (0, 0, 1)]
    model = models[0]
    if not isinstance(model, keras.Model):
        raise refuse("a keras.Model from build", repr(type(model).__name__))
    first, again, other = ([variable.numpy() for variable in built.variables] for built in models)
    with user_code.refused(lambda reason: str(refuse(f"a network for examples {list(input_shape)}", reason))):
        logits = model(np.zeros((2, *input_shape), "float32"), training=False)
    if not (isinstance(logits, tf.Tensor) and logits.dtype.is_floating and logits.shape == (2, classes)):
        got = f"{logits.dtype.name} {list(logits.shape)}" if isinstance(logits, tf.Tensor) else type(logits).__name__
        raise refuse(f"logits [batch, {classes}]", f"for two examples {got}")
    logits = tf.cast(logits, tf.float32)
    if np.allclose(np.sum(logits, axis=-1), 1, atol=1e-3) and np.min(logits) >= 0:
        raise refuse("logits", "probabilities: leave the softmax out, the loss has it")
    if not model.trainable_variables:
        raise refuse("a network with trainable weights", "one without")
    if not all(map(np.array_equal, first, again)):
        raise refuse("equal weights whenever it is built at one seed", "other weights the second time")
    if all(map(np.array_equal, first, other)):
        raise refuse("other weights at another seed", "the same: it must draw its weights with Keras, without a seed")
    with user_code.refused(lambda reason: str(refuse("a network that can be trained", reason))):
        jit_compile = networks.should_jit_compile(model, input_shape)
        step = networks.trace_step(model, input_shape, jit_compile)
        if not networks.is_plain(model):
            _check_step(entry, model, input_shape, step)
    return model


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
        try_examples(model, list(map(extremes, examples)) or [blank], where, hint)


def _refuse_config(entry: NetworkEntry) -> None:
    """Refuse arguments that `build` does not take, or that are not of the type of its annotation or default."""
    build, where, faults = user_code.load(entry.file, f"{WHERE}.file").build, f"{WHERE}.config", []
    takes = list(inspect.signature(build).parameters.values())[2:]  # behind input_shape and classes
    takes_all = any(argument.kind is argument.VAR_KEYWORD for argument in takes)
    takes = {a.name: a.default for a in takes if a.kind not in (a.VAR_KEYWORD, a.VAR_POSITIONAL)}
    annotations = {}
    with suppress(Exception):  # of a name that is imported for a type checker alone
        annotations = typing.get_type_hints(build, include_extras=True)
    listed = f"build of {entry.file} takes {', '.join(takes) or 'no more arguments'}"
    for name, default in takes.items():
        if name not in entry.config and default is inspect.Parameter.empty:
            faults.append(f"{where}.{name}: missing; {listed}")
    for name, value in entry.config.items():
        if name not in takes and not takes_all:
            faults.append(f"{at(where, name)}: unknown argument; {listed}{did_you_mean(name, takes)}")
        elif name in takes and value != takes[name]:
            kind = annotations.get(name) or _OF_DEFAULT.get(type(takes[name]), typing.Any)
            if isinstance(value, list) and (typing.get_origin(kind) or kind) is tuple:
                value = tuple(value)  # YAML has none
            with gathered(faults), suppress(PydanticSchemaGenerationError):  # it says nothing of what YAML holds
                validate(value, kind, f"{where}.{name}")
    if faults:
        raise ParametersError("\n".join(faults))


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
