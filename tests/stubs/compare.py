"""Stands in for stages/compare.py where not the report is tested, but what reruns: quick, a function of its inputs."""

from pathlib import Path

from descent.analysis.settings import Conditions
from descent.core import parameters, process

read = {key: parameters.read("params.yaml", key, schema) for key, schema in Conditions.__annotations__.items()}
names = sorted(read["optimizers"])
paths = [f"results/{kind}" for name in names for kind in (f"history/{name}.csv", f"metrics/{name}.json")]
left = [Path(path).read_bytes() for path in paths]
inputs = repr((names, read, left)).encode()
tables = [f"{name}.csv" for name in ("curves", "diagnostics", "ranking", "tutorial", "differences")]
for name in ("index.html", "ranking.md", "summary.md", *tables, "figures/curves.svg"):
    process.write_file(Path("results/report", name), inputs)
process.write_file(Path("results/report/score.json"), b"{}")
