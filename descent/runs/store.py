"""What determines a run, and finished runs, kept in .dvc/tmp/runs: what was trained once is not trained again.

A file holds one run. Its name is the digest of all that determines the run, then that of the environment. So a record
from other settings, code, data or another machine is never found; a damaged file counts as missing.
"""

import hashlib
import io
import json
import os
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np

from descent.core import parameters, process
from descent.data import datasets
from descent.data.datasets import SELECTION, SPLITS, Dataset
from descent.training import settings
from descent.training.measurements import MEASUREMENTS, Run, Wanted
from descent.training.settings import NetworkEntry, OptimizerEntry, TrainingParameters

# Files, some 13 kB each. A study and two races of eight optimizers need about 900, and none of them may drop another's.
MOST = 2000  # those that were not used for the longest time go first
CODE = "descent/training"  # computes runs, but for the rule of an optimizer, which counts for that optimizer alone
SCHEMAS = "descent/training/settings.py"  # what params.yaml may hold: computes none


class Task(NamedTuple):
    """What is to be trained: with the examples, all that determines runs but for seed and factor."""

    name: str  # of the optimizer
    entry: OptimizerEntry
    network: NetworkEntry
    settings: TrainingParameters
    selects: bool = False  # the runs choose a learning rate: the selection examples judge, none test

    @classmethod
    def read(cls, name: str) -> "Task":
        """Read what params.yaml says of one optimizer; raises ParametersError."""
        entry = settings.read_optimizer("params.yaml", name)
        network = parameters.read("params.yaml", "network", NetworkEntry)
        return cls(name, entry, network, parameters.read("params.yaml", "training", TrainingParameters))

    @property
    def rule(self) -> Path:
        """The code of the optimizer's class, which the stage `check` writes."""
        return settings.rule_path(self.name)

    def files(self) -> list[str]:
        """List the files that a training reads."""
        examples = [SPLITS, SELECTION] if self.selects else [SPLITS]
        return list(map(str, [*examples, self.network.file, self.rule]))

    def load(self) -> Dataset:
        """Load the examples; where the runs choose a learning rate, others judge and none test."""
        data = datasets.load(SPLITS)
        return data._replace(validation=datasets.load_selection(SELECTION), test=None) if self.selects else data

    def digest(self, data: Dataset) -> str:
        """Digest it with the examples that `load` gave; of the settings those count that change a run."""
        entry = self.entry.model_dump(exclude={"runs", "tuned_runs"})
        values = [entry, self.network.model_dump(), self.settings.epochs, self.settings.batch_size]
        values += [data.classes, code_digest()]
        found = hashlib.sha256(json.dumps(values).encode())
        for path in (self.rule, Path(self.network.file)):
            found.update(hashlib.sha256(path.read_bytes()).digest())
        for split in data.splits().values():
            for array in split:
                found.update(repr((array.dtype, array.shape)).encode() + hashlib.sha256(array.data).digest())
        return found.hexdigest()


def code_digest(*more: str) -> str:
    """Digest the code that computes a run, and that of `more` folders."""
    root, found = Path(__file__).parents[2], hashlib.sha256()
    for path in sorted(path for folder in (CODE, *more) for path in (root / folder).rglob("*.py")):
        name = path.relative_to(root).as_posix()
        if name != SCHEMAS:
            found.update(f"{name}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()


class Store:
    """The kept runs of one optimizer."""

    def __init__(self, task: Task, data: Dataset, environment: Mapping[str, str] | None):
        """Open it for runs of this environment; None takes those of any, as on a cluster of different machines."""
        self._digest, self._environment = task.digest(data), environment

    def find(self, wanted: Wanted, with_weights: bool = False) -> Run | None:
        """Return a run that was kept, if it is; `with_weights`: only one that holds its weights."""
        name = self._name(wanted)
        machine = "*" if self._environment is None else _short(json.dumps(self._environment))
        for path in sorted(_folder().glob(f"{name}-{machine}.npz")):
            run = _read(path, wanted)
            if run and not (with_weights and run.weights is None):
                with suppress(OSError):  # another process may have dropped it
                    os.utime(path)
                return run
        return None

    def keep(self, run: Run) -> None:
        """Keep a run, and drop what is too many."""
        name = self._name(Wanted(run.seed, run.factor))
        process.write_file(_folder() / f"{name}-{_short(json.dumps(run.environment))}.npz", _bytes(run, name))
        with suppress(FileNotFoundError):  # another process drops some at this moment
            newest = sorted(_folder().glob("*.npz"), key=lambda path: path.stat().st_mtime, reverse=True)
            for path in newest[MOST:]:
                path.unlink()

    def _name(self, wanted: Wanted) -> str:
        return _short(f"{self._digest} {wanted.seed} {wanted.factor!r}")


def _folder() -> Path:
    """Where runs are kept; an experiment that DVC runs in a folder of its own uses those of its repository."""
    here = Path.cwd()
    outer = [folder for folder in here.parents if folder.parts[-3:] == (".dvc", "tmp", "exps")]
    return outer[0].parent / "runs" if outer else here / ".dvc/tmp/runs"


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _bytes(run: Run, name: str) -> memoryview:
    facts = {"name": name, "learning_rate": run.learning_rate, "seconds": run.seconds, "environment": run.environment}
    arrays = {
        "facts": np.array(json.dumps(facts)),
        "history": np.stack([run.history[column] for column in MEASUREMENTS]),
        "hits": np.packbits(run.hits, axis=1),
        "judging": np.array(run.hits.shape[1]),
        "test": np.array(run.test or ()),
    }
    buffer = io.BytesIO()
    np.savez(buffer, weights=np.frombuffer(run.weights or b"", np.uint8), **arrays)
    return buffer.getbuffer()


def _read(path: Path, wanted: Wanted) -> Run | None:
    try:
        content = path.read_bytes()
        if zipfile.ZipFile(io.BytesIO(content)).testzip():  # NumPy may read a part only, and compares no sum then
            return None
        with np.load(io.BytesIO(content)) as kept:
            facts = json.loads(str(kept["facts"]))
            if not path.name.startswith(facts["name"]):  # renamed
                return None
            hits = np.unpackbits(kept["hits"], axis=1, count=int(kept["judging"])).astype(bool)
            return Run(
                wanted.seed,
                wanted.factor,
                float(facts["learning_rate"]),
                dict(zip(MEASUREMENTS, kept["history"], strict=True)),
                hits,
                tuple(kept["test"].tolist()) or None,
                kept["weights"].tobytes() or None,
                float(facts["seconds"]),
                dict(facts["environment"]),
            )
    except Exception:  # what is damaged may raise anything
        return None
