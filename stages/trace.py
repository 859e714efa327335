"""Draws the paths of all `optimizers` of params.yaml over surfaces of two weights -> results/trajectories/.

Usage: python -m stages.trace
"""

from functools import partial
from pathlib import Path

from descent import files, parameters, style
from descent.optimizers import build
from descent.optimizers.entries import Optimizers
from descent.trajectories import figure as trajectory_figure
from descent.trajectories import paths as trajectories
from descent.trajectories.settings import TrajectoryParameters

RESULTS = Path("results/trajectories")


@parameters.end_with_message
def main() -> None:
    """Read every entry, follow its optimizer over every surface, write the tables and the figure."""
    settings = parameters.read("params.yaml", "trajectories", TrajectoryParameters)
    entries = parameters.read("params.yaml", "optimizers", Optimizers)
    fresh = {name: partial(build.build, entries[name], f"params.yaml: optimizers.{name}") for name in sorted(entries)}
    paths = {name: trajectories.paths(make, settings) for name, make in fresh.items()}
    sizes = {name: trajectories.update_sizes(make, settings) for name, make in fresh.items()}

    picture = style.png(trajectory_figure.trajectories(paths, sizes, settings))
    files.write(RESULTS / "paths.csv", trajectories.paths_csv(paths, settings.half_width).encode())
    files.write(RESULTS / "updates.csv", trajectories.updates_csv(sizes).encode())
    files.write(RESULTS / "trajectories.png", picture)
    print(f"Figure: {RESULTS / 'trajectories.png'}")


if __name__ == "__main__":
    main()
