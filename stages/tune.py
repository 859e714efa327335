"""Tunes the learning rate of one optimizer: tries factors, chooses one, trains it afresh -> results/tuning/.

Usage: python -m stages.tune optimizers.adam        (the key path of its entry in params.yaml)
"""

import sys
import time
from functools import partial
from pathlib import Path

import numpy as np

from descent import files, own, parameters, parent, startup
from descent.data import datasets
from descent.optimizers import entries
from descent.report import statistics
from descent.training.settings import NetworkEntry, TrainingParameters
from descent.tuning import columns, resume, study
from descent.tuning.settings import TuningParameters

RESULTS = Path("results/tuning")
SPLITS, SELECTION = Path("data/prepared/splits.npz"), Path("data/prepared/selection.npz")


@parameters.end_with_message
def main(key: str) -> None:
    """Read the parameters and examples, try every factor, report the chosen one, write what came of it."""
    refuse_orphans = parent.end_with_parent()
    name, entry = entries.read_entry("params.yaml", key)
    network = parameters.read("params.yaml", "network", NetworkEntry)
    settings = parameters.read("params.yaml", "training", TrainingParameters)
    tuning = parameters.read("params.yaml", "tuning", TuningParameters)
    data, selection = datasets.load(SPLITS), datasets.load_selection(SELECTION)

    startup.load_tensorflow(name)
    from descent.optimizers import build
    from descent.training import device, networks
    from descent.tuning import scaling, trials

    print(f"{name}: {device.configure()}", flush=True)
    fresh_network = networks.builder(network, data.train.examples.shape[1:], data.classes)
    fresh_optimizer = partial(build.build, entry, f"params.yaml: {key}")
    base = scaling.number(fresh_optimizer())
    environment = device.environment()
    sections = [section.model_dump() for section in (entry, network, settings, tuning)]
    code = [*Path("descent").rglob("*.py"), Path(network.file), SPLITS, SELECTION]
    code += [Path(entry.file)] if isinstance(entry, entries.OwnOptimizerEntry) else []
    kept = resume.Kept(Path(".dvc/tmp/tuning", f"{name}.json"), resume.digest([sections, environment], code))
    total = tuning.points * len(tuning.seeds) + len(settings.seeds)
    programs, seconds, table = {}, study.seconds_of_a_run(Path("logs", f"{name}.json"), len(settings.seeds)), []
    about = f"; {np.median(seconds) * (total - len(kept.runs)):.0f} s left" if seconds else ""
    plan = f"{total} runs of {settings.epochs} epochs, {len(kept.runs)} of them kept"
    print(f"{name}: {plan}; compiling{about}", flush=True)

    def run(role: str, factor: float, seed: int) -> trials.Trial:
        """Train a run, or take the one that is kept."""
        refuse_orphans()
        label = f"{role} {factor:.6g} {seed}"
        if label not in kept.runs:
            start = time.monotonic()
            with own.refused(lambda reason: f"params.yaml: {network.file} and {key} do not train: {reason}"):
                if role not in programs:
                    judge = selection if role == columns.SELECTION else data.validation
                    programs.clear()
                    programs[role] = trials.Trials(fresh_network, fresh_optimizer, settings, data.train, judge)
                trial = programs[role].run(seed, factor, data.test if role == columns.REPORT else None)
            kept.keep(label, trial)
            seconds.append(time.monotonic() - start)
        trial = trials.Trial(*kept.runs[label])
        table.append(columns.rows(role, factor, base, seed, trial.epochs))
        done = len(table)
        left = f", {np.median(seconds) * max(0, total - done):.0f} s left" if seconds else ""
        last = trial.epochs["val_accuracy"][-1]
        print(f"{name}  run {done}/{max(total, done)}  {label}: {last:.4f}{left}", flush=True)
        return trial

    def accuracy_of(role: str, factor: float, seed: int, judged_by: int) -> float:
        accuracy = np.array(run(role, factor, seed).epochs["val_accuracy"])
        return float(statistics.endpoints(accuracy[:, None], judged_by, settings.last_epochs)[0])

    factors, accuracy, best = study.select(
        tuning, lambda factor, seed: accuracy_of(columns.SELECTION, factor, seed, tuning.selection_size)
    )
    total = len(table) + (len(settings.seeds) if best is not None else 0)
    judged_by = len(data.validation.labels)
    seeds = [] if best is None else settings.seeds
    report = np.array([accuracy_of(columns.REPORT, factors[best], seed, judged_by) for seed in seeds])
    test = np.array([kept.runs[f"{columns.REPORT} {factors[best]:.6g} {seed}"][1][1] for seed in seeds])
    written = study.document(factors, accuracy, base, report, test, 1 / judged_by, data.classes, environment)
    refuse_orphans()
    header = ",".join(columns.RUNS) + "\n"
    files.write(RESULTS / "runs" / f"{name}.csv", (header + "".join(table)).encode())
    files.write(RESULTS / "metrics" / f"{name}.json", written)
    kept.forget()


if __name__ == "__main__":
    main(*sys.argv[1:])
