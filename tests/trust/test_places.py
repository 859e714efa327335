"""Places that are unlike a developer's own: another user, language or disk; it works, or a line says what is wrong."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pipeline import HIDING, Project, shrink

PATH = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
# A user of whom the system knows nothing; and root of a world of one's own, who may mount a disk there.
NOBODY, OWN_DISKS = ("unshare --user --map-user=12345 --map-group=12345", "unshare --map-root-user --mount")
if not shutil.which("unshare") or any(
    subprocess.run(shlex.split(f"{world} true"), capture_output=True, check=False).returncode
    for world in (NOBODY, OWN_DISKS)
):
    pytest.skip("needs Linux, and its namespaces for users", allow_module_level=True)


def run(command, folder, **environment):
    """Run a command line in an environment with nothing in it but what is given."""
    environment = {"PATH": PATH, "PYTHONPATH": str(HIDING), "TF_CPP_MIN_LOG_LEVEL": "3", **environment}
    done = subprocess.run(
        command, shell=True, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    return done.returncode, done.stdout.decode()


def test_user_without_home_or_name_in_a_path_of_spaces_and_accents_in_plain_ascii_gets_an_answer(
    tmp_path, mnist_archive
):
    def one(parameters):
        shrink(parameters)
        del parameters["optimizers"]["sgd"]

    project = Project.copy(tmp_path / "le café" / "un projet", mnist_archive, one, stubs=["check", "trace"])
    # What `make repro` runs once .venv is there, in the environment that the Makefile gives.
    target = shlex.quote("answer: ; python -m stages.repro --jobs 1 && cat results/report/ranking.md")
    command = f"umask 077; exec {NOBODY} make --silent --eval {target} answer"
    code, output = run(command, project.folder, LC_ALL="C", PYTHONOPTIMIZE="1")
    assert code == 0, output
    assert "train@adam" in output
    assert "| adam " in output  # a row of the answer
    assert not (project.folder / "~").exists()


def test_downloaded_archive_needs_git_and_says_so(light, tmp_path):
    shutil.copytree(light.folder, tmp_path / "project", ignore=shutil.ignore_patterns(".git"))
    code, output = run("python -m stages.repro", tmp_path / "project", HOME=str(tmp_path))
    assert code != 0
    assert output.splitlines()[-1].endswith("is not a git repository")
    assert "Traceback" not in output


FULL = """
set -e
mount -t tmpfs -o size=300m none {mount}
cp -a {project}/. {mount}
cd {mount}
rm -rf dvc.lock results data/prepared .dvc/cache
free=$(df --output=avail -k . | tail -1)
head -c $(((free - {left}) * 1024)) /dev/zero >filler
! python -m stages.repro --jobs 1
rm filler
python -m stages.repair
python -m stages.repro --jobs 1
git show HEAD:dvc.lock >committed.lock
python -c '{same}'
git status --porcelain -- . :!dvc.lock :!committed.lock
find . -name '*.part*'
echo end
"""


# The order in which stages stand in dvc.lock is that in which they ended.
SAME = (
    "from pathlib import Path; from ruamel.yaml import YAML;"
    ' now, then = (YAML(typ="safe").load(Path(name)) for name in ("dvc.lock", "committed.lock")); assert now == then'
)


# With nothing left, the first stages stop; 60 MB hold MNIST, but not what is made of it too.
@pytest.mark.parametrize("left", [0, 60000], ids="{} KB left".format)
def test_full_disk_stops_with_its_reason_and_space_brings_the_bytes_of_an_undisturbed_run(left, light, tmp_path):
    script = FULL.format(mount=tmp_path, project=light.folder, left=left, same=SAME)
    code, output = run(f"exec {OWN_DISKS} sh -c {shlex.quote(script)}", tmp_path, HOME=str(tmp_path.parent))
    assert code == 0, output
    assert "No space left on device" in output or "No possible cache link types" in output, output  # DVC's own words
    if left:  # the stage that stopped is none of the stand-ins
        assert "data/prepared/splits.npz: No space left on device\n" in output
        assert "Traceback" not in output
    proof = next(number for number, line in enumerate(output.splitlines()[::-1]) if line.startswith("dvc repro "))
    assert output.splitlines()[-proof:] == ["end"], output


@pytest.mark.parametrize("seconds", [0, 4e9], ids=["1970", "2096"])
def test_clock_that_jumped_reruns_nothing_and_hides_no_change(seconds, light, tmp_path):
    project = light.duplicate(tmp_path / "project")
    for path in project.folder.rglob("*"):
        if ".git" not in path.parts and ".dvc" not in path.parts and not path.is_symlink():
            os.utime(path, (seconds, seconds))
    assert project.repro() == []
    project.edit(lambda parameters: parameters["optimizers"]["sgd"]["config"].update(learning_rate=0.05))
    with (project.folder / "networks/mlp.py").open("a") as file:
        file.write("# another network\n")
    for name in ("params.yaml", "networks/mlp.py"):
        os.utime(project.folder / name, (seconds, seconds))
    assert project.repro() == ["check", "compare", "trace", "train@adam", "train@sgd"]


def test_disk_that_cannot_be_written_is_one_line(light, tmp_path):
    script = f"mount --bind -o ro {light.folder} {tmp_path} && cd {tmp_path} && exec python -m stages.repro"
    code, output = run(f"exec {OWN_DISKS} sh -c {shlex.quote(script)}", tmp_path, HOME=str(tmp_path.parent))
    assert code == 1
    assert output.splitlines()[1:] == [f"{tmp_path}/.dvc/tmp/lock: {os.strerror(30)}"]
