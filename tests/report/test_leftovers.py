"""What removed optimizers left is found in dvc.lock alone."""

import pytest

from descent.parameters import InputError
from descent.report import leftovers

LOCK = """
schema: '2.0'
stages:
  prepare:
    outs: [{path: data/prepared/splits.npz, hash: md5, md5: aa, size: 1}]
  train@adam:
    outs: [{path: results/metrics/adam.json, hash: md5, md5: bb, size: 1}]
  train@sgd:
    cmd: python -m stages.train optimizers.sgd
    outs:
    - {path: results/history/sgd.csv, hash: md5, md5: cc, size: 1}
    - {path: results/models/sgd.weights.h5, hash: md5, md5: dd, size: 1}
  train_own@lion:
    outs: [{path: results/history/lion.csv, hash: md5, md5: ee, size: 1}]
  train_own@gone:
    cmd: never ended
"""


@pytest.fixture
def found(tmp_path):
    """Find leftovers by the content of a lock."""

    def find(content, optimizers=()):
        path = tmp_path / "dvc.lock"
        path.write_text(content, encoding="utf-8")
        return leftovers.find(path, optimizers)

    return find


def test_outputs_of_removed_optimizers_are_found_with_their_sums_and_nothing_else(found):
    assert found(LOCK, ["adam", "lion"]) == {
        "results/history/sgd.csv": "cc",
        "results/models/sgd.weights.h5": "dd",
    }


def test_an_optimizer_that_moved_to_the_other_section_keeps_its_files(found):
    assert not any("lion" in path for path in found(LOCK, ["lion"]))


@pytest.mark.parametrize("lock", ["", "schema: '2.0'\n", "stages:\n"])
def test_a_lock_without_stages_owns_nothing(lock, found):
    assert found(lock) == {}


@pytest.mark.parametrize("lock", ["stages: [", "stages: [1]", "stages: {train@a: {outs: [{md5: 1}]}}", "a"])
def test_a_damaged_lock_is_refused(lock, found):
    with pytest.raises(InputError, match=r"dvc\.lock: damaged"):
        found(lock)


def test_without_a_lock_nothing_was_made(tmp_path):
    assert leftovers.find(tmp_path / "dvc.lock", []) == {}
