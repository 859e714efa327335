"""The archives between the stages, and how MNIST is cut."""

import hashlib
import os
import runpy
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from descent.core import parameters
from descent.data import archives, datasets, settings
from descent.data.settings import DataParameters
from stages import prepare

ROOT = Path(__file__).parents[2]
NAMES = ("x", "y")


@pytest.fixture(scope="module")
def mnist(mnist_archive):
    return datasets.read(mnist_archive)


@pytest.fixture
def small():
    return {"x": np.arange(12, dtype=np.uint8).reshape(3, 2, 2), "y": np.arange(3, dtype=np.uint8)}


def sizes(train_size, validation_size, file="data/raw/mnist.npz"):
    section = {"file": file, "train_size": train_size, "validation_size": validation_size}
    return parameters.validate(section, DataParameters, "params.yaml: data")


def test_smaller_subset_is_contained_in_larger(mnist):
    small, large = datasets.split(mnist, sizes(100, 30)), datasets.split(mnist, sizes(60000, 9999))
    for name in ["x_train", "y_train", "x_validation", "y_validation"]:
        np.testing.assert_array_equal(small[name], large[name][: len(small[name])])
    assert large["x_train"].shape == (60000, 28, 28)
    assert large["x_test"].shape == (1, 28, 28)


@pytest.mark.parametrize("validation_size", [1, 3000, 9999])
def test_validation_and_test_share_no_image_and_leave_none_out(mnist, validation_size):
    cut = datasets.split(mnist, sizes(1, validation_size))
    assert len(cut["x_validation"]) == validation_size
    np.testing.assert_array_equal(np.concatenate([cut["x_validation"], cut["x_test"]]), mnist["x_test"])
    np.testing.assert_array_equal(np.concatenate([cut["y_validation"], cut["y_test"]]), mnist["y_test"])


@pytest.mark.parametrize(
    ("train_size", "validation_size", "message"),
    [
        (0, 3000, "params.yaml: data.train_size: expected at least 1, got 0"),
        (60001, 3000, "params.yaml: data.train_size: expected 1 to 60000, got 60001"),
        (8192, 0, "params.yaml: data.validation_size: expected at least 1, got 0"),
        (8192, 10000, "params.yaml: data.validation_size: expected 1 to 9999, got 10000"),
    ],
)
def test_impossible_size_is_refused_with_the_allowed_range(train_size, validation_size, message):
    with pytest.raises(parameters.ParametersError) as refusal:
        settings.refuse_sizes(sizes(train_size, validation_size), settings.FETCHED["mnist"], "params.yaml")
    assert str(refusal.value) == message


def test_what_is_known_of_mnist_before_it_is_here_is_true(mnist):
    assert datasets.facts(mnist)[:3] == settings.FETCHED["mnist"][:3]


def test_loaded_pixels_are_float32_from_0_to_1_and_labels_int32(mnist, tmp_path):
    archives.write(tmp_path / "prepared.npz", datasets.split(mnist, sizes(50, 20)))
    dataset = datasets.load(tmp_path / "prepared.npz")
    parts = dataset.splits().values()
    assert [len(part.examples) for part in parts] == [len(part.labels) for part in parts] == [50, 20, 9980]
    assert dataset.classes == 10
    for part in parts:
        assert part.examples.shape[1:] == (28, 28)
        assert (part.examples.dtype, part.labels.dtype) == (np.float32, np.int32)
        assert (part.examples.min(), part.examples.max()) == (0.0, 1.0)
    np.testing.assert_array_equal(np.rint(dataset.validation.examples * 255), mnist["x_test"][:20])
    np.testing.assert_array_equal(dataset.test.labels, mnist["y_test"][20:])


def test_equal_arrays_give_equal_bytes(small, tmp_path):
    archives.write(tmp_path / "one.npz", small)
    archives.write(tmp_path / "two.npz", small)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.npz") as archive:
        assert {member.date_time for member in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_bytes_are_those_of_every_python(tmp_path):
    archives.write(tmp_path / "small.npz", {"x": np.arange(6, dtype="<f4").reshape(2, 3), "y": np.int32(7)})
    np.testing.assert_equal(dict(np.load(tmp_path / "small.npz")), {"x": [[0, 1, 2], [3, 4, 5]], "y": 7})
    digest = hashlib.sha256((tmp_path / "small.npz").read_bytes()).hexdigest()
    assert digest == "731b006171163d77447f0c57054dd07fce8b27c1870885e5423b7f2584850f29"  # Python 3.11 to 3.13


def test_memory_layout_does_not_change_the_bytes(small, tmp_path):
    archives.write(tmp_path / "fortran.npz", {"x": np.asfortranarray(small["x"]), "y": small["y"]})
    archives.write(tmp_path / "again.npz", archives.read(tmp_path / "fortran.npz", NAMES))
    archives.write(tmp_path / "plain.npz", small)
    assert (tmp_path / "again.npz").read_bytes() == (tmp_path / "plain.npz").read_bytes()


def test_archive_is_readable_by_those_who_may_read_other_new_files(small, tmp_path):
    archives.write(tmp_path / "small.npz", small)
    (tmp_path / "other").touch()
    assert (tmp_path / "small.npz").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_failed_write_leaves_the_old_file_and_nothing_else(small, tmp_path):
    path = tmp_path / "small.npz"
    archives.write(path, small)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="Object arrays"):
        archives.write(path, {"x": small["x"], "y": np.array([lambda: None], dtype=object)})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_missing_file_is_named(tmp_path):
    with pytest.raises(archives.ArchiveError, match=r"nowhere\.npz: no such file"):
        datasets.load(tmp_path / "nowhere.npz")


def test_what_is_no_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.npz")
    with pytest.raises(archives.ArchiveError, match=r"pipe\.npz: expected a file, got a pipe"):
        archives.read(tmp_path / "pipe.npz", NAMES)
    with pytest.raises(archives.ArchiveError, match="expected a file, got a folder"):
        archives.read(tmp_path, NAMES)


@pytest.mark.parametrize("content", [b"", b"not an archive", b"PK\x03\x04 cut off"])
def test_file_that_is_no_archive_is_named(tmp_path, content):
    (tmp_path / "other.npz").write_bytes(content)
    with pytest.raises(archives.ArchiveError, match=r"other\.npz: not an \.npz archive, or damaged"):
        datasets.load(tmp_path / "other.npz")


@pytest.mark.parametrize(("old", "new"), [(b"\5\6\7", b"\5\6\6"), (b"PK\5\6", b"")], ids=["a pixel", "the end"])
def test_damage_is_noticed(small, tmp_path, old, new):
    path = tmp_path / "small.npz"
    archives.write(path, small)
    path.write_bytes(path.read_bytes().replace(old, new))
    with pytest.raises(archives.ArchiveError, match=r"small\.npz: not an \.npz archive, or damaged"):
        archives.read(path, NAMES)


def test_pickled_objects_are_not_loaded(tmp_path):
    np.savez(tmp_path / "objects.npz", x=np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(
        archives.ArchiveError,
        match=r"objects\.npz: x: expected numbers or text, got Python objects; in NumPy: x = np.array",
    ):
        archives.read(tmp_path / "objects.npz", ["x"])


def test_missing_array_is_named(small, tmp_path):
    archives.write(tmp_path / "small.npz", {"x": small["x"]})
    with pytest.raises(archives.ArchiveError, match=r"small\.npz: no y: expected arrays x, y, got x$"):
        archives.read(tmp_path / "small.npz", NAMES)


# A data set of one's own: three classes, examples [2].
X = np.arange(12, dtype=np.float64).reshape(6, 2)
OWN = {"x_train": X, "y_train": np.array([0, 1, 2, 0, 1, 2]), "x_test": X[:4], "y_test": np.array([2, 1, 0, 1])}


def write_own(folder, **changes):
    arrays = {name: array for name, array in (OWN | changes).items() if array is not None}
    np.savez(folder / "own.npz", **arrays)
    return folder / "own.npz"


def test_own_data_are_taken_as_they_are(tmp_path):
    arrays = datasets.read(write_own(tmp_path))
    assert datasets.facts(arrays)[:3] == ({"train": 6, "test": 4}, (2,), 3)
    archives.write(tmp_path / "splits.npz", datasets.split(arrays, sizes(3, 1)))
    train, validation, test, classes = datasets.load(tmp_path / "splits.npz")
    np.testing.assert_array_equal(train.examples, X[:3])
    np.testing.assert_array_equal(validation.examples, X[:1])
    np.testing.assert_array_equal(test.examples, X[1:4])
    assert test.labels.tolist() == [1, 0, 1]
    assert (train.examples.dtype, train.labels.dtype, classes) == (np.float32, np.int32, 3)


def test_validation_and_selection_of_ones_own_leave_the_others_whole(tmp_path):
    more = {"x_validation": X[:2] + 1, "y_validation": [1, 0], "x_selection": X + 2, "y_selection": OWN["y_train"]}
    arrays = datasets.read(write_own(tmp_path, **more))
    facts = datasets.facts(arrays)
    assert facts.sizes == {"train": 6, "test": 4, "validation": 2, "selection": 6}
    cut = datasets.split(arrays, sizes(6, 2))
    np.testing.assert_array_equal(cut["x_validation"], X[:2] + 1)
    np.testing.assert_array_equal(cut["x_test"], OWN["x_test"])
    archives.write(tmp_path / "selection.npz", datasets.selection(arrays, 5))
    np.testing.assert_array_equal(datasets.load_selection(tmp_path / "selection.npz").examples, X[:5] + 2)
    settings.refuse_sizes(sizes(6, 2), facts, "params.yaml")
    settings.refuse_selection(6, sizes(6, 2), facts, "params.yaml")
    with pytest.raises(parameters.ParametersError, match=r"data.validation_size: expected 1 to 2, got 3"):
        settings.refuse_sizes(sizes(6, 3), facts, "params.yaml")
    with pytest.raises(parameters.ParametersError, match=r"tuning.selection_size: expected 1 to 6, got 7"):
        settings.refuse_selection(7, sizes(6, 2), facts, "params.yaml")


def test_selection_is_the_end_of_the_training_examples_and_never_trained_on(mnist):
    facts = settings.FETCHED["mnist"]
    np.testing.assert_array_equal(datasets.selection(mnist, 10000)["x_selection"], mnist["x_train"][50000:])
    settings.refuse_selection(10000, sizes(50000, 3000), facts, "params.yaml")
    with pytest.raises(
        parameters.ParametersError, match=r"data.train_size: expected 1 to 50000, got 50001: the last 10000 train"
    ):
        settings.refuse_selection(10000, sizes(50001, 3000), facts, "params.yaml")
    with pytest.raises(parameters.ParametersError, match=r"data.train_size: expected 1 to 1, got 2: the last 59999"):
        settings.refuse_selection(59999, sizes(2, 3000), facts, "params.yaml")
    with pytest.raises(parameters.ParametersError, match=r"tuning.selection_size: expected 1 to 59999, .* got 60000"):
        settings.refuse_selection(60000, sizes(1, 3000), facts, "params.yaml")


def test_two_classes_and_the_largest_float32_are_taken(tmp_path):
    labels = {name: OWN[name] % 2 for name in ("y_train", "y_test")}
    arrays = datasets.read(write_own(tmp_path, **labels, x_train=np.where(X == 7, float(np.finfo("float32").max), X)))
    assert datasets.facts(arrays).classes == 2


TRAIN, TEST = OWN["y_train"], OWN["y_test"]
TEXT = np.array(["cat", "dog", "owl"])


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (lambda y: y[:, None], "012"),
        (lambda y: np.eye(3)[y], "012"),
        (lambda y: np.eye(3, dtype=bool)[y], "012"),
        (lambda y: y.astype(float), "012"),
        (lambda y: y + 1, "123"),
        (lambda y: 10 * y, ["0", "10", "20"]),
        (lambda y: 1000 * y - 1, ["-1", "999", "1999"]),
        (lambda y: TEXT[y], TEXT),
        (lambda y: TEXT.astype("S")[y], TEXT),
    ],
    ids=["one column", "one-hot", "one-hot bool", "float", "from 1", "gaps", "negative", "text", "bytes"],
)
def test_labels_that_can_mean_one_thing_only_are_taken(change, names, tmp_path):
    arrays = datasets.read(write_own(tmp_path, y_train=change(TRAIN), y_test=change(TEST)))
    assert (arrays["y_train"].tolist(), arrays["y_test"].tolist()) == (TRAIN.tolist(), TEST.tolist())
    assert arrays["y_train"].dtype == np.int32
    assert ("names" in arrays) == (list(names) != list("012"))
    archives.write(tmp_path / "splits.npz", datasets.split(arrays, sizes(6, 2)))
    assert datasets.describe(tmp_path / "splits.npz").names == list(names)


def test_bool_labels_are_two_classes(tmp_path):
    arrays = datasets.read(write_own(tmp_path, y_train=TRAIN > 1, y_test=TEST > 1))
    assert (arrays["names"].tolist(), arrays["y_test"].tolist()) == (["False", "True"], [1, 0, 0, 0])


@pytest.mark.parametrize("dtype", ["bool", "int8", "int16", "uint16", "int32", "int64", "float16", "float32", "uint8"])
def test_examples_are_seen_as_they_are_but_for_uint8(dtype, tmp_path):
    x = X.astype(dtype)
    arrays = datasets.read(write_own(tmp_path, x_train=x, x_test=x[:4]))
    archives.write(tmp_path / "splits.npz", datasets.split(arrays, sizes(6, 2)))
    train = datasets.load(tmp_path / "splits.npz").train.examples
    np.testing.assert_array_equal(train, x.astype("float32") / np.float32(255 if dtype == "uint8" else 1))
    seen = datasets.describe(tmp_path / "splits.npz")
    assert (seen.is_divided, seen.high) == (dtype == "uint8", train.max())


def test_x_val_is_another_name_of_x_validation(tmp_path):
    arrays = datasets.read(write_own(tmp_path, x_val=X[:2] + 1, y_val=TRAIN[:2]))
    np.testing.assert_array_equal(arrays["x_validation"], X[:2] + 1)
    both = {"x_val": X, "y_val": TRAIN, "x_validation": X, "y_validation": TRAIN}
    with pytest.raises(archives.ArchiveError, match="expected x_val or x_validation, got both"):
        datasets.read(write_own(tmp_path, **both))


NAN = np.where(X == 7, np.nan, X)
U8 = X.astype("uint8")
CLASSES = "expected classes of y_train, 0, 1, 2, got"
MANY = np.arange(500) % 250


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x_train": X.astype(str)}, "x_train: expected numbers [examples, ...], got <U32 [6, 2]"),
        (
            {"x_train": X[:, 0]},
            "x_train: expected numbers [examples, ...], got float64 [6]; in NumPy: x_train = x_train[:",
        ),
        ({"x_test": X[:4, :1]}, "x_test: expected at least one example [2] as in x_train, got [4, 1]"),
        (
            {"x_test": X[:4, :, None]},
            "x_test: expected at least one example [2] as in x_train, got [4, 2, 1]; in NumPy: x",
        ),
        ({"x_test": X[:0], "y_test": []}, "x_test: expected at least one example [2] as in x_train, got [0, 2]"),
        ({"x_train": NAN}, "x_train: expected finite float32, got nan at [3, 1]; in NumPy: good = np.isfinite(x_train"),
        (
            {"x_test": X[:4] * 1e300},
            "x_test: expected finite float32, got 1e+300 at [0, 1]; in NumPy: x_test = x_test / ",
        ),
        ({"x_test": U8[:4]}, "x_test: expected float64 as in x_train, got uint8; in NumPy: x_test = x_test.astype("),
        (
            {"x_train": U8},
            'x_test: expected uint8 as in x_train, got float64; in NumPy: x_test = x_test.astype("uint8")',
        ),
        (
            {"x_train": X / 12, "x_test": U8[:4]},
            "x_test: expected float64 as in x_train, got uint8; in NumPy: x_test = (x_",
        ),
        ({"x_train": X + 1e9}, "x_train: expected values that float32 tells apart, got 2 of 2 columns (0, 1)"),
        (
            {"x_train": X.astype(int) + 10**9, "x_test": X[:4].astype(int)},
            "x_train: expected values that float32 tells",
        ),
        ({"y_train": X[:, 0] / 4}, "y_train: expected classes, got 0.5 at [1]: only classifiers are compared"),
        ({"y_train": NAN[:, 1]}, "y_train: expected classes, got nan at [3]: in NumPy: good = ~np.isnan(y_train)"),
        (
            {"y_train": np.ones((6, 3))},
            "y_train: expected one label an example, got float64 [6, 3], not one-hot; for the",
        ),
        ({"y_train": OWN["y_train"][:5]}, "y_train: expected a label an example, [6], got int64 [5]"),
        (
            {"x_train": np.zeros((500, 2)), "y_train": MANY},
            "y_train: expected classes, got 250 different numbers in 500",
        ),
        ({"y_train": 0 * OWN["y_train"]}, "y_train: expected at least two classes, got 0 alone"),
        (
            {"y_test": np.array([0, 1, 3, 2])},
            f"y_test: {CLASSES} 3 at [2]; to drop them in NumPy: known = np.isin(y_test",
        ),
        ({"y_test": TEXT[TEST]}, f"y_test: {CLASSES} <U3"),
        (
            {"y_train": TRAIN.astype(object)},
            "y_train: expected numbers or text, got Python objects; in NumPy: y_train = ",
        ),
        ({"x_validation": X}, "expected both x_validation and y_validation, got no y_validation"),
        ({"y_test": None}, "no y_test: expected arrays x_train, y_train, x_test, y_test, got x_train, y_train, x_test"),
    ],
)
def test_own_data_of_no_use_are_refused_in_one_line_that_names_the_array(changes, message, tmp_path):
    with pytest.raises(archives.ArchiveError) as refusal:
        datasets.read(write_own(tmp_path, **changes))
    assert str(refusal.value).removeprefix(f"{tmp_path}/own.npz: ").startswith(message)
    assert len(str(refusal.value).splitlines()) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"x_test": X[:4].astype("float32")},
        {"x_train": X[:, 0], "x_test": X[:4, 0]},
        {"x_test": X[:4, :, None]},
        {"x_test": X[:4] * 1e300},
        {"x_train": NAN},
        {"x_train": U8, "x_test": X[:4] / 12},
        {"x_train": X + 1e9, "x_test": X[:4] + 1e9},
        {"y_train": OWN["x_train"][:, 0] / 4},
        {"y_train": np.where(TRAIN == 2, np.nan, TRAIN)},
        {"y_train": np.eye(3)[TRAIN] + 0.1},
        {"y_test": np.array([0, 1, 3, 2])},
        {"y_train": TRAIN.astype(object)},
    ],
)
def test_line_of_numpy_mends_what_was_refused(changes, tmp_path):
    arrays, lines = OWN | changes, []
    while len(lines) < 3:  # a line an array
        path = write_own(tmp_path, **{name: arrays[name] for name in OWN})
        try:
            datasets.read(path)
            break
        except archives.ArchiveError as refusal:
            lines.append(str(refusal).split("in NumPy: ")[1].split(", after")[0].split(", in all")[0])
        exec(lines[-1], {"np": np}, arrays)  # as the user would
    assert len(lines) in (1, 2)


def make_case(name, folder, monkeypatch):
    """Run a script of tests/cases/data; returns the arrays of the archive that it makes."""
    (folder / "data").mkdir()
    monkeypatch.chdir(folder)
    runpy.run_path(str(ROOT / f"tests/cases/data/{name}.py"))
    return Path("data/own.npz")


def test_mixed_types_of_examples_are_refused(tmp_path, monkeypatch):
    with pytest.raises(archives.ArchiveError, match="x_test: expected uint8 as in x_train, got float32; in NumPy"):
        datasets.read(make_case("mixed_dtypes", tmp_path, monkeypatch))


def test_split_of_a_single_class_is_refused_with_the_line_that_mixes_it(tmp_path, monkeypatch):
    facts = datasets.facts(datasets.read(make_case("sorted_labels", tmp_path, monkeypatch)))
    with pytest.raises(
        parameters.ParametersError, match=r"the validation examples: .* got 0 alone; to mix .*x_test\[order"
    ):
        settings.refuse_sizes(sizes(1000, 250, "data/own.npz"), facts, "params.yaml")
    settings.refuse_sizes(sizes(1000, 251, "data/own.npz"), facts, "params.yaml")
    with pytest.raises(
        parameters.ParametersError, match="the test examples: expected at least two classes, got 3 alone"
    ):
        settings.refuse_sizes(sizes(1000, 751, "data/own.npz"), facts, "params.yaml")
    ordered = facts._replace(arrays=facts.arrays | {"y_train": np.sort(facts.arrays["y_train"])})
    with pytest.raises(
        parameters.ParametersError, match=r"the 100 examples that choose learning rates: .* got 3 alone"
    ):
        settings.refuse_selection(100, sizes(1000, 251, "data/own.npz"), ordered, "params.yaml")


def test_target_below_the_share_of_the_largest_class_is_noted(tmp_path, monkeypatch, capsys):
    facts = datasets.facts(datasets.read(make_case("imbalance", tmp_path, monkeypatch)))
    settings.warn_of_target(sizes(1000, 500, "data/own.npz"), facts, 0.99, "params.yaml")
    assert capsys.readouterr().out == ""
    settings.warn_of_target(sizes(1000, 500, "data/own.npz"), facts, 0.93, "params.yaml")
    assert capsys.readouterr().out.startswith(
        "params.yaml: training.target_val_accuracy: 0.93 is reached by always answering 0: 97.6% of the validation"
    )


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
    assert datasets.facts(arrays)[:3] == ({"train": 12, "test": 8}, (2,), 3)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([*TABLE, "1,a"], "row 12: expected 3 values, got 2"),
        ([*TABLE, "old,a,3"], "row 12, column age: expected a number, got 'old'"),
        ([*TABLE, "1,a,"], "row 12, column height: expected a number, got ''"),
        (
            TABLE[:3],
            "expected at least 2 columns with commas between, and 10 rows, got 3 columns (age, label, height) and 2",
        ),
        ([line.replace(",", ";") for line in TABLE], "expected at least 2 columns with commas between"),
        (["1,0,2"] * 20, "line 1: expected a header, got 1, 0, 2"),
        ([], "expected at least 2 columns with commas between"),
    ],
)
def test_csv_file_of_no_use_is_refused_with_row_and_column(lines, message, tmp_path):
    (tmp_path / "own.csv").write_text("\n".join(lines))
    with pytest.raises(archives.ArchiveError) as refusal:
        datasets.read(tmp_path / "own.csv")
    assert str(refusal.value).startswith(f"{tmp_path}/own.csv: {message}")


@pytest.mark.parametrize(
    ("file", "fetched"),
    [("data/raw/mnist.npz", "mnist"), ("data/mnist.npz", None), ("data/raw/own.npz", None), ("own.npz", None)],
)
def test_data_set_that_is_fetched_is_known_by_its_file(file, fetched):
    assert (sizes(1, 1, file).file, sizes(1, 1, file).fetched) == (file, fetched)


@pytest.mark.parametrize("file", ["/data/own.npz", "../own.npz", "own.txt", "a b.npz", "s3://bucket/own.npz"])
def test_data_file_is_inside_the_repository(file):
    with pytest.raises(parameters.ParametersError, match=r"data.file: expected an .npz or .csv file in this rep"):
        sizes(1, 1, file)


def write_parameters(folder, train_size):
    file = "own.npz" if train_size == 7 else "data/raw/mnist.npz"
    tuning = "{grid_size: 3, step_decades: 1.0, max_extra: 0, seeds: [1, 2], selection_size: 10000}"
    text = f"data: {{file: {file}, train_size: {train_size}, validation_size: 30}}\ntuning: {tuning}\n"
    (folder / "params.yaml").write_text(text)


def run_prepare(folder):
    return subprocess.run(
        [sys.executable, "-m", "stages.prepare"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_stage_prepares_equal_bytes_twice(mnist_archive, tmp_path):
    write_parameters(tmp_path, 100)
    (tmp_path / "data/raw").mkdir(parents=True)
    (tmp_path / "data/raw/mnist.npz").symlink_to(mnist_archive)
    prepared = tmp_path / "data/prepared/splits.npz"
    contents = []
    for _ in range(2):
        assert run_prepare(tmp_path).returncode == 0
        contents.append(prepared.read_bytes())
    assert contents[0] == contents[1]
    assert [len(part.labels) for part in datasets.load(prepared).splits().values()] == [100, 30, 9970]


def test_stage_states_range_classes_largest_share_and_what_a_split_lacks(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    kinds = [*"aabac", *"ab" * 20]
    (tmp_path / "own.csv").write_text(
        "\n".join(["width,label", *(f"{place},{kind}" for place, kind in enumerate(kinds))])
    )
    tuning = "{points: 3, step_decades: 1.0, extension: 0, seeds: [1, 2], selection_size: 5}"
    data = "{file: own.csv, train_size: 22, validation_size: 9}"
    (tmp_path / "params.yaml").write_text(f"data: {data}\ntuning: {tuning}\n")
    prepare.main()
    assert capsys.readouterr().out.splitlines() == [
        "own.csv: 3 classes, examples [1] float64, taken as they are: the network sees 1 to 44",
        "own.csv: the largest class, b, has 55.6% of the validation examples",
        "own.csv: classes: a, b, c",
        "own.csv: rows shuffled with seed 0; the first 60% are training examples, the others test examples",
        "own.csv: no example of class c among the validation examples",
        "own.csv: no example of class c among the test examples",
    ]
    seen = datasets.describe(Path("data/prepared/splits.npz"))
    assert (seen.largest, round(seen.largest_share, 3), seen.names) == ("b", 0.556, ["a", "b", "c"])


def test_stage_ends_with_the_message_alone(tmp_path):
    write_parameters(tmp_path, 7)
    write_own(tmp_path)
    run = run_prepare(tmp_path)
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.splitlines() == [
        "params.yaml: data.train_size: expected 1 to 6, got 7",
        "params.yaml: data.validation_size: expected 1 to 3, got 30",
    ]
