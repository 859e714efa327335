"""Stands in for stages/trace.py where not the paths are tested, but what reruns."""

from pathlib import Path

from descent import files, parameters
from descent.optimizers.entries import Optimizers
from descent.trajectories.settings import TrajectoryParameters

read = [("trajectories", TrajectoryParameters), ("optimizers", Optimizers)]
inputs = repr([parameters.read("params.yaml", section, schema) for section, schema in read])
for name in ("paths.csv", "updates.csv", "trajectories.png"):
    files.write(Path("results/trajectories", name), inputs.encode())
