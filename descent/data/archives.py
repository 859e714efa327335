"""Reads and writes the .npz archives that hold the images and labels, between one stage and the next."""

import io
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from descent import files
from descent.parameters import InputError

# Keras' names and order. A word for a size stands for any size, the same one wherever the word returns.
MNIST = {
    "x_train": (60000, 28, 28),
    "y_train": (60000,),
    "x_test": (10000, 28, 28),
    "y_test": (10000,),
}


class ArchiveError(InputError):
    """A file that is not the archive of images that it should be; the message names the file."""


def read(path: Path, shapes: Mapping[str, tuple[int | str, ...]]) -> dict[str, np.ndarray]:
    """Read uint8 arrays from an .npz archive and check that each has the shape that it must have.

    Args:
        path: the archive.
        shapes: for each array its shape, as in `MNIST`. Other arrays of the archive are not read.

    Returns:
        The arrays by name, in the order of `shapes`: uint8, in C order.

    Raises:
        ArchiveError: if the file is missing, is not an .npz archive, is damaged, or lacks such an array.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            arrays = {name: _array(archive, name) for name in shapes}
    except FileNotFoundError:
        raise ArchiveError(f"{path}: no such file") from None
    except KeyError as error:
        raise ArchiveError(f"{path}: {error.args[0]}; it must hold {', '.join(shapes)}") from None
    except (OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise ArchiveError(f"{path}: not an .npz archive, or damaged: {error}") from error
    sizes = {}
    for name, shape in shapes.items():
        array = arrays[name]
        named = {word: size for word, size in zip(shape, array.shape, strict=False) if isinstance(word, str)}
        sizes = named | sizes
        if array.dtype != np.uint8 or array.shape != tuple(sizes.get(size, size) for size in shape):
            expected = ", ".join(str(sizes.get(size, size)) for size in shape)
            raise ArchiveError(f"{path}: {name}: expected uint8 [{expected}], got {array.dtype} {list(array.shape)}")
    return arrays


def write(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays to an .npz archive: equal arrays give equal bytes, and a failure leaves the old file as it was.

    The archive is not compressed, since compressed bytes differ between versions of zlib; NumPy stamps no time.

    Args:
        path: the archive, which ends in .npz; its folder is made when missing.
        arrays: the arrays by name, stored in this order.
    """
    content = io.BytesIO()
    np.savez(content, **arrays)
    files.write(path, content.getvalue())


def _array(archive, name):
    with archive.open(f"{name}.npy") as file:
        return np.ascontiguousarray(np.lib.format.read_array(file, allow_pickle=False))
