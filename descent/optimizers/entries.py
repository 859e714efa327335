"""The optimizers of params.yaml: how an entry looks, which values it may hold, where it stands. Without Keras."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, JsonValue
from pydantic_core import PydanticCustomError

from descent import parameters
from descent.own import PythonFile
from descent.parameters import NotNegative, ParametersError, Positive, Section

# `keras2>Name` is the class Name of descent/optimizers/keras2/name.py.
KERAS2 = ("Adagrad", "Nadam", "RMSprop", "TFOptimizer")


def _check_name(name: str) -> str:
    # The name becomes part of commands, of a stage's name and of file names; a dot would end a key path.
    if not re.fullmatch("[A-Za-z0-9_-]{1,100}", name):
        raise PydanticCustomError("name", "expected a name of letters, digits, - and _, at most 100")
    return name


OptimizerName = Annotated[str, AfterValidator(_check_name)]


class OptimizerEntry(Section):
    """An optimizer in Keras' own form; whether the class exists and takes this config, only Keras can say."""

    class_name: str
    config: dict[str, JsonValue]


class OwnOptimizerEntry(OptimizerEntry):
    """An optimizer of the user's own: `file` is the Python file, from the repository's root, that defines the class."""

    file: PythonFile


class ScheduleEntry(Section):
    """A learning-rate schedule in Keras' serialised form; `module` and `registered_name` may be left out."""

    class_name: str
    config: dict[str, Any]
    module: Literal["keras.optimizers.schedules"] = "keras.optimizers.schedules"
    registered_name: None = None


_MOST = 100  # of either kind; a figure has a row for each
Optimizers = Annotated[dict[OptimizerName, OptimizerEntry], Field(min_length=1, max_length=_MOST)]
OwnOptimizers = Annotated[dict[OptimizerName, OwnOptimizerEntry], Field(max_length=_MOST)]
SECTIONS = {"optimizers": Optimizers, "own_optimizers": OwnOptimizers}

_Fraction = Annotated[float, Field(ge=0, lt=1)]
_Steps = Annotated[int, Field(ge=1, lt=2**31)]

# What a hyperparameter of this name may be in any class of Keras (for native TensorFlow optimizers: beta1, decay, ...).
# Keras itself checks few of them, and trains to nan with the others.
RANGES = {
    "learning_rate": Positive,
    "momentum": Annotated[float, Field(ge=0, le=1)],
    "rho": _Fraction,
    "beta_1": _Fraction,
    "beta_2": _Fraction,
    "beta1": _Fraction,
    "beta2": _Fraction,
    "decay": _Fraction,
    "epsilon": NotNegative,
    "initial_accumulator_value": NotNegative,
    "schedule_decay": NotNegative,
    "weight_decay": NotNegative | None,
    "clipnorm": Positive | None,
    "clipvalue": Positive | None,
    "global_clipnorm": Positive | None,
    "ema_momentum": Annotated[float, Field(ge=0, le=1)],
    "ema_overwrite_frequency": _Steps | None,
    "use_ema": bool,
    "gradient_accumulation_steps": Annotated[int, Field(ge=2, lt=2**31)] | None,
    "loss_scale_factor": None,  # for float16; the gradients would be divided by it, and nothing multiplies the loss
    "adam_lr_ratio": Positive,  # the default of Muon is the integer 1
    "exclude_layers": list[str] | None,
    "ns_steps": Annotated[int, Field(ge=1, le=1000)],  # of Muon; each is written out in the program
    "name": OptimizerName | None,  # part of the names of TensorFlow's operations
    # Learning-rate schedules; a rate may start or end at zero.
    "initial_learning_rate": NotNegative,
    "end_learning_rate": NotNegative,
    "warmup_target": NotNegative | None,
    "values": Annotated[list[NotNegative], Field(min_length=2, max_length=1001)],
    "boundaries": Annotated[list[Annotated[int, Field(ge=0, lt=2**31)]], Field(min_length=1, max_length=1000)],
    "decay_rate": NotNegative,
    "decay_steps": _Steps,
    "first_decay_steps": _Steps,
    "warmup_steps": Annotated[int, Field(ge=0, lt=2**31)],
}


def read_entry(path: str | Path, key: str) -> tuple[str, OptimizerEntry]:
    """Read the optimizer at a key path such as `optimizers.adam` or `own_optimizers.lion`, and no other.

    Returns:
        Its name and its entry.

    Raises:
        ParametersError: if the key path is not of this form, leads to no entry, or to one that is wrong.
    """
    section, _, name = key.partition(".")
    if section not in SECTIONS:
        allowed = " or ".join(f"{known}.NAME" for known in SECTIONS)
        raise ParametersError(f"{path}: expected the key path of an optimizer, {allowed}, got {key!r}")
    entries = parameters.read(path, section, dict[Any, Any])
    if name not in entries:
        there = ", ".join(map(str, entries)) or "none"
        raise ParametersError(f"{path}: {section}: expected one of {there}, got {name!r}")
    return name, parameters.validate({name: entries[name]}, SECTIONS[section], f"{path}: {section}")[name]


def rule(entry: OptimizerEntry) -> str:
    """Return the code of an optimizer's rule where that is descent's own, or a line that names the class of Keras.

    A training depends on it, but no template of dvc.yaml can tell in which file a class is: so the stage `check` writes
    it down for each optimizer.
    """
    if not entry.class_name.startswith("keras2>"):
        return f"# {entry.class_name} of keras.optimizers\n"
    module = entry.class_name.removeprefix("keras2>").lower()
    return (Path(__file__).parent / f"keras2/{module}.py").read_text(encoding="utf-8")


def refuse_shared_names(key_paths: Iterable[str], where: str) -> None:
    """Refuse optimizers of one name, and of names that differ in case only: some systems keep one file for both.

    Args:
        key_paths: those of all optimizers, such as `own_optimizers.lion`.
        where: the file, for messages.
    """
    first: dict[str, str] = {}
    lines = []
    for key_path in key_paths:
        other = first.setdefault(key_path.partition(".")[2].lower(), key_path)
        if other != key_path:
            lines.append(f"{where}: {other} and {key_path}: expected names that differ, and not by case alone")
    if lines:
        raise ParametersError("\n".join(lines))
