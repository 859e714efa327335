"""Follows all `optimizers` over the surfaces at every factor on their learning rates -> results/tuning/paths.csv.

Usage: python -m stages.follow
"""

from pathlib import Path

from descent.core import parameters, process
from descent.study import grid
from descent.study.settings import TuningParameters
from descent.training.settings import read_entries, rule_path
from descent.trajectories.settings import TrajectoryParameters
from descent.trajectories.thinned import Path as Traced
from descent.trajectories.thinned import csv_text, thin


@parameters.end_with_message
def main() -> None:
    """Read every entry, follow its optimizer at each factor, write what a picture can show."""
    refuse_orphans = process.die_with_parent()
    settings = parameters.read("params.yaml", "trajectories", TrajectoryParameters)
    tuning = parameters.read("params.yaml", "tuning", TuningParameters)
    entries = read_entries()
    process.load_tensorflow("follow")
    from descent.training import optimizers
    from descent.trajectories import paths

    found = []
    for name, entry in sorted(entries.items()):
        for factor in grid.factors(tuning):

            def fresh(name=name, entry=entry, factor=factor):
                made = optimizers.build(entry, f"params.yaml: optimizers.{name}", rule_path(name))
                return optimizers.scale(made, factor)

            followed = paths.follow(fresh, settings, name)
            for surface, path in followed.paths.items() if followed else ():
                found.append(Traced(surface, name, factor, *thin(path, settings.plot_range)))
        print(f"{name}: {tuning.grid_size} learning rates", flush=True)
    refuse_orphans()
    process.write_file(Path("results/tuning/paths.csv"), csv_text(found).encode())


if __name__ == "__main__":
    main()
