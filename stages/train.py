"""Trains one optimizer with all seeds: prepared examples -> history, metrics, weights.

Usage: python -m stages.train adam        (its name in params.yaml)
"""

import sys
from pathlib import Path

from descent.core import parameters, process
from descent.runs import executor, metrics
from descent.runs.store import Task
from descent.training.measurements import Wanted


@parameters.end_with_message
def main(name: str) -> None:
    """Read the parameters, train every seed that is not kept, write what came of it."""
    process.die_with_parent()
    task = Task.read(name)
    seeds = range(task.entry.runs or task.settings.runs)
    obtained = executor.obtain(task, list(map(Wanted, seeds)), weights_of=seeds[0], parts=1)
    trained = sorted(obtained, key=lambda run: run.seed)
    process.write_file(Path("results/history", f"{name}.csv"), metrics.history_csv(trained))
    process.write_file(Path("results/metrics", f"{name}.json"), metrics.document(trained, task.load(), task.settings))
    process.write_file(Path("results/models", f"{name}.weights.h5"), trained[0].weights)


if __name__ == "__main__":
    main(*sys.argv[1:])
