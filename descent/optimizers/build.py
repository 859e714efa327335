"""From an entry of params.yaml to a Keras optimizer."""

import importlib
import inspect
import warnings
from collections.abc import Collection
from types import ModuleType
from typing import Any

import keras
import tensorflow as tf

from descent import own
from descent.optimizers.entries import KERAS2, RANGES, OptimizerEntry, OwnOptimizerEntry, ScheduleEntry
from descent.parameters import Finite, ParametersError, at, did_you_mean, gathered, validate

# Classes of Keras that cannot be compared with the others, and why.
_HOLDS_OTHERS = "it holds other optimizers, which no plain config can name, and has no rule of its own"
REFUSED = {
    "LossScaleOptimizer": _HOLDS_OTHERS,
    "MultiOptimizer": _HOLDS_OTHERS,
    # update_step keeps `momentum.value`, which with TensorFlow is the variable itself, and reads it after the update.
    "ScheduleFreeAdamW": "Keras 3.15 reads its momentum after changing it, so this is not the Schedule-Free method",
}
# A hyperparameter without a range must be of the type of its default.
_TYPES = {bool: bool, int: int, float: Finite, str: str}


def build(entry: OptimizerEntry, where: str) -> keras.optimizers.Optimizer:
    """Make a fresh optimizer from its entry, with every hyperparameter checked first.

    Args:
        entry: class and config. `class_name` is a class of `keras.optimizers`; or `keras2>Name`, one of
            `descent.optimizers.keras2`; or, in an entry that names a `file`, a class of that Python file.
        where: file and key path of the entry, for messages.

    Returns:
        An optimizer that has seen no weights yet. The entry is left as it was.

    Raises:
        ParametersError: for an unknown class or hyperparameter, a value outside its range, and whatever else
            the class or its file raises.
    """
    if isinstance(entry, OwnOptimizerEntry):
        home, name = own.load(entry.file, f"{where}.file"), entry.class_name
    elif entry.class_name.startswith("keras2>"):
        name = entry.class_name.removeprefix("keras2>")
        _expect_class(name, KERAS2, "descent.optimizers.keras2", where)
        home = importlib.import_module(f"descent.optimizers.keras2.{name.lower()}")  # that rule alone
    else:
        home, name = keras.optimizers, entry.class_name
        if name in REFUSED:
            raise ParametersError(f"{where}.class_name: {name} cannot be compared: {REFUSED[name]}")
    return _make(home, name, keras.optimizers.Optimizer, entry.config, where)


def try_out(entry: OptimizerEntry, where: str) -> None:
    """Build an optimizer and let it take one step on two small tensors, so that what fails in a training fails here.

    The step is traced as in a training; that of a class of the user's own is compiled by XLA too.

    Raises:
        ParametersError: as `build`, and for whatever the step raises.
    """
    optimizer = build(entry, where)
    weights = [keras.Variable(tf.ones(shape)) for shape in ((4, 3), (3,))]
    gradients = [tf.ones(weight.shape) for weight in weights]
    compiled = isinstance(entry, OwnOptimizerEntry)
    with own.refused(lambda reason: f"{where}: {entry.class_name} cannot take a step: {reason}"):
        optimizer.build(weights)
        step = tf.function(lambda: optimizer.apply(gradients, weights), autograph=False, jit_compile=compiled)
        step.get_concrete_function()()  # a plain call warns, from the fifth optimizer on, of tracing again and again


def _expect_class(name: str, known: Collection[str], home: str, where: str) -> None:
    if name not in known:
        there, hint = ", ".join(sorted(known)) or "none", did_you_mean(name, known)
        raise ParametersError(f"{where}.class_name: expected one of {there} in {home}, got {name!r}{hint}")


def _make(home: ModuleType, name: str, kind: type, config: dict[str, Any], where: str) -> Any:
    classes = {key: value for key, value in vars(home).items() if inspect.isclass(value) and issubclass(value, kind)}
    for abstract in (kind.__name__, *REFUSED):
        classes.pop(abstract, None)
    _expect_class(name, classes, home.__name__, where)
    known = inspect.signature(classes[name]).parameters
    checked, faults = {}, []
    for key, value in config.items():
        with gathered(faults):
            checked[key] = _check(key, value, known, at(f"{where}.config", key))
    if faults:
        raise ParametersError("\n".join(faults))

    def explain(reason: str) -> str:
        named = [key for key in known if key != "name" and known[key].kind is not inspect.Parameter.VAR_KEYWORD]
        return f"{where}.config: {reason.rstrip('.')}. {name} takes {', '.join(named)}; got {config!r}"

    with own.refused(explain), warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # Keras 3 takes `decay` with a warning, and ignores it
        made = classes[name].from_config(checked)
        if not isinstance(made, kind):
            raise TypeError(f"from_config returned {made!r}")
    return made


def _check(key: str, value: Any, known: dict[str, inspect.Parameter], where: str) -> Any:
    if key == "learning_rate" and isinstance(value, dict):
        schedule = validate(value, ScheduleEntry, where)
        schedules = keras.optimizers.schedules
        return _make(schedules, schedule.class_name, schedules.LearningRateSchedule, schedule.config, where)
    if key in RANGES:
        return validate(value, RANGES[key], where)
    default = known[key].default if key in known else None
    return validate(value, _TYPES.get(type(default), Any), where)
