"""Tries the network and each optimizer before anything trains: what is accepted trains, and as with Keras alone."""

import inspect
import typing
import warnings
from collections.abc import Sequence
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
from descent.training import networks, optimizers, traced
from descent.training.networks import WHERE
from descent.training.settings import NetworkEntry, OptimizerEntry

_LARGE = 20  # a value beyond it makes first steps large, unless the network scales or looks it up
_SCALING = (
    keras.layers.BatchNormalization, keras.layers.Embedding, keras.layers.GroupNormalization,
    keras.layers.LayerNormalization, keras.layers.Normalization, keras.layers.Rescaling,
)  # fmt: skip
# The type of an argument that has no annotation is that of its default.
_OF_DEFAULT = {bool: bool, int: int, float: Finite, str: str, list: list, tuple: list}
# What Keras 2 called, and Keras 3, or its training loop with TensorFlow, does not.
_NEVER_CALLED = {
    "get_gradients", "get_updates", "scale_loss", "minimize", "compute_gradients", "stateless_apply",
    "_create_slots", "_create_all_weights", "_prepare", "_prepare_local", "_compute_gradients", "_aggregate_gradients",
    "_transform_gradients", "_resource_apply_dense", "_resource_apply_sparse", "_apply_dense", "_apply_sparse",
}  # fmt: skip
SMALL = (keras.Variable(tf.ones((4, 3)), name="kernel"), keras.Variable(tf.ones((3,)), name="bias"))


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


def check_optimizer(entry: OptimizerEntry, where: str, weights: Sequence[keras.Variable], jit_compile: bool) -> None:
    """Build an optimizer and let it take steps, so that what fails in a training fails here.

    Args:
        entry: of the optimizer.
        where: file and key path of the entry, for messages.
        weights: trainable variables of the network; they move.
        jit_compile: the training will be compiled with XLA.

    Raises:
        ParametersError: as `optimizers.build`; for whatever a step raises; for a class from a file, if it is written
            for Keras 2, if a step could not be traced once and serve a whole training, or if its state starts
            differently at one seed.
    """
    if entry.file:
        _refuse_keras_2(entry, where)
    cannot = f"{where}: {entry.class_name} cannot take a step"
    by_size = sorted(weights, key=lambda variable: int(np.prod(variable.shape)))
    matrices, others = ([v for v in by_size if (len(v.shape) > 1) == wanted] for wanted in (True, False))
    small = [*matrices[:1], *others[:1]]  # a traced step of more takes longer and shows no more
    with user_code.refused(lambda reason: f"{cannot}: {reason}"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Gradients do not exist", UserWarning)
        if entry.file:
            _step(_fresh(entry, where, weights), weights)
        optimizer = _fresh(entry, where, small)
        start = [variable.numpy() for variable in optimizer.variables]
        graph = _trace(optimizer, small)
        if not entry.file:
            return
        if traced.text_of(graph) != traced.text_of(_trace(optimizer, small)):
            raise ParametersError(
                f"{cannot} twice: Python code in it counts, draws or remembers something, which a compiled step does"
                " only once; keep it in a variable (add_variable), and use self.iterations to count"
            )
        traced.refuse_hidden_random(graph, where)
        if jit_compile and (missing := traced.lacking_xla(graph)):
            raise ParametersError(f"{cannot}: XLA, which compiles trainings, has no {', '.join(missing)}")
        again = _fresh(entry, where, small)
        same = (np.array_equal(old, new, equal_nan=True) for old, new in zip(start, again.variables, strict=True))
        if not all(same) or traced.text_of(graph) != traced.text_of(_trace(again, small)):
            raise ParametersError(f"{where}: {entry.class_name} starts differently at one seed; {traced.SEEDED}")


def _refuse_keras_2(entry: OptimizerEntry, where: str) -> None:
    """Refuse methods that Keras 3 never calls: they would have no effect, and it would train as another optimizer."""
    rule = getattr(user_code.load(entry.file, f"{where}.file"), entry.class_name, None)
    classes = [base for base in getattr(rule, "__mro__", ()) if base.__module__ == entry.file]
    if found := sorted({name for base in classes for name in vars(base)} & _NEVER_CALLED):
        today = "build(self, variables), update_step(self, gradient, variable, learning_rate) and get_config(self)"
        reason = f"which Keras 3 never calls: an optimizer of Keras 3 defines {today}"
        raise ParametersError(f"{where}.file: {entry.file} has {', '.join(found)}, {reason}")


def _fresh(entry: OptimizerEntry, where: str, weights: Sequence[keras.Variable]) -> keras.optimizers.Optimizer:
    keras.utils.set_random_seed(0)
    optimizer = optimizers.build(entry, where)
    optimizer.build(weights)
    return optimizer


def _step(optimizer: keras.optimizers.Optimizer, weights: Sequence[keras.Variable]) -> None:
    """Take as many steps as make one update."""
    for _ in range(optimizer.gradient_accumulation_steps or 1):
        optimizer.apply_gradients([(tf.ones(weight.shape, weight.dtype), weight) for weight in weights])


def _trace(optimizer: keras.optimizers.Optimizer, weights: Sequence[keras.Variable]) -> tf.Graph:
    """Trace one step, and run it: a plain call warns, from the fifth optimizer on, of tracing again and again."""
    step = tf.function(lambda: _step(optimizer, weights), autograph=False).get_concrete_function()
    step()
    return step.graph
