"""Draws the paths of all `optimizers` of params.yaml over surfaces of two weights -> results/trajectories/.

Usage: python -m stages.trace
"""

from pathlib import Path

from descent.core import parameters, plot_style, process
from descent.training.settings import read_entries
from descent.trajectories import figure, paths

RESULTS = Path("results/trajectories")


@parameters.end_with_message
def main() -> None:
    """Follow every optimizer over every surface, write the tables and the figure."""
    process.die_with_parent()
    settings = parameters.read("params.yaml", "trajectories", paths.TrajectoryParameters)
    entries = sorted(read_entries().items())
    process.load_tensorflow("trace")
    found = {name: paths.follow_entry(name, entry, settings) for name, entry in entries}
    found = {name: followed for name, followed in found.items() if followed}

    picture = plot_style.svg(figure.trajectories(found, settings)).encode()
    process.write_file(RESULTS / "paths.csv", paths.paths_csv(found, settings.plot_range))
    process.write_file(RESULTS / "updates.csv", paths.updates_csv(found))
    process.write_file(RESULTS / "trajectories.svg", picture)
    print(f"Figure: {RESULTS / 'trajectories.svg'}")


if __name__ == "__main__":
    main()
