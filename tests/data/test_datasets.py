"""The archives between the stages, and how MNIST is cut."""

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from descent.core import parameters
from descent.data import archives, datasets, settings
from descent.data.settings import DataParameters

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


def test_every_class_has_as_many_images_as_in_mnist(mnist):
    train = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    test = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert np.bincount(mnist["y_train"]).tolist() == train
    assert np.bincount(mnist["y_test"]).tolist() == test


def test_training_images_are_the_first_ones(mnist):
    cut = datasets.split(mnist, sizes(8192, 3000))
    np.testing.assert_array_equal(cut["x_train"], mnist["x_train"][:8192])
    np.testing.assert_array_equal(cut["y_train"], mnist["y_train"][:8192])


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
        (0, 3000, "params.yaml: data.train_size: input should be greater than or equal to 1, got 0"),
        (60001, 3000, "params.yaml: data.train_size: expected 1 to 60000, got 60001"),
        (8192, 0, "params.yaml: data.validation_size: input should be greater than or equal to 1, got 0"),
        (8192, 10000, "params.yaml: data.validation_size: expected 1 to 9999, got 10000"),
    ],
)
def test_impossible_size_is_refused_with_the_allowed_range(train_size, validation_size, message):
    with pytest.raises(parameters.ParametersError) as refusal:
        settings.refuse_sizes(sizes(train_size, validation_size), settings.FETCHED["mnist"], "params.yaml")
    assert str(refusal.value) == message


def test_what_is_known_of_mnist_before_it_is_here_is_true(mnist):
    assert datasets.facts(mnist) == settings.FETCHED["mnist"]


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
    with pytest.raises(archives.ArchiveError, match=r"objects\.npz: .*allow_pickle"):
        archives.read(tmp_path / "objects.npz", ["x"])


def test_missing_array_is_named(small, tmp_path):
    archives.write(tmp_path / "small.npz", {"x": small["x"]})
    with pytest.raises(archives.ArchiveError, match=r"small\.npz: .*'y\.npy'.*; it must hold x, y"):
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
    assert datasets.facts(arrays) == settings.Facts({"train": 6, "test": 4}, (2,), 3)
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


NAN = np.where(X == 7, np.nan, X)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x_train": X.astype(int)}, "x_train: expected uint8, float32 or float64 [examples, ...], got int64 [6, 2]"),
        ({"x_train": X[:, 0]}, "x_train: expected uint8, float32 or float64 [examples, ...], got float64 [6]"),
        ({"x_test": X[:4, :1]}, "x_test: expected at least one example [2] as in x_train, got [4, 1]"),
        ({"x_test": X[:0], "y_test": []}, "x_test: expected at least one example [2] as in x_train, got [0, 2]"),
        ({"x_train": NAN}, "x_train: expected finite float32, got nan at [3, 1]"),
        ({"x_test": X[:4] * 1e300}, "x_test: expected finite float32, got 1e+300 at [0, 1]"),
        ({"y_train": X[:, 0]}, "y_train: expected integers [6], a label an example, got float64 [6]"),
        ({"y_train": OWN["y_train"][:5]}, "y_train: expected integers [6], a label an example, got int64 [5]"),
        ({"y_train": OWN["y_train"] - 1}, "y_train: expected labels from 0, got -1 at [0]"),
        ({"y_train": 2 * OWN["y_train"]}, "y_train: expected every class from 0 to 4, got none of 1"),
        ({"y_train": 2**30 * OWN["y_train"]}, "y_train: expected labels from 0, got 2147483648 at [2]"),
        ({"y_train": 2**29 * OWN["y_train"]}, "y_train: expected every class from 0 to 1073741824, got none of 1"),
        ({"y_train": 0 * OWN["y_train"]}, "y_train: expected at least two classes, got 0 alone"),
        ({"y_test": np.array([0, 1, 3, 2])}, "y_test: expected classes of y_train, 0 to 2, got 3"),
        ({"x_validation": X}, "expected both x_validation and y_validation, got no y_validation"),
        (
            {"y_test": None},
            "There is no item named 'y_test.npy' in the archive; it must hold x_train, y_train, x_test, y_",
        ),
    ],
)
def test_own_data_of_no_use_are_refused_in_one_line_that_names_the_array(changes, message, tmp_path):
    with pytest.raises(archives.ArchiveError) as refusal:
        datasets.read(write_own(tmp_path, **changes))
    assert str(refusal.value).removeprefix(f"{tmp_path}/own.npz: ").startswith(message)
    assert len(str(refusal.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("file", "fetched"),
    [("data/raw/mnist.npz", "mnist"), ("data/mnist.npz", None), ("data/raw/own.npz", None), ("own.npz", None)],
)
def test_data_set_that_is_fetched_is_known_by_its_file(file, fetched):
    assert (sizes(1, 1, file).file, sizes(1, 1, file).fetched) == (file, fetched)


@pytest.mark.parametrize("file", ["/data/own.npz", "../own.npz", "own.csv", "a b.npz", "s3://bucket/own.npz"])
def test_data_file_is_inside_the_repository(file):
    with pytest.raises(parameters.ParametersError, match=r"data.file: expected an .npz file in this repository"):
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


def test_stage_ends_with_the_message_alone(tmp_path):
    write_parameters(tmp_path, 7)
    write_own(tmp_path)
    run = run_prepare(tmp_path)
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.splitlines() == [
        "params.yaml: data.train_size: expected 1 to 6, got 7",
        "params.yaml: data.validation_size: expected 1 to 3, got 30",
    ]
