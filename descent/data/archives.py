"""Reads and writes the .npz archives that hold the examples and labels, between one stage and the next."""

import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from descent.core import process
from descent.core.parameters import InputError, one_line


class ArchiveError(InputError):
    """A file that is not the archive of arrays that it should be; the message names the file."""


def read(path: Path, names: Sequence[str], optional: Sequence[str] = ()) -> dict[str, np.ndarray]:
    """Read arrays from an .npz archive.

    Args:
        path: the archive.
        names: of the arrays that it must hold.
        optional: of those that it may hold. Others are not read.

    Returns:
        The arrays by name, in C order, those of `names` first.

    Raises:
        ArchiveError: if the file is missing, no .npz archive or damaged, holds Python objects, or lacks an array.
    """
    if path.exists() and not path.is_file():  # to open a pipe would wait for ever
        raise ArchiveError(f"{path}: expected a file, got a {'folder' if path.is_dir() else 'pipe or a device'}")
    try:
        with zipfile.ZipFile(path) as archive:
            there = [member.removesuffix(".npy") for member in archive.namelist()]
            if missing := [name for name in names if name not in there]:
                expected = f"expected arrays {', '.join(names)}, got {', '.join(there) or 'none'}"
                raise ArchiveError(f"{path}: no {', '.join(missing)}: {expected}")
            wanted = [*names, *(name for name in optional if name in there)]
            return {name: _array(archive, name, path) for name in wanted}
    except ArchiveError:
        raise
    except FileNotFoundError:
        raise ArchiveError(f"{path}: no such file") from None
    except Exception as error:  # what is damaged makes zipfile, its compressors and NumPy raise almost anything
        raise ArchiveError(f"{path}: not an .npz archive, or damaged: {one_line(error)}") from error


def write(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays to an .npz archive: equal arrays give equal bytes, and a failure leaves the old file as it was.

    The archive is not compressed, since compressed bytes differ between versions of zlib. `numpy.savez` would write the
    sizes of its members in a way that differs between patches of Python.

    Args:
        path: the archive, which ends in .npz; its folder is made when missing.
        arrays: the arrays by name, stored in this order.
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


def _array(archive: zipfile.ZipFile, name: str, path: Path) -> np.ndarray:
    with archive.open(f"{name}.npy") as file:
        try:
            array = np.lib.format.read_array(file, allow_pickle=False)
        except ValueError as error:
            if "Object arrays" not in str(error):
                raise
            mend = f"in NumPy: {name} = np.array({name}.tolist()), after padding where lengths differ"
            raise ArchiveError(f"{path}: {name}: expected numbers or text, got Python objects; {mend}") from None
        return np.ascontiguousarray(array)
