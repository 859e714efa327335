"""Cuts a data set into training, validation, test and selection examples, and hands them to who trains or scores."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from descent.data import archives
from descent.data.archives import ArchiveError
from descent.data.settings import DataParameters, Facts

_GIVEN, _OPTIONAL = ("train", "test"), ("validation", "selection")
_PREPARED = ("train", "validation", "test")


class Split(NamedTuple):
    """Examples [n, ...] float32, and their labels [n] int32 from 0."""

    examples: np.ndarray
    labels: np.ndarray


class Dataset(NamedTuple):
    """The splits: `train` fits the weights, `validation` compares, `test` is scored once and chooses nothing."""

    train: Split
    validation: Split
    test: Split | None
    classes: int

    def splits(self) -> dict[str, Split]:
        """Those that are there, by name."""
        return {kind: getattr(self, kind) for kind in _PREPARED if getattr(self, kind)}


def read(path: Path) -> dict[str, np.ndarray]:
    """Read a data set: x_* and y_* of train and test and, where they are there, of validation and selection.

    Args:
        path: .npz archive; x_* [n, ...] uint8, float32 or float64, all of one shape but for n; y_* [n] integers, in
            `train` all classes from 0 on.

    Returns:
        The arrays by name: examples in C order, labels int32.

    Raises:
        ArchiveError: if the file is not such an archive; the message names the array and what is wrong with it.
    """
    arrays = archives.read(path, _names(_GIVEN), _names(_OPTIONAL))
    kinds = [kind for kind in (*_GIVEN, *_OPTIONAL) if {f"x_{kind}", f"y_{kind}"} & arrays.keys()]
    for kind in kinds:
        for name in _names([kind]):
            if name not in arrays:
                raise ArchiveError(f"{path}: expected both x_{kind} and y_{kind}, got no {name}")
    shape = arrays["x_train"].shape[1:]
    for kind in kinds:
        _refuse_examples(arrays[f"x_{kind}"], shape, f"{path}: x_{kind}")
        _refuse_labels(arrays[f"y_{kind}"], len(arrays[f"x_{kind}"]), f"{path}: y_{kind}")
    found = np.unique(arrays["y_train"])
    classes = int(found[-1]) + 1
    if len(found) < classes:
        missing = int(np.flatnonzero(np.append(found, -1) != np.arange(len(found) + 1))[0])
        raise ArchiveError(f"{path}: y_train: expected every class from 0 to {classes - 1}, got none of {missing}")
    if classes < 2:
        raise ArchiveError(f"{path}: y_train: expected at least two classes, got 0 alone")
    for kind in kinds:
        if (most := int(arrays[f"y_{kind}"].max())) >= classes:
            raise ArchiveError(f"{path}: y_{kind}: expected classes of y_train, 0 to {classes - 1}, got {most}")
    return {name: array.astype(np.int32) if name[0] == "y" else array for name, array in arrays.items()}


def facts(arrays: Mapping[str, np.ndarray]) -> Facts:
    """Sum up the arrays that `read` gave."""
    sizes = {name[2:]: len(labels) for name, labels in arrays.items() if name[0] == "y"}
    return Facts(sizes, arrays["x_train"].shape[1:], int(arrays["y_train"].max()) + 1)


def split(arrays: Mapping[str, np.ndarray], parameters: DataParameters) -> dict[str, np.ndarray]:
    """Cut as the tutorial did, the first examples first, so that a smaller subset is contained in a larger one.

    Args:
        arrays: of `read`.
        parameters: the sizes, within what there is (`settings.refuse_sizes`).

    Returns:
        Arrays x_* and y_* in the order of the archive: train, the first `train_size` training examples; validation, the
        first `validation_size` of x_validation, and test, all of x_test; without x_validation, validation is the first
        `validation_size` of x_test, and test the others. And `classes`, their number, int32.

    References:
        "keras教程-06-优化器详细解释", mlln.cn, 2018-09-01: 8192 training images, validation on 3000 test images.
    """
    trained, validated = parameters.train_size, parameters.validation_size
    own = "x_validation" in arrays
    cut = {}
    for axis in "xy":
        held = arrays[f"{axis}_validation" if own else f"{axis}_test"]
        cut[f"{axis}_train"] = arrays[f"{axis}_train"][:trained]
        cut[f"{axis}_validation"] = held[:validated]
        cut[f"{axis}_test"] = arrays[f"{axis}_test"] if own else held[validated:]
    return cut | {"classes": np.int32(facts(arrays).classes)}


def selection(arrays: Mapping[str, np.ndarray], size: int) -> dict[str, np.ndarray]:
    """Cut what chooses learning rates: the first `size` of x_selection; without it, the last of x_train."""
    own = "x_selection" in arrays
    return {
        f"{axis}_selection": arrays[f"{axis}_selection"][:size] if own else arrays[f"{axis}_train"][-size:]
        for axis in "xy"
    }


def load(path: Path) -> Dataset:
    """Load the splits that the stage `prepare` wrote, as networks take them: uint8 is divided by 255.

    Raises:
        ArchiveError: if the file is missing or damaged, or is not such an archive.
    """
    arrays = archives.read(path, (*_names(_PREPARED), "classes"))
    return Dataset(*(_split(arrays, kind) for kind in _PREPARED), arrays["classes"].item())


def load_selection(path: Path) -> Split:
    """Load the selection that the stage `prepare` wrote, likewise."""
    return _split(archives.read(path, _names(["selection"])), "selection")


def _names(kinds) -> list[str]:
    return [f"{axis}_{kind}" for kind in kinds for axis in "xy"]


def _split(arrays, kind) -> Split:
    examples = arrays[f"x_{kind}"]
    scaled = examples.astype(np.float32) / np.float32(255) if examples.dtype == np.uint8 else examples
    return Split(scaled.astype(np.float32), arrays[f"y_{kind}"])


def _refuse_examples(examples, shape, where) -> None:
    if examples.dtype not in (np.uint8, np.float32, np.float64) or examples.ndim < 2:
        expected = "expected uint8, float32 or float64 [examples, ...]"
        raise ArchiveError(f"{where}: {expected}, got {examples.dtype} {list(examples.shape)}")
    if not examples.size or examples.shape[1:] != shape:
        expected = f"expected at least one example {list(shape)} as in x_train"
        raise ArchiveError(f"{where}: {expected}, got {list(examples.shape)}")
    largest = np.finfo(np.float32).max
    for number, example in enumerate(examples) if examples.dtype != np.uint8 else ():
        if not (np.abs(example) <= largest).all():  # nan is not, either
            place = np.argwhere(~(np.abs(example) <= largest))[0]
            position = ", ".join(map(str, (number, *place)))
            raise ArchiveError(f"{where}: expected finite float32, got {example[tuple(place)]} at [{position}]")


def _refuse_labels(labels, examples, where) -> None:
    if not np.issubdtype(labels.dtype, np.integer) or labels.shape != (examples,):
        expected = f"expected integers [{examples}], a label an example"
        raise ArchiveError(f"{where}: {expected}, got {labels.dtype} {list(labels.shape)}")
    if not 0 <= int(labels.min()) <= int(labels.max()) < 2**31:
        first = int(np.argmax((labels < 0) | (labels >= 2**31)))
        raise ArchiveError(f"{where}: expected labels from 0, got {labels[first]} at [{first}]")
