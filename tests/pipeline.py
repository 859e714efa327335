"""A temporary copy of the whole project with a small configuration, and what real DVC did in it."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
HIDING = ROOT / "tests/hiding"
STUBS = ("check", "train", "trace", "compare")  # stages that have a light stand-in
yaml = YAML()
yaml.width = 10**6  # as descent.core.write_parameters writes: no line is wrapped


def shrink(parameters: dict[str, Any]) -> None:
    """Shrink the project's own parameters, in place: the same keys, two optimizers, seconds instead of minutes."""
    parameters["data"].update(train_size=256, validation_size=100)
    parameters["network"]["config"]["hidden_units"] = [8]
    parameters["training"].update(epochs=2, last_epochs=1, runs=2, batch_size=100, target_val_accuracy=0.3)
    parameters["race"]["looks"] = [2]
    parameters["trajectories"]["steps"] = 5
    parameters["tuning"].update(grid_size=3, max_extra=1, seeds=[100, 101], selection_size=500)
    for name in [name for name in parameters["optimizers"] if name not in ("adam", "sgd")]:
        del parameters["optimizers"][name]


class Project:
    """A project in a folder of its own; commands run there as a user types them."""

    def __init__(self, folder: Path):
        self.folder = folder

    @classmethod
    def copy(
        cls, folder: Path, mnist_archive: Path, change: Callable[[dict], None] = shrink, stubs: Iterable[str] = ()
    ) -> "Project":
        """Copy the files that Git knows or would add, without results, change the parameters, and commit.

        For each of `stubs`, what stands in for the stage is quick, and a function of the same inputs. With any, the
        study stays out: no plain command runs it, but every one of DVC takes a fifth of its time to read it.
        """
        left_out = ("results/", "dvc.lock", *(["tuning/"] if stubs else []))
        listed = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT, check=True, capture_output=True, text=True,
        ).stdout.splitlines()  # fmt: skip
        for name in listed:
            if (ROOT / name).is_file() and not name.startswith(left_out):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)
        for stage in stubs:  # run from where it stands, or coverage would take its lines for those of the stage
            line = f"__import__('runpy').run_path({str(ROOT / f'tests/stubs/{stage}.py')!r}, run_name='__main__')\n"
            (folder / f"stages/{stage}.py").write_text(line, encoding="utf-8")
        project = cls(folder)
        project.edit(change)
        project.edit(lambda parameters: parameters["download"]["mnist"].update(sources={"file": str(mnist_archive)}))
        project.run("git init --quiet --initial-branch=main")
        project.commit("Start")
        return project

    def duplicate(self, folder: Path) -> "Project":
        """Copy all there is, alike down to the times of the files."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Project(folder)

    def init(self) -> None:
        """Make the folder a repository of Git and DVC; as this project's own, it sends and asks for nothing."""
        self.run("git init --quiet --initial-branch=main")
        self.run("dvc init --quiet")
        (self.folder / ".dvc/config").write_text("[core]\n    analytics = false\n    check_update = false\n")

    def run(self, command: str, check: bool = True) -> str:
        """Run a command line with this interpreter's programs first on PATH; returns its stdout."""
        done = self.attempt(command)
        assert not check or done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def attempt(self, command: str) -> subprocess.CompletedProcess:
        """Run a command line that may fail; those of DVC and of stages, where they need no shell, by `run_forked`."""
        environment = self._environment()
        if re.match("dvc |python -m ", command) and not re.search("[|&;<>$\n]", command):
            return run_forked(shlex.split(command)[1:], self.folder, environment)
        return subprocess.run(
            command, shell=True, cwd=self.folder, env=environment, capture_output=True, text=True, check=False
        )

    def start(self, *command: str, **settings: Any) -> subprocess.Popen:
        """Start a command in the background, in the same environment."""
        return subprocess.Popen(command, cwd=self.folder, env=self._environment(), text=True, **settings)

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(self.folder.parent),
            "PYTHONPATH": str(HIDING),
            "TF_CPP_MIN_LOG_LEVEL": "3",
            **{name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")},
            **{f"GIT_{who}_NAME": "A tester" for who in ("AUTHOR", "COMMITTER")},
            **{f"GIT_{who}_EMAIL": "tester@example.org" for who in ("AUTHOR", "COMMITTER")},
        }

    def made(self) -> dict[Path, bytes]:
        """Return the content of params.yaml, of what the stages made, and of what DVC recorded."""
        paths = [*(self.folder / "results").rglob("*"), *self.folder.glob("data/**/*.npz")]
        paths += [self.folder / name for name in ("params.yaml", "dvc.lock")]
        return {path.relative_to(self.folder): path.read_bytes() for path in paths if path.is_file()}

    def repro(self, options: str = "") -> list[str]:
        """Run `dvc repro`; returns the stages whose commands ran, sorted."""
        return stages_run(self.run(f"dvc repro {options}"))

    def commit(self, message: str) -> None:
        """Commit everything."""
        self.run(f"git add --all && git commit --quiet --message '{message}'")

    def edit(self, change) -> None:
        """Change params.yaml through a function of its mapping."""
        path = self.folder / "params.yaml"
        parameters = yaml.load(path)
        change(parameters)
        yaml.dump(parameters, path)

    def wanted(self, key: str = "runs") -> dict[str, int]:
        """Return the numbers of runs that params.yaml has for single optimizers, as a race writes them."""
        entries = yaml.load(self.folder / "params.yaml")["optimizers"]
        return {name: entry[key] for name, entry in entries.items() if key in entry}


@cache
def _forks() -> subprocess.Popen:
    """Start the process from which this one's runs of DVC are forked; it ends with this one."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.dvc_forks"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": str(HIDING), "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"},
    )  # fmt: skip


def run_forked(arguments: Sequence[str], folder: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess:
    """Run DVC, or with `-m` a module, in a process of its own that is forked from one that has loaded what is slow."""
    with tempfile.TemporaryDirectory() as outputs:
        paths = [Path(outputs, name) for name in ("stdout", "stderr")]
        request = json.dumps([str(folder), dict(environment), [*map(str, paths)], arguments])
        print(request, file=_forks().stdin, flush=True)
        code = int(_forks().stdout.readline())
        return subprocess.CompletedProcess(arguments, code, *(path.read_text() for path in paths))


def stages_run(output: str) -> list[str]:
    """Read from DVC's output which stages ran their command; what comes from the run-cache did not."""
    return sorted(re.findall(r"Running stage '(.+)':", output))
