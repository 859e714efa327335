"""Tasks without TensorFlow, for what a cluster does with any task."""

import os
import time
from pathlib import Path

from descent.core.parameters import InputError


def count(steps, seconds):
    """Tell the process and its worker, then numbers."""
    yield "process", os.getpid(), os.getppid()
    for number in range(steps):
        time.sleep(seconds)
        yield number


def read(path):
    """Tell what is in the folder of the task, and in a file of it."""
    yield sorted(str(path) for path in Path().rglob("*") if path.is_file()), Path(path).read_text()


def fail():
    """Fail as a training does."""
    yield "begun"
    raise InputError("params.yaml: it does not train")
