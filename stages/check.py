"""Checks all of params.yaml, before DVC removes or trains anything: every other stage depends on what this one leaves.

Usage: python -m stages.check
"""

import sys
from collections.abc import Mapping
from contextlib import suppress
from inspect import signature
from pathlib import Path
from typing import Any

from descent.analysis.settings import Conditions, refuse_other_first_look
from descent.core import parameters, process
from descent.data import datasets
from descent.data import settings as data_settings
from descent.data.download import Downloads
from descent.data.settings import DataParameters, DatasetInfo
from descent.study.grid import TuningParameters, refuse_shared_seeds
from descent.training import settings
from descent.training.settings import OptimizerEntry
from descent.trajectories.paths import TrajectoryParameters

FILE = "params.yaml"
SECTIONS = {
    "download": Downloads,
    **Conditions.__annotations__,
    "trajectories": TrajectoryParameters,
    "tuning": TuningParameters,
}
# Checks between sections; the arguments name the sections that a check needs, and `facts` of the data set.
RELATIONS = (
    lambda training, data: settings.refuse_large_batches(training, data.train_size, f"{FILE}: training"),
    lambda data, tuning, facts: data_settings.refuse_sizes(data, tuning.selection_size, facts, FILE),
    lambda race, training: refuse_other_first_look(race, training, FILE),
    lambda optimizers: settings.refuse_shared_names(optimizers, f"{FILE}: optimizers"),
    lambda optimizers, training: settings.refuse_few_runs(optimizers, training, f"{FILE}: optimizers"),
    lambda tuning, race, optimizers: refuse_shared_seeds(tuning, max(race.looks + _wanted_runs(optimizers)), FILE),
    lambda optimizers: settings.refuse_values(optimizers, f"{FILE}: optimizers"),
)
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
    if reported:
        faults = faults[reported:] or ["Everything else was tried; no other fault was found"]
    if faults:
        raise parameters.ParametersError("\n".join(faults))
    data, training, entries = read["data"], read["training"], read["optimizers"]
    data_settings.warn_of_target(data, facts, training.target_val_accuracy, FILE)
    for name, entry in entries.items():
        process.write_file(settings.rule_path(name), settings.rule(entry))
    process.write_file(settings.ENTRIES, settings.entries_json(entries))
    process.write_file(settings.NETWORK, f'{{"parameters": {weights}}}\n'.encode())
    process.write_file(Path("results/checked.txt"), CHECKED.encode())
    runs = sum(entry.runs or training.runs for entry in entries.values())
    print(f"{FILE}: {len(entries)} optimizers, {runs} runs of {training.epochs} epochs: understood")


def understand() -> tuple[list[str], dict[str, Any], DatasetInfo | None]:
    """Read all of params.yaml, without Keras and without running any of your code.

    Returns:
        What is wrong, line by line; the sections that were understood, by name, and of the optimizers those entries
        that were; and what the data set is like.
    """
    faults, read = [], {}
    with parameters.gathered(faults):
        parameters.refuse_unknown_sections(FILE, SECTIONS)
    for key, schema in SECTIONS.items():
        with parameters.gathered(faults):
            read[key] = parameters.read(FILE, key, schema)
    if "optimizers" not in read:
        read["optimizers"] = _sound_optimizers()
    known = dict(read)
    if {"data", "download"} <= read.keys():
        with parameters.gathered(faults):
            known["facts"] = _facts(read["data"], read["download"])
    for check in RELATIONS:
        needed = signature(check).parameters.keys()
        if needed <= known.keys():
            with parameters.gathered(faults):
                check(**{name: known[name] for name in needed})
    return faults, read, known.get("facts")


def _sound_optimizers() -> dict[str, OptimizerEntry]:
    """Read the entries that are understood where others are not: they are tried all the same."""
    found = {}
    with suppress(parameters.ParametersError):
        for name in parameters.read(FILE, "optimizers", dict[Any, Any]):
            with suppress(parameters.ParametersError):
                found[name] = settings.read_optimizer(FILE, name)
    return found


def _wanted_runs(optimizers: Mapping[str, OptimizerEntry]) -> list[int]:
    return [runs for entry in optimizers.values() for runs in (entry.runs, entry.tuned_runs) if runs]


def _facts(data: DataParameters, download: Downloads) -> DatasetInfo:
    """Find what the data set is like: one that is to be fetched is known, one of yours is read."""
    if data.fetched in download.model_dump(exclude_none=True):
        return data_settings.FETCHED[data.fetched]
    try:
        return datasets.info(datasets.read(Path(data.file)))
    except datasets.ArchiveError as error:
        raise parameters.ParametersError(f"{FILE}: data.file: {error}") from None


def try_out(read: Mapping[str, Any], facts: DatasetInfo | None, faults: list[str]) -> int | None:
    """Build the network and every optimizer and let them take a step; adds to `faults` what does not train.

    Returns:
        The number of parameters of the network; None without one.
    """
    if not (read.get("optimizers") or (facts and "network" in read)):
        return None
    process.load_tensorflow("check")
    from descent.checks import trial
    from descent.training import environment, networks

    environment.configure()
    model = None
    if facts and "network" in read:
        with parameters.gathered(faults):
            model = trial.check_network(read["network"], facts.shape, facts.classes)
            trial.check_examples(read["network"], model, facts)
    jit_compile = model is not None and networks.should_jit_compile(model, facts.shape)
    weights = trial.SMALL if model is None else model.trainable_variables
    for name, entry in read.get("optimizers", {}).items():
        where = f"{FILE}: optimizers.{name}"
        with parameters.gathered(faults):
            trial.check_optimizer(entry, where, weights, jit_compile)
    return None if model is None else model.count_params()


if __name__ == "__main__":
    main()
