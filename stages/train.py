"""Trains one optimizer with all seeds: prepared images -> history, metrics, weights, environment.

Usage: python -m stages.train optimizers.adam        (the key path of its entry in params.yaml)
"""

import json
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np

from descent import files, parameters
from descent.data import datasets
from descent.optimizers import build, elementwise, entries
from descent.training import metrics, networks
from descent.training import runs as training


@parameters.end_with_message
def main(key: str) -> None:
    """Read the parameters and images, train every seed, write what came of it."""
    name, entry = entries.read_entry("params.yaml", key)
    network = parameters.read("params.yaml", "network", networks.NetworkParameters)
    settings = parameters.read("params.yaml", "training", training.TrainingParameters)
    print(training.configure(), flush=True)
    fresh = partial(build.build, entry, f"params.yaml: {key}")
    data = datasets.load(Path("data/prepared/mnist.npz"))

    stacked = bool(training.gpus()) and elementwise.is_elementwise(fresh)
    runs = training.Runs(network, settings, data.train, data.validation, fresh(), stacked)
    clock, epochs = [time.monotonic()], []
    history = Path("results/history", f"{name}.csv")
    history.parent.mkdir(parents=True, exist_ok=True)
    with history.open("w", encoding="utf-8", newline="") as file:
        print("seed", "epoch", *training.FIGURES, sep=",", file=file, flush=True)
        for epoch in runs.epochs():
            epochs.append(epoch)
            clock.append(time.monotonic())
            file.write(metrics.history_rows(len(epochs), settings.seeds, epoch))
            file.flush()  # so that an editor or tail -f shows how far it is
            print(metrics.progress_line(name, epochs, settings.epochs, clock), flush=True)

    curves = {figure: np.stack([epoch[figure] for epoch in epochs]) for figure in training.FIGURES}
    test_loss, test_accuracy = runs.evaluate(data.test)
    summary = metrics.summarize(curves, test_loss, test_accuracy, settings.target_val_accuracy)
    files.write(Path("results/metrics", f"{name}.json"), _json(summary))
    files.write(Path("results/environment", f"{name}.json"), _json(training.environment()))
    files.write(Path("logs", f"{name}.json"), _json({"epoch_seconds": np.diff(clock).round(3).tolist()}))
    weights = Path("results/models", f"{name}.weights.h5")
    weights.parent.mkdir(parents=True, exist_ok=True)
    model = networks.plain(network, data.train.images.shape[1])
    model.set_weights(runs.weights()[0])
    model.save_weights(weights)


def _json(values: dict) -> bytes:
    return (json.dumps(values, indent=2) + "\n").encode()


if __name__ == "__main__":
    main(*sys.argv[1:])
