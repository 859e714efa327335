"""A training that goes on from what was kept of it ends as one that was never stopped, bit for bit."""

import itertools
from functools import partial

import keras
import numpy as np
import pytest
import toy

from descent.training import resume, runs
from descent.training.columns import MEASUREMENTS
from descent.training.metrics import Epoch


class Noisy(keras.optimizers.SGD):
    """Steps off course by random numbers of its own."""

    def __init__(self, **config):
        super().__init__(**config)
        self.noise = keras.random.SeedGenerator(1)

    def update_step(self, gradient, variable, learning_rate):
        noise = keras.random.normal(variable.shape, stddev=0.1, seed=self.noise)
        super().update_step(gradient + noise, variable, learning_rate)


OPTIMIZERS = {
    "noisy": partial(Noisy, learning_rate=0.1, momentum=0.9, use_ema=True, ema_momentum=0.5),
    "scheduled": lambda: keras.optimizers.Adam(keras.optimizers.schedules.ExponentialDecay(0.01, 4, 0.5)),
    "diverges": partial(keras.optimizers.SGD, 1e30),
}


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(resume, "SECONDS", 0.0)


def measured(epochs):
    return [array for epoch in epochs for array in (*epoch.measurements.values(), epoch.val_hits)]


@pytest.mark.parametrize(("name", "stacked"), [("noisy", False), ("scheduled", True), ("diverges", False)])
def test_training_that_goes_on_ends_as_one_that_was_never_stopped(name, stacked, tmp_path):
    whole, resumed = (
        runs.Runs(toy.mlp(), OPTIMIZERS[name], toy.settings(epochs=3), toy.TRAIN, toy.VALIDATION, stacked)
        for _ in range(2)
    )
    path, running, expected = tmp_path / "kept.npz", whole.epochs(), []
    kept = resume.Checkpoint(path, "these")
    for epoch in itertools.islice(running, 2):
        kept.add(epoch, 1.5, whole.states)
        expected.append(epoch)
    expected += running

    found = resume.Checkpoint(path, "these")
    assert found.seconds == [1.5, 1.5]
    resumed.resume(found.states)
    epochs = [*found.epochs, *resumed.epochs(found.epochs)]
    assert len(epochs) == 3
    for one, other in zip(measured(epochs), measured(expected), strict=True):
        np.testing.assert_array_equal(one, other)  # in which nan equals nan
    for one, other in zip(resumed.weights(), whole.weights(), strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.fixture
def path(tmp_path):
    """A file of one epoch, kept under the conditions `these`."""
    epoch = Epoch({name: np.zeros(2) for name in MEASUREMENTS}, np.ones((2, 5), bool))
    resume.Checkpoint(tmp_path / "kept.npz", "these").add(epoch, 1.0, lambda: [np.arange(6.0)])
    return tmp_path / "kept.npz"


@pytest.mark.parametrize("damage", ["cut off", "changed", "another file"])
def test_what_is_damaged_counts_for_nothing(damage, path):
    whole = path.read_bytes()
    changed = {
        "cut off": whole[:-9],
        "changed": whole.replace(np.float64(5).tobytes(), np.float64(6).tobytes()),
        "another file": b"\x93NUMPY\x01\x00",
    }[damage]
    assert changed != whole
    path.write_bytes(changed)
    assert resume.Checkpoint(path, "these").epochs == []


def test_what_was_kept_counts_under_the_same_conditions_only(path):
    assert len(resume.Checkpoint(path, "these").epochs) == 1
    other = resume.Checkpoint(path, "others")
    assert (other.epochs, other.seconds, other.states) == ([], [], [])
    other.forget()
    assert not path.exists()


def test_nothing_is_written_before_its_time(path, monkeypatch):
    kept = resume.Checkpoint(path, "these")
    monkeypatch.setattr(resume, "SECONDS", 1000.0)
    kept.add(kept.epochs[0], 1.0, lambda: pytest.fail("asked for what is not written"))
    assert len(resume.Checkpoint(path, "these").epochs) == 1


def test_digest_sees_conditions_content_and_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files = [tmp_path / name for name in ("examples", "descent/code.py")]
    files[1].parent.mkdir()
    for file in files:
        file.write_text("a")
    first = resume.digest({"x": 1}, files[:1])
    assert resume.digest({"x": 1}, files[:1]) == first != resume.digest({"x": 2}, files[:1])
    for file in files:
        file.write_text("b")
        assert resume.digest({"x": 1}, files[:1]) != first
        file.write_text("a")
