"""Tunes the learning rate of one optimizer: tries factors, chooses one, trains it afresh -> results/tuning/.

Usage: python -m stages.tune adam        (its name in params.yaml)
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from descent.core import parameters, process
from descent.runs import executor, metrics
from descent.runs.store import Task
from descent.study import grid, selection
from descent.training.measurements import Run, Wanted

RESULTS = Path("results/tuning")


@parameters.end_with_message
def main(name: str) -> None:
    """Read the parameters, try every factor, train the chosen one with fresh seeds, write what came of it."""
    process.die_with_parent()
    reporting = Task.read(name)
    selecting = reporting._replace(selects=True)
    tuning = parameters.read("params.yaml", "tuning", grid.TuningParameters)
    training, score = reporting.settings, metrics.SCORES[reporting.settings.score]

    def train(task: Task, wanted: Sequence[Wanted]) -> list[Run]:
        runs = {(run.seed, run.factor): run for run in executor.obtain(task, wanted)}
        return [runs[run] for run in wanted]

    def scores_of(runs: Sequence[Run]) -> np.ndarray:
        values = np.stack([run.history[score.column] for run in runs], axis=1)
        return score.of_runs(values, runs[0].hits.shape[1], training.last_epochs)

    def select(wanted: Sequence[Wanted]) -> np.ndarray:
        runs = train(selecting, wanted)
        tried.extend(runs)
        return scores_of(runs)

    lowest, *_, highest = grid.factors(tuning)
    if grid.is_rateless(train(selecting, [Wanted(tuning.seeds[0], factor) for factor in (lowest, highest)])):
        print(f"{name}: its steps do not follow its learning rate: left out of the study", flush=True)
        process.write_file(RESULTS / "runs" / f"{name}.csv", selection.runs_csv([], []))
        process.write_file(RESULTS / "metrics" / f"{name}.json", selection.LEFT_OUT)
        return
    tried: list[Run] = []
    factors, scores, best = grid.select(tuning, select)
    seeds = range(reporting.entry.tuned_runs or training.runs)
    fresh = [] if best is None else train(reporting, [Wanted(seed, factors[best]) for seed in seeds])
    report = scores_of(fresh) if fresh else np.array([])
    written = selection.document(factors, scores, tried, fresh, report, reporting.load(), score)
    process.write_file(RESULTS / "runs" / f"{name}.csv", selection.runs_csv(tried, fresh))
    process.write_file(RESULTS / "metrics" / f"{name}.json", written)


if __name__ == "__main__":
    main(*sys.argv[1:])
