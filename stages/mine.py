"""Writes params.yaml for your data set and your network, tries them, and prints what to run next.

Usage: make mine DATA=data/own.npz [NETWORK=networks/mine.py] [CONFIG='units: 16']
                 [OPTIMIZER=optimizers/mine.py] [OPTIMIZER_CONFIG='learning_rate: 0.01']
       python -m stages.mine DATA [--network NETWORK] [--config CONFIG] ...        (the same, without make)

DATA is an .npz or .csv file. NETWORK has a function build(input_shape, classes, ...); without it, the network of
params.yaml stays. OPTIMIZER adds an entry. CONFIG and OPTIMIZER_CONFIG name values for arguments without a default.
"""

import argparse
import inspect
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from tabulate import tabulate

from descent.core import parameters, process, user_code
from descent.core.parameters import InputError
from descent.data import datasets
from descent.data import settings as data_settings
from descent.data.settings import DataParameters, DatasetInfo
from descent.editing import parameters_file
from descent.training.settings import NetworkEntry, OptimizerEntry, OptimizerName, Optimizers

USAGE = """usage: make mine DATA=data/own.npz [NETWORK=networks/mine.py]
DATA is an .npz or .csv file (docs/own.md). Without NETWORK, the network of params.yaml stays: first networks/mlp.py"""
PARAMETERS = Path("params.yaml")
SECTIONS = {  # that are changed, and as far as their values count here
    "network": NetworkEntry,
    "optimizers": Optimizers,
    **dict.fromkeys(("download", "data", "training", "tuning", "report"), dict[str, Any]),
}
STEPS = 1280  # of the tutorial: 20 epochs of 64 batches
LARGEST_BATCH = 128  # the tutorial's
SMALLEST_BATCH = 8
FEWEST_BATCHES = 16  # in an epoch; the batch size is halved until there are as many
FEWEST_EPOCHS = 5
MOST_EXAMPLES = 10_000  # that validate, and that choose learning rates
TUTORIAL_NOTE, NOTE = "Defaults of 2018, learning rates untuned", "Learning rates untuned"
MOST_BYTES_IN_GIT = 10 * 2**20


class Choice(NamedTuple):
    """A value for a key of params.yaml, such as data.train_size."""

    key: str
    value: Any  # None removes the key
    reason: str


@parameters.end_with_message
def main() -> None:
    """Choose the values, write them, run `check`; put params.yaml back if anything is refused."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?")
    for name in ("network", "config", "optimizer", "optimizer-config"):
        parser.add_argument(f"--{name}", default="")
    options = parser.parse_args()
    if not options.data:
        raise InputError(USAGE)
    sections = {key: parameters.read(PARAMETERS, key, schema) for key, schema in SECTIONS.items()}
    paths = (options.data, options.network or sections["network"].file, options.optimizer)
    data, network, optimizer = (path and os.path.relpath(path) for path in paths)
    facts = datasets.info(datasets.read(Path(data)))
    choices = [Choice("download", {}, "your data set is here"), *choose_sizes(data, facts)]
    if sections["report"].get("note") == TUTORIAL_NOTE:
        choices.append(Choice("report.note", NOTE, "instead of the tutorial's"))
    process.load_tensorflow("mine")
    choices += choose_network(network, options.config, sections["network"])
    if optimizer:
        choices.append(choose_optimizer(optimizer, options.optimizer_config, sections["optimizers"]))
    if (data, network) != (sections["data"].get("file"), sections["network"].file):
        choices += [
            Choice(f"optimizers.{name}.{key}", None, "of a race with another data set or network")
            for name, entry in sections["optimizers"].items()
            for key in ("runs", "tuned_runs")
            if getattr(entry, key) is not None
        ]
    rows = [(choice.key, _shown(choice.value), choice.reason) for choice in choices]
    print(tabulate(rows, headers=("params.yaml", "value", "why"), disable_numparse=True), flush=True)
    is_new = _write_and_check({choice.key: choice.value for choice in choices})
    print("params.yaml: written; to undo: git checkout params.yaml" if is_new else "params.yaml: nothing to change")
    if Path(data).stat().st_size > MOST_BYTES_IN_GIT:
        print(f"To keep the data set: dvc add {data}")
        kept = [f"{data}.dvc", str(Path(data).with_name(".gitignore"))]
    else:
        kept = [data]
    print("To commit: git add", *filter(None, ("params.yaml", *kept, network, optimizer)))
    print("Next: make repro")


def choose_sizes(file: str, facts: DatasetInfo) -> list[Choice]:
    """Choose how many examples train, validate and choose learning rates, for how long they train, and the target."""
    has_selection, has_validation = "selection" in facts.sizes, "validation" in facts.sizes
    trainable, evaluable = facts.sizes["train"], facts.sizes["validation" if has_validation else "test"]
    spared = 0 if has_selection else max(1, min(MOST_EXAMPLES, trainable // 5))
    train = min(trainable - spared, STEPS // FEWEST_EPOCHS * LARGEST_BATCH)
    batch = LARGEST_BATCH
    while batch > SMALLEST_BATCH and train < FEWEST_BATCHES * batch:
        batch //= 2
    batch = min(batch, train)
    train -= train % batch  # an epoch that ends in a small batch ends in a noisy step
    steps = train // batch
    epochs = max(FEWEST_EPOCHS, round(STEPS / steps))
    selection = min(MOST_EXAMPLES, facts.sizes["selection"] if has_selection else trainable - train)
    validation = max(1, min(MOST_EXAMPLES, evaluable if has_validation else evaluable // 2))
    test = facts.sizes["test"] if has_validation else evaluable - validation

    values = {"file": file, "train_size": train, "validation_size": validation}
    section = parameters.validate(values, DataParameters, f"{PARAMETERS}: data")
    labels = data_settings.cut(facts.labels(), section)["validation"]
    largest, share = data_settings.largest_class(labels, facts.names())
    target = round((1 + share) / 2, 3)
    halved = (
        "the tutorial's" if batch == LARGEST_BATCH else f"{LARGEST_BATCH} gives fewer than {FEWEST_BATCHES} an epoch"
    )
    return [
        Choice("data.file", file, f"{facts.classes} classes, examples {list(facts.shape)}"),
        Choice("data.train_size", train, f"of {trainable}: {steps} whole batches"),
        Choice("data.validation_size", validation, f"of {evaluable}; {test} test"),
        Choice("tuning.selection_size", selection, "they choose learning rates in the study, and do not train"),
        Choice("training.batch_size", batch, halved),
        Choice("training.epochs", epochs, f"{epochs * steps} steps; the tutorial has {STEPS}"),
        Choice("training.last_epochs", max(1, epochs // 4), "a quarter: their mean is compared"),
        Choice(
            "training.target_val_accuracy",
            target if target > share else 1.0,
            f"always answering {largest} reaches {share:.3f}; halfway from there to 1",
        ),
    ]


def choose_network(file: str, given: str, entry: NetworkEntry) -> list[Choice]:
    """Choose the file and the config of the network: values that are given, else those of params.yaml, else defaults.

    Raises:
        InputError: if the file has no function build(input_shape, classes, ...), or an argument has no value.
    """
    build = getattr(user_code.load(file, "NETWORK"), "build", None)
    wanted = f"NETWORK: {file}: expected a function build(input_shape, classes, ...)"
    if not callable(build):
        raise InputError(f"{wanted}, got none")
    takes = list(inspect.signature(build).parameters.values())
    if len(takes) < 2 or any(argument.kind > argument.POSITIONAL_OR_KEYWORD for argument in takes[:2]):
        raise InputError(f"{wanted}, got build{inspect.signature(build)}")
    kept = entry.config if entry.file == file else {}
    config = _config(takes[2:], given, kept, f"{file}: build", "CONFIG")
    return [
        Choice("network.file", file, "its build makes the network"),
        Choice("network.config", config, "the arguments of build"),
    ]


def choose_optimizer(file: str, given: str, entries: Mapping[str, OptimizerEntry]) -> Choice:
    """Choose the entry of an optimizer, which is named as its file, likewise."""
    module = user_code.load(file, "OPTIMIZER")
    import keras  # `main` loaded it

    rules = [value for value in vars(module).values() if inspect.isclass(value) and value.__module__ == file]
    rules = [rule for rule in rules if issubclass(rule, keras.optimizers.Optimizer)]
    if len(rules) != 1:
        got = ", ".join(rule.__name__ for rule in rules) or "none"
        raise InputError(f"OPTIMIZER: {file}: expected one subclass of keras.optimizers.Optimizer, got {got}")
    [rule], name = rules, parameters.validate(Path(file).stem, OptimizerName, f"OPTIMIZER: {file}")
    entry = entries.get(name, OptimizerEntry(file=file, class_name=rule.__name__, config={}))
    if entry.file != file:
        raise InputError(f"OPTIMIZER: {file}: params.yaml has another optimizer {name}; rename the file")
    takes = [argument for argument in inspect.signature(rule).parameters.values() if argument.name != "name"]
    config = _config(takes, given, entry.config, f"{file}: {rule.__name__}", "OPTIMIZER_CONFIG")
    values = {"file": file, "class_name": rule.__name__} | entry.model_dump(exclude_none=True) | {"config": config}
    return Choice(f"optimizers.{name}", values, "the arguments of __init__")


def _config(
    takes: list[inspect.Parameter], given: str, kept: Mapping[str, Any], who: str, option: str
) -> dict[str, Any]:
    """Find a value for every argument; a default that YAML cannot hold, or None, stays with the function.

    Raises:
        InputError: for an argument without any. One that the function does not take is for `check` to refuse.
    """
    try:
        values = YAML(typ="safe").load(f"{{{given}}}")
    except YAMLError:
        values = {"": None}
    if not all(str(name).isidentifier() for name in values):
        raise InputError(f"{option}: expected 'NAME: VALUE, ...', got {given!r}")
    takes_any = any(argument.kind is argument.VAR_KEYWORD for argument in takes)
    takes = [argument for argument in takes if argument.kind not in (argument.VAR_POSITIONAL, argument.VAR_KEYWORD)]
    named = {argument.name: argument.default for argument in takes}
    values = {name: value for name, value in kept.items() if name in named or takes_any} | values
    if missing := [name for name in named if named[name] is inspect.Parameter.empty and name not in values]:
        wanted = ", ".join(f"{name}: VALUE" for name in missing)
        raise InputError(f"{who} has no default for {', '.join(missing)}; add {option}='{wanted}'")
    defaults = {name: _plain(default) for name, default in named.items() if name not in values}
    return values | {name: default for name, default in defaults.items() if default is not None}


def _plain(default: Any) -> Any:
    try:
        return json.loads(json.dumps(default, allow_nan=False))
    except (TypeError, ValueError):
        return None


def _write_and_check(values: Mapping[str, Any]) -> bool:
    """Write params.yaml, and let `check` try network and optimizers; tell whether the file changed.

    Raises:
        InputError: if `check` rejects something, which it prints; params.yaml is as it was before.
    """
    old = PARAMETERS.read_bytes()
    new = parameters_file.with_values(old.decode(), values).encode()
    if new != old:
        process.write_file(PARAMETERS, new)
    is_accepted = False
    try:
        is_accepted = subprocess.run([sys.executable, "-m", "stages.check"], check=False).returncode == 0
    finally:
        if not is_accepted:
            process.write_file(PARAMETERS, old)
    if not is_accepted:
        raise InputError("params.yaml is as it was: check rejects the values above")
    return new != old


def _shown(value: Any) -> str:
    if value is None:
        return "(removed)"
    text = value if isinstance(value, str) else json.dumps(value, default=str).replace('"', "")
    return textwrap.shorten(text, 60, placeholder=" ...")


if __name__ == "__main__":
    main()
