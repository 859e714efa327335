"""Trainings that never took place: small files as the stage `train` writes them, for the tests of the report."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from ruamel.yaml import YAML

from descent.analysis import records, tables
from descent.analysis.settings import Conditions
from descent.analysis.study_tables import Tuned
from descent.core import parameters, plot_style
from descent.data.datasets import write_archive
from descent.training.measurements import HISTORY
from descent.training.settings import OptimizerEntry

ROOT = Path(__file__).parents[2]
EPOCHS, IMAGES, LAST_EPOCHS = 4, 3000, 2
LEVELS = {"sgd": 0.85, "adam": 0.95, "rmsprop": 0.951, "own": 0.9}  # validation accuracy at the end, about
ENVIRONMENT = {"device": "CPU", "cpu family": "6", "avx512": True}


def conditions(runs=3, names=tuple(LEVELS), **report) -> Conditions:
    """Those of params.yaml, but smaller."""
    sections = {
        key: parameters.read(ROOT / "params.yaml", key, schema) for key, schema in Conditions.__annotations__.items()
    }
    entry = OptimizerEntry(class_name="SGD", config={"momentum": 0.5})
    own = OptimizerEntry(class_name="Mine", config={}, file="optimizers/mine.py")
    smaller = {"epochs": EPOCHS, "last_epochs": LAST_EPOCHS, "runs": runs}
    return Conditions(**sections)._replace(
        training=sections["training"].model_copy(update=smaller),
        race=sections["race"].model_copy(update={"looks": [runs]}),
        optimizers={name: own if name == "own" else entry for name in names},
        report=sections["report"].model_copy(update=report),
    )


def history_text(level, runs=3, diverged_seed=None, noise=0.001):
    """A history file that climbs to `level`; the run of `diverged_seed` diverges in the third epoch."""
    lines = [",".join(HISTORY)]
    for epoch in range(1, EPOCHS + 1):
        for seed in range(runs):
            jitter = np.random.default_rng([seed, epoch, round(1000 * level)]).normal(0, noise)
            accuracy = round(IMAGES * (level - 0.05 * (EPOCHS - epoch) + jitter)) / IMAGES
            scores = [1 - accuracy, accuracy, 1.1 - accuracy, accuracy, 2.0, 40.0, 0.05, 0.25]
            scores += [0.5] * (len(HISTORY) - 2 - len(scores))  # a column that is new
            if seed == diverged_seed and epoch > 2:
                scores = [math.nan] * len(scores)
            lines.append(",".join(f"{value:.6g}" for value in [seed, epoch, *scores]))
    return "\n".join(lines) + "\n"


def metrics_text(level, runs=3, diverged_seed=None, **details):
    """A metrics file: every image is right in all runs and epochs or in none."""
    times = runs * LAST_EPOCHS
    hits = [times * (image < level * IMAGES) for image in range(IMAGES)]
    test_accuracy = [None if seed == diverged_seed else round(level + 0.02 + 0.001 * seed, 6) for seed in range(runs)]
    known = {
        "environment": ENVIRONMENT,
        "examples": {"train": 8192, "validation": IMAGES, "test": 7000},
        "test_loss": test_accuracy,
        "test_accuracy": test_accuracy,
        "val_hits": None if diverged_seed in range(runs) else hits,
    }
    return json.dumps({"val_accuracy": level, "details": [known | details]})


def trainings(runs=3, diverged=None, names=tuple(LEVELS), noise=0.001):
    """Trainings of these optimizers; the first run of `diverged` diverges in the third epoch."""
    asked = conditions(runs)
    found = {}
    for name in names:
        lost = 0 if name == diverged else None
        texts = history_text(LEVELS[name], runs, lost, noise), metrics_text(LEVELS[name], runs, lost)
        found[name] = records.parse_training(*texts, (f"{name}.csv", f"{name}.json"), runs, asked)
    return found


def findings(runs=3, **options):
    """Ranking, leads and conditions of the trainings that these options give."""
    trained, asked = trainings(runs, **options), conditions(runs)
    values = tables.best_first(trained)
    return tables.ranking(values, trained, asked), tables.leads(values, trained, asked), asked


def printed():
    """The tutorial's numbers, as committed."""
    text = (ROOT / "data/reference/tutorial_history.csv").read_text(encoding="utf-8")
    return records.parse_tutorial(text, "tutorial_history.csv")


def project(folder, names=tuple(LEVELS), runs=3):
    """A folder in which the stage can run: parameters, the tutorial's numbers, what the trainings left."""
    document = YAML(typ="safe").load(ROOT / "params.yaml")
    of_keras, own = {"class_name": "SGD", "config": {}}, {"class_name": "X", "config": {}, "file": "optimizers/x.py"}
    document["optimizers"] = {name: dict(own if name == "own" else of_keras) for name in names}
    document["training"] |= {"epochs": EPOCHS, "last_epochs": LAST_EPOCHS, "runs": runs}
    document["race"]["looks"] = [runs]
    YAML().dump(document, folder / "params.yaml")
    shutil.copytree(ROOT / "data/reference", folder / "data/reference")
    for kind in ("history", "metrics", "trajectories"):
        (folder / "results" / kind).mkdir(parents=True)
    (folder / "results/trajectories/trajectories.svg").write_text(plot_style.svg(Figure()), encoding="utf-8")
    (folder / "results/network.json").write_text('{"parameters": 1234}')
    arrays = {f"x_{kind}": np.zeros((IMAGES, 2), "float32") for kind in ("train", "validation", "test")}
    labels = {f"y_{kind}": np.arange(IMAGES, dtype="int32") % 10 for kind in ("train", "validation", "test")}
    write_archive(folder / "data/prepared/splits.npz", arrays | labels | {"classes": np.array(10)})
    for name in names:
        (folder / f"results/history/{name}.csv").write_text(history_text(LEVELS[name], runs), encoding="utf-8")
        (folder / f"results/metrics/{name}.json").write_text(metrics_text(LEVELS[name], runs), encoding="utf-8")
    return folder


def report(folder):
    """Files of results/report -> content."""
    root = folder / "results/report"
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def tuned_row():
    """A row of tuned.csv."""
    return Tuned(
        optimizer="sgd", factor=10.0, learning_rate=0.1, trials=27, certainty=0.8, default=0.85, default_sd=0.001,
        val_accuracy=0.95, val_accuracy_sd=0.002, val_accuracy_low=0.94, val_accuracy_high=0.96, may_be_best="no",
        behind_at_most=0.02, clearest_rival="adam", behind_at_least=0.001, runs=5, runs_compared=5, gain=0.1,
        gain_low=0.09, gain_high=0.11, test_accuracy=0.96, good_range_decades=1.0, good_range_open=1, sensitivity=0.02,
        at_edge=1, diverged=0,
    )  # fmt: skip
