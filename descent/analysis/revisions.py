"""Reads one revision of the results, and names the conditions in which two of them differ."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from descent.analysis import records
from descent.analysis.records import Training
from descent.core.parameters import InputError, validate
from descent.data.settings import DataParameters
from descent.runs import metrics
from descent.training.settings import TrainingParameters

COMPUTING = ("data", "network", "training", "optimizers")  # the sections that decide results


class Revision(NamedTuple):
    """What one revision of the repository holds."""

    name: str
    parameters: Mapping[str, Any]  # sections of params.yaml that decide results
    trainings: Mapping[str, Training]
    runs: Mapping[str, np.ndarray]  # optimizer -> [runs], by what each run is judged, nan where it diverged
    resolution: float  # what one image changes in them


def read_revision(name: str, read: Callable[[str], str]) -> Revision:
    """Read a revision through a function from path to content.

    Raises:
        InputError: if something is missing or damaged there; the message begins with the name.
    """
    try:
        document = YAML(typ="safe").load(read("params.yaml"))
        sections = {key: document.get(key) or {} for key in COMPUTING}
        data = validate(sections["data"], DataParameters, "params.yaml: data")
        training = validate(sections["training"], TrainingParameters, "params.yaml: training")
        trainings = {}
        for optimizer in sorted(sections["optimizers"]):
            paths = (f"results/history/{optimizer}.csv", f"results/metrics/{optimizer}.json")
            trainings[optimizer] = records.parse_training(*map(read, paths), paths, training, data.validation_size)
    except (AttributeError, TypeError, YAMLError):
        raise InputError(f"{name}: params.yaml: not the parameters of this project") from None
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
    runs = {
        optimizer: metrics.final_accuracy(left.history["val_accuracy"], data.validation_size, training.last_epochs)
        for optimizer, left in trainings.items()
    }
    return Revision(name, sections, trainings, runs, 1 / data.validation_size)


def differing_parameters(before: Revision, after: Revision) -> list[str]:
    """Name every parameter that decides results and differs, with both values, and optimizers that one side lacks."""
    first, second = dict(_leaves(before.parameters)), dict(_leaves(after.parameters))
    lone = set(before.runs) ^ set(after.runs)
    found = [f"{name} only in {(before if name in before.runs else after).name}" for name in sorted(lone)]
    for path in dict.fromkeys((*first, *second)):
        is_of_lone = path[0] == "optimizers" and path[1] in lone
        if first.get(path) != second.get(path) and not is_of_lone:
            found.append(f"{'.'.join(path)}: {first.get(path, 'none')} -> {second.get(path, 'none')}")
    return found


def differing_environment(before: Revision, after: Revision) -> list[str]:
    """Name every property of what computed the results that differs, with both values, and for which optimizers."""
    common = [name for name in before.trainings if name in after.trainings]
    found: dict[str, list[str]] = {}
    for name in common:
        first, second = before.trainings[name].environment, after.trainings[name].environment
        for key in dict.fromkeys((*first, *second)):
            values = [side.get(key, "not recorded") for side in (first, second)]
            if values[0] != values[1]:
                found.setdefault(f"{key}: {values[0]} -> {values[1]}", []).append(name)
    return [text if len(of) == len(common) else f"{text} ({', '.join(of)})" for text, of in found.items()]


def _leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, Mapping):
        for key, member in value.items():
            yield from _leaves(member, (*path, str(key)))
    else:
        yield path, value
