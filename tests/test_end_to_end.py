"""The pipeline on real MNIST at a small size: known accuracies, equal bytes when repeated, its end with DVC."""

import json
import re
import shutil
import subprocess
from functools import partial

import psutil
import pytest
from pipeline import Project

from descent.core import parameters
from descent.data import datasets
from descent.training import networks, optimizers
from descent.training.measurements import Wanted
from descent.training.settings import NetworkEntry, Optimizers, TrainingParameters
from descent.training.trainer import Trainer

# Validation accuracy that 9984 images and 5 epochs give at these hyperparameters, over seeds and versions.
BANDS = {"sgd": (0.77, 0.87), "adam": (0.93, 0.965)}
OUTPUTS = ("history/adam.csv", "metrics/adam.json", "models/adam.weights.h5")


def known_task(settings):
    """The small task for which the bands are known."""
    settings["data"].update(train_size=9984, validation_size=3000)  # no small last batch, whose step is noisy
    settings["training"].update(epochs=5, last_epochs=1, runs=1, batch_size=128)
    settings["race"]["looks"] = [1]
    for name in settings["optimizers"].keys() - BANDS:
        del settings["optimizers"][name]


@pytest.fixture(scope="module")
def reproduced(tmp_path_factory, mnist_archive):
    """The pipeline of the bands, reproduced for adam; the download stage takes MNIST from this session's archive."""
    project = Project.copy(tmp_path_factory.mktemp("known") / "project", mnist_archive, known_task)
    project.repro("train@adam")
    return project


def assert_in_band(name, val_accuracy, test_accuracy):
    low, high = BANDS[name]
    assert low <= val_accuracy <= high
    assert test_accuracy > val_accuracy  # MNIST's first 3000 test images are the harder ones


# Keras 3.15's Variable.__array__ lacks NumPy 2's argument `copy`, which h5py asks for.
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning")
def test_accuracies_are_in_the_known_bands_and_those_of_the_saved_model(reproduced):
    path = reproduced.folder / "params.yaml"
    data = datasets.load(reproduced.folder / "data/prepared/splits.npz")
    network = networks.builder(parameters.read(path, "network", NetworkEntry), (28, 28), 10)
    model = network(7)
    model.load_weights(reproduced.folder / "results/models/adam.weights.h5")
    accuracy = (model.predict(data.test.examples, verbose=0, batch_size=1000).argmax(-1) == data.test.labels).mean()
    recorded = json.loads((reproduced.folder / "results/metrics/adam.json").read_text())
    assert accuracy == pytest.approx(recorded["test_accuracy"], abs=1e-6)
    assert_in_band("adam", recorded["val_accuracy"], recorded["test_accuracy"])

    # As the stage `train` does it, but in this process, which has TensorFlow loaded already.
    fresh = partial(optimizers.build, parameters.read(path, "optimizers", Optimizers)["sgd"], "sgd")
    run = Trainer(network, fresh, parameters.read(path, "training", TrainingParameters), data, {}).train(Wanted(0))
    assert_in_band("sgd", run.history["val_accuracy"][-1], run.test[1])


@pytest.mark.slow
def test_trained_again_on_one_core_gives_equal_bytes_and_says_where_it_runs_and_what_came_of_each_run(reproduced):
    before = [(reproduced.folder / "results" / name).read_bytes() for name in OUTPUTS]
    shutil.rmtree(reproduced.folder / ".dvc/tmp/runs")
    one_core = "taskset --cpu-list 0 " if shutil.which("taskset") else ""  # elsewhere than on Linux: on all of them
    log = reproduced.run(f"{one_core}python -m stages.train adam").splitlines()
    assert [(reproduced.folder / "results" / name).read_bytes() for name in OUTPUTS] == before
    [details] = json.loads((reproduced.folder / "results/metrics/adam.json").read_text())["details"]
    assert any(line.startswith(f"adam: {details['environment']['device']}: ") for line in log)
    finished = r"adam  run 1/1  seed 0  val_accuracy 0\.9\d+  took \d+\.\d s  0 s left"
    assert any(re.fullmatch(finished, line) for line in log)


@pytest.mark.slow
def test_training_ends_with_the_dvc_that_started_it(reproduced, tmp_path):
    project = reproduced.duplicate(tmp_path / "project")
    project.edit(lambda parameters: parameters["training"].update(epochs=10**6))
    command = ("dvc", "repro", "--quiet", "--single-item", "train@adam")
    with project.start(*command, stdout=subprocess.PIPE) as dvc:
        assert any(line.startswith("adam  run 1/1  epoch ") for line in dvc.stdout)
        trainings = psutil.Process(dvc.pid).children(recursive=True)
        assert trainings
        dvc.kill()  # and nobody else
    try:
        _, alive = psutil.wait_procs(trainings, timeout=60)
        assert not alive
        assert not (project.folder / "results/history/adam.csv").exists()
    finally:
        for training in trainings:  # a million epochs
            if training.is_running():
                training.kill()
