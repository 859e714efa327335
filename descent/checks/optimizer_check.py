"""Tries an optimizer before anything is trained: what is accepted here trains, and as Keras alone would train it."""

import ast
import re
import warnings
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from descent.core import user_code
from descent.core.parameters import ParametersError
from descent.training import optimizers, traced
from descent.training.settings import OptimizerEntry

_SCALED_STEPS = 3  # a schedule may begin at zero
# Where the rules of Keras 2.2 are now.
_MOVED = {name: f"optimizers/keras2_{name.lower()}.py" for name in ("Adagrad", "Nadam", "RMSprop")}
_MOVED["TFOptimizer"] = "optimizers/tf1.py"
# What Keras 2 called, and Keras 3, or its training loop with TensorFlow, does not.
_NEVER_CALLED = {
    "get_gradients", "get_updates", "scale_loss", "minimize", "compute_gradients", "stateless_apply",
    "_create_slots", "_create_all_weights", "_prepare", "_prepare_local", "_compute_gradients", "_aggregate_gradients",
    "_transform_gradients", "_resource_apply_dense", "_resource_apply_sparse", "_apply_dense", "_apply_sparse",
}  # fmt: skip
_MODULES_OF_KERAS_2 = re.compile(rb"\bkeras\.(?:optimizers\.legacy|optimizer_v[12]|legacy)\b")
SMALL = (keras.Variable(tf.ones((4, 3)), name="kernel"), keras.Variable(tf.ones((3,)), name="bias"))


def check_optimizer(entry: OptimizerEntry, where: str, weights: Sequence[keras.Variable], jit_compile: bool) -> None:
    """Build an optimizer and let it take steps, so that what fails in a training fails here.

    Args:
        entry: of the optimizer.
        where: file and key path of the entry, for messages.
        weights: trainable variables of the network; they move.
        jit_compile: the training will be compiled with XLA.

    Raises:
        ParametersError: as `optimizers.build`; for what is written for Keras 2; for whatever a step raises; for a class
            from a file, if a step could not be traced once and serve a whole training, or if its state starts
            differently at one seed.
    """
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
        start = _state(optimizer)
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
        same = [np.array_equal(*pair, equal_nan=True) for pair in zip(start, _state(again), strict=True)]
        if not all(same) or traced.text_of(graph) != traced.text_of(_trace(again, small)):
            raise ParametersError(f"{where}: {entry.class_name} starts differently at one seed; {traced.SEEDED}")


def _refuse_keras_2(entry: OptimizerEntry, where: str) -> None:
    """Refuse what is written for Keras 2 by its text, since running it ends in an error that does not say so.

    A method that Keras 3 never calls would have no effect, and the optimizer would train as another one.
    """
    if not entry.file:
        if "lr" in entry.config:
            raise ParametersError(f"{where}.config.lr: Keras 3 calls it learning_rate")
        _, prefix, moved = entry.class_name.partition("keras2>")
        if prefix:
            known = f"file: {_MOVED[moved]}, class_name: {moved}" if moved in _MOVED else "a file and its class"
            raise ParametersError(f"{where}.class_name: expected {known}, got {entry.class_name!r}")
        return
    try:
        text = Path(entry.file).read_bytes()
        classes = {node.name: node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ClassDef)}
    except (OSError, SyntaxError, ValueError):
        return  # `optimizers.build` tells
    family = [entry.class_name]  # the class, and those of the file that it builds on
    for name in family:
        bases = classes[name].bases if name in classes else []
        family += [base.id for base in bases if isinstance(base, ast.Name) and base.id not in family]
    members = [part for name in family if name in classes for part in classes[name].body]
    found = sorted({part.name for part in members if isinstance(part, ast.FunctionDef)} & _NEVER_CALLED)
    found += sorted({module.decode() for module in _MODULES_OF_KERAS_2.findall(text)})
    if found:
        today = "build(self, variables), update_step(self, gradient, variable, learning_rate) and get_config(self)"
        raise ParametersError(
            f"{where}.file: {entry.file} has {', '.join(found)}, which Keras 3 never calls: an optimizer of Keras 3"
            f" defines {today}"
        )


def is_scalable(entry: OptimizerEntry, where: str) -> bool:
    """Tell whether an optimizer moves otherwise at twice its learning rate.

    Every class of Keras does. One from a file takes a few steps to show it: a rule may have no learning rate, or keep
    it where nobody can scale it.

    Args:
        entry: of an optimizer that can be built and take a step.
        where: file and key path of the entry, for messages.
    """
    rate = optimizers.build(entry, where)._learning_rate  # Keras gives its schedule no public name
    if not isinstance(rate, keras.Variable | keras.optimizers.schedules.LearningRateSchedule):
        return False
    return not entry.file or not np.array_equal(*(_moved(entry, where, factor) for factor in (1.0, 2.0)))


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


def _state(optimizer: keras.optimizers.Optimizer) -> list[np.ndarray]:
    return [variable.numpy() for variable in optimizer.variables]


def _moved(entry: OptimizerEntry, where: str, factor: float) -> np.ndarray:
    """Return weights that began at 1 after a few steps with a falling gradient, at a factor on the learning rate."""
    optimizer, weight = optimizers.scale(optimizers.build(entry, where), factor), keras.Variable(tf.ones((2, 2)))
    for step in range(1, _SCALED_STEPS * (optimizer.gradient_accumulation_steps or 1) + 1):
        optimizer.apply_gradients([(tf.fill((2, 2), 1 / step), weight)])
    return weight.numpy()
