"""Runs of a study as a task: plain values and files in; what each run measured out."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from descent import own, startup
from descent.data import datasets
from descent.optimizers.entries import OptimizerEntry
from descent.training import resume, where
from descent.training.settings import NetworkEntry, TrainingParameters
from descent.tuning import columns

_programs: dict[str, Any] = {}  # the one that was compiled last, by all that determines it


def describe(key: str, entry: OptimizerEntry) -> Iterator[tuple[str, float, dict[str, str]]]:
    """Yield one line on the device, the learning rate at factor 1 (nan for a schedule), and the environment."""
    startup.load_tensorflow(key.partition(".")[2])
    from descent.optimizers import build
    from descent.training import device
    from descent.tuning import scaling

    line = device.configure()
    yield line, scaling.number(build.build(entry, f"params.yaml: {key}")), device.environment()


def train(
    key: str,
    entry: OptimizerEntry,
    network: NetworkEntry,
    settings: TrainingParameters,
    role: str,
    runs: Sequence[tuple[float, int]],
) -> Iterator[tuple[float, int, Any, dict[str, str]]]:
    """Train runs one after the other by one program, which is compiled once for each role.

    Args:
        key: key path of the optimizer, such as `optimizers.adam`.
        entry: of the optimizer.
        network: file and arguments.
        settings: the section `training`.
        role: of columns; whether the runs choose, or report.
        runs: factor on the learning rate and seed of each.

    Yields:
        Of each run the factor, the seed, its `trials.Trial` as plain tuple, and the environment.

    Raises:
        InputError: for an optimizer, a network or data that do not train.
    """
    data = datasets.load(Path(where.SPLITS))
    startup.load_tensorflow(key.partition(".")[2])
    from descent.optimizers import build
    from descent.training import device, networks
    from descent.tuning import trials

    given = [key, role, *(section.model_dump() for section in (entry, network, settings))]
    conditions = resume.digest(given, map(Path, [*where.files(entry, network), where.SELECTION]))
    for factor, seed in runs:
        with own.refused(lambda reason: f"params.yaml: {network.file} and {key} do not train: {reason}"):
            if conditions not in _programs:
                _programs.clear()
                device.configure()
                fresh_network = networks.builder(network, data.train.examples.shape[1:], data.classes)
                fresh_optimizer = partial(build.build, entry, f"params.yaml: {key}")
                judge = datasets.load_selection(Path(where.SELECTION)) if role == columns.SELECTION else data.validation
                _programs[conditions] = trials.Trials(fresh_network, fresh_optimizer, settings, data.train, judge)
            trial = _programs[conditions].run(seed, factor, data.test if role == columns.REPORT else None)
        yield factor, seed, tuple(trial), device.environment()
