"""Trains one optimizer with all seeds: prepared examples -> history, metrics, weights.

Usage: python -m stages.train optimizers.adam        (the key path of its entry in params.yaml)
"""

import sys
import time
from functools import partial
from itertools import chain
from pathlib import Path

from descent import files, own, parameters, parent, startup
from descent.data import datasets
from descent.optimizers import entries
from descent.training import columns, metrics
from descent.training.settings import NetworkEntry, TrainingParameters


@parameters.end_with_message
def main(key: str) -> None:
    """Read the parameters and examples, train every seed, write what came of it."""
    refuse_orphans = parent.end_with_parent()
    name, entry = entries.read_entry("params.yaml", key)
    network = parameters.read("params.yaml", "network", NetworkEntry)
    settings = parameters.read("params.yaml", "training", TrainingParameters)
    data = datasets.load(Path("data/prepared/splits.npz"))

    startup.load_tensorflow(name)
    from descent.optimizers import build, elementwise
    from descent.training import device, networks, runs, stacking

    print(f"{name}: {device.configure()}", flush=True)
    fresh_network = networks.builder(network, data.train.examples.shape[1:], data.classes)
    fresh_optimizer = partial(build.build, entry, f"params.yaml: {key}")
    stacked = (
        bool(device.gpus())
        and stacking.is_stackable(fresh_network(settings.seeds[0]))
        and elementwise.is_elementwise(fresh_optimizer)
    )
    print(f"{name}: compiling", flush=True)
    clock, epochs = [time.monotonic()], []
    with own.refused(lambda reason: f"params.yaml: {network.file} and {key} do not train: {reason}"):
        training = runs.Runs(fresh_network, fresh_optimizer, settings, data.train, data.validation, stacked)
        running = training.epochs()
        first = next(running)  # compiles, so what cannot be compiled is known before anything is written
    refuse_orphans()
    history = Path("results/history", f"{name}.csv")
    history.parent.mkdir(parents=True, exist_ok=True)
    with history.open("w", encoding="utf-8", newline="") as file:
        print(*columns.HISTORY, sep=",", file=file, flush=True)
        for epoch in chain([first], running):
            refuse_orphans()
            epochs.append(epoch)
            clock.append(time.monotonic())
            file.write(metrics.history_rows(len(epochs), settings.seeds, epoch.measurements))
            file.flush()  # so that an editor or tail -f shows how far it is
            print(metrics.progress_line(name, epochs, settings.epochs, clock), flush=True)

    test_loss, test_accuracy = training.evaluate(data.test)
    examples = {kind: len(part.labels) for kind, part in data.splits().items()}
    written = metrics.document(epochs, test_loss, test_accuracy, examples, settings, device.environment())
    model = fresh_network(settings.seeds[0])
    model.set_weights(training.weights()[0])
    refuse_orphans()
    files.write(Path("logs", f"{name}.json"), metrics.clock_document(clock))
    files.write(Path("results/metrics", f"{name}.json"), written)
    weights = Path("results/models", f"{name}.weights.h5")
    weights.parent.mkdir(parents=True, exist_ok=True)
    model.save_weights(weights)


if __name__ == "__main__":
    main(*sys.argv[1:])
