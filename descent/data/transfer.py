"""Brings a file here, over HTTP or through npm, or says why it cannot be had."""

import shutil
import subprocess
import time
from functools import partial
from pathlib import Path

import pooch
import requests
import urllib3
from requests.adapters import HTTPAdapter
from tqdm import tqdm

from descent.core.parameters import InputError

# npm says nothing while it fetches, so that only its whole time can be bounded, not the time without an answer.
NPM_SECONDS = 600
# A body has an end, whatever its server says: the largest of a data set, an archive that is not packed, has 55 MB.
MOST_BYTES = 10**8
BODY_SECONDS = 3600  # 55 MB at 15 kB a second

# What a body raises that breaks off, and what pooch raises for a wrong checksum.
_BAD_BODY = (urllib3.exceptions.HTTPError, ValueError)


class SourceError(InputError):
    """A source that gave no MNIST, or that none did; the message says why and what the user can do."""


def fetch_file(url: str, sha256: str | None, path: Path, timeout_seconds: float, attempts: int) -> Path:
    """Fetch a file over HTTP and check what arrived; a file with another checksum never stands under its name.

    Asks again, with back-off, where the server does not answer, answers 429 or 5xx; and once more where the body breaks
    off or has another checksum. Any other answer is final, a body of more than MOST_BYTES or BODY_SECONDS too.
    Redirects to http and https, HTTPS_PROXY and the like are followed.

    Args:
        url: address of the file.
        sha256: checksum of the file, in hexadecimal; None: whatever arrives.
        path: where to put it; what an address ends in need not be a name that a file can have.
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
        download = partial(_download, session, timeout_seconds, path.name)
        retrieve = partial(pooch.retrieve, url, sha256, path.name, path.parent, downloader=download)
        try:
            try:
                return Path(retrieve())
            except _BAD_BODY as error:
                if attempts == 1 or isinstance(error, SourceError):
                    raise
                return Path(retrieve())
        except (requests.RequestException, *_BAD_BODY) as error:
            raise SourceError(str(getattr(error.args[0], "reason", error))) from error


def pack(package: str, folder: Path, attempts: int) -> Path:
    """Fetch a package of the npm registry, through npm as the user has set it up; nothing of it is run.

    Args:
        package: name, with a version or tag.
        folder: where to put it.
        attempts: attempts to get an answer, >= 1.

    Returns:
        Path of the tarball.

    Raises:
        SourceError: if npm is missing or makes no package.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise SourceError("npm is not installed, or not on the PATH")
    command = [npm, "pack", package, "--ignore-scripts", "--loglevel=error", f"--fetch-retries={attempts - 1}"]
    try:
        npm_pack = subprocess.run(
            command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, timeout=NPM_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise SourceError(f"npm pack was not done after {NPM_SECONDS} seconds") from None
    tarball = next(folder.glob("*.tgz"), None)
    if npm_pack.returncode != 0 or tarball is None:
        said = "; ".join(npm_pack.stderr.decode(errors="replace").splitlines())
        raise SourceError(f"npm pack made no package, exit code {npm_pack.returncode}: {said}")
    return tarball


def _download(session, timeout_seconds, name, url, output_file, _pooch):
    # Some servers label a .gz file as text that they compressed: unpacked on arrival, it would have another checksum.
    headers = {"Accept-Encoding": "identity"}
    with session.get(url, headers=headers, stream=True, timeout=timeout_seconds) as response:
        response.raise_for_status()
        size, end = response.raw.length_remaining, time.monotonic() + BODY_SECONDS
        with (
            Path(output_file).open("wb") as file,
            tqdm(desc=name, total=size, unit="B", unit_scale=True, leave=False, disable=None) as progress,
        ):
            # As it comes: to wait for a full block would be to wait for days, where a byte arrives now and then.
            while chunk := response.raw.read1(2**16, decode_content=False):
                progress.update(file.write(chunk))
                if file.tell() > MOST_BYTES:
                    raise SourceError(f"more than {MOST_BYTES // 10**6} MB came, and no end")
                if time.monotonic() > end:
                    raise SourceError(f"the file was not here after {BODY_SECONDS} seconds")
