"""From an entry of params.yaml to a Keras optimizer, and a factor on its learning rate."""

import inspect
import warnings
from collections.abc import Collection
from pathlib import Path
from types import ModuleType
from typing import Any

import keras
import tensorflow as tf

from descent.core import user_code
from descent.core.parameters import Finite, ParametersError, at, did_you_mean, gathered, validate
from descent.training.settings import RANGES, OptimizerEntry, ScheduleEntry

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


def build(entry: OptimizerEntry, where: str, source: Path | None = None) -> keras.optimizers.Optimizer:
    """Make a fresh optimizer from its entry, with every hyperparameter checked first.

    Args:
        entry: class and config. `class_name` is a class of `keras.optimizers` or, in an entry that names a `file`, of
            that Python file.
        where: file and key path of the entry, for messages.
        source: a copy of that file, to be read in its place.

    Returns:
        An optimizer that has seen no weights yet. The entry is left as it was.

    Raises:
        ParametersError: for an unknown class or hyperparameter, a value outside its range, and whatever else the class
            or its file raises.
    """
    name = entry.class_name
    if entry.file:
        home = user_code.load(entry.file, f"{where}.file", source)
        return _make(home, name, keras.optimizers.Optimizer, entry.config, where)
    if name in REFUSED:
        raise ParametersError(f"{where}.class_name: {name} cannot be compared: {REFUSED[name]}")
    return _make(keras.optimizers, name, keras.optimizers.Optimizer, entry.config, where)


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

    with user_code.refused(explain), warnings.catch_warnings():
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
    if type(value) is type(default) and value == default:  # such as infinity
        return value
    return validate(value, _TYPES.get(type(default), Any), where)


class Scaled(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule times a factor at every step; the factor is a variable, so that one program serves every factor."""

    def __init__(self, schedule: keras.optimizers.schedules.LearningRateSchedule, factor: float):
        self.schedule, self.factor = schedule, tf.Variable(factor, trainable=False, dtype="float32")

    def __call__(self, step):
        """Return the learning rate of a step."""
        return self.factor * self.schedule(step)

    def get_config(self):
        """Return the arguments."""
        return {"schedule": self.schedule, "factor": float(self.factor)}


def scale(optimizer: keras.optimizers.Optimizer, factor: float) -> keras.optimizers.Optimizer:
    """Multiply the learning rate of an optimizer that has seen no weights yet; returns the same optimizer."""
    rate = optimizer._learning_rate  # Keras gives its schedule no public name
    if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
        optimizer.learning_rate = Scaled(rate, factor)
    elif factor != 1:
        optimizer.learning_rate = factor * float(rate)
    return optimizer


def factor_variables(optimizer: keras.optimizers.Optimizer) -> list[tf.Variable]:
    """The factor of a schedule that `scale` wrapped, which Keras does not list; else nothing."""
    rate = optimizer._learning_rate
    return [rate.factor] if isinstance(rate, Scaled) else []


def rate_of(optimizer: keras.optimizers.Optimizer) -> float:
    """The learning rate of an optimizer; nan for a schedule, and for a rule that has none."""
    rate = optimizer._learning_rate
    return float(rate) if isinstance(rate, keras.Variable) else float("nan")
