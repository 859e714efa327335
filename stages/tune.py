"""Tunes the learning rate of one optimizer: tries factors, chooses one, trains it afresh -> results/tuning/.

Usage: python -m stages.tune optimizers.adam        (the key path of its entry in params.yaml)
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from descent import files, parameters, parent
from descent.data import datasets
from descent.optimizers import entries
from descent.report import statistics
from descent.training import metrics, where
from descent.training.resume import digest
from descent.training.settings import NetworkEntry, TrainingParameters
from descent.tuning import columns, resume, study, task
from descent.tuning.settings import TuningParameters

RESULTS = Path("results/tuning")


@parameters.end_with_message
def main(key: str) -> None:
    """Read the parameters and examples, try every factor, report the chosen one, write what came of it."""
    refuse_orphans = parent.end_with_parent()
    name, entry = entries.read_entry("params.yaml", key)
    network = parameters.read("params.yaml", "network", NetworkEntry)
    settings = parameters.read("params.yaml", "training", TrainingParameters)
    tuning = parameters.read("params.yaml", "tuning", TuningParameters)
    read = [*where.files(entry, network), where.SELECTION]
    data = datasets.load(Path(where.SPLITS))

    *_, (line, base, environment) = where.run(task.describe, [(key, entry)], read)
    print(f"{name}: {line}", flush=True)
    environments = [environment]
    sections = [section.model_dump() for section in (entry, network, settings, tuning)]
    kept = resume.Kept(Path(".dvc/tmp/tuning", f"{name}.json"), digest([sections, environment], map(Path, read)))
    total = tuning.points * len(tuning.seeds) + len(settings.seeds)
    comparison, table = metrics.read_clock(Path("logs", f"{name}.json")), []
    seconds = [sum(comparison) / len(settings.seeds)] if comparison else []
    about = f"; {np.median(seconds) * (total - len(kept.runs)) / where.room():.0f} s left" if seconds else ""
    plan = f"{total} runs of {settings.epochs} epochs, {len(kept.runs)} of them kept"
    print(f"{name}: {plan}; compiling{about}", flush=True)

    def train(role: str, wanted: Sequence[tuple[float, int]]) -> list:
        """Train runs, each a factor and a seed, but for those that are kept; returns their trials."""
        missing = [run for run in wanted if _label(role, *run) not in kept.runs]
        room = min(where.room(), len(missing))
        shares = [(key, entry, network, settings, role, missing[share::room]) for share in range(room)]
        done, start = len(table) + len(wanted) - len(missing), time.monotonic()
        for factor, seed, trial, environment in where.run(task.train, shares, read):
            refuse_orphans()
            label = _label(role, factor, seed)
            done += label not in kept.runs
            kept.keep(label, trial)
            environments.append(environment)
            seconds.append((time.monotonic() - start) * room)
            start = time.monotonic()
            left = f", {np.median(seconds) * max(0, total - done) / room:.0f} s left"
            last = trial[0]["val_accuracy"][-1]
            print(f"{name}  run {done}/{max(total, done)}  {label}: {last:.4f}{left}", flush=True)
        trials = [kept.runs[_label(role, *run)] for run in wanted]
        for (factor, seed), (epochs, _) in zip(wanted, trials, strict=True):
            table.append(columns.rows(role, factor, base, seed, epochs))
        return trials

    def accuracy_of(trials: Sequence, judged_by: int) -> np.ndarray:
        accuracy = np.array([epochs["val_accuracy"] for epochs, _ in trials]).reshape(len(trials), -1)
        return statistics.endpoints(accuracy.T, judged_by, settings.last_epochs)

    factors, accuracy, best = study.select(
        tuning, lambda runs: accuracy_of(train(columns.SELECTION, runs), tuning.selection_size)
    )
    total = len(table) + (len(settings.seeds) if best is not None else 0)
    judged_by = len(data.validation.labels)
    trials = [] if best is None else train(columns.REPORT, [(factors[best], seed) for seed in settings.seeds])
    report = accuracy_of(trials, judged_by) if trials else np.array([])
    test = np.array([accuracy for _, (_, accuracy) in trials])
    measured_by = study.merged(environments)
    written = study.document(factors, accuracy, base, report, test, 1 / judged_by, data.classes, measured_by)
    refuse_orphans()
    header = ",".join(columns.RUNS) + "\n"
    files.write(RESULTS / "runs" / f"{name}.csv", (header + "".join(table)).encode())
    files.write(RESULTS / "metrics" / f"{name}.json", written)
    kept.forget()


def _label(role: str, factor: float, seed: int) -> str:
    return f"{role} {factor:.6g} {seed}"


if __name__ == "__main__":
    main(*sys.argv[1:])
