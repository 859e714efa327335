"""Reads a data set, cuts it into training, validation, test and selection examples, and loads what was cut."""

import csv
import math
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from descent.data import archives
from descent.data.archives import ArchiveError
from descent.data.settings import DataParameters, Facts, class_names, cut, largest_class

_GIVEN, _OPTIONAL = ("train", "test"), ("validation", "val", "selection")
_PREPARED = ("train", "validation", "test")
CSV_TRAIN_SHARE = 0.6  # of the rows of a CSV file; the others test, and the first of those validate
_SAMPLE = 1000  # examples that tell whether float32 holds the columns apart
_MOST_NUMBERS = 100  # numbers that are labels beyond doubt; more of them may be what a regression predicts
_FLOAT32 = float(np.finfo(np.float32).max)


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


class Description(NamedTuple):
    """What a network sees of the prepared examples."""

    dtype: str  # of the examples in the archive
    shape: tuple[int, ...]  # of an example
    is_divided: bool  # by 255: uint8
    low: float  # least and greatest value that the network sees, in all splits
    high: float
    names: list[str]  # of the classes, in their order
    largest: str  # name of the most frequent class among the validation examples
    largest_share: float  # of it, 0 to 1: the accuracy of a network that always answers it
    missing: dict[str, list[str]]  # for each split that lacks classes of y_train: their names


def read(path: Path) -> dict[str, np.ndarray]:
    """Read a data set: x_* and y_* of train and test and, where they are there, of validation and selection.

    Args:
        path: .npz archive, or .csv file (`_read_csv`). x_* [n, ...]: bool, integers or floats, of one dtype and of one
            shape but for n. y_* [n], [n, 1] or one-hot [n, classes]: whole numbers, bool or text; the classes are the
            values of y_train in sorted order. x_val and y_val are taken for x_validation and y_validation.

    Returns:
        The arrays by name: examples in C order as they are, labels int32 from 0; and `names`, the classes' names, where
        these are not 0, 1, 2, ...

    Raises:
        ArchiveError: if the file is not such a data set; the message names the array, what is wrong with it and, where
            there is one, the line of NumPy that mends it.
    """
    arrays = _read_csv(path) if path.suffix == ".csv" else archives.read(path, _names(_GIVEN), _names(_OPTIONAL))
    kinds = [kind for kind in (*_GIVEN, *_OPTIONAL) if {f"x_{kind}", f"y_{kind}"} & arrays.keys()]
    for kind in kinds:
        for name in _names([kind]):
            if name not in arrays:
                raise ArchiveError(f"{path}: expected both x_{kind} and y_{kind}, got no {name}")
    if {"val", "validation"} <= {*kinds}:
        raise ArchiveError(f"{path}: expected x_val or x_validation, got both")
    labels = {}
    for kind in kinds:
        _refuse_examples(arrays[f"x_{kind}"], arrays["x_train"], f"x_{kind}", path)
        labels[kind] = _flat_labels(arrays[f"y_{kind}"], len(arrays[f"x_{kind}"]), f"y_{kind}", path)
    _refuse_collapse(arrays["x_train"], path)
    classes = np.unique(labels["train"])
    _refuse_classes(classes, labels["train"], path)
    found = {}
    for axis in "xy":
        for kind in kinds:
            array = arrays[f"x_{kind}"] if axis == "x" else _numbered(labels[kind], classes, f"y_{kind}", path)
            found[f"{axis}_validation" if kind == "val" else f"{axis}_{kind}"] = array
    if not np.array_equal(classes.astype(str), np.arange(len(classes)).astype(str)):
        found["names"] = classes.astype(str)
    return found


def facts(arrays: Mapping[str, np.ndarray]) -> Facts:
    """Sum up the arrays that `read` gave."""
    sizes = {name[2:]: len(labels) for name, labels in arrays.items() if name.startswith("y_")}
    return Facts(sizes, arrays["x_train"].shape[1:], int(arrays["y_train"].max()) + 1, arrays)


def split(arrays: Mapping[str, np.ndarray], parameters: DataParameters) -> dict[str, np.ndarray]:
    """Cut the arrays that `read` gave, as `settings.cut` does.

    Args:
        arrays: of `read`.
        parameters: the sizes, within what there is (`settings.refuse_sizes`).

    Returns:
        Arrays x_* and y_* of train, validation and test; `classes`, their number, int32; and `names`, if there are any.
    """
    found = {}
    for axis in "xy":
        by_kind = {name[2:]: array for name, array in arrays.items() if name.startswith(f"{axis}_")}
        found |= {f"{axis}_{kind}": array for kind, array in cut(by_kind, parameters).items()}
    names = {"names": arrays["names"]} if "names" in arrays else {}
    return found | {"classes": np.int32(facts(arrays).classes)} | names


def selection(arrays: Mapping[str, np.ndarray], size: int) -> dict[str, np.ndarray]:
    """Cut what chooses learning rates: the first `size` of x_selection; without it, the last of x_train."""
    own = "x_selection" in arrays
    return {
        f"{axis}_selection": arrays[f"{axis}_selection"][:size] if own else arrays[f"{axis}_train"][-size:]
        for axis in "xy"
    }


def load(path: Path) -> Dataset:
    """Load the splits that the stage `prepare` wrote, as networks take them (`as_seen`).

    Raises:
        ArchiveError: if the file is missing or damaged, or is not such an archive.
    """
    arrays = archives.read(path, (*_names(_PREPARED), "classes"))
    return Dataset(*(_split(arrays, kind) for kind in _PREPARED), arrays["classes"].item())


def load_selection(path: Path) -> Split:
    """Load the selection that the stage `prepare` wrote, likewise."""
    return _split(archives.read(path, _names(["selection"])), "selection")


def describe(path: Path) -> Description:
    """Describe the splits that the stage `prepare` wrote; raises as `load`."""
    arrays = archives.read(path, (*_names(_PREPARED), "classes"), ["names"])
    names = class_names(arrays, arrays["classes"].item())
    examples = [arrays[f"x_{kind}"] for kind in _PREPARED]
    ends = [(part.min(), part.max()) for part in examples]
    low, high = (float(as_seen(np.array(end))) for end in (min(low for low, _ in ends), max(high for _, high in ends)))
    missing = {kind: np.setdiff1d(np.arange(len(names)), arrays[f"y_{kind}"]) for kind in _PREPARED}
    return Description(
        examples[0].dtype.name,
        examples[0].shape[1:],
        is_divided(examples[0]),
        low,
        high,
        names,
        *largest_class(arrays["y_validation"], names),
        {kind: [names[label] for label in lacking] for kind, lacking in missing.items() if len(lacking)},
    )


def is_divided(examples: np.ndarray) -> bool:
    """Tell whether networks see the examples divided by 255: uint8 is taken for pixels, and nothing else is."""
    return examples.dtype == np.uint8


def as_seen(examples: np.ndarray) -> np.ndarray:
    """Return examples as networks see them: float32; uint8 is divided by 255."""
    scaled = examples.astype(np.float32) / np.float32(255) if is_divided(examples) else examples
    return scaled.astype(np.float32)


def extremes(examples: np.ndarray) -> np.ndarray:
    """Return those examples that hold the least and the greatest value, of all and of each of the first 500 places.

    What a network cannot take, such as an id beyond a vocabulary, is among them.

    Args:
        examples: [n, ...] of any dtype.

    Returns:
        [at most 1002, ...] float32, as networks see them.
    """
    rows = examples.reshape(len(examples), -1)
    ends = [
        end for find in (np.argmin, np.argmax) for end in (find(rows) // rows.shape[1], *find(rows[:, :500], axis=0))
    ]
    return as_seen(examples[np.unique(ends)])


def _names(kinds) -> list[str]:
    return [f"{axis}_{kind}" for kind in kinds for axis in "xy"]


def _split(arrays, kind) -> Split:
    return Split(as_seen(arrays[f"x_{kind}"]), arrays[f"y_{kind}"])


def _read_csv(path: Path) -> dict[str, np.ndarray]:
    """Read a table: a header; the column `label` holds the labels, else the last column; numbers in all others.

    The rows are shuffled with seed 0: the first 60 % of them train, the others test.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header, *rows = [list(map(str.strip, row)) for row in csv.reader(file) if row] or [[]]
    except FileNotFoundError:
        raise ArchiveError(f"{path}: no such file") from None
    except (OSError, ValueError, csv.Error) as error:  # UnicodeDecodeError is a ValueError
        raise ArchiveError(f"{path}: not a CSV file in UTF-8: {error}") from None
    if len(header) < 2 or len(rows) < 10:
        got = f"{len(header)} columns ({', '.join(header)}) and {len(rows)} rows"
        raise ArchiveError(f"{path}: expected at least 2 columns with commas between, and 10 rows, got {got}")
    if all(map(_is_number, header)):
        raise ArchiveError(f"{path}: line 1: expected a header, got {', '.join(header)}")
    place = header.index("label") if "label" in header else len(header) - 1
    for line, row in enumerate(rows, 2):
        if len(row) != len(header):
            raise ArchiveError(f"{path}: row {line}: expected {len(header)} values, got {len(row)}")
        for column, cell in enumerate(row):
            if column != place and not _is_number(cell):
                raise ArchiveError(f"{path}: row {line}, column {header[column]}: expected a number, got {cell!r}")
    labels = [row.pop(place) for row in rows]
    labels = np.array(labels, float if all(map(_is_number, labels)) else str)
    examples, order = np.array(rows, float), np.random.default_rng(0).permutation(len(rows))
    train, test = np.split(order, [int(CSV_TRAIN_SHARE * len(rows))])
    return {"x_train": examples[train], "y_train": labels[train], "x_test": examples[test], "y_test": labels[test]}


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _refuse_examples(examples: np.ndarray, train: np.ndarray, name: str, path: Path) -> None:
    where, got = f"{path}: {name}", f"{examples.dtype} {list(examples.shape)}"
    if examples.dtype.kind not in "biuf":
        raise ArchiveError(f"{where}: expected numbers [examples, ...], got {got}; first turn each value into numbers")
    if examples.ndim < 2:
        mend = f"; in NumPy: {name} = {name}[:, np.newaxis]" if examples.ndim else ""
        raise ArchiveError(f"{where}: expected numbers [examples, ...], got {got}{mend}")
    shape = train.shape[1:]
    if not examples.size or examples.shape[1:] != shape:
        expected = f"expected at least one example {list(shape)} as in x_train"
        is_same = examples.size and np.prod(examples.shape[1:]) == np.prod(shape)
        mend = f"; in NumPy: {name} = {name}.reshape({', '.join(map(str, (-1, *shape)))})" if is_same else ""
        raise ArchiveError(f"{where}: {expected}, got {list(examples.shape)}{mend}")
    if examples.dtype != train.dtype:
        expected = f"expected {train.dtype} as in x_train, got {examples.dtype}"
        raise ArchiveError(f"{where}: {expected}; in NumPy: {_cast(name, examples, train)}")
    if examples.dtype.kind == "f" and not max(-float(examples.min()), float(examples.max())) <= _FLOAT32:
        place = tuple(np.argwhere(~(np.abs(examples) <= _FLOAT32))[0])  # nan is not, either
        got = f"{examples[place]} at [{', '.join(map(str, place))}]"
        mend = f"good = np.isfinite({name}.reshape(len({name}), -1)).all(axis=1); {name} = {name}[good]"
        mend += f"; {name.replace('x', 'y', 1)} = {name.replace('x', 'y', 1)}[good]"
        if np.isfinite(examples[place]):
            mend = f"{name} = {name} / 1e{math.ceil(np.log10(np.abs(examples).max()))}, in all x_* alike"
        raise ArchiveError(f"{where}: expected finite float32, got {got}; in NumPy: {mend}")


def _cast(name: str, examples: np.ndarray, train: np.ndarray) -> str:
    """Write the line of NumPy that gives an array the type of x_train and, from or to pixels, its range."""
    is_small, pixels = [array.max() <= 1 for array in (examples, train)], list(map(is_divided, (examples, train)))
    if pixels == [True, False] and is_small[1]:
        return f'{name} = ({name} / 255).astype("{train.dtype}")'
    if pixels == [False, True] and is_small[0]:
        return f'{name} = np.rint({name} * 255).astype("uint8")'
    return f'{name} = {name}.astype("{train.dtype}")'


def _refuse_collapse(examples: np.ndarray, path: Path) -> None:
    """Refuse columns whose values differ in the archive and are equal in float32, such as seconds since 1970."""
    if np.can_cast(examples.dtype, np.float32):
        return
    columns = examples[:_SAMPLE].reshape(min(len(examples), _SAMPLE), -1)
    exact, rounded = (
        1 + np.count_nonzero(np.diff(np.sort(part, axis=0), axis=0), axis=0)
        for part in (columns, columns.astype(np.float32))
    )
    if lost := np.flatnonzero(rounded < 0.9 * exact).tolist():
        numbers = f"{', '.join(map(str, lost[:10]))}{', ...' if len(lost) > 10 else ''}"
        raise ArchiveError(
            f"{path}: x_train: expected values that float32 tells apart, got {len(lost)} of {columns.shape[1]} columns"
            f" ({numbers}) where they become equal; in NumPy: start = x_train.mean(axis=0);"
            " x_train, x_test = x_train - start, x_test - start"
        )


def _flat_labels(labels: np.ndarray, examples: int, name: str, path: Path) -> np.ndarray:
    """Return labels as [n] whole numbers, bool or text: a one-hot row becomes the place of its 1."""
    where, got = f"{path}: {name}", f"{labels.dtype} {list(labels.shape)}"
    if labels.dtype.kind == "S":
        labels = np.char.decode(labels, "utf-8")
    if labels.dtype.kind not in "biufU":
        raise ArchiveError(f"{where}: expected whole numbers or text [{examples}], got {got}")
    if labels.size == examples:
        labels = labels.reshape(-1)
    if labels.ndim == 2 and len(labels) == examples and labels.dtype.kind != "U":
        if not (np.isin(labels, (0, 1)).all() and (labels.sum(axis=1) == 1).all()):
            one = f"for the class with the largest value, in NumPy: {name} = {name}.argmax(axis=1)"
            raise ArchiveError(f"{where}: expected one label an example, got {got}, not one-hot; {one}")
        labels = labels.argmax(axis=1)
    if labels.shape != (examples,):
        raise ArchiveError(f"{where}: expected a label an example, [{examples}], got {got}")
    if labels.dtype.kind == "f":
        if not (whole := labels == np.rint(labels)).all():  # nan is not
            first, x = int(np.argmin(whole)), name.replace("y", "x", 1)
            cuts = f"{name} = np.digitize({name}, np.quantile(y_train, [1 / 3, 2 / 3]))"
            mend = f"only classifiers are compared; for three classes in NumPy: {cuts}"
            if np.isnan(labels[first]):
                mend = f"in NumPy: good = ~np.isnan({name}); {x}, {name} = {x}[good], {name}[good]"
            raise ArchiveError(f"{where}: expected classes, got {labels[first]} at [{first}]: {mend}")
        labels = labels.astype(np.int64)
    return labels


def _refuse_classes(classes: np.ndarray, labels: np.ndarray, path: Path) -> None:
    if len(classes) < 2:
        raise ArchiveError(f"{path}: y_train: expected at least two classes, got {classes[0]} alone")
    if classes.dtype.kind != "U" and len(classes) > _MOST_NUMBERS and 10 * len(classes) > len(labels):
        got = f"got {len(classes)} different numbers in {len(labels)} labels"
        raise ArchiveError(
            f"{path}: y_train: expected classes, {got}; if they are classes, in NumPy: y_train, y_test ="
            " y_train.astype(str), y_test.astype(str)"
        )


def _numbered(labels: np.ndarray, classes: np.ndarray, name: str, path: Path) -> np.ndarray:
    """Return the place of each label among the classes, int32."""
    shown = f"{', '.join(map(str, classes[:10]))}{', ...' if len(classes) > 10 else ''}"
    if (labels.dtype.kind == "U") != (classes.dtype.kind == "U"):
        raise ArchiveError(f"{path}: {name}: expected classes of y_train, {shown}, got {labels.dtype}")
    if not (known := np.isin(labels, classes)).all():
        first, x = int(np.argmin(known)), name.replace("y", "x", 1)
        mend = f"known = np.isin({name}, y_train); {x}, {name} = {x}[known], {name}[known]"
        got = f"got {labels[first]} at [{first}]"
        raise ArchiveError(
            f"{path}: {name}: expected classes of y_train, {shown}, {got}; to drop them in NumPy: {mend}"
        )
    return np.searchsorted(classes, labels).astype(np.int32)
