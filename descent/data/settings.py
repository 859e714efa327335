"""The section `data` of params.yaml, and what is known of the data set that it names."""

import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Annotated, NamedTuple

import numpy as np
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from descent.core.parameters import ParametersError, Section


def _check_path(file: str) -> str:
    # The file is a dependency in dvc.yaml: DVC would follow an address or a path that leads out of the repository.
    if not re.fullmatch(r"(?!/|.*\.\.)[A-Za-z0-9._/-]{1,200}\.(npz|csv)", file):
        expected = "expected an .npz or .csv file in this repository: letters, digits, . _ - and /, without .."
        raise PydanticCustomError("data_file", expected)
    return file


class Facts(NamedTuple):
    """What a data set is like."""

    sizes: dict[str, int]  # of train and test and, where it has them, of validation and selection
    shape: tuple[int, ...]  # of an example
    classes: int
    arrays: Mapping[str, np.ndarray] | None = None  # of `datasets.read`; None before the data set is here

    def labels(self) -> dict[str, np.ndarray]:
        """The labels of train, test, ..., as far as they are known."""
        return {kind: self.arrays[f"y_{kind}"] for kind in self.sizes} if self.arrays else {}

    def names(self) -> list[str]:
        """The names of the classes, in their order."""
        return class_names(self.arrays or {}, self.classes)


# What is known of a data set before it is here.
FETCHED = dict.fromkeys(("mnist", "fashion_mnist"), Facts({"train": 60000, "test": 10000}, (28, 28), 10))
TITLES = {"mnist": "MNIST", "fashion_mnist": "Fashion-MNIST"}


class DataParameters(Section):
    """Section `data`: the data set, how much of it trains, and how much compares."""

    file: Annotated[str, AfterValidator(_check_path)]
    train_size: Annotated[int, Field(ge=1, lt=2**31)]
    validation_size: Annotated[int, Field(ge=1, lt=2**31)]

    @property
    def fetched(self) -> str | None:
        """Name of the data set in `download`, if it comes from there."""
        path = PurePath(self.file)
        return path.stem if str(path.parent) == "data/raw" and path.suffix == ".npz" and path.stem in FETCHED else None

    @property
    def title(self) -> str:
        """What a text calls the data set."""
        return TITLES.get(self.fetched, PurePath(self.file).name)


def class_names(arrays: Mapping[str, np.ndarray], classes: int) -> list[str]:
    """Return the names of the classes, in their order; an archive has them only where they are not 0, 1, 2, ..."""
    return arrays["names"].tolist() if "names" in arrays else list(map(str, range(classes)))


def cut(arrays: Mapping[str, np.ndarray], data: DataParameters) -> dict[str, np.ndarray]:
    """Cut examples or labels, given by kind, into those that train, validate and test.

    The first ones come first, so that a smaller subset is contained in a larger one.

    Args:
        arrays: of train and test and, if it is there, of validation.
        data: the sizes.

    Returns:
        train, the first `train_size` of train; validation, the first `validation_size` of validation, and test, all of
        test. Without validation: the first `validation_size` of test validate, and the others test.

    References:
        "keras教程-06-优化器详细解释", mlln.cn, 2018-09-01: 8192 training images, validation on 3000 test images.
    """
    has_own = "validation" in arrays
    return {
        "train": arrays["train"][: data.train_size],
        "validation": arrays["validation" if has_own else "test"][: data.validation_size],
        "test": arrays["test"][0 if has_own else data.validation_size :],
    }


def refuse_sizes(data: DataParameters, facts: Facts, where: str) -> None:
    """Raise ParametersError if `data` asks for more than there is, or leaves examples of one class; `where`: the file.

    Where the labels are not known yet, sizes alone are checked.
    """
    most = facts.sizes.get("validation", facts.sizes["test"] - 1)
    sizes = {"train_size": facts.sizes["train"], "validation_size": most}
    lines = [
        f"{where}: data.{key}: expected 1 to {most}, got {getattr(data, key)}"
        for key, most in sizes.items()
        if getattr(data, key) > most
    ]
    if not lines and facts.arrays:
        for kind, labels in cut(facts.labels(), data).items():
            source = kind if kind in facts.sizes else "test"
            lines += _single_class(labels, facts, f"{where}: data.file: {data.file}: the {kind} examples", source)
    if lines:
        raise ParametersError("\n".join(lines))


def refuse_selection(selection_size: int, data: DataParameters, facts: Facts, where: str) -> None:
    """Raise ParametersError if what chooses learning rates trains too, is of one class, or more than there is."""
    source = "selection" if "selection" in facts.sizes else "train"
    if source == "selection":
        most = facts.sizes["selection"]
        if selection_size > most:
            raise ParametersError(f"{where}: tuning.selection_size: expected 1 to {most}, got {selection_size}")
    elif data.train_size + selection_size > facts.sizes["train"]:
        reason = f"the last {selection_size} training examples choose learning rates, see tuning.selection_size"
        most = facts.sizes["train"] - selection_size
        if most < 1:
            allowed = f"expected 1 to {facts.sizes['train'] - 1}, less than the training examples"
            raise ParametersError(f"{where}: tuning.selection_size: {allowed}, got {selection_size}")
        raise ParametersError(f"{where}: data.train_size: expected 1 to {most}, got {data.train_size}: {reason}")
    if facts.arrays:
        labels = facts.labels()[source]
        chosen = labels[:selection_size] if source == "selection" else labels[-selection_size:]
        place = f"{where}: data.file: {data.file}: the {selection_size} examples that choose learning rates"
        if lines := _single_class(chosen, facts, place, source):
            raise ParametersError("\n".join(lines))


def _single_class(labels: np.ndarray, facts: Facts, where: str, source: str) -> list[str]:
    if (labels != labels[0]).any():
        return []
    x, y = f"x_{source}", f"y_{source}"
    shuffle = f"order = np.random.default_rng(0).permutation(len({y})); {x}, {y} = {x}[order], {y}[order]"
    alone = facts.names()[labels[0]]
    return [f"{where}: expected at least two classes, got {alone} alone; to mix them in NumPy: {shuffle}"]


def largest_class(labels: np.ndarray, names: list[str]) -> tuple[str, float]:
    """Return the name of the most frequent class and its share: what a network has that always answers it."""
    counts = np.bincount(labels, minlength=len(names))
    return names[int(counts.argmax())], float(counts.max() / len(labels))


def warn_of_target(data: DataParameters, facts: Facts, target: float, where: str) -> None:
    """Print a line where a network that always answers the largest class reaches `training.target_val_accuracy`."""
    if facts.arrays:
        name, share = largest_class(cut(facts.labels(), data)["validation"], facts.names())
        if target <= share:
            reason = f"{share:.1%} of the validation examples are of class {name}"
            print(
                f"{where}: training.target_val_accuracy: {target:g} is reached by always answering {name}: {reason};"
                f" choose a number above {share:.3f}"
            )
