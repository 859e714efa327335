"""Trains one optimizer with all seeds: prepared examples -> history, metrics, weights.

Usage: python -m stages.train optimizers.adam        (the key path of its entry in params.yaml)
"""

import sys
from pathlib import Path

from descent import files, parameters, parent
from descent.optimizers import entries
from descent.training import columns, metrics, task, where
from descent.training.settings import NetworkEntry, TrainingParameters


@parameters.end_with_message
def main(key: str) -> None:
    """Read the parameters, train every seed, here or where the cluster is, write what came of it."""
    refuse_orphans = parent.end_with_parent()
    name, entry = entries.read_entry("params.yaml", key)
    network = parameters.read("params.yaml", "network", NetworkEntry)
    settings = parameters.read("params.yaml", "training", TrainingParameters)
    history = Path("results/history", f"{name}.csv")
    for event in where.run(task.train, [(key, entry, network, settings)], where.files(entry, network)):
        refuse_orphans()
        match event:
            case str():
                print(f"{name}: {event}", flush=True)
            case number, metrics.Epoch() as epoch, took:
                if number == 1:  # compiled, so what cannot be compiled is known before anything is written
                    epochs, seconds = [], []
                    files.write(history, f"{','.join(columns.HISTORY)}\n".encode())
                epochs.append(epoch)
                seconds.append(took)
                with history.open("a", encoding="utf-8", newline="") as file:  # shows how far it is
                    file.write(metrics.history_rows(number, settings.seeds, epoch.measurements))
                print(metrics.progress_line(name, epochs, settings.epochs, seconds), flush=True)
            case task.Trained() as trained:
                files.write(Path("logs", f"{name}.json"), metrics.clock_document(seconds))
                written = metrics.document(epochs, *trained[:3], settings, trained.environment)
                files.write(Path("results/metrics", f"{name}.json"), written)
                files.write(Path("results/models", f"{name}.weights.h5"), trained.weights)


if __name__ == "__main__":
    main(*sys.argv[1:])
