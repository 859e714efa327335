"""Draws the paths of all `optimizers` of params.yaml over surfaces of two weights -> results/trajectories/.

Usage: python -m stages.trace
"""

from functools import partial
from pathlib import Path

from descent.core import parameters, plot_style, process
from descent.training.settings import read_entries, rule_path
from descent.trajectories.settings import TrajectoryParameters

RESULTS = Path("results/trajectories")


@parameters.end_with_message
def main() -> None:
    """Read every entry, follow its optimizer over every surface, write the tables and the figure."""
    refuse_orphans = process.die_with_parent()
    settings = parameters.read("params.yaml", "trajectories", TrajectoryParameters)
    entries = read_entries()
    process.load_tensorflow("trace")
    from descent.training import optimizers
    from descent.trajectories import figure, paths

    found = {}
    for name, entry in sorted(entries.items()):
        fresh = partial(optimizers.build, entry, f"params.yaml: optimizers.{name}", rule_path(name))
        found[name] = paths.follow(fresh, settings, name)
    followed = {name: both for name, both in found.items() if both}
    traced, sizes = ({name: both[part] for name, both in followed.items()} for part in (0, 1))

    picture = plot_style.svg(figure.trajectories(traced, sizes, settings)).encode()
    refuse_orphans()
    process.write_file(RESULTS / "paths.csv", paths.paths_csv(traced, settings.plot_range).encode())
    process.write_file(RESULTS / "updates.csv", paths.updates_csv(sizes).encode())
    process.write_file(RESULTS / "trajectories.svg", picture)
    print(f"Figure: {RESULTS / 'trajectories.svg'}")


if __name__ == "__main__":
    main()
