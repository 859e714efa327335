"""The process of a stage: starts TensorFlow, ends with the DVC that started it, writes files whole or not at all."""

import contextlib
import ctypes
import gc
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

# What Keras would import where it finds it, for functions that nobody calls here: 0.35 and 1.2 s.
_NOT_NEEDED = ("matplotlib.pyplot", "sklearn")


def load_tensorflow(who: str) -> None:
    """Import TensorFlow and Keras, seconds of work, with a line that says so; `who` opens the line.

    Where there is no NVIDIA driver, what C++ code writes about a missing GPU while it loads is left out.
    """
    if "keras" in sys.modules:
        return
    print(f"{who}: loading TensorFlow", flush=True)
    os.environ["KERAS_BACKEND"] = "tensorflow"  # whatever ~/.keras/keras.json says
    fix_threads()
    for module in _NOT_NEEDED:
        sys.modules.setdefault(module, None)
    gc.disable()
    if shutil.which("nvidia-smi"):
        import keras
    else:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # XLA announces itself when it first compiles
        with _silence():
            import keras  # noqa: F401
            import tensorflow as tf

            tf.config.list_physical_devices("GPU")  # the last of these lines comes with the first look
    # What was imported stays to the end: to look for garbage in it, now, later and at the end, takes 1.1 s of 2.5.
    gc.freeze()
    gc.enable()
    for module in _NOT_NEEDED:
        if sys.modules[module] is None:
            del sys.modules[module]


def fix_threads() -> None:
    """Let TensorFlow use two threads for one product, unless the user asked for another number.

    How a large product is split over threads decides the order of its sums: as many threads on every machine, and
    however many stages share it, for equal bytes. Two trainings at once on two cores lose nothing by it (measured).
    """
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "2")


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Drop what is written to stderr, by C++ code too: some lines come whatever TensorFlow's log level is."""
    kept = os.dup(2)
    with Path(os.devnull).open("w") as nothing:
        os.dup2(nothing.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def die_with_parent() -> None:
    """Have Linux kill this process when the DVC that started it is gone; not for a stage that somebody runs by hand."""
    if "DVC_STAGE" in os.environ and sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # 1: PR_SET_PDEATHSIG


def write_file(path: Path, content: bytes | memoryview) -> None:
    """Put content at path, making its folder when missing; a failure on the way leaves the old file as it was."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")  # two processes never write to one
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(content)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
