"""What is taken for a data set, how it is cut, what is refused, and the archives between the stages."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from descent.core import parameters
from descent.data import datasets, settings
from descent.data.datasets import ArchiveError, read_archive, write_archive
from descent.data.settings import DataParameters, refuse_sizes
from stages import prepare

# Three classes, examples [2].
X = np.arange(12, dtype=np.float64).reshape(6, 2)
TRAIN, TEST = np.array([0, 1, 2, 0, 1, 2]), np.array([2, 1, 0, 1])
OWN = {"x_train": X, "y_train": TRAIN, "x_test": X[:4], "y_test": TEST}
TEXT = np.array(["cat", "dog", "owl"])
NAN = np.where(X == 7, np.nan, X)


def write_own(folder, **changes):
    arrays = {name: array for name, array in (OWN | changes).items() if array is not None}
    np.savez(folder / "own.npz", **arrays)
    return folder / "own.npz"


def sizes(train_size, validation_size, file="data/own.npz"):
    section = {"file": file, "train_size": train_size, "validation_size": validation_size}
    return parameters.validate(section, DataParameters, "params.yaml: data")


def prepared(folder, data, **changes):
    arrays = datasets.read(write_own(folder, **changes))
    write_archive(folder / "splits.npz", datasets.split(arrays, data, 1)[0])
    return folder / "splits.npz"


def test_equal_arrays_give_equal_bytes_whatever_python_writes_them(tmp_path):
    arrays = {"x": np.arange(6, dtype="<f4").reshape(2, 3), "y": np.int32(7)}
    for x in (arrays["x"], np.asfortranarray(arrays["x"])):
        write_archive(tmp_path / "first.npz", arrays | {"x": x})
        write_archive(tmp_path / "small.npz", read_archive(tmp_path / "first.npz", ["x"]) | {"y": arrays["y"]})
        np.testing.assert_equal(dict(np.load(tmp_path / "small.npz")), arrays)
        digest = hashlib.sha256((tmp_path / "small.npz").read_bytes()).hexdigest()
        assert digest == "731b006171163d77447f0c57054dd07fce8b27c1870885e5423b7f2584850f29"  # Python 3.11 to 3.13


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda content: content[:-9], "not an .npz archive, or damaged"),
        (lambda content: content.replace(b"\5\6\7", b"\5\6\6"), "not an .npz archive, or damaged"),
        (None, "no such file"),
    ],
    ids=["cut off", "a pixel", "missing"],
)
def test_missing_or_damaged_archive_is_named(damage, message, tmp_path):
    path = tmp_path / "small.npz"
    if damage:
        write_archive(path, {"x": np.arange(12, dtype=np.uint8)})
        path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ArchiveError, match=rf"small\.npz: {message}"):
        read_archive(path, ["x"])


def test_first_examples_train_and_validate_the_other_test_examples_test_and_the_last_select(mnist_archive):
    arrays = datasets.read(mnist_archive)
    assert datasets.info(arrays)[:3] == settings.FETCHED["mnist"][:3]
    splits, selection = datasets.split(arrays, sizes(100, 3000), 10000)
    cut = splits | selection
    for axis in "xy":
        train, test = arrays[f"{axis}_train"], arrays[f"{axis}_test"]
        np.testing.assert_array_equal(cut[f"{axis}_train"], train[:100])
        np.testing.assert_array_equal(np.concatenate([cut[f"{axis}_validation"], cut[f"{axis}_test"]]), test)
        np.testing.assert_array_equal(cut[f"{axis}_selection"], train[50000:])
    assert len(cut["x_validation"]) == 3000


@pytest.mark.parametrize("name", ["validation", "val"])
def test_validation_and_selection_of_ones_own_leave_the_others_whole(name, tmp_path):
    more = {f"x_{name}": X[:2] + 1, f"y_{name}": [1, 0], "x_selection": X + 2, "y_selection": TRAIN}
    arrays = datasets.read(write_own(tmp_path, **more))
    info = datasets.info(arrays)
    assert info.sizes == {"train": 6, "test": 4, "validation": 2, "selection": 6}
    cut, selection = datasets.split(arrays, sizes(6, 2), 5)
    np.testing.assert_array_equal(cut["x_validation"], X[:2] + 1)
    np.testing.assert_array_equal(cut["x_test"], OWN["x_test"])
    write_archive(tmp_path / "selection.npz", selection)
    np.testing.assert_array_equal(datasets.load_selection(tmp_path / "selection.npz").examples, X[:5] + 2)
    refuse_sizes(sizes(6, 2), 6, info, "params.yaml")
    with pytest.raises(
        parameters.ParametersError, match=r"train_size: expected 1 to 6, .*\n.* 1 to 2, .*\n.* 1 to 6, "
    ):
        refuse_sizes(sizes(7, 3), 7, info, "params.yaml")


def test_split_of_a_single_class_is_refused_with_the_line_that_mixes_it():
    arrays = {"y_train": np.repeat(range(4), 250), "y_test": np.repeat(range(4), 250)}
    arrays["x_test"] = arrays["y_test"]
    info = settings.DatasetInfo({"train": 1000, "test": 1000}, (2,), 4, arrays)
    with pytest.raises(parameters.ParametersError) as refusal:
        refuse_sizes(sizes(800, 250), 100, info, "params.yaml")
    validation, selection = str(refusal.value).splitlines()
    assert "data.file: data/own.npz: the validation examples: expected at least two classes, got 0 alone" in validation
    assert "the selection examples: expected at least two classes, got 3 alone" in selection
    with pytest.raises(parameters.ParametersError, match=r"got 3 alone; add rows of the rare classes$"):
        refuse_sizes(sizes(800, 400, "data/own.csv"), 100, info, "params.yaml")
    exec(validation.split("in NumPy: ")[1], {"np": np}, arrays)
    refuse_sizes(sizes(700, 250), 300, info, "params.yaml")


def test_target_below_the_share_of_the_largest_class_is_noted(capsys):
    labels = (np.arange(600) % 40 == 0).astype(int)
    info = settings.DatasetInfo({"train": 600, "test": 600}, (2,), 2, {"y_train": labels, "y_test": labels})
    settings.warn_of_target(sizes(500, 400), info, 0.99, "params.yaml")
    assert capsys.readouterr().out == ""
    settings.warn_of_target(sizes(500, 400), info, 0.93, "params.yaml")
    printed = capsys.readouterr().out
    assert printed.startswith("params.yaml: training.target_val_accuracy: 0.93 is reached by always answering 0: 97.5%")


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (lambda y: y[:, None], "012"),
        (lambda y: np.eye(3)[y], "012"),
        (lambda y: y.astype(float), "012"),
        (lambda y: y > 1, ["False", "True"]),
        (lambda y: 1000 * y - 1, ["-1", "999", "1999"]),
        (lambda y: TEXT[y], TEXT),
        (lambda y: TEXT.astype("S")[y], TEXT),
    ],
    ids=["one column", "one-hot", "float", "bool", "gaps", "text", "bytes"],
)
def test_labels_that_can_mean_one_thing_only_are_taken(change, names, tmp_path):
    path = prepared(tmp_path, sizes(6, 2), y_train=change(TRAIN), y_test=change(TEST))
    data = datasets.load(path)
    numbered = TRAIN if len(names) == 3 else TRAIN > 1
    np.testing.assert_array_equal(data.train.labels, numbered.astype(np.int32), strict=True)
    assert (data.test.labels.tolist(), data.classes) == ([0, 1] if len(names) == 3 else [0, 0], len(names))
    assert datasets.describe(path).names == list(names)


@pytest.mark.parametrize("dtype", ["bool", "int64", "float64", "uint8"])
def test_examples_are_seen_as_they_are_but_for_uint8(dtype, tmp_path):
    x = X.astype(dtype)
    path = prepared(tmp_path, sizes(6, 2), x_train=x, x_test=x[:4])
    train = datasets.load(path).train.examples
    expected = x.astype("float32") / np.float32(255 if dtype == "uint8" else 1)
    np.testing.assert_array_equal(train, expected, strict=True)
    seen = datasets.describe(path)
    assert (seen.is_divided, seen.low, seen.high) == (dtype == "uint8", train.min(), train.max())


@pytest.mark.parametrize(
    ("changes", "message", "lines"),
    [
        ({"x_train": X.astype(str)}, "x_train: expected numbers [examples, ...], got <U32 [6, 2]", 0),
        ({"x_train": X[:, 0], "x_test": X[:4, 0]}, "x_train: expected numbers [examples, ...], got float64 [6]", 2),
        ({"x_test": X[:4, :, None]}, "x_test: expected at least one example [2] as in x_train, got [4, 2, 1]", 1),
        ({"x_test": X[:0], "y_test": []}, "x_test: expected at least one example [2] as in x_train, got [0, 2]", 0),
        ({"x_train": NAN}, "x_train: expected finite float32, got nan at [3, 1]", 1),
        ({"x_train": X * 1e300, "x_test": X[:4] * 1e300}, "x_train: expected finite float32, got 1e+300 at [0, 1]", 0),
        ({"x_test": X[:4].astype("float32")}, "x_test: expected float64 as in x_train, got float32", 1),
        ({"x_train": X.astype("uint8")}, "x_test: expected uint8 as in x_train, got float64", 1),
        ({"x_train": X / 12, "x_test": X[:4].astype("uint8")}, "x_test: expected float64 as in x_train, got uint8", 1),
        (
            {"x_train": X + 1e9, "x_test": X[:4] + 1e9},
            "x_train: expected values that float32 tells apart, got equal",
            1,
        ),
        ({"y_train": X[:, 0] / 4}, "y_train: expected classes, since only classifiers are compared, got 0.5 at [1]", 1),
        ({"y_train": np.where(TRAIN == 2, np.nan, TRAIN), "y_test": TEST % 2}, "y_train: expected classes, since", 1),
        (
            {"y_train": np.eye(3)[TRAIN] + 0.1},
            "y_train: expected whole numbers or text [6], or one-hot, got float64",
            1,
        ),
        ({"x_train": np.zeros((500, 2)), "y_train": np.arange(500) % 250}, "y_train: expected classes of ten", 1),
        ({"y_train": 0 * TRAIN}, "y_train: expected at least two classes, got 0 alone", 0),
        ({"y_test": np.array([0, 1, 3, 2])}, "y_test: expected classes of y_train, 0, 1, 2, got 3 at [2]", 1),
        ({"y_train": TRAIN.astype(object)}, "y_train: expected numbers or text, got Python objects", 1),
        ({"x_validation": X}, "no y_validation: expected x_ and y_ of each split", 0),
        ({"y_test": None}, "no y_test: expected arrays x_train, y_train, x_test, y_test, got x_train, y_train, x_", 0),
    ],
)
def test_data_of_no_use_are_refused_in_one_line_whose_numpy_mends_them(changes, message, lines, tmp_path):
    with pytest.raises(ArchiveError) as refusal:
        datasets.read(write_own(tmp_path, **changes))
    assert str(refusal.value).startswith(f"{tmp_path}/own.npz: {message}")
    assert len(str(refusal.value).splitlines()) == 1
    arrays = OWN | changes
    for _ in range(lines):  # one for each array
        with pytest.raises(ArchiveError) as refusal:
            datasets.read(write_own(tmp_path, **{name: arrays[name] for name in OWN}))
        exec(str(refusal.value).split("in NumPy: ")[1].split(", after")[0], {"np": np}, arrays)  # as the user would
    if lines:
        datasets.read(write_own(tmp_path, **{name: arrays[name] for name in OWN}))


@pytest.mark.parametrize("file", ["/data/own.npz", "../own.npz", "own.txt", "a b.npz", "s3://bucket/own.npz"])
def test_data_file_is_inside_the_repository(file):
    with pytest.raises(parameters.ParametersError, match=r"data.file: expected an .npz or .csv file in this rep"):
        sizes(1, 1, file)
    assert [sizes(1, 1, file).fetched for file in ("data/raw/mnist.npz", "data/mnist.npz")] == ["mnist", None]


TABLE = ["age,label,height", *(f"{row},{'ab'[row % 2]},{row / 2}" for row in range(10))]


def test_csv_file_is_shuffled_and_cut_alike_whenever_it_is_read(tmp_path):
    (tmp_path / "own.csv").write_text("\n".join(TABLE))
    arrays = datasets.read(tmp_path / "own.csv")
    assert (arrays["x_train"].shape, arrays["x_test"].shape, arrays["names"].tolist()) == ((6, 2), (4, 2), ["a", "b"])
    ages = [*arrays["x_train"][:, 0], *arrays["x_test"][:, 0]]
    assert ages == [4, 6, 2, 7, 3, 5, 9, 0, 8, 1]  # NumPy's shuffle at seed 0
    assert [*arrays["y_train"], *arrays["y_test"]] == [age % 2 for age in ages]
    (tmp_path / "own.csv").write_text("\n".join(["a,b,kind", *(f"{row},0,{row % 3}.0" for row in range(20))]))
    arrays = datasets.read(tmp_path / "own.csv")  # without `label`, the last column
    assert datasets.info(arrays)[:3] == ({"train": 12, "test": 8}, (2,), 3)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([*TABLE, "1,a"], "row 12: expected 3 values, got 2"),
        ([*TABLE, "old,a,3"], "row 12, column age: expected a number, got 'old'"),
        ([*TABLE, "1,,3"], "row 12, column label: expected a class, got ''"),
        (TABLE[:3], "expected a header of at least 2 columns with commas between, and 10 rows, got 3 columns (age, "),
        ([line.replace(",", ";") for line in TABLE], "expected a header of at least 2 columns with commas between"),
    ],
)
def test_csv_file_of_no_use_is_refused_with_row_and_column(lines, message, tmp_path):
    (tmp_path / "own.csv").write_text("\n".join(lines))
    with pytest.raises(ArchiveError) as refusal:
        datasets.read(tmp_path / "own.csv")
    assert str(refusal.value).startswith(f"{tmp_path}/own.csv: {message}")


def write_parameters(folder, data, selection_size):
    (folder / "params.yaml").write_text(f"data: {data}\ntuning: {{selection_size: {selection_size}}}\n")


def test_stage_states_range_classes_largest_share_and_what_a_split_lacks(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    kinds = [*"aabac", *"ab" * 20]
    rows = [f"{place},{kind}" for place, kind in enumerate(kinds)]
    (tmp_path / "own.csv").write_text("\n".join(["width,label", *rows]))
    write_parameters(tmp_path, "{file: own.csv, train_size: 22, validation_size: 9}", 5)
    prepare.main()
    assert capsys.readouterr().out.splitlines() == [
        "own.csv: 3 classes, examples [1] float64, taken as they are: the network sees 1 to 44",
        "own.csv: the largest class, b, has 55.6% of the validation examples",
        "own.csv: classes: a, b, c",
        "own.csv: rows shuffled with seed 0; the first 60% are training examples, the others test examples",
        "own.csv: no example of class c among the validation examples",
        "own.csv: no example of class c among the test examples",
    ]
    contents = [path.read_bytes() for path in sorted(Path("data/prepared").iterdir())]
    prepare.main()
    assert contents == [path.read_bytes() for path in sorted(Path("data/prepared").iterdir())]


def test_stage_ends_with_the_message_alone_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_own(tmp_path)
    write_parameters(tmp_path, "{file: own.npz, train_size: 7, validation_size: 30}", 1)
    with pytest.raises(SystemExit) as ended:
        prepare.main()
    train, validation = str(ended.value).splitlines()
    assert train.startswith("params.yaml: data.train_size: expected 1 to 5, got 7: the last 1 training examples ")
    assert validation == "params.yaml: data.validation_size: expected 1 to 3, got 30"
    assert not (tmp_path / "data").exists()
