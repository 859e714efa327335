"""What removed optimizers left is found in dvc.lock alone."""

import pytest

from descent.parameters import InputError
from descent.report import leftovers

LOCK = """
schema: '2.0'
stages:
  prepare:
    outs: [{path: data/prepared/mnist.npz, hash: md5, md5: aa, size: 1}]
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


def test_outputs_of_removed_optimizers_are_found_with_their_sums_and_nothing_else():
    assert leftovers.outputs(LOCK, ["adam", "lion"]) == {
        "results/history/sgd.csv": "cc",
        "results/models/sgd.weights.h5": "dd",
    }


def test_an_optimizer_that_moved_to_the_other_section_keeps_its_files():
    assert not any("lion" in path for path in leftovers.outputs(LOCK, ["lion"]))


@pytest.mark.parametrize("lock", ["", "schema: '2.0'\n", "stages:\n"])
def test_a_lock_without_stages_owns_nothing(lock):
    assert leftovers.outputs(lock, []) == {}


@pytest.mark.parametrize("lock", ["stages: [", "stages: [1]", "stages: {train@a: {outs: [{md5: 1}]}}", "a"])
def test_a_damaged_lock_is_refused(lock):
    with pytest.raises(InputError, match=r"^dvc\.lock: damaged"):
        leftovers.outputs(lock, [])
