"""Draws the paths of all `optimizers` of params.yaml over surfaces of two weights -> results/trajectories/.

Usage: python -m stages.trace
"""

from functools import partial
from pathlib import Path

from descent import files, parameters, parent, startup, style
from descent.optimizers.entries import Optimizers
from descent.trajectories.settings import TrajectoryParameters

RESULTS = Path("results/trajectories")


@parameters.end_with_message
def main() -> None:
    """Read every entry, follow its optimizer over every surface, write the tables and the figure."""
    refuse_orphans = parent.end_with_parent()
    settings = parameters.read("params.yaml", "trajectories", TrajectoryParameters)
    entries = parameters.read("params.yaml", "optimizers", Optimizers)
    startup.load_tensorflow("trace")
    from descent.optimizers import build
    from descent.trajectories import figure, paths

    fresh = {name: partial(build.build, entries[name], f"params.yaml: optimizers.{name}") for name in sorted(entries)}
    followed = {name: paths.follow(make, settings) for name, make in fresh.items()}
    traced, sizes = ({name: found[part] for name, found in followed.items()} for part in (0, 1))

    picture = style.svg(figure.trajectories(traced, sizes, settings)).encode()
    refuse_orphans()
    files.write(RESULTS / "paths.csv", paths.paths_csv(traced, settings.half_width).encode())
    files.write(RESULTS / "updates.csv", paths.updates_csv(sizes).encode())
    files.write(RESULTS / "trajectories.svg", picture)
    print(f"Figure: {RESULTS / 'trajectories.svg'}")


if __name__ == "__main__":
    main()
