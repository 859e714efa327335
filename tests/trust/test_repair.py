"""What a kill leaves is taken back by `make repair`; kills at any moment: tests/test_race.py."""

import subprocess
import time

import psutil
import pytest

pytestmark = pytest.mark.slow

REPAIR = "make repair STAMP="  # with this environment in the place of .venv


@pytest.fixture
def project(light, tmp_path):
    return light.duplicate(tmp_path / "project")


def test_cut_off_files_are_taken_back(project):
    before, path = project.made(), project.folder / "dvc.lock"
    path.write_bytes(path.read_bytes()[:1000] + b"\n  - : [")
    (project.folder / "results/metrics/.adam.json.999999999.part").write_bytes(b"{")
    (project.folder / "results/report/.BtKG2um6URag5VbLGzXBhg.tmp").touch()  # DVC's own
    (project.folder / ".dvc/tmp/rwlock").write_bytes(b'{"results": {"wri')
    assert project.attempt(REPAIR).returncode == 0
    assert project.repro() == []
    assert project.made() == before


def test_nothing_is_touched_while_dvc_works(project):
    graph, lock = project.folder / "dvc.yaml", project.folder / "dvc.lock"
    stage = "  slow:\n    cmd: touch begun; sleep 60\n    outs: [begun]\n"
    graph.write_text(graph.read_text().replace("stages:\n", f"stages:\n{stage}", 1))
    working = project.start("python", "-m", "stages.repro", "slow", stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while not (project.folder / "begun").exists():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        lock.write_text("cut off")
        done = project.attempt(REPAIR)
        assert done.returncode
        assert "DVC is working here, so nothing was changed. Wait for it, or stop it:\nprocess " in done.stderr
        assert f"process {working.pid}: " in done.stderr
        assert lock.read_text() == "cut off"
    finally:
        for process in [*psutil.Process(working.pid).children(recursive=True), working]:
            process.kill()
        working.wait()
