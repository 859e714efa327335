"""A stage says at once what it is doing, and TensorFlow's start-up noise stays out of sight, errors excepted."""

import os
import signal
import subprocess
import sys

import pytest
from pipeline import ROOT

CODE = """
from descent.core import process
process.load_tensorflow("adam")
import tensorflow as tf
print(tf.function(lambda x: x * 2, jit_compile=True)(tf.constant(4)).numpy())
print(process.os.environ["KERAS_BACKEND"], process.os.environ["TF_NUM_INTRAOP_THREADS"])
"""


def run(code, path=None):
    environment = {**os.environ, "PATH": path or os.environ["PATH"]}
    environment.pop("TF_CPP_MIN_LOG_LEVEL", None)
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_start_is_announced_and_quiet_without_a_gpu(tmp_path):
    done = run(CODE, path=str(tmp_path))  # no nvidia-smi here
    assert done.stdout == "adam: loading TensorFlow\n8\ntensorflow 2\n"
    assert done.stderr == ""


def test_another_python_first_on_path_is_two_lines_that_say_what_to_do():
    command = [sys.executable, "-S", "-m", "stages.check"]  # -S: without the packages of the environment
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    first, second = done.stderr.splitlines()
    assert first.startswith(f"{sys.executable}, Python 3.")
    assert first.endswith("cannot run descent: No module named 'pydantic'.")
    assert ". .venv/bin/activate" in second


def test_ctrl_c_while_modules_load_is_one_line():
    code = "import os, signal, stages; os.kill(os.getpid(), signal.SIGINT); import time; time.sleep(9)"
    done = run(code)
    assert done.stderr == "Stopped\n"
    assert done.returncode == -signal.SIGINT
