"""Stands in for stages/train.py where not the training is tested but what reruns: quick, a function of its inputs."""

import sys
import zlib
from pathlib import Path

import numpy as np

from descent.core import parameters, process
from descent.data import datasets
from descent.runs import metrics
from descent.training import settings
from descent.training.run import MEASUREMENTS, Run
from descent.training.settings import NetworkEntry, TrainingParameters

name = sys.argv[1]
entry = settings.read_optimizer("params.yaml", name)
training = parameters.read("params.yaml", "training", TrainingParameters)
network = parameters.read("params.yaml", "network", NetworkEntry)
data = datasets.load(Path("data/prepared/splits.npz"))
texts = [path.read_text() for path in (Path(network.file), settings.rule_path(name))]
code = [[line for line in text.splitlines() if not line.startswith("#")] for text in texts]  # as little as it computes
trains = training.model_copy(update={"runs": None})  # a run is what it is, however many there are
examples = zlib.crc32(data.train.examples), len(data.validation.labels)
inputs = repr((entry.class_name, entry.config, trains, network, code, examples))
random = np.random.default_rng(zlib.crc32(inputs.encode()))


def run(seed):
    hits = random.random((training.epochs, len(data.validation.labels))) < random.uniform(0.5, 1)
    history = {column: random.random(training.epochs) for column in MEASUREMENTS}
    history["val_accuracy"] = hits.mean(axis=1)
    return Run(seed, 1.0, 0.1, history, hits, (random.random(), random.random()), None, 0.0, {"device": "none"})


runs = [run(seed) for seed in range(entry.runs or training.runs)]
process.write_file(Path(f"results/history/{name}.csv"), metrics.history_csv(runs))
process.write_file(Path(f"results/metrics/{name}.json"), metrics.document(runs, data, training))
process.write_file(Path(f"results/models/{name}.weights.h5"), inputs.encode())
