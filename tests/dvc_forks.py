"""Runs command lines of DVC and the stages that they start, each in a process of its own, but forked, not started anew.

They are forked from a process that has loaded DVC, TensorFlow and what else takes long, and nothing of this project,
which a test may have changed: to start interpreters is what such commands spend most of their time on. That stages run
as the commands that dvc.yaml has, the first `make repro` of test_own_case shows.

Reads from each line a JSON list - folder, environment, files for stdout and stderr, arguments - and answers with the
exit code. The arguments are those of DVC, or `-m MODULE ...`. Nothing that is imported here starts a thread, which a
fork would lose.
"""

import contextlib
import gc
import json
import multiprocessing
import os
import runpy
import shlex
import sys

import dvc.cli.parser
import dvc.repo.experiments
import dvc.stage.run
import matplotlib.figure  # noqa: F401
import networkx  # noqa: F401  DVC loads it when it draws its graph
import pydantic  # noqa: F401
import scipy.stats  # noqa: F401
import tensorflow  # noqa: F401
from dvc.stage.exceptions import StageCmdFailedError
from dvc.utils.serialize import load_yaml

from descent.parallel import scheduler


def be(arguments: list[str], folder: str, environment: dict[str, str]) -> None:
    """Be `python -m MODULE ARGUMENT ...`."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[0] = str(folder)
    sys.dont_write_bytecode = "PYTHONDONTWRITEBYTECODE" in environment
    for name in [name for name in sys.modules if name.split(".")[0] == "descent"]:
        del sys.modules[name]  # the project's own are to be loaded
    sys.modules.pop("keras", None)  # or a stage takes it for loaded, and is silent; what lies below it stays loaded
    sys.argv = arguments
    runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)


def run_stage(executable: str, line: str, *, cwd: str, env: dict[str, str], **settings) -> None:
    """Run a stage's command line, as DVC's `_run` does."""
    if not line.startswith("exec python -m "):
        run_line(executable, line, cwd=cwd, env=env, **settings)
        return
    process = multiprocessing.get_context("fork").Process(target=be, args=(shlex.split(line)[3:], cwd, env))
    process.start()
    process.join()
    if process.exitcode:
        raise StageCmdFailedError(line, process.exitcode)


scheduler.prepare_forks()
run_line, dvc.stage.run._run = dvc.stage.run._run, run_stage
gc.freeze()  # what all share is not copied by a child's collections
for line in sys.stdin:
    folder, environment, outputs, arguments = json.loads(line)
    if arguments[0] != "-m":
        for name in ("dvc.yaml", "dvc.lock", "params.yaml"):
            with contextlib.suppress(Exception):  # of a file that is missing or damaged DVC says so
                load_yaml(f"{folder}/{name}")
    if child := os.fork():
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)
        continue
    for number, path in enumerate([os.devnull, *outputs]):
        os.dup2(os.open(path, os.O_RDWR | os.O_CREAT), number)
    code = 0
    if arguments[0] == "-m":
        be(arguments[1:], folder, environment)
    else:
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        sys.argv = ["dvc", *arguments]
        code = dvc.cli.main()
    sys.stdout.flush()
    os._exit(code)
