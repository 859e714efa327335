"""Whatever a file of the user's does when `check` tries it is one line, and the others are tried."""

import os
import shutil
import subprocess
import sys

import pytest
from pipeline import ROOT, shrink, yaml

pytestmark = pytest.mark.slow

MINE = """
import keras, os, sys, warnings
import tensorflow as tf
{top}
class Mine(keras.optimizers.SGD):
    {body}
"""
# What a file does when it is run, what its class does, and how the line about it begins; None: it is understood.
FILES = {
    "leaves": ("sys.exit(0)", "pass", ".file: 'optimizers/leaves.py' cannot be run: SystemExit: 0 (optimizers/leaves"),
    "asks": ("input()", "pass", ".file: 'optimizers/asks.py' cannot be run: EOFError"),
    "moves": ("os.chdir('/')", "pass", ".file: 'optimizers/moves.py' changes the current folder"),
    "mixes": (
        "keras.config.set_dtype_policy('mixed_float16')",
        "pass",
        ".file: 'optimizers/mixes.py' changes keras.config",
    ),
    "grows": (
        "",
        "def build(self, variables): self.state = tf.zeros(10**10)",
        ": Mine cannot take a step: ResourceExhaustedError: ",
    ),
    "warns": ("warnings.warn('careful')", "pass", None),
    "prints": ("print('careful')", "pass", None),
}


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    """What `python -m stages.check` says of one optimizer a file; none of them stops it."""
    folder = tmp_path_factory.mktemp("check")
    for name in ("networks", "optimizers"):
        shutil.copytree(ROOT / name, folder / name)
    document = yaml.load(ROOT / "params.yaml")
    shrink(document)
    for name, (top, body, _) in FILES.items():
        (folder / f"optimizers/{name}.py").write_text(MINE.format(top=top, body=body))
        document["optimizers"][name] = {"class_name": "Mine", "config": {}, "file": f"optimizers/{name}.py"}
    document["training"]["epochs"] = 2**70
    yaml.dump(document, folder / "params.yaml")
    done = subprocess.run(
        [sys.executable, "-m", "stages.check"], cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert not (folder / "results").exists()
    return done.stderr


@pytest.mark.parametrize("name", FILES)
def test_file_that_does_this_is_refused_on_one_line_or_taken(checked, name):
    where = f"params.yaml: optimizers.{name}"
    lines = [line for line in checked.splitlines() if line.startswith((f"{where}:", f"{where}."))]
    expected = FILES[name][2]
    assert [line[: len(where + expected)] for line in lines] == [where + expected] if expected else not lines


def test_faults_of_the_sections_are_told_with_those_of_the_files(checked):
    assert "params.yaml: training.epochs: expected at most 1000000, got 1180591" in checked
