"""From an entry of params.yaml to a Keras optimizer; and whether that optimizer may train stacked runs."""

import importlib.util
import inspect
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Literal

import keras
import numpy as np
from pydantic import Field

from descent.optimizers import keras2
from descent.parameters import OptimizerEntry, OwnOptimizerEntry, ParametersError, Section, validate

_Fraction = Annotated[float, Field(ge=0, lt=1)]
_NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]

# What a hyperparameter of this name may be in any class of Keras (for native TensorFlow optimizers: beta1, decay, ...).
# Keras itself checks few of them, and trains to nan with the others.
RANGES = {
    "learning_rate": _Positive,
    "momentum": Annotated[float, Field(ge=0, le=1)],
    "rho": _Fraction,
    "beta_1": _Fraction,
    "beta_2": _Fraction,
    "beta1": _Fraction,
    "beta2": _Fraction,
    "decay": _Fraction,
    "epsilon": _NotNegative,
    "initial_accumulator_value": _NotNegative,
    "schedule_decay": _NotNegative,
    "weight_decay": _NotNegative | None,
    "clipnorm": _Positive | None,
    "clipvalue": _Positive | None,
    "global_clipnorm": _Positive | None,
    "ema_momentum": Annotated[float, Field(ge=0, le=1)],
    "ema_overwrite_frequency": Annotated[int, Field(ge=1)] | None,
    "use_ema": bool,
    "gradient_accumulation_steps": Annotated[int, Field(ge=2)] | None,
    "loss_scale_factor": None,  # for float16; the gradients would be divided by it, and nothing multiplies the loss
    "adam_lr_ratio": _Positive,  # the default of Muon is the integer 1
    "exclude_layers": list[str] | None,
    # Learning-rate schedules; a rate may start or end at zero.
    "initial_learning_rate": _NotNegative,
    "end_learning_rate": _NotNegative,
    "warmup_target": _NotNegative | None,
    "values": Annotated[list[_NotNegative], Field(min_length=2)],
    "boundaries": Annotated[list[int], Field(min_length=1)],
    "decay_rate": _NotNegative,
    "decay_steps": Annotated[int, Field(ge=1)],
    "first_decay_steps": Annotated[int, Field(ge=1)],
    "warmup_steps": Annotated[int, Field(ge=0)],
}
# They hold other optimizers, which no plain config can name, and have no rule of their own.
_CONTAINERS = ("LossScaleOptimizer", "MultiOptimizer")
# Any other hyperparameter must be of the type of its default.
_TYPES = {bool: bool, int: int, float: Annotated[float, Field(allow_inf_nan=False)], str: str}


# The trial of `is_elementwise`: a kernel and a bias, as `networks.stacked` shapes them, and gradients of three sizes,
# the last one beyond any threshold at which clipping by a norm would begin.
_SHAPES = [(16, 8), (1, 8)]
_POWERS = [1e-6, 1.0, 1e9]


class ScheduleEntry(Section):
    """A learning-rate schedule in Keras' serialised form; `module` and `registered_name` may be left out."""

    class_name: str
    config: dict[str, Any]
    module: Literal["keras.optimizers.schedules"] = "keras.optimizers.schedules"
    registered_name: None = None


def build(entry: OptimizerEntry, where: str) -> keras.optimizers.Optimizer:
    """Make a fresh optimizer from its entry, with every hyperparameter checked first.

    Args:
        entry: class and config. `class_name` is a class of `keras.optimizers`; or `keras2>Name`, one of
            `descent.optimizers.keras2`; or, in an entry that names a `file`, a class of that Python file.
        where: file and key path of the entry, for messages.

    Returns:
        An optimizer that has seen no weights yet. The entry is left as it was.

    Raises:
        ParametersError: for an unknown class or hyperparameter, or a value outside its range.
    """
    if isinstance(entry, OwnOptimizerEntry):
        home, name = _load(entry.file, where), entry.class_name
    elif entry.class_name.startswith("keras2>"):
        home, name = keras2, entry.class_name.removeprefix("keras2>")
    else:
        home, name = keras.optimizers, entry.class_name
    return _make(home, name, keras.optimizers.Optimizer, entry.config, where)


def _load(file: str, where: str) -> ModuleType:
    if not (Path(file).is_file() and Path(file).suffix == ".py"):
        raise ParametersError(f"{where}.file: expected a Python file that exists (.py), got {file!r}")
    spec = importlib.util.spec_from_file_location(Path(file).stem, file)
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever code of the user's own may raise
        reason = f"{type(error).__name__}: {error}"
        raise ParametersError(f"{where}.file: expected a file that Python can run, got {file!r}: {reason}") from error
    return module


def _make(home: ModuleType, name: str, kind: type, config: dict[str, Any], where: str) -> Any:
    classes = {key: value for key, value in vars(home).items() if inspect.isclass(value) and issubclass(value, kind)}
    for abstract in (kind.__name__, *_CONTAINERS):
        classes.pop(abstract, None)
    if name not in classes:
        there = ", ".join(sorted(classes)) or "none"
        raise ParametersError(f"{where}.class_name: expected one of {there} in {home.__name__}, got {name!r}")
    known = inspect.signature(classes[name]).parameters
    checked = {key: _check(key, value, known, f"{where}.config.{key}") for key, value in config.items()}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # Keras 3 takes `decay` with a warning, and ignores it
            return classes[name].from_config(checked)
    except (TypeError, ValueError, UserWarning) as error:
        named = [key for key in known if key != "name" and known[key].kind is not inspect.Parameter.VAR_KEYWORD]
        reason, allowed = str(error).rstrip("."), ", ".join(named)
        raise ParametersError(f"{where}.config: {reason}. {name} takes {allowed}; got {config!r}") from error


def _check(key: str, value: Any, known: dict[str, inspect.Parameter], where: str) -> Any:
    if key == "learning_rate" and isinstance(value, dict):
        schedule = validate(value, ScheduleEntry, where)
        schedules = keras.optimizers.schedules
        return _make(schedules, schedule.class_name, schedules.LearningRateSchedule, schedule.config, where)
    if key in RANGES:
        return validate(value, RANGES[key], where)
    default = known[key].default if key in known else None
    return validate(value, _TYPES.get(type(default), Any), where)


def is_elementwise(fresh: Callable[[], keras.optimizers.Optimizer]) -> bool:
    """Find out whether an optimizer updates every weight by that weight's own gradients alone.

    If so, one optimizer may train many runs whose weights are stacked along a leading axis, and each run goes as if it
    were alone. Norms and other sums over a tensor (clipnorm, LAMB, Adafactor, Muon) mix the runs. The answer is
    measured, not looked up, so that it holds for an optimizer of the user's own too: two runs whose gradients differ a
    thousandfold take three steps stacked and three steps apart. An optimizer that does not move in these steps, such as
    one whose schedule starts at zero, shows nothing: it counts as not elementwise, which is slower and never wrong.

    Args:
        fresh: makes the optimizer anew; called four times.
    """
    random = np.random.default_rng(0)
    scale = np.array([1.0, 1e3]).reshape(2, 1, 1)
    start = [scale * random.normal(0, 0.01, (2, *shape)) for shape in _SHAPES]
    gradients_per_step = fresh().gradient_accumulation_steps or 1
    powers = [power for power in _POWERS for _ in range(gradients_per_step)]
    gradients = [[power * scale * random.normal(size=(2, *shape)) for shape in _SHAPES] for power in powers]

    def change(cut: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        variables = [keras.Variable(cut(weights), dtype="float32") for weights in start]
        before = [variable.numpy() for variable in variables]
        optimizer = fresh()
        for step in gradients:
            optimizer.apply([keras.ops.convert_to_tensor(cut(g), "float32") for g in step], variables)
        return [variable.numpy() - old for variable, old in zip(variables, before, strict=True)]

    together = change(lambda values: values)
    if not all(np.any(stack) for stack in together):
        return False
    for run in range(2):
        alone = change(lambda values, run=run: np.squeeze(values[run]))
        for stack, one in zip(together, alone, strict=True):
            if not np.allclose(np.squeeze(stack[run]), one, rtol=1e-3, atol=0, equal_nan=True):
                return False
    return True
