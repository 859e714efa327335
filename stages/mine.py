"""Writes params.yaml for your data set and your network, tries them, and prints what to run next.

Usage: make mine DATA=data/own.npz [NETWORK=networks/mine.py] [CONFIG='units: 16']
                 [OPTIMIZER=optimizers/mine.py] [OPTIMIZER_CONFIG='learning_rate: 0.01']
       python -m stages.mine DATA [--network NETWORK] [--config CONFIG] ...        (the same, without make)

DATA is an .npz or .csv file. NETWORK has a function build(input_shape, classes, ...); without it, the network of
params.yaml stays. OPTIMIZER adds an entry. CONFIG and OPTIMIZER_CONFIG set arguments: all those without a default.
"""

import argparse
import inspect
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from tabulate import tabulate

from descent.core import parameters, process, user_code
from descent.core.parameters import InputError
from descent.core.write_parameters import with_values
from descent.data import datasets
from descent.data import settings as data_settings
from descent.data.settings import DataParameters, DatasetInfo
from descent.training.settings import NetworkEntry, OptimizerEntry, OptimizerName, Optimizers

PARAMETERS = Path("params.yaml")
SECTIONS = {  # that are changed; `dict` where the values do not matter here
    "network": NetworkEntry,
    "optimizers": Optimizers,
    **dict.fromkeys(("download", "data", "training", "tuning", "report"), dict[str, Any]),
}
STEPS = 1280  # of a run in the committed comparison, and in the tutorial: 20 epochs of 64 batches
LARGEST_BATCH = 128  # likewise
SMALLEST_BATCH = 8
FEWEST_BATCHES = 16  # in an epoch; the batch size is halved until there are as many
FEWEST_EPOCHS = 5
SELECTION_SHARE = 8  # an eighth of the training examples chooses learning rates: few, for they do not train
MOST_EXAMPLES = 10_000  # that validate, and that choose learning rates
TUTORIAL_NOTE, NOTE = "Defaults of 2018, learning rates untuned", "Learning rates untuned"
FEW_EXAMPLES = 100  # with fewer, one validation example is more than a percentage point
MOSTLY = 0.8  # share of the largest class from which the accuracy says little of the others
MOST_BYTES_IN_GIT = 10 * 2**20

Choice = tuple[str, Any, str]  # a key of params.yaml, such as data.train_size; its value; the reason


@parameters.end_with_message
def main() -> None:
    """Choose the values, write them, run `check`; put params.yaml back if anything is rejected."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?")
    for name in ("network", "config", "optimizer", "optimizer-config"):
        parser.add_argument(f"--{name}", default="")
    options = parser.parse_args()
    if not options.data:
        raise InputError(__doc__.partition("\n\n")[2])
    sections = {key: parameters.read(PARAMETERS, key, schema) for key, schema in SECTIONS.items()}
    paths = (options.data, options.network or sections["network"].file, options.optimizer)
    data, network, optimizer = (path and os.path.relpath(path) for path in paths)
    facts = datasets.info(datasets.read(Path(data)))
    choices = choose_sizes(data, facts)
    if sections["report"].get("note") == TUTORIAL_NOTE:
        choices.append(("report.note", NOTE, "first words of the report"))
    for name, entry in sections["optimizers"].items():
        raced = [key for key in ("runs", "tuned_runs") if getattr(entry, key)]
        choices += [(f"optimizers.{name}.{key}", None, "a race on other data wrote it") for key in raced]
    process.load_tensorflow("mine")
    choices += choose_network(network, options.config, sections["network"])
    if optimizer:
        choices.append(choose_optimizer(optimizer, options.optimizer_config, sections["optimizers"]))
    rows = [(key, _shown(value), reason) for key, value, reason in choices]
    print(tabulate(rows, headers=("params.yaml", "value", "why"), disable_numparse=True), flush=True)
    values = {key: value for key, value, _ in choices}
    for hint in hints(facts, values["data.validation_size"], sections["training"].get("score", "accuracy")):
        print(hint, flush=True)
    is_new = _write_and_check(values)
    print("params.yaml: written; to undo: git checkout params.yaml" if is_new else "params.yaml: nothing to change")
    kept = [data]
    if Path(data).stat().st_size > MOST_BYTES_IN_GIT:
        print(f"To keep the data set: dvc add {data}")
        kept = [f"{data}.dvc", str(Path(data).with_name(".gitignore"))]
    print("To commit: git add", *filter(None, ("params.yaml", *kept, network, optimizer)))
    print("Next: make repro")


def choose_sizes(file: str, facts: DatasetInfo) -> list[Choice]:
    """Choose how many examples train, validate and choose learning rates, for how long they train, and the target."""
    sizes = facts.sizes
    trainable, evaluable = sizes["train"], sizes.get("validation", sizes["test"])
    spared = 0 if "selection" in sizes else max(1, min(MOST_EXAMPLES, trainable // SELECTION_SHARE))
    train = min(trainable - spared, STEPS // FEWEST_EPOCHS * LARGEST_BATCH)
    batch = LARGEST_BATCH
    while batch > SMALLEST_BATCH and train < FEWEST_BATCHES * batch:
        batch //= 2
    fewer = f"{LARGEST_BATCH} gives fewer than {FEWEST_BATCHES} batches an epoch"
    reason = "as in the committed comparison" if batch == LARGEST_BATCH else fewer
    batch = min(batch, train)
    train -= train % batch  # an epoch that ends in a small batch ends in a noisy step
    steps = train // batch
    epochs = max(FEWEST_EPOCHS, round(STEPS / steps))
    selection = min(MOST_EXAMPLES, sizes.get("selection", trainable - train))
    validation = max(1, min(MOST_EXAMPLES, evaluable if "validation" in sizes else evaluable // 2))
    test = sizes["test"] if "validation" in sizes else evaluable - validation

    values = {"file": file, "train_size": train, "validation_size": validation}
    section = parameters.validate(values, DataParameters, f"{PARAMETERS}: data")
    labels = data_settings.cut(facts.labels(), section)["validation"]
    largest, share = data_settings.largest_class(labels, facts.names())
    target = round((1 + share) / 2, 3)
    reached = f"halfway between {share:.3f} (always answering {largest}) and 1"
    return [
        ("download", {}, "your data set is here"),
        ("data.file", file, f"{facts.classes} classes, examples {list(facts.shape)}"),
        ("data.train_size", train, f"of {trainable}: {steps} batches of {batch}"),
        ("data.validation_size", validation, f"of {evaluable}; {test} others test"),
        ("tuning.selection_size", selection, "kept from training: make tune chooses rates on them"),
        ("training.batch_size", batch, reason),
        ("training.epochs", epochs, f"{epochs * steps} update steps; the committed comparison has {STEPS}"),
        ("training.last_epochs", max(1, epochs // 4), "a quarter: their mean validation score counts"),
        ("training.target_val_accuracy", target if target > share else 1.0, reached),
    ]


def hints(facts: DatasetInfo, validation_size: int, score: str) -> list[str]:
    """Return a line for each thing about this data set that the user should know or may want to change."""
    lines = []
    if validation_size < FEW_EXAMPLES and score != "loss":
        one = f"{100 / validation_size:.1f} percentage points"
        lines.append(f"One validation example is about {one}: small differences cannot be seen")
    largest, share = data_settings.largest_class(facts.labels()["train"], facts.names())
    if share >= MOSTLY and score == "accuracy":
        lines.append(f"{share:.1%} of the examples are {largest}: consider training.score: balanced_accuracy")
    return lines


def choose_network(file: str, given: str, entry: NetworkEntry) -> list[Choice]:
    """Choose file and config of the network: values that are given, else those of params.yaml, else defaults."""
    build = getattr(user_code.load(file, "NETWORK"), "build", None)
    if not callable(build):
        raise InputError(f"NETWORK: {file}: expected a function build(input_shape, classes, ...), got none")
    takes = list(inspect.signature(build).parameters.values())[2:]
    kept = entry.config if entry.file == file else {}
    config = _config(takes, given, kept, f"{file}: build", "CONFIG")
    return [
        ("network.file", file, "its build makes the network"),
        ("network.config", config, "the arguments of build"),
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
    return f"optimizers.{name}", values, "the arguments of __init__"


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
    varying = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    takes_any = any(argument.kind is argument.VAR_KEYWORD for argument in takes)
    defaults = {argument.name: argument.default for argument in takes if argument.kind not in varying}
    values = {name: value for name, value in kept.items() if name in defaults or takes_any} | values
    if missing := [name for name, value in defaults.items() if value is inspect.Parameter.empty and name not in values]:
        wanted = ", ".join(f"{name}: VALUE" for name in missing)
        raise InputError(f"{who} has no default for {', '.join(missing)}; add {option}='{wanted}'")
    for name, default in defaults.items():
        with suppress(TypeError, ValueError):
            if name not in values and default is not None:
                values[name] = json.loads(json.dumps(default, allow_nan=False))
    return values


def _write_and_check(values: Mapping[str, Any]) -> bool:
    """Write params.yaml, and let `check` try network and optimizers; tell whether the file changed.

    Raises:
        InputError: if `check` rejects something, which it prints; params.yaml is as it was before.
    """
    old = PARAMETERS.read_bytes()
    new = with_values(old.decode(), values).encode()
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
    text = value if isinstance(value, str) else json.dumps(value, default=str).replace('"', "")
    return textwrap.shorten(text, 60, placeholder=" ...")


if __name__ == "__main__":
    main()
