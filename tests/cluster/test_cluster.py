"""What a cluster does with a task, with real schedulers and workers on loopback; the tasks are light."""

import os
import re
import shutil
import signal
import socket
import time
from pathlib import Path

import dask
import light_tasks
import psutil
import pytest
import synthetic_runs
from distributed.security import Security
from loopback import Cluster
from pipeline import ROOT

from descent.cluster import client
from descent.core.parameters import InputError
from stages import train

pytestmark = pytest.mark.slow


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    cluster = Cluster(tmp_path)
    monkeypatch.setenv("DESCENT_CLUSTER", cluster.address)
    yield cluster
    cluster.close()


def ends(process, seconds=20):
    """Tell whether a process, given by its number, ends in time."""
    deadline = time.monotonic() + seconds
    while psutil.pid_exists(process) and psutil.Process(process).status() != psutil.STATUS_ZOMBIE:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_task_has_its_files_alone_its_errors_arrive_and_it_ends_when_nobody_waits(cluster, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("networks").mkdir()
    Path("networks/mine.py").write_text("text")
    cluster.worker()
    at_once, with_the_result = client.run(light_tasks.read, [("networks/mine.py",)], ["networks/mine.py"])
    assert at_once == with_the_result == (["networks/mine.py"], "text")
    with pytest.raises(InputError, match=r"^params.yaml: it does not train$"):
        list(client.run(light_tasks.fail, [()], []))

    events = client.run(light_tasks.count, [(1000, 0.1)], [])
    _, process, _ = next(events)
    os.kill(process, signal.SIGKILL)  # as Linux does when memory is short; the worker stays
    with pytest.raises(InputError, match="ended with code -9"):
        list(events)

    events = client.run(light_tasks.count, [(1000, 0.1)], [])
    _, process, _ = next(events)
    assert psutil.pid_exists(process)
    events.close()  # as Ctrl-C does
    assert ends(process)


def test_shares_fill_the_workers_and_the_share_of_a_killed_worker_begins_anew_on_another(cluster):
    workers = [cluster.worker(), cluster.worker()]
    while client.workers() < 2:
        time.sleep(0.1)
    begun, yielded = [], []
    for event in client.run(light_tasks.count, [(8, 0.25), (8, 0.25)], []):
        yielded.append(event)
        if isinstance(event, tuple) and event not in begun:
            begun.append(event)
        if len(begun) == 2 and event == 2 and all(worker.poll() is None for worker in workers):
            assert 7 not in yielded  # before any task is done
            workers[0].kill()
            workers[0].wait()
    assert {worker for _, _, worker in begun[:2]} == {worker.pid for worker in workers}  # at the same time
    assert [worker for _, _, worker in begun[2:]] == [workers[1].pid]  # again, where a worker is left
    assert yielded[-9:] == [begun[2], *range(8)]  # whole


def test_tls_as_the_page_sets_it_up_and_who_has_no_certificate_is_told_so(tmp_path, monkeypatch):
    block, *_ = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/cluster.md").read_text(encoding="utf-8"), re.DOTALL)
    made = Security.temporary()
    for name, text in (("ca", made.tls_ca_file), ("cert", made.tls_client_cert), ("key", made.tls_client_key)):
        (tmp_path / f"{name}.pem").write_text(text)
    (tmp_path / "distributed.yaml").write_text(block.replace("/path/to", str(tmp_path)))
    dask.config.refresh(paths=[str(tmp_path)])
    cluster = Cluster(tmp_path, "tls", DASK_CONFIG=str(tmp_path))
    try:
        cluster.worker()
        monkeypatch.setenv("DESCENT_CLUSTER", cluster.address)
        assert list(client.run(light_tasks.count, [(2, 0)], []))[-2:] == [0, 1]
        dask.config.refresh()
        with pytest.raises(InputError, match=r"^DESCENT_CLUSTER: tls://127\.0\.0\.1:\d+: TLS expects"):
            list(client.run(light_tasks.count, [(2, 0)], []))
    finally:
        cluster.close()
        dask.config.refresh()


def test_missing_worker_is_waited_for_a_while_and_a_lost_or_missing_scheduler_is_one_line(cluster, monkeypatch):
    host, port = cluster.address.removeprefix("tcp://").split(":")
    with socket.socket() as probe:
        while probe.connect_ex((host, int(port))):  # the seconds below are for a worker
            time.sleep(0.1)
    monkeypatch.setenv("DESCENT_CLUSTER_WAIT", "2")
    with pytest.raises(InputError, match=f"^DESCENT_CLUSTER: {cluster.address}: no worker within 2 s$"):
        client.workers()
    monkeypatch.delenv("DESCENT_CLUSTER_WAIT")
    cluster.worker()
    events = client.run(light_tasks.count, [(1000, 0.1)], [])
    _, process, _ = next(events)
    cluster.scheduler.kill()
    with pytest.raises(InputError, match=f"^DESCENT_CLUSTER: {cluster.address}: the scheduler is gone"):
        list(events)
    assert ends(process)
    monkeypatch.setenv("DESCENT_CLUSTER_WAIT", "1")
    with pytest.raises(InputError, match=f"^DESCENT_CLUSTER: {cluster.address}: no Dask scheduler answered within 1 s"):
        client.workers()


# Dask warns of its own when packages differ; it does not refuse.
@pytest.mark.filterwarnings("ignore:Mismatched versions found:distributed.versions.VersionMismatchWarning")
def test_worker_with_other_code_or_packages_refuses_and_says_which(cluster, tmp_path):
    for name in ("tensorflow", "keras", "numpy"):
        folder = tmp_path / f"others/{name}-0.1.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1\n")
    shutil.copytree(ROOT / "descent", tmp_path / "copy/descent", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "copy/descent/training/program.py").write_text("")
    cluster.worker(tmp_path / "others", root=tmp_path / "copy")
    with pytest.raises(InputError) as raised:
        list(client.run(light_tasks.count, [(1, 0)], []))
    message = str(raised.value)
    assert message.startswith("the worker tcp://127.0.0.1:")
    for name in ("descent's code", "tensorflow 0.1", "keras 0.1", "numpy 0.1"):
        assert name in message


@pytest.mark.parametrize(
    ("address", "refusal"),
    [
        ("tls://far:8786", None),
        ("tcp://localhost:8786", None),
        ("tcp://10.0.0.1:8786", "DESCENT_CLUSTER_INSECURE=1"),
        ("tcp://127.0.0.1.far:8786", "DESCENT_CLUSTER_INSECURE=1"),
        ("far:8786", "expected tls://host:port"),
    ],
)
def test_address_is_one_and_unencrypted_traffic_stays_on_this_machine(address, refusal):
    if refusal:
        with pytest.raises(InputError, match=refusal):
            client.check_address(address, insecure=False)
    else:
        client.check_address(address, insecure=False)
    client.check_address("tcp://10.0.0.1:8786", insecure=True)


def test_runs_of_a_share_that_began_anew_count_once(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(synthetic_runs.folder(tmp_path))
    monkeypatch.setenv("DESCENT_CLUSTER", "tls://far:8786")
    monkeypatch.setattr(client, "workers", lambda: 1)
    first = synthetic_runs.run(0, weights=b"weights", environment={"cpu": "another"})
    second = synthetic_runs.run(1, environment={"cpu": "another"})
    monkeypatch.setattr(client, "run", lambda *_: iter([first, first, second]))  # lost after a run
    train.main("adam")
    shown = [line.split("  seed")[0] for line in capsys.readouterr().out.splitlines()]
    assert shown == ["adam  run 1/2", "adam  run 2/2"]
    # Of the machine that trained, not of this one.
    assert '"cpu": "another"' in Path("results/metrics/adam.json").read_text()
