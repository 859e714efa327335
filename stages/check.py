"""Checks all of params.yaml, before DVC removes or trains anything: every other stage depends on what this one leaves.

Usage: python -m stages.check
"""

import math
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from descent.analysis.settings import Conditions, refuse_other_first_look
from descent.core import parameters, process
from descent.data import datasets
from descent.data import settings as data_settings
from descent.data.download import Downloads
from descent.data.settings import DatasetInfo
from descent.study.grid import TuningParameters, refuse_shared_seeds
from descent.training import settings
from descent.training.settings import refuse_large_batches
from descent.trajectories.paths import TrajectoryParameters

SECTIONS = {
    "download": Downloads,
    **Conditions.__annotations__,
    "trajectories": TrajectoryParameters,
    "tuning": TuningParameters,
}
MOVED = {"own_optimizers": "move its entries to optimizers: the section is gone"}
ENDING_SCHEDULES = ("CosineDecay", "PolynomialDecay")  # end after decay_steps
CHECKED = "params.yaml was understood: no other stage starts before this file is there, since each depends on it.\n"


@parameters.end_with_message
def main() -> None:
    """Read every section, try the network and every optimizer; write the mark and the rules, or report all faults.

    What can be known without TensorFlow is reported before it is loaded, in the first second.
    """
    faults, read, facts = understand()
    reported = len(faults)
    print("".join(f"{line}\n" for line in faults), end="", file=sys.stderr, flush=True)
    weights = try_out(read, facts, faults)
    note_files_unknown_to_git(read)
    if reported:
        faults = faults[reported:] or ["Everything else was tried; no other fault was found"]
    if faults:
        raise parameters.ParametersError("\n".join(faults))
    data_settings.warn_of_target(read["data"], facts, read["training"].target_val_accuracy, "params.yaml")
    for name, entry in read["optimizers"].items():
        process.write_file(settings.rule_path(name), settings.rule(entry))
    process.write_file(settings.ENTRIES, settings.entries_json(read["optimizers"]))
    process.write_file(settings.NETWORK, f'{{"parameters": {weights}}}\n'.encode())
    process.write_file(Path("results/checked.txt"), CHECKED.encode())
    training, entries = read["training"], read["optimizers"]
    steps = training.epochs * math.ceil(read["data"].train_size / training.batch_size)
    for name, entry in entries.items():
        schedule = entry.config.get("learning_rate")
        last = schedule["config"].get("decay_steps") if isinstance(schedule, dict) else None
        if last and last < steps and schedule["class_name"] in ENDING_SCHEDULES:
            print(f"params.yaml: optimizers.{name}: its learning rate stops changing after {last} of {steps} steps")
    runs = sum(entry.runs or training.runs for entry in entries.values())
    print(f"params.yaml: {len(entries)} optimizers, {runs} runs of {training.epochs} epochs: understood")


def understand() -> tuple[list[str], dict[str, Any], DatasetInfo | None]:
    """Read all of params.yaml, without Keras and without running any code of the user's.

    Returns:
        What is wrong, line by line; the sections that were understood, by name, and of the optimizers those entries
        that were; and what the data set is like.
    """
    faults, read = [], {}
    with parameters.gathered(faults):
        parameters.refuse_unknown_sections("params.yaml", SECTIONS, MOVED)
    for key, schema in SECTIONS.items():
        with parameters.gathered(faults):
            read[key] = parameters.read("params.yaml", key, schema)
    if {"data", "training"} <= read.keys():
        with parameters.gathered(faults):
            refuse_large_batches(read["training"], read["data"].train_size, "params.yaml: training")
    facts = None
    if {"data", "download"} <= read.keys():
        with parameters.gathered(faults):
            facts = _facts(read["data"], read["download"])
    if facts and "tuning" in read:
        with parameters.gathered(faults):
            data_settings.refuse_sizes(read["data"], read["tuning"].selection_size, facts, "params.yaml")
    if {"training", "race"} <= read.keys():
        with parameters.gathered(faults):
            refuse_other_first_look(read["race"], read["training"], "params.yaml")
    if "optimizers" not in read:
        read["optimizers"] = _sound_optimizers()
    entries = read["optimizers"]
    with parameters.gathered(faults):
        settings.refuse_shared_names(entries, "params.yaml: optimizers")
    if "training" in read:
        with parameters.gathered(faults):
            settings.refuse_few_runs(entries, read["training"], "params.yaml: optimizers")
    if {"race", "tuning"} <= read.keys():
        wanted = [runs for entry in entries.values() for runs in (entry.runs, entry.tuned_runs) if runs]
        with parameters.gathered(faults):
            refuse_shared_seeds(read["tuning"], max(read["race"].looks + wanted), "params.yaml")
    for name, entry in entries.items():
        for key in entry.config.keys() & settings.RANGES.keys():
            if not isinstance(entry.config[key], dict):  # a schedule, which Keras knows
                with parameters.gathered(faults):
                    where = f"params.yaml: optimizers.{name}.config.{key}"
                    parameters.validate(entry.config[key], settings.RANGES[key], where)
    return faults, read, facts


def _sound_optimizers() -> dict[str, settings.OptimizerEntry]:
    """Read the entries that are understood where others are not: they are tried all the same."""
    found = {}
    with suppress(parameters.ParametersError):
        for name in parameters.read("params.yaml", "optimizers", dict[Any, Any]):
            with suppress(parameters.ParametersError):
                found[name] = settings.read_optimizer("params.yaml", name)
    return found


def try_out(read: Mapping[str, Any], facts: DatasetInfo | None, faults: list[str]) -> int | None:
    """Build the network and every optimizer and let them take a step; adds to `faults` what does not train.

    Returns:
        The number of parameters of the network; None without one.
    """
    if not (read.get("optimizers") or (facts and "network" in read)):
        return None
    process.load_tensorflow("check")
    from descent.checks import network_check, optimizer_check
    from descent.training import environment, networks

    environment.configure()
    model = None
    if facts and "network" in read:
        with parameters.gathered(faults):
            model = network_check.check_network(read["network"], facts.shape, facts.classes)
            network_check.check_examples(read["network"], model, facts)
    jit_compile = model is not None and networks.should_jit_compile(model, facts.shape)
    weights = optimizer_check.SMALL if model is None else model.trainable_variables
    for name, entry in read.get("optimizers", {}).items():
        where = f"params.yaml: optimizers.{name}"
        with parameters.gathered(faults):
            optimizer_check.check_optimizer(entry, where, weights, jit_compile)
            if not optimizer_check.is_scalable(entry, where):
                print(f"{where}: no learning rate that scales its steps: compared, and left out of the study")
    return None if model is None else model.count_params()


def note_files_unknown_to_git(read: Mapping[str, Any]) -> None:
    """Print what to add to Git: `dvc repro` does not need that, an experiment in a folder of its own does."""
    files = {entry.file for entry in read.get("optimizers", {}).values() if entry.file}
    files |= {read["network"].file} if "network" in read else set()
    files |= {read["data"].file} if "data" in read and not read["data"].fetched else set()
    files = sorted(file for file in files if Path(file).exists() and not Path(f"{file}.dvc").exists())
    listed = subprocess.run(["git", "ls-files", "--", *files], capture_output=True, text=True, check=False)
    if files and listed.returncode == 0:
        for file in [file for file in files if file not in listed.stdout.splitlines()]:
            print(f"{file}: not in Git, so dvc exp run --temp would not find it: git add {file}")


def _facts(data: data_settings.DataParameters, download: Downloads) -> DatasetInfo:
    """Find what the data set is like: one that is to be fetched is known, one of the user's own is read.

    Raises:
        InputError: if it is of no use; if it cannot come, or another one would come for nothing.
    """
    listed = download.model_dump(exclude_none=True).keys()
    if unused := listed - {data.fetched}:
        names = ", ".join(f"download.{name}" for name in sorted(unused))
        raise parameters.ParametersError(
            f"params.yaml: {names}: remove it, data.file is {data.file!r} and does not need it"
        )
    if data.fetched in listed:
        return data_settings.FETCHED[data.fetched]
    try:
        return datasets.info(datasets.read(Path(data.file)))
    except datasets.ArchiveError as error:
        raise parameters.ParametersError(f"params.yaml: data.file: {error}") from None


if __name__ == "__main__":
    main()
