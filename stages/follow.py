"""Follows all `optimizers` over the surfaces at every factor on their learning rates -> results/tuning/paths.csv.

Usage: python -m stages.follow
"""

from pathlib import Path

from descent.core import parameters, process
from descent.study import grid
from descent.training.settings import read_entries
from descent.trajectories import paths


@parameters.end_with_message
def main() -> None:
    """Follow every optimizer at each factor, write what a picture can show."""
    process.die_with_parent()
    settings = parameters.read("params.yaml", "trajectories", paths.TrajectoryParameters)
    tuning = parameters.read("params.yaml", "tuning", grid.TuningParameters)
    entries = sorted(read_entries().items())
    process.load_tensorflow("follow")
    found = []
    for name, entry in entries:
        for factor in grid.factors(tuning):
            followed = paths.follow_entry(name, entry, settings, factor)
            for surface, path in followed.paths.items() if followed else ():
                found.append(paths.Path(surface, name, factor, *paths.thin(path, settings.plot_range)))
        print(f"{name}: {tuning.grid_size} learning rates", flush=True)
    process.write_file(Path("results/tuning/paths.csv"), paths.csv_text(found).encode())


if __name__ == "__main__":
    main()
