"""Follows all `optimizers` over the surfaces at every factor on their learning rates -> results/tuning/paths.csv.

Usage: python -m stages.follow
"""

from pathlib import Path

from descent import files, parameters, parent, startup
from descent.optimizers.entries import Optimizers
from descent.trajectories.settings import TrajectoryParameters
from descent.tuning import grid
from descent.tuning.paths import Path as Traced
from descent.tuning.paths import csv_text, thin
from descent.tuning.settings import TuningParameters


@parameters.end_with_message
def main() -> None:
    """Read every entry, follow its optimizer at each factor, write what a picture can show."""
    refuse_orphans = parent.end_with_parent()
    settings = parameters.read("params.yaml", "trajectories", TrajectoryParameters)
    tuning = parameters.read("params.yaml", "tuning", TuningParameters)
    entries = parameters.read("params.yaml", "optimizers", Optimizers)
    startup.load_tensorflow("follow")
    from descent.optimizers import build
    from descent.trajectories import paths
    from descent.tuning import scaling

    found = []
    for name, entry in sorted(entries.items()):
        for factor in grid.factors(tuning):

            def fresh(name=name, entry=entry, factor=factor):
                return scaling.scale(build.build(entry, f"params.yaml: optimizers.{name}"), factor)

            for surface, path in paths.follow(fresh, settings).paths.items():
                found.append(Traced(surface, name, factor, *thin(path, settings.half_width)))
        print(f"{name}: {tuning.points} learning rates", flush=True)
    refuse_orphans()
    files.write(Path("results/tuning/paths.csv"), csv_text(found).encode())


if __name__ == "__main__":
    main()
