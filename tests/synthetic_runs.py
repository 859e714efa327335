"""Runs that never took place, and a folder in which a stage would train them; without TensorFlow."""

import shutil

import numpy as np
from pipeline import ROOT, shrink, yaml

from descent.data.datasets import SELECTION, SPLITS, write_archive
from descent.runs.store import Task
from descent.training import settings
from descent.training.measurements import MEASUREMENTS, Run

ENVIRONMENT = {"cpu": "of a test", "threads": "2"}
JUDGING = 30  # examples


def folder(path):
    """Write what the stage `train` reads, small: parameters, network, examples, the rules."""
    document = yaml.load(ROOT / "params.yaml")
    shrink(document)
    yaml.dump(document, path / "params.yaml")
    for name in ("networks", "optimizers"):
        shutil.copytree(ROOT / name, path / name)
    random, arrays = np.random.default_rng(0), {}
    for kind, size in {"train": 50, "validation": JUDGING, "test": 20}.items():
        arrays[f"x_{kind}"] = random.random((size, 4, 3)).astype("float32")
        arrays[f"y_{kind}"] = np.arange(size, dtype="int32") % 10
    write_archive(path / SPLITS, arrays | {"classes": np.array(10)})
    write_archive(path / SELECTION, {"x_selection": arrays["x_test"], "y_selection": arrays["y_test"]})
    for name in document["optimizers"]:
        (path / settings.rule_path(name)).parent.mkdir(parents=True, exist_ok=True)
        entry = settings.read_optimizer(path / "params.yaml", name)
        (path / settings.rule_path(name)).write_bytes(settings.rule(entry))
    return path


def task(name="adam", **changes):
    """The training of an optimizer of the current folder, with other settings if given."""
    made = Task.read(name)
    return made._replace(settings=made.settings.model_copy(update=changes))


def run(seed=0, factor=1.0, epochs=2, weights=None, environment=ENVIRONMENT):
    """A run that measured what its seed gives."""
    random = np.random.default_rng(seed)
    hits = random.random((epochs, JUDGING)) < 0.9
    history = {name: random.random(epochs) for name in MEASUREMENTS} | {"val_accuracy": hits.mean(axis=1)}
    return Run(seed, factor, 0.1 + 0.2, history, hits, tuple(random.random(2)), weights, 1 / 3, dict(environment))
