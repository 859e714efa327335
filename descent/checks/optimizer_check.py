"""Tries an optimizer before anything is trained: what is accepted here trains, and as Keras alone would train it."""

import warnings
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from descent.core import user_code
from descent.core.parameters import ParametersError
from descent.training import optimizers, traced
from descent.training.settings import OptimizerEntry

# What Keras 2 called, and Keras 3, or its training loop with TensorFlow, does not.
_NEVER_CALLED = {
    "get_gradients", "get_updates", "scale_loss", "minimize", "compute_gradients", "stateless_apply",
    "_create_slots", "_create_all_weights", "_prepare", "_prepare_local", "_compute_gradients", "_aggregate_gradients",
    "_transform_gradients", "_resource_apply_dense", "_resource_apply_sparse", "_apply_dense", "_apply_sparse",
}  # fmt: skip
SMALL = (keras.Variable(tf.ones((4, 3)), name="kernel"), keras.Variable(tf.ones((3,)), name="bias"))


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
