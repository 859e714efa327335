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


class DatasetInfo(NamedTuple):
    """Sizes, shape and classes of a data set."""

    sizes: dict[str, int]  # of train and test and, where it has them, of validation and selection
    shape: tuple[int, ...]  # of an example
    classes: int
    arrays: Mapping[str, np.ndarray] | None = None  # of `datasets.read`; None before the data set is here

    def labels(self) -> dict[str, np.ndarray]:
        """Return the labels of train, test, ...; none before the data set is here."""
        return {kind: self.arrays[f"y_{kind}"] for kind in self.sizes} if self.arrays else {}

    def names(self) -> list[str]:
        """Return the names of the classes, in their order."""
        return class_names(self.arrays or {}, self.classes)


# What is known of a data set before it is here.
FETCHED = dict.fromkeys(("mnist", "fashion_mnist"), DatasetInfo({"train": 60000, "test": 10000}, (28, 28), 10))
TITLES = {"mnist": "MNIST", "fashion_mnist": "Fashion-MNIST"}


class DataParameters(Section):
    """Section `data`: the data set, how much of it trains, and how much compares."""

    file: Annotated[str, AfterValidator(_check_path)]
    train_size: Annotated[int, Field(ge=1)]
    validation_size: Annotated[int, Field(ge=1)]

    @property
    def fetched(self) -> str | None:
        """Name of the data set in `download`, if it comes from there."""
        return next((name for name in FETCHED if PurePath(self.file) == PurePath(f"data/raw/{name}.npz")), None)

    @property
    def title(self) -> str:
        """What a text calls the data set."""
        return TITLES.get(self.fetched, PurePath(self.file).name)


def class_names(arrays: Mapping[str, np.ndarray], classes: int) -> list[str]:
    """Return the names of the classes, in their order; an archive has them only where they are not 0, 1, 2, ..."""
    return arrays["names"].tolist() if "names" in arrays else list(map(str, range(classes)))


def cut(arrays: Mapping[str, np.ndarray], data: DataParameters) -> dict[str, np.ndarray]:
    """Cut examples or labels, given by kind, into those that train, validate and test.

    The first ones train, so that a smaller subset is contained in a larger one. Without validation examples of its
    own, the first test examples validate and the others test.

    References:
        "keras教程-06-优化器详细解释", mlln.cn, 2018-09-01: 8192 training images, validation on 3000 test images.
    """
    has_own = "validation" in arrays
    return {
        "train": arrays["train"][: data.train_size],
        "validation": arrays["validation" if has_own else "test"][: data.validation_size],
        "test": arrays["test"][0 if has_own else data.validation_size :],
    }


def select(arrays: Mapping[str, np.ndarray], size: int) -> np.ndarray:
    """Return the examples or labels that choose learning rates: the first of selection, else the last of train."""
    return arrays["selection"][:size] if "selection" in arrays else arrays["train"][-size:]


def refuse_sizes(data: DataParameters, selection_size: int, info: DatasetInfo, where: str) -> None:
    """Raise ParametersError if a size asks for more than there is, or leaves examples of a single class.

    Where the labels are not known yet, only the sizes are checked. `where` (the file) opens every line.
    """
    train, validation = info.sizes["train"], info.sizes.get("validation", info.sizes["test"] - 1)
    if "selection" in info.sizes:
        trainable, selection, reason = train, info.sizes["selection"], ""
    else:
        trainable, selection = max(1, train - selection_size), train - 1
        reason = f": the last {selection_size} training examples choose learning rates, see tuning.selection_size"
    limits = [
        ("data.train_size", data.train_size, trainable, reason),
        ("data.validation_size", data.validation_size, validation, ""),
        ("tuning.selection_size", selection_size, selection, ""),
    ]
    lines = [f"{where}: {key}: expected 1 to {most}, got {got}{why}" for key, got, most, why in limits if got > most]
    if not lines and info.arrays:
        labels = info.labels()
        for kind, part in (cut(labels, data) | {"selection": select(labels, selection_size)}).items():
            if (part == part[0]).all():
                source = kind if kind in labels else {"validation": "test", "selection": "train"}[kind]
                x, y = f"x_{source}", f"y_{source}"
                mixed = f"order = np.random.default_rng(0).permutation(len({y})); {x}, {y} = {x}[order], {y}[order]"
                mend = f"to mix them in NumPy: {mixed}"
                if data.file.endswith(".csv"):  # whose rows are mixed already
                    mend = "add rows of the rare classes"
                lines.append(
                    f"{where}: data.file: {data.file}: the {kind} examples: expected at least two classes,"
                    f" got {info.names()[part[0]]} alone; {mend}"
                )
    if lines:
        raise ParametersError("\n".join(lines))


def largest_class(labels: np.ndarray, names: list[str]) -> tuple[str, float]:
    """Return the name of the most frequent class and its share: what a network has that always answers it."""
    counts = np.bincount(labels)
    return names[int(counts.argmax())], float(counts.max() / len(labels))


def warn_of_target(data: DataParameters, info: DatasetInfo, target: float, where: str) -> None:
    """Print a line where a network that always answers the largest class reaches `training.target_val_accuracy`."""
    if info.arrays:
        name, share = largest_class(cut(info.labels(), data)["validation"], info.names())
        if target <= share:
            print(
                f"{where}: training.target_val_accuracy: {target:g} is reached by always answering {name}: {share:.1%}"
                f" of the validation examples are of class {name}; choose a number above {share:.3f}"
            )
