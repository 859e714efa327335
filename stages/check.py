"""Checks all of params.yaml, before DVC removes or trains anything: every other stage depends on what this one leaves.

Usage: python -m stages.check
"""

from pathlib import Path

from descent import files, parameters, startup
from descent.data.settings import DownloadParameters
from descent.optimizers import entries
from descent.report.settings import Conditions
from descent.training.settings import refuse_large_batches
from descent.trajectories.settings import TrajectoryParameters
from descent.tuning.settings import TuningParameters, refuse_shared_images, refuse_shared_seeds

SECTIONS = {
    "download": DownloadParameters,
    **Conditions.__annotations__,
    "trajectories": TrajectoryParameters,
    "tuning": TuningParameters,
}
CHECKED = "params.yaml was understood: no other stage starts before this file is there, since each depends on it.\n"


@parameters.end_with_message
def main() -> None:
    """Read every section, try the network and every optimizer; leave mark and rules, or tell all faults at once."""
    faults, read = [], {}
    with parameters.gathered(faults):
        parameters.refuse_unknown_sections("params.yaml", SECTIONS)
    for key, schema in SECTIONS.items():
        with parameters.gathered(faults):
            read[key] = parameters.read("params.yaml", key, schema)
    if {"data", "training"} <= read.keys():
        with parameters.gathered(faults):
            refuse_large_batches(read["training"], read["data"].train_size, "params.yaml: training")
    if {"data", "tuning"} <= read.keys():
        with parameters.gathered(faults):
            refuse_shared_images(read["tuning"], read["data"].train_size, "params.yaml")
    if {"training", "tuning"} <= read.keys():
        with parameters.gathered(faults):
            refuse_shared_seeds(read["tuning"], read["training"], "params.yaml")
    optimizers = {f"{key}.{name}": entry for key in entries.SECTIONS for name, entry in read.get(key, {}).items()}
    with parameters.gathered(faults):
        entries.refuse_shared_names(optimizers, "params.yaml")

    startup.load_tensorflow("check")
    from descent.optimizers import build
    from descent.training import networks
    from descent.tuning import scalable

    if "network" in read:
        with parameters.gathered(faults):
            networks.check(read["network"], input_shape=(28, 28), classes=10)
    for key, entry in optimizers.items():
        with parameters.gathered(faults):
            build.try_out(entry, f"params.yaml: {key}")
            scalable.refuse_unscalable(entry, f"params.yaml: {key}")

    if faults:
        raise parameters.ParametersError("\n".join(faults))
    for name, entry in read["optimizers"].items():
        files.write(Path("results/rules", f"{name}.txt"), entries.rule(entry).encode())
    files.write(Path("results/checked.txt"), CHECKED.encode())
    runs = f"{len(read['training'].seeds)} seeds of {read['training'].epochs} epochs"
    print(f"params.yaml: {len(optimizers)} optimizers, {runs}, {read['network'].file}: understood")


if __name__ == "__main__":
    main()
