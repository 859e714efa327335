"""Stands in for stages/train.py where not the training is tested but what reruns: quick, a function of its inputs."""

import math
import sys
import zlib
from pathlib import Path

import numpy as np

from descent.core import parameters, process
from descent.data import datasets
from descent.runs import metrics
from descent.training import settings
from descent.training.measurements import MEASUREMENTS, Run
from descent.training.settings import NetworkEntry, TrainingParameters

name = sys.argv[1]
entry = settings.read_optimizer("params.yaml", name)
training = parameters.read("params.yaml", "training", TrainingParameters)
network = parameters.read("params.yaml", "network", NetworkEntry)
data = datasets.load(Path("data/prepared/splits.npz"))
texts = [path.read_text() for path in (Path(network.file), settings.rule_path(name))]
code = [[line for line in text.splitlines() if not line.startswith("#")] for text in texts]  # as little as it computes
seeds, nan = range(entry.runs or training.runs), np.full(training.epochs, math.nan)
trains = training.model_copy(update={"runs": None})  # a run is what it is, however many there are
examples = (zlib.crc32(data.train.examples), len(data.validation.labels))
inputs = repr((entry.class_name, entry.config, trains, network, code, *examples))


def run(seed):
    random, rate = np.random.default_rng([seed, zlib.crc32(inputs.encode())]), entry.config.get("learning_rate", 0.1)
    judge = np.random.default_rng([seed, zlib.crc32(repr(rate).encode())])  # so that a race ends as a test wants it
    share = judge.normal(1 - min(rate, 0.5), 0.01)
    hits = judge.random((training.epochs, len(data.validation.labels))) < share
    history = {column: random.random(training.epochs) for column in MEASUREMENTS}
    history["val_accuracy"] = hits.mean(axis=1)
    test = (random.random(), random.random())
    if rate > 1:  # it diverges
        history, test = dict.fromkeys(MEASUREMENTS, nan), (math.nan, math.nan)
    return Run(seed, 1.0, 0.1, history, hits, test, None, 0.0, {"device": "none"})


runs = [run(seed) for seed in seeds]
process.write_file(Path(f"results/history/{name}.csv"), metrics.history_csv(runs))
process.write_file(Path(f"results/metrics/{name}.json"), metrics.document(runs, data, training))
process.write_file(Path(f"results/models/{name}.weights.h5"), inputs.encode())
