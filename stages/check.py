"""Checks all of params.yaml, before DVC removes or trains anything: every other stage depends on what this one leaves.

Usage: python -m stages.check
"""

from pathlib import Path
from typing import Any

from descent import apart, files, parameters
from descent.data import datasets
from descent.data import settings as data_settings
from descent.data.download import Downloads
from descent.data.settings import Facts
from descent.optimizers import entries
from descent.optimizers.entries import OptimizerEntry
from descent.report.settings import Conditions
from descent.training.settings import NetworkEntry, refuse_large_batches
from descent.trajectories.settings import TrajectoryParameters
from descent.tuning.settings import TuningParameters, refuse_shared_seeds

SECTIONS = {
    "download": Downloads,
    **Conditions.__annotations__,
    "trajectories": TrajectoryParameters,
    "tuning": TuningParameters,
}
TRIAL_SECONDS = 120  # for one entry, on a machine that is busy
CHECKED = "params.yaml was understood: no other stage starts before this file is there, since each depends on it.\n"


@parameters.end_with_message
def main() -> None:
    """Read every section, try the network and every optimizer; leave mark and rules, or tell all faults at once."""
    faults, read, cases = understand()
    with parameters.gathered(faults):
        apart.refuse(attempt, cases, TRIAL_SECONDS)
    if faults:
        raise parameters.ParametersError("\n".join(faults))
    for name, entry in read["optimizers"].items():
        files.write(Path("results/rules", f"{name}.txt"), entries.rule(entry).encode())
    files.write(Path("results/checked.txt"), CHECKED.encode())
    optimizers = f"{len(read['optimizers']) + len(read['own_optimizers'])} optimizers"
    runs = f"{len(read['training'].seeds)} seeds of {read['training'].epochs} epochs"
    print(f"params.yaml: {optimizers}, {runs}, {read['network'].file}: understood")


def understand() -> tuple[list[str], dict[str, Any], dict[str, tuple]]:
    """Read all of params.yaml, without Keras and without running any code of the user's.

    Returns:
        What is wrong, line by line; the sections that were understood, by name; and what is to be tried, each entry by
        where it stands, as arguments of `attempt`.
    """
    faults, read = [], {}
    with parameters.gathered(faults):
        parameters.refuse_unknown_sections("params.yaml", SECTIONS)
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
    if facts:
        with parameters.gathered(faults):
            data_settings.refuse_sizes(read["data"], facts, "params.yaml")
        if "tuning" in read:
            with parameters.gathered(faults):
                data_settings.refuse_selection(read["tuning"].selection_size, read["data"], facts, "params.yaml")
    if {"training", "tuning"} <= read.keys():
        with parameters.gathered(faults):
            refuse_shared_seeds(read["tuning"], read["training"], "params.yaml")
    optimizers = {f"{key}.{name}": entry for key in entries.SECTIONS for name, entry in read.get(key, {}).items()}
    with parameters.gathered(faults):
        entries.refuse_shared_names(optimizers, "params.yaml")
    tried = {"network": read["network"]} if facts and "network" in read else {}
    cases = {
        f"params.yaml: {key}": (f"params.yaml: {key}", entry, facts) for key, entry in (tried | optimizers).items()
    }
    return faults, read, cases


def attempt(where: str, entry: NetworkEntry | OptimizerEntry, facts: Facts) -> None:
    """Raise ParametersError unless the network, or an optimizer, can be built and takes a step."""
    from descent.optimizers import build
    from descent.training import networks
    from descent.tuning import scalable

    if isinstance(entry, NetworkEntry):
        networks.check(entry, facts.shape, facts.classes)
    else:
        build.try_out(entry, where)
        scalable.refuse_unscalable(entry, where)


def _facts(data: data_settings.DataParameters, download: Downloads) -> data_settings.Facts:
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
        return datasets.facts(datasets.read(Path(data.file)))
    except datasets.ArchiveError as error:
        raise parameters.ParametersError(f"params.yaml: data.file: {error}") from None


if __name__ == "__main__":
    main()
