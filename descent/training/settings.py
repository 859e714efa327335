"""The sections `training`, `network` and `optimizers` of params.yaml; without Keras, which the report does not need."""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, JsonValue, model_validator
from pydantic_core import PydanticCustomError

from descent.core import parameters
from descent.core.parameters import NotNegative, ParametersError, Positive, Section
from descent.core.user_code import PythonFile

Runs = Annotated[int, Field(ge=1, le=1000)]  # with seeds 0, 1, 2, ...


class TrainingParameters(Section):
    """The section `training`: how long every run trains, and how it is judged."""

    epochs: Annotated[int, Field(ge=1, le=1_000_000)]
    batch_size: Annotated[int, Field(ge=1, lt=2**31)]
    runs: Runs  # of each optimizer; its entry may name more
    last_epochs: Annotated[int, Field(ge=1)]
    score: Literal["accuracy", "balanced_accuracy", "loss"] = "accuracy"  # what compares (`metrics.SCORES`)
    target_val_accuracy: Annotated[float, Field(gt=0, le=1)]

    @model_validator(mode="after")
    def _last_epochs_exist(self) -> "TrainingParameters":
        if self.last_epochs > self.epochs:
            context = {"key": "last_epochs", "epochs": self.epochs}
            raise PydanticCustomError("relation", "expected 1 to epochs, {epochs}", context)
        return self


def refuse_large_batches(settings: TrainingParameters, train_size: int, where: str) -> None:
    """Raise ParametersError if a batch would hold more images than there are; `where` is the section's key path."""
    if settings.batch_size > train_size:
        expected = f"expected 1 to data.train_size, {train_size}"
        raise ParametersError(f"{where}.batch_size: {expected}, got {settings.batch_size}")


def _in_folder(folder: str) -> AfterValidator:
    """Annotate a Python file in the folder on which the stage `check` depends; others could change without a rerun."""

    def check(file: str) -> str:
        if not file.startswith(f"{folder}/"):
            raise PydanticCustomError("folder", "expected a Python file in the folder {folder}/", {"folder": folder})
        return file

    return AfterValidator(check)


class NetworkEntry(Section):
    """The section `network`: a Python file with a function `build`, and the arguments that it gets."""

    file: Annotated[PythonFile, _in_folder("networks")]
    config: dict[str, JsonValue]


def _check_name(name: str) -> str:
    # The name becomes part of commands, of a stage's name and of file names; a dot would end a key path.
    if not re.fullmatch("[A-Za-z0-9_-]{1,100}", name):
        raise PydanticCustomError("name", "expected a name of letters, digits, - and _, at most 100")
    return name


RuleFile = Annotated[PythonFile, _in_folder("optimizers")]
OptimizerName = Annotated[str, AfterValidator(_check_name)]


class OptimizerEntry(Section):
    """An optimizer in Keras' own form; whether the class exists and takes this config, only Keras can say."""

    model_config = ConfigDict(allow_inf_nan=True)  # a default may be infinite

    class_name: str
    config: dict[str, JsonValue]
    file: RuleFile | None = None  # that defines the class, from the repository's root; else it is one of Keras
    runs: Runs | None = None  # where it trains more than training.runs
    tuned_runs: Runs | None = None  # the same at its tuned learning rate, in the study


class ScheduleEntry(Section):
    """A learning-rate schedule in Keras' serialised form; `module` and `registered_name` may be left out."""

    class_name: str
    config: dict[str, Any]
    module: Literal["keras.optimizers.schedules"] = "keras.optimizers.schedules"
    registered_name: None = None


_MOST = 100  # a figure has a row for each
Optimizers = Annotated[dict[OptimizerName, OptimizerEntry], Field(min_length=1, max_length=_MOST)]

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


def read_optimizer(path: str | Path, name: str) -> OptimizerEntry:
    """Read one optimizer, and no other, from the section `optimizers`.

    Raises:
        ParametersError: if there is no such entry, or it is wrong.
    """
    entries = parameters.read(path, "optimizers", dict[Any, Any])
    if name not in entries:
        there = ", ".join(map(str, entries)) or "none"
        raise ParametersError(f"{path}: optimizers: expected one of {there}, got {name!r}")
    return parameters.validate({name: entries[name]}, Optimizers, f"{path}: optimizers")[name]


ENTRIES = Path("results/rules/optimizers.json")
NETWORK = Path("results/network.json")  # the number of parameters of the network, for the report


def entries_json(optimizers: Mapping[str, OptimizerEntry]) -> bytes:
    """Write what decides the steps of every optimizer, for stages that shall not rerun where only `runs` changed."""
    entries = {name: entry.model_dump(exclude={"runs", "tuned_runs"}) for name, entry in sorted(optimizers.items())}
    return (json.dumps(entries, indent=2) + "\n").encode()


def read_entries() -> dict[str, OptimizerEntry]:
    """Read what `entries_json` wrote."""
    return parameters.validate(json.loads(ENTRIES.read_bytes()), Optimizers, str(ENTRIES))


def rule_path(name: str) -> Path:
    """Where the stage `check` writes the code of an optimizer's class."""
    return Path("results/rules", f"{name}.py")


def rule(entry: OptimizerEntry) -> bytes:
    """Return the code of an optimizer's rule: the text of its file, or a line that names the class of Keras.

    A training depends on it, but no template of dvc.yaml can name a file that only some entries have: so the stage
    `check` writes the code of each optimizer to results/rules.
    """
    line = f"from keras.optimizers import {entry.class_name}\n"
    return Path(entry.file).read_bytes() if entry.file else line.encode()


def refuse_few_runs(optimizers: Mapping[str, OptimizerEntry], training: TrainingParameters, where: str) -> None:
    """Raise ParametersError if an entry asks for fewer runs than all others have; `where`: the section's key path."""
    lines = [
        f"{where}.{name}.{key}: expected at least training.runs, {training.runs}, got {value}"
        for name, entry in optimizers.items()
        for key, value in (("runs", entry.runs), ("tuned_runs", entry.tuned_runs))
        if value is not None and value < training.runs
    ]
    if lines:
        raise ParametersError("\n".join(lines))


def refuse_shared_names(names: Iterable[str], where: str) -> None:
    """Raise ParametersError for names that differ in case only: some systems keep one file for both."""
    first: dict[str, str] = {}
    for name in names:
        other = first.setdefault(name.lower(), name)
        if other != name:
            raise ParametersError(f"{where}: {other} and {name}: expected names that differ, and not by case alone")


def refuse_values(optimizers: Mapping[str, OptimizerEntry], where: str) -> None:
    """Raise ParametersError for hyperparameters that no class could take."""
    faults: list[str] = []
    for name, entry in optimizers.items():
        for key, value in entry.config.items():
            if key in RANGES and not isinstance(value, dict):  # a schedule, which Keras knows
                with parameters.gathered(faults):
                    parameters.validate(value, RANGES[key], f"{where}.{name}.config.{key}")
    if faults:
        raise ParametersError("\n".join(faults))
