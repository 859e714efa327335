"""Reads a data set, cuts it for training and judging, loads what was cut, and tries networks on its examples."""

import csv
import io
import math
import re
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from descent.core import process, user_code
from descent.core.parameters import InputError, ParametersError, one_line
from descent.data.settings import DataParameters, DatasetInfo, class_names, cut, largest_class, select

# What the stage `prepare` writes.
SPLITS, SELECTION = Path("data/prepared/splits.npz"), Path("data/prepared/selection.npz")
_PREPARED = ("train", "validation", "test")
CSV_TRAIN_SHARE = 0.6  # of the rows of a CSV file; the others test, and the first of those validate
_SAMPLE = 1000  # examples that show whether float32 can tell the values of a column apart
_BATCH = 128  # examples that a network is tried on at once
_MOST_NUMBERS = 100  # different numbers that are classes for certain; more of them may be what a regression predicts


class ArchiveError(InputError):
    """A file that is not the data set or the archive that it should be; the message names the file."""


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
        """Return those that are there, by name."""
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


def read_archive(path: Path, names: Sequence[str], optional: Sequence[str] = ()) -> dict[str, np.ndarray]:
    """Read arrays from an .npz archive: those of `names`, and those of `optional` that are there, in C order.

    Raises:
        ArchiveError: if the file is missing, damaged or no .npz archive, holds Python objects, or lacks an array.
    """
    arrays = {}
    try:
        with zipfile.ZipFile(path) as archive:
            there = [member.removesuffix(".npy") for member in archive.namelist()]
            if missing := [name for name in names if name not in there]:
                expected = f"expected arrays {', '.join(names)}, got {', '.join(there) or 'none'}"
                raise ArchiveError(f"{path}: no {', '.join(missing)}: {expected}")
            for name in [*names, *(name for name in optional if name in there)]:
                with archive.open(f"{name}.npy") as file:
                    arrays[name] = np.ascontiguousarray(np.lib.format.read_array(file, allow_pickle=False))
    except ArchiveError:
        raise
    except FileNotFoundError:
        raise ArchiveError(f"{path}: no such file") from None
    except Exception as error:  # what is damaged makes zipfile, its compressors and NumPy raise almost anything
        if "Object arrays" in str(error):
            mend = f"{name} = np.array({name}.tolist()), after padding where lengths differ"
            raise _refusal(f"{path}: {name}", "numbers or text", "Python objects", mend) from None
        raise ArchiveError(f"{path}: not an .npz archive, or damaged: {one_line(error)}") from error
    return arrays


def write_archive(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays to an .npz archive: equal arrays give equal bytes, and a failure leaves the old file as it was.

    The archive is not compressed, since compressed bytes differ between versions of zlib. `numpy.savez` would write the
    sizes of its members in a way that differs between patches of Python.
    """
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, array in arrays.items():
            member = zipfile.ZipInfo(f"{name}.npy")  # of 1980, and not of now
            member.create_system = 3  # Unix, wherever it is written
            stream = io.BytesIO()
            np.lib.format.write_array(stream, np.asanyarray(array), allow_pickle=False)
            archive.writestr(member, stream.getbuffer())
    process.write_file(path, content.getvalue())


def read(path: Path) -> dict[str, np.ndarray]:
    """Read a data set: a CSV file, or an .npz archive with x_* and y_* of train, test, perhaps validation, selection.

    x_* [n, ...] are bool, integers or floats, of one dtype and shape. y_* [n], [n, 1] or one-hot [n, classes] are whole
    numbers, bool or text; the classes are the values of y_train in sorted order. `val` is another name of validation.

    Returns:
        The arrays by name: examples as they are, labels int32 from 0; and `names` of the classes where these are not 0,
        1, 2, ...

    Raises:
        ArchiveError: with the array, what is wrong with it and, where there is one, the line of NumPy that mends it.
    """
    if path.suffix == ".csv":
        arrays = _read_csv(path)
    else:
        arrays = read_archive(path, _names("train", "test"), _names("validation", "val", "selection"))
        if {"x_val", "x_validation"} <= arrays.keys():
            raise ArchiveError(f"{path}: expected x_val or x_validation, got both")
        arrays = {re.sub("_val$", "_validation", name): array for name, array in arrays.items()}
    kinds = list(dict.fromkeys(name[2:] for name in arrays))
    if missing := [name for name in _names(*kinds) if name not in arrays]:
        raise ArchiveError(f"{path}: no {', '.join(missing)}: expected x_ and y_ of each split")
    try:
        for kind in kinds:
            _refuse_examples(arrays[f"x_{kind}"], arrays["x_train"], f"x_{kind}")
        _refuse_collapse(arrays["x_train"])
        labels = {kind: _flat_labels(arrays[f"y_{kind}"], f"y_{kind}", len(arrays[f"x_{kind}"])) for kind in kinds}
        classes = _classes(labels["train"])
        numbered = {kind: _numbered(labels[kind], classes, f"y_{kind}") for kind in kinds}
    except ArchiveError as refusal:
        raise ArchiveError(f"{path}: {refusal}") from None
    found = {f"x_{kind}": arrays[f"x_{kind}"] for kind in kinds} | {f"y_{kind}": numbered[kind] for kind in kinds}
    if not np.array_equal(classes.astype(str), np.arange(len(classes)).astype(str)):
        found["names"] = classes.astype(str)
    return found


def info(arrays: Mapping[str, np.ndarray]) -> DatasetInfo:
    """Sum up the arrays that `read` gave."""
    sizes = {name[2:]: len(labels) for name, labels in arrays.items() if name.startswith("y_")}
    return DatasetInfo(sizes, arrays["x_train"].shape[1:], int(arrays["y_train"].max()) + 1, arrays)


def split(
    arrays: Mapping[str, np.ndarray], data: DataParameters, selection_size: int
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Cut the arrays that `read` gave into x_* and y_* of train, validation and test, and those of selection.

    With the first come `classes`, their number, int32, and `names`, if there are any.
    """
    splits, chosen = {}, {}
    for axis in "xy":
        parts = {name[2:]: array for name, array in arrays.items() if name.startswith(f"{axis}_")}
        splits |= {f"{axis}_{kind}": part for kind, part in cut(parts, data).items()}
        chosen[f"{axis}_selection"] = select(parts, selection_size)
    splits["classes"] = np.int32(info(arrays).classes)
    return splits | {name: arrays[name] for name in arrays if name == "names"}, chosen


def load(path: Path) -> Dataset:
    """Load the splits that the stage `prepare` wrote, as networks take them; raises as `read_archive`."""
    arrays = read_archive(path, (*_names(*_PREPARED), "classes"))
    return Dataset(*(_split(arrays, kind) for kind in _PREPARED), arrays["classes"].item())


def load_selection(path: Path) -> Split:
    """Load the selection that the stage `prepare` wrote, likewise."""
    return _split(read_archive(path, _names("selection")), "selection")


def describe(path: Path) -> Description:
    """Describe the splits that the stage `prepare` wrote; raises as `load`."""
    arrays = read_archive(path, (*_names(*_PREPARED), "classes"), ["names"])
    names = class_names(arrays, arrays["classes"].item())
    largest, share = largest_class(arrays["y_validation"], names)
    examples = [arrays[f"x_{kind}"] for kind in _PREPARED]
    ends = [float(as_seen(end(part))) for part in examples for end in (np.min, np.max)]
    missing = {kind: np.setdiff1d(np.arange(len(names)), arrays[f"y_{kind}"]) for kind in _PREPARED}
    return Description(
        dtype=examples[0].dtype.name,
        shape=examples[0].shape[1:],
        is_divided=is_divided(examples[0]),
        low=min(ends),
        high=max(ends),
        names=names,
        largest=largest,
        largest_share=share,
        missing={kind: [names[label] for label in labels] for kind, labels in missing.items() if len(labels)},
    )


def is_divided(examples: np.ndarray) -> bool:
    """Return whether networks see the examples divided by 255: uint8 is taken for pixels, and nothing else is."""
    return examples.dtype == np.uint8


def as_seen(examples: np.ndarray) -> np.ndarray:
    """Return examples as networks see them: float32; uint8 is divided by 255."""
    seen = examples.astype(np.float32)
    return seen / np.float32(255) if is_divided(examples) else seen


def extremes(examples: np.ndarray) -> np.ndarray:
    """Return the examples [at most 1002, ...], as networks see them, that hold the least and the greatest value.

    These are the ends of all values and of each of the first 500 places: an id beyond a vocabulary is among them.
    """
    rows = examples.reshape(len(examples), -1)
    ends = [(find(rows) // rows.shape[1], *find(rows[:, :500], axis=0)) for find in (np.argmin, np.argmax)]
    return as_seen(examples[np.unique(ends)])


def try_examples(model: Any, examples: Iterable[np.ndarray], where: str, hint: str = "") -> None:
    """Run a network eagerly on examples [n, ...], as it sees them, and check what its Embedding layers read.

    For an id that a layer has no row for, XLA would take the nearest row in silence.

    Raises:
        ParametersError: for ids that are no whole numbers or have no row in the layer, and for what the network raises.
            `where` (file and key path of the network) opens the message, `hint` ends it for a wrong id.
    """
    import keras

    original, faults = keras.layers.Embedding.call, []  # Keras would wrap an error that is raised in a call

    def call(layer, inputs, *arguments, **more):
        if hasattr(inputs, "numpy"):  # a tensor of a traced function has none
            ids, last = inputs.numpy(), layer.input_dim - 1
            if (wrong := ids[(ids % 1 != 0) | (ids < 0) | (ids > last)]).size:
                expected = f"expected whole numbers from 0 to {last} as ids"
                faults.append(f"{where}: {layer.name}: {expected}, got {wrong.max():.9g}{hint}")
        return original(layer, inputs, *arguments, **more)

    def explain(reason: str) -> str:
        return faults[0] if faults else f"{where}: expected a network for the examples of data.file, got {reason}"

    keras.layers.Embedding.call = call
    try:
        with user_code.refused(explain):
            for array in examples:
                for start in range(0, len(array), _BATCH):
                    model(array[start : start + _BATCH], training=False)
    finally:
        keras.layers.Embedding.call = original
    if faults:
        raise ParametersError(faults[0])


def try_splits(fresh_network: Callable[[int], Any], splits: Iterable[Split], where: str) -> None:
    """Try a network before it trains, on splits that may hold ids: those whose first examples are whole numbers."""
    whole = [split.examples for split in splits if not (split.examples[:100] % 1).any()]
    if whole:
        try_examples(fresh_network(0), map(extremes, whole), where)


def _names(*kinds: str) -> list[str]:
    return [f"{axis}_{kind}" for kind in kinds for axis in "xy"]


def _split(arrays: Mapping[str, np.ndarray], kind: str) -> Split:
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
    except (UnicodeDecodeError, csv.Error) as error:
        raise ArchiveError(f"{path}: not a CSV file in UTF-8: {error}") from None
    if len(header) < 2 or len(rows) < 10 or all(map(_is_number, header)):
        got = f"{len(header)} columns ({', '.join(header)}) and {len(rows)} rows"
        raise _refusal(str(path), "a header of at least 2 columns with commas between, and 10 rows", got)
    place = header.index("label") if "label" in header else len(header) - 1
    for line, row in enumerate(rows, 2):
        if len(row) != len(header):
            raise _refusal(f"{path}: row {line}", f"{len(header)} values", str(len(row)))
        for column, cell in enumerate(row):
            if not (cell if column == place else _is_number(cell)):
                wanted = "a class" if column == place else "a number"
                raise _refusal(f"{path}: row {line}, column {header[column]}", wanted, repr(cell))
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


def _refusal(array: str, expected: str, got: str, mend: str = "") -> ArchiveError:
    """Say what is wrong with an array; `mend`: the line of NumPy that puts it right."""
    return ArchiveError(f"{array}: expected {expected}, got {got}{f'; in NumPy: {mend}' if mend else ''}")


def _refuse_examples(x: np.ndarray, train: np.ndarray, name: str) -> None:
    got, y = f"{x.dtype} {list(x.shape)}", name.replace("x", "y", 1)
    if x.dtype.kind not in "biuf" or x.ndim < 2:
        mend = f"{name} = {name}[:, np.newaxis]" if x.dtype.kind in "biuf" and x.ndim else ""
        raise _refusal(name, "numbers [examples, ...]", got, mend)
    shape = train.shape[1:]
    if not x.size or x.shape[1:] != shape:
        is_same = x.size and math.prod(x.shape[1:]) == math.prod(shape)
        mend = f"{name} = {name}.reshape(-1, *x_train.shape[1:])" if is_same else ""
        raise _refusal(name, f"at least one example {list(shape)} as in x_train", str(list(x.shape)), mend)
    if x.dtype != train.dtype:
        value = name
        if is_divided(x) and train.max() <= 1:
            value = f"({name} / 255)"
        elif is_divided(train) and x.max() <= 1:
            value = f"np.rint({name} * 255)"
        raise _refusal(name, f"{train.dtype} as in x_train", str(x.dtype), f"{name} = {value}.astype(x_train.dtype)")
    if x.dtype.kind != "f":
        return
    with np.errstate(over="ignore"):
        is_finite = np.isfinite(x.astype(np.float32, copy=False))
    if not is_finite.all():
        place = tuple(np.argwhere(~is_finite)[0].tolist())
        good = f"good = np.isfinite({name}.astype('float32').reshape(len({name}), -1)).all(axis=1)"
        mend = f"{good}; {name}, {y} = {name}[good], {y}[good]"
        raise _refusal(name, "finite float32", f"{x[place]} at {list(place)}", mend)


def _refuse_collapse(x_train: np.ndarray) -> None:
    """Refuse columns whose values differ in the archive and are equal in float32, such as seconds since 1970."""
    if np.can_cast(x_train.dtype, np.float32):
        return
    columns = x_train[:_SAMPLE].reshape(-1, math.prod(x_train.shape[1:]))
    exact, rounded = (
        np.array([len(np.unique(column)) for column in part.T]) for part in (columns, columns.astype(np.float32))
    )
    if lost := np.flatnonzero(rounded < 0.9 * exact).tolist():
        got = f"equal ones in {len(lost)} of {len(exact)} columns, the first is {lost[0]}"
        mend = "start = x_train.mean(axis=0); x_train, x_test = x_train - start, x_test - start"
        raise _refusal("x_train", "values that float32 tells apart", got, mend)


def _flat_labels(y: np.ndarray, name: str, examples: int) -> np.ndarray:
    """Return labels as [n] whole numbers, bool or text: a one-hot row becomes the place of its 1."""
    got, x = f"{y.dtype} {list(y.shape)}", name.replace("y", "x", 1)
    if y.dtype.kind == "S":
        y = np.char.decode(y, "utf-8")
    if y.size == examples:
        y = y.reshape(-1)
    has_columns = y.ndim == 2 and len(y) == examples and y.dtype.kind in "biuf"
    if has_columns and np.isin(y, (0, 1)).all() and (y.sum(axis=1) == 1).all():
        y = y.argmax(axis=1)
    if y.dtype.kind not in "biufU" or y.shape != (examples,):
        mend = f"{name} = {name}.argmax(axis=1)" if has_columns else ""
        raise _refusal(name, f"whole numbers or text [{examples}], or one-hot", got, mend)
    if y.dtype.kind != "f":
        return y
    if not (is_whole := np.isfinite(y) & (y == np.rint(y))).all():
        first = int(np.argmin(is_whole))
        mend = f"{name} = np.digitize({name}, np.quantile(y_train, [1 / 3, 2 / 3]))  # three classes"
        if not np.isfinite(y[first]):
            mend = f"good = np.isfinite({name}); {x}, {name} = {x}[good], {name}[good]"
        raise _refusal(name, "classes, since only classifiers are compared", f"{y[first]} at [{first}]", mend)
    return y.astype(np.int64)


def _classes(y_train: np.ndarray) -> np.ndarray:
    """Return the classes in sorted order."""
    classes = np.unique(y_train)
    if len(classes) < 2:
        raise _refusal("y_train", "at least two classes", f"{classes[0]} alone")
    if classes.dtype.kind != "U" and len(classes) > _MOST_NUMBERS and 10 * len(classes) > len(y_train):
        got = f"{len(classes)} different numbers in {len(y_train)} labels"
        mend = "y_train, y_test = y_train.astype(str), y_test.astype(str)"
        raise _refusal("y_train", "classes of ten examples each, or of text", got, mend)
    return classes


def _numbered(y: np.ndarray, classes: np.ndarray, name: str) -> np.ndarray:
    """Return the place of each label among the classes, int32."""
    is_known = np.isin(y, classes) & ((y.dtype.kind == "U") == (classes.dtype.kind == "U"))
    if not is_known.all():
        first, x = int(np.argmin(is_known)), name.replace("y", "x", 1)
        shown = f"{', '.join(map(str, classes[:10]))}{', ...' if len(classes) > 10 else ''}"
        mend = f"known = np.isin({name}, y_train); {x}, {name} = {x}[known], {name}[known]"
        raise _refusal(name, f"classes of y_train, {shown}", f"{y[first]} at [{first}]", mend)
    return np.searchsorted(classes, y).astype(np.int32)
