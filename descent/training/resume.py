"""Keeps a training that is stopped, until it goes on; used under the very same conditions only."""

import hashlib
import io
import json
import time
import zipfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from descent import files
from descent.training.columns import MEASUREMENTS
from descent.training.metrics import Epoch

SECONDS = 20.0  # between two looks at whether to write: what a kill may cost, beside the epoch that it falls into


def digest(conditions: Any, paths: Iterable[Path]) -> str:
    """Digest all that determines a run: conditions that JSON can hold, the content of files, the code of descent."""
    found = hashlib.sha256(json.dumps(conditions, sort_keys=True).encode())
    for path in sorted({*Path("descent").rglob("*.py"), *paths}):
        found.update(f"{path}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()


class Checkpoint:
    """The epochs of a training so far, and the states of its runs after them, in a file that is written whole.

    Attributes:
        epochs: what was measured.
        seconds: that each of the epochs took.
        states: of the runs after the last of the epochs (`Runs.states`); empty where there is none.
    """

    def __init__(self, path: Path, conditions: str):
        """Read what is kept under these conditions; what is damaged, or of others, counts for nothing."""
        self._path, self._conditions, self._written = path, conditions, time.monotonic()
        self.epochs: list[Epoch] = []
        self.seconds: list[float] = []
        self.states: list[np.ndarray] = []
        try:
            with np.load(io.BytesIO(path.read_bytes())) as kept:
                if str(kept["conditions"]) == conditions:
                    measured = (dict(zip(MEASUREMENTS, values, strict=True)) for values in kept["measurements"])
                    epochs = [Epoch(*both) for both in zip(measured, kept["val_hits"], strict=True)]
                    seconds = kept["seconds"].tolist()
                    states = [kept[name] for name in kept.files if name.startswith("arr_")]  # as savez calls them
                    self.epochs, self.seconds, self.states = epochs, seconds, states
        except (OSError, EOFError, ValueError, TypeError, KeyError, zipfile.BadZipFile):
            pass

    def add(self, epoch: Epoch, seconds: float, states: Callable[[], Sequence[np.ndarray]]) -> None:
        """Add an epoch; from time to time, write all there is."""
        self.epochs.append(epoch)
        self.seconds.append(seconds)
        if time.monotonic() - self._written < SECONDS:
            return
        buffer = io.BytesIO()
        np.savez(
            buffer,
            *states(),
            conditions=self._conditions,
            measurements=[[*epoch.measurements.values()] for epoch in self.epochs],
            val_hits=[epoch.val_hits for epoch in self.epochs],
            seconds=self.seconds,
        )
        files.write(self._path, buffer.getbuffer())
        self._written = time.monotonic()

    def forget(self) -> None:
        """Remove the file: the training is done."""
        self._path.unlink(missing_ok=True)
