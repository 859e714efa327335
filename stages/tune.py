"""Tunes the learning rate of one optimizer: tries factors, chooses one, trains it afresh -> results/tuning/.

Usage: python -m stages.tune adam        (its name in params.yaml)
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from descent.core import parameters, process
from descent.runs import executor, metrics
from descent.runs.task import Task
from descent.study import grid, selection
from descent.study.settings import TuningParameters
from descent.training import settings
from descent.training.measurements import Run, Wanted
from descent.training.settings import NetworkEntry, TrainingParameters

RESULTS = Path("results/tuning")


@parameters.end_with_message
def main(name: str) -> None:
    """Read the parameters, try every factor, train the chosen one with fresh seeds, write what came of it."""
    refuse_orphans = process.die_with_parent()
    entry = settings.read_optimizer("params.yaml", name)
    network = parameters.read("params.yaml", "network", NetworkEntry)
    training = parameters.read("params.yaml", "training", TrainingParameters)
    tuning = parameters.read("params.yaml", "tuning", TuningParameters)
    task, score = Task(name, entry, network, training), metrics.SCORES[training.score]
    tried: list[Run] = []

    def train(task: Task, wanted: Sequence[Wanted]) -> list[Run]:
        runs = {}
        for run in executor.obtain(task, wanted):
            refuse_orphans()
            runs[run.seed, run.factor] = run
        return [runs[run] for run in wanted]

    def scores_of(runs: Sequence[Run]) -> np.ndarray:
        values = np.stack([run.history[score.column] for run in runs], axis=1)
        return score.of_runs(values, runs[0].hits.shape[1], training.last_epochs)

    def select(wanted: Sequence[Wanted]) -> np.ndarray:
        runs = train(task._replace(selects=True), wanted)
        tried.extend(runs)
        return scores_of(runs)

    if grid.is_rateless(train(task._replace(selects=True), grid.ends(tuning))):
        print(f"{name}: its steps do not follow its learning rate: left out of the study", flush=True)
        process.write_file(RESULTS / "runs" / f"{name}.csv", selection.runs_csv([], []))
        process.write_file(RESULTS / "metrics" / f"{name}.json", selection.LEFT_OUT)
        return
    factors, scores, best = grid.select(tuning, select)
    seeds = range(entry.tuned_runs or training.runs)
    fresh = [] if best is None else train(task, [Wanted(seed, factors[best]) for seed in seeds])
    written = selection.document(
        factors, scores, tried, fresh, scores_of(fresh) if fresh else np.array([]), task.load(), score
    )
    process.write_file(RESULTS / "runs" / f"{name}.csv", selection.runs_csv(tried, fresh))
    process.write_file(RESULTS / "metrics" / f"{name}.json", written)


if __name__ == "__main__":
    main(*sys.argv[1:])
