"""Stands in for stages/trace.py where not the paths are tested, but what reruns."""

from pathlib import Path

import yaml  # the whole stub takes a seventh of the time that the project's own reader takes to load

parameters = yaml.load(Path("params.yaml").read_bytes(), yaml.CSafeLoader)
optimizers = Path("results/rules/optimizers.json").read_text()
folder = Path("results/trajectories")
folder.mkdir(parents=True, exist_ok=True)
for name in ("paths.csv", "updates.csv", "trajectories.svg"):
    (folder / name).write_text(repr([parameters["trajectories"], optimizers]))
