"""The archives between the stages, and how MNIST is cut."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from descent import parameters
from descent.data import archives, datasets

ROOT = Path(__file__).parents[2]
SHAPES = {"x": ("images", 2, 2), "y": ("images",)}


@pytest.fixture(scope="module")
def mnist(mnist_archive):
    return archives.read(mnist_archive, archives.MNIST)


@pytest.fixture
def small():
    return {"x": np.arange(12, dtype=np.uint8).reshape(3, 2, 2), "y": np.arange(3, dtype=np.uint8)}


def sizes(train_size, validation_size):
    section = {"train_size": train_size, "validation_size": validation_size}
    return parameters.validate(section, datasets.DataParameters, "params.yaml: data")


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
        (0, 3000, "params.yaml: data.train_size: expected 1 to 60000, got 0"),
        (60001, 3000, "params.yaml: data.train_size: expected 1 to 60000, got 60001"),
        (8192, 0, "params.yaml: data.validation_size: expected 1 to 9999, got 0"),
        (8192, 10000, "params.yaml: data.validation_size: expected 1 to 9999, got 10000"),
    ],
)
def test_impossible_size_is_refused_with_the_allowed_range(train_size, validation_size, message):
    with pytest.raises(parameters.ParametersError) as refusal:
        sizes(train_size, validation_size)
    assert str(refusal.value) == message


def test_loaded_pixels_are_float32_from_0_to_1_and_labels_int32(mnist, tmp_path):
    archives.write(tmp_path / "prepared.npz", datasets.split(mnist, sizes(50, 20)))
    dataset = datasets.load(tmp_path / "prepared.npz")
    assert [len(part.images) for part in dataset] == [len(part.labels) for part in dataset] == [50, 20, 9980]
    for part in dataset:
        assert part.images.shape[1:] == (28, 28)
        assert (part.images.dtype, part.labels.dtype) == (np.float32, np.int32)
        assert (part.images.min(), part.images.max()) == (0.0, 1.0)
    np.testing.assert_array_equal(np.rint(dataset.validation.images * 255), mnist["x_test"][:20])
    np.testing.assert_array_equal(dataset.test.labels, mnist["y_test"][20:])


def test_equal_arrays_give_equal_bytes(small, tmp_path):
    archives.write(tmp_path / "one.npz", small)
    archives.write(tmp_path / "two.npz", small)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.npz") as archive:
        assert {member.date_time for member in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_memory_layout_does_not_change_the_bytes(small, tmp_path):
    archives.write(tmp_path / "fortran.npz", {"x": np.asfortranarray(small["x"]), "y": small["y"]})
    archives.write(tmp_path / "again.npz", archives.read(tmp_path / "fortran.npz", SHAPES))
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
    with pytest.raises((AttributeError, TypeError), match="lambda"):
        archives.write(path, {"x": small["x"], "y": np.array([lambda: None], dtype=object)})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_missing_file_is_named(tmp_path):
    with pytest.raises(archives.ArchiveError, match=r"nowhere\.npz: no such file"):
        datasets.load(tmp_path / "nowhere.npz")


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
        archives.read(path, SHAPES)


def test_pickled_objects_are_not_loaded(tmp_path):
    np.savez(tmp_path / "objects.npz", x=np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(archives.ArchiveError, match=r"objects\.npz: .*allow_pickle"):
        archives.read(tmp_path / "objects.npz", {"x": ("images",)})


def test_missing_array_is_named(small, tmp_path):
    archives.write(tmp_path / "small.npz", {"x": small["x"]})
    with pytest.raises(archives.ArchiveError, match=r"small\.npz: .*'y\.npy'.*; it must hold x, y"):
        archives.read(tmp_path / "small.npz", SHAPES)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.zeros((3, 2), np.uint8)}, "x: expected uint8 [3, 2, 2], got uint8 [3, 2]"),
        ({"x": np.zeros((3, 2, 3), np.uint8)}, "x: expected uint8 [3, 2, 2], got uint8 [3, 2, 3]"),
        ({"x": np.zeros((3, 2, 2), np.int64)}, "x: expected uint8 [3, 2, 2], got int64 [3, 2, 2]"),
        ({"y": np.zeros(2, np.uint8)}, "y: expected uint8 [3], got uint8 [2]"),
    ],
)
def test_wrong_shape_or_type_is_named(small, tmp_path, arrays, message):
    archives.write(tmp_path / "small.npz", small | arrays)
    with pytest.raises(archives.ArchiveError) as refusal:
        archives.read(tmp_path / "small.npz", SHAPES)
    assert str(refusal.value).endswith(f"small.npz: {message}")


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
    (tmp_path / "params.yaml").write_text("data: {train_size: 100, validation_size: 30}")
    (tmp_path / "data/raw").mkdir(parents=True)
    (tmp_path / "data/raw/mnist.npz").symlink_to(mnist_archive)
    prepared = tmp_path / "data/prepared/mnist.npz"
    contents = []
    for _ in range(2):
        assert run_prepare(tmp_path).returncode == 0
        contents.append(prepared.read_bytes())
    assert contents[0] == contents[1]
    assert [len(part.labels) for part in datasets.load(prepared)] == [100, 30, 9970]


def test_stage_ends_with_the_message_alone(tmp_path):
    (tmp_path / "params.yaml").write_text("data: {train_size: 70000, validation_size: 30}")
    run = run_prepare(tmp_path)
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr == "params.yaml: data.train_size: expected 1 to 60000, got 70000\n"
