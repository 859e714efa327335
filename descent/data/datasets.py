"""Cuts MNIST into training, validation and test images, and hands them to whoever trains or scores."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np

from descent.data import archives
from descent.parameters import Section, between

_PREPARED = {
    "x_train": ("train", 28, 28),
    "y_train": ("train",),
    "x_validation": ("validation", 28, 28),
    "y_validation": ("validation",),
    "x_test": ("test", 28, 28),
    "y_test": ("test",),
}


class DataParameters(Section):
    """Section `data`: how many images train, and how many of the test images choose and compare."""

    train_size: Annotated[int, between(1, 60000)]
    validation_size: Annotated[int, between(1, 9999)]


class Split(NamedTuple):
    """Images and their labels: images [n, 28, 28] float32 in [0, 1], labels [n] int32 in 0..9."""

    images: np.ndarray
    labels: np.ndarray


class Dataset(NamedTuple):
    """The three splits: `train` fits the weights, `validation` compares, `test` is scored once and chooses nothing."""

    train: Split
    validation: Split
    test: Split


def split(arrays: Mapping[str, np.ndarray], parameters: DataParameters) -> dict[str, np.ndarray]:
    """Cut MNIST as the tutorial did, the first images first, so that a smaller subset is contained in a larger one.

    Args:
        arrays: x_train [60000, 28, 28], y_train [60000], x_test [10000, 28, 28], y_test [10000], all uint8.
        parameters: the sizes.

    Returns:
        Arrays x_* [n, 28, 28] and y_* [n], uint8, in the order of the archive: train, the first `train_size` training
        images; validation, the first `validation_size` test images; test, the other test images.

    References:
        "keras教程-06-优化器详细解释", mlln.cn, 2018-09-01: 8192 training images, validation on 3000 test images.
    """
    trained, validated = parameters.train_size, parameters.validation_size
    return {
        "x_train": arrays["x_train"][:trained],
        "y_train": arrays["y_train"][:trained],
        "x_validation": arrays["x_test"][:validated],
        "y_validation": arrays["y_test"][:validated],
        "x_test": arrays["x_test"][validated:],
        "y_test": arrays["y_test"][validated:],
    }


def load(path: Path) -> Dataset:
    """Load the prepared archive as networks take it.

    Args:
        path: the archive that the stage `prepare` wrote.

    Returns:
        The three splits; pixels are divided by 255.

    Raises:
        ArchiveError: if the file is missing or damaged, or is not such an archive.
    """
    arrays = archives.read(path, _PREPARED)
    return Dataset(*(_split(arrays, name) for name in Dataset._fields))


def _split(arrays, name):
    images = arrays[f"x_{name}"].astype(np.float32) / np.float32(255)
    return Split(images, arrays[f"y_{name}"].astype(np.int32))
