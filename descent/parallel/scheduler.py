"""Reproduces a pipeline: runs each stage once the stages that it needs are done, several at once.

A stage runs as `dvc repro --single-item`, forked from this process, which has loaded DVC already and read the project's
YAML.

Usage: python -m descent.parallel.scheduler        (fails if DVC works in this folder; `make repair` asks first)
"""

import copy
import functools
import io
import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, suppress
from multiprocessing import connection
from pathlib import Path
from typing import Any, NamedTuple

import dvc.cli
import psutil
from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.repo.reproduce import collect_stages, get_active_graph, plan_repro
from dvc.utils.serialize import dumps_yaml, load_yaml, parse_yaml_for_update
from rich.live import Live
from rich.text import Text
from ruamel.yaml import YAML
from tqdm import tqdm

from descent.core import parameters
from descent.core.process import write_file

RWLOCK = Path(".dvc/tmp/rwlock")  # DVC's list of the processes that read and write files
_PROGRAMS = {"dvc", "stages.repro", "stages.race"}
STAGE_BYTES = 1.5 * 2**30  # memory of a stage; the largest training took 1.3 GB
LOOK_SECONDS = 0.5  # between two looks at the logs
KILL_SECONDS = 0.6  # between terminating a command and killing it
RECORD_SECONDS = 10.0  # for DVC to end after its command
LAST_LINES = 50  # of a failed stage's output; all that `check` has to say
# What DVC prints before and after the output of the command.
_BEFORE = re.compile(r"^Running stage '.*':\n> .*\n", re.MULTILINE)
_AFTER = re.compile(r"^(?:(?:Generating|Updating) lock file '|Use `dvc push` )", re.MULTILINE)
_load = YAML.load


class Plan(NamedTuple):
    """What to run."""

    needs: dict[str, set[str]]  # each stage that may be out of date, with those of them that it needs
    total: int  # number of stages, up to date or not
    orders: dict[Path, list[str]]  # each lock file, with its stages in the order of a sequential run


def reproduce(target: str, jobs: int | None) -> int:
    """Ask DVC what is out of date, run that in parallel, and let a plain `dvc repro` prove that nothing more is.

    Args:
        target: a dvc.yaml or a stage.
        jobs: stages at once; None for the default.

    Returns:
        The exit code.
    """
    if jobs is not None and jobs < 1:
        raise parameters.InputError(f"--jobs must be 1 or more, got {jobs}")
    if Path("params.yaml").exists():
        parameters.read("params.yaml", "optimizers", dict[Any, Any])  # DVC's own message names no key
    _wait_for_earlier()
    print("Asking DVC what is out of date", flush=True)
    prepare_forks()
    try:
        plan = _plan(target)
    except DvcException:  # DVC itself explains best what is wrong with a target or a file
        return subprocess.call([sys.executable, "-m", "dvc", "repro", "--dry", target]) or 1
    jobs = jobs or default_jobs()
    print(f"{len(plan.needs)} of {plan.total} stages to do, {jobs} at a time; their output is in logs/", flush=True)
    with _stop_signals() as stopped, Live(auto_refresh=False, transient=True) as live:
        done = _run(plan.needs, jobs, lambda name: ["--single-item", name], live, stopped)
        if not stopped:
            _sort_locks(plan.orders)
        if plan.needs:
            done = done and _run({"dvc repro": set()}, 1, lambda _: [target], live, stopped)
    if stopped:
        print("Stopped. What was done is kept; the same command continues.")
        return 128 + stopped[0]
    return 0 if done else 1


def default_jobs() -> int:
    """Choose a number of jobs: one a worker of the cluster, one on a GPU, else one a core where memory allows."""
    if os.environ.get("DESCENT_CLUSTER"):
        from descent.cluster import client

        return client.workers()
    if shutil.which("nvidia-smi"):
        return 1
    return max(1, min(len(os.sched_getaffinity(0)), int(psutil.virtual_memory().available / STAGE_BYTES)))


def other_dvcs() -> dict[tuple[float, int], str]:
    """Find the other DVC processes that work in this folder: (time of the start, number) -> a line that names it."""
    found, own = {}, psutil.Process()
    own_family = {own, *own.parents()}  # as `timeout 600 python -m stages.repro`, which waits for us
    for process in psutil.process_iter():
        with suppress(psutil.Error):  # of another user, or just ended
            command = process.cmdline()
            # The worker of DVC's queue of experiments works in folders of its own.
            is_dvc = _PROGRAMS & {Path(word).name for word in command} and "queue-worker" not in command
            if is_dvc and process not in own_family and Path(process.cwd()) == Path.cwd():
                line = f"process {process.pid}: {' '.join(command)[:100]}"
                found[process.create_time(), process.pid] = line
    return found


def _wait_for_earlier() -> None:
    """Wait until all that started earlier have ended, and name them; what a killed `make repro` left is among them."""
    own, named = psutil.Process(), ""
    while earlier := [line for start, line in sorted(other_dvcs().items()) if start < (own.create_time(), own.pid)]:
        if earlier[0] != named:
            named = earlier[0]
            print(f"Waiting for {named}", flush=True)
        time.sleep(0.5)
    if not other_dvcs():  # a record is left of a killed DVC, whose number may be that of any process by now
        RWLOCK.unlink(missing_ok=True)


def prepare_forks() -> None:
    """Have DVC parse each YAML text once, here and in what is forked from here: it saves a second a stage.

    It also keeps the progress bars from starting a thread, which would be lost in a fork with what it has locked.
    """
    YAML.load = _load_once
    tqdm.monitor_interval = 0


def _load_once(yaml: YAML, stream: Any) -> Any:
    is_known = yaml.typ == ["safe"] and isinstance(stream, str)
    return copy.deepcopy(_parse(stream)) if is_known else _load(yaml, stream)


@functools.lru_cache
def _parse(text: str) -> Any:
    return _load(YAML(typ="safe"), text)


def _plan(target: str) -> Plan:
    """Ask DVC which stages of a target (a dvc.yaml or a stage) are out of date, or need one that is."""
    with _locked_repository() as repo:
        graph = get_active_graph(repo.index.graph)
        stages = [stage for stage in plan_repro(graph, collect_stages(repo, [target])) if stage.cmd]
        plan = Plan({}, len(stages), {})
        for stage in stages:
            needed = {other.addressing for other in graph.successors(stage)} & plan.needs.keys()
            if needed or stage.changed():
                plan.needs[stage.addressing] = needed
            lock = Path(stage.path).with_suffix(".lock")
            order = plan.orders.setdefault(lock, _recorded(lock))
            order += [stage.name] * (stage.name not in order)
        return plan


def _sort_locks(orders: dict[Path, list[str]]) -> None:
    """Sort the stages of each lock file: DVC, which ignores the order, appends a new stage when it ends."""
    with _locked_repository():
        for lock, order in orders.items():
            now = _recorded(lock)
            if now != (wanted := sorted(now, key=[*order, *now].index)):
                document = parse_yaml_for_update(lock.read_text(encoding="utf-8"), lock)
                for name in wanted:
                    document["stages"].move_to_end(name)
                write_file(lock, dumps_yaml(document).encode())


def _recorded(lock: Path) -> list[str]:
    return list(load_yaml(lock).get("stages", [])) if lock.exists() else []


@contextmanager
def _locked_repository() -> Iterator[Repo]:
    with redirect_stderr(io.StringIO()), Repo(".", _wait_for_lock=True) as repo, repo.lock:  # DVC draws bars
        yield repo


@contextmanager
def _stop_signals() -> Iterator[list[int]]:
    """Collect the signals that ask this process to stop, in place of ending it."""
    received: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, lambda number, _: received.append(number))
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Job(multiprocessing.context.ForkProcess):
    """A stage that runs: `dvc repro`, whose output goes to logs/NAME.log."""

    def __init__(self, name: str, arguments: list[str]):
        """Start it; `arguments` are those of `dvc repro`."""
        super().__init__(name=name)
        self.arguments, self.started = arguments, time.monotonic()
        self.log = Path("logs", re.sub(r"[^\w@.-]+", "_", name) + ".log")
        self.log.parent.mkdir(exist_ok=True)
        self.log.write_bytes(b"")
        self.start()

    def run(self) -> None:
        """Be DVC, in the process of the stage."""
        os.setsid()  # the terminal sends Ctrl-C to the parent alone, which then stops its stages
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        for number, path in enumerate([os.devnull, self.log, self.log]):
            os.dup2(os.open(path, os.O_RDWR | os.O_APPEND), number)
        sys.argv = ["dvc", "--wait-for-lock", "repro", *self.arguments]
        sys.exit(dvc.cli.main())


def _run(
    needs: Mapping[str, set[str]], jobs: int, arguments: Callable[[str], list[str]], live: Live, stopped: Sequence[int]
) -> bool:
    """Run all stages but those that need a failed one; their processes end before this returns.

    Args:
        needs: name of each stage, with those of them that it needs.
        jobs: number of stages that run at once.
        arguments: those of `dvc repro`, by the name of the stage.
        live: where to show how far each stage is.
        stopped: all stages are stopped once it holds anything.

    Returns:
        Whether every stage is done.
    """
    waiting, running, done = list(needs), list[Job](), set[str]()
    try:
        while not stopped:
            ready = [name for name in waiting if needs[name] <= done]
            for name in ready[: jobs - len(running)]:
                waiting.remove(name)
                running.append(Job(name, arguments(name)))
            if not running:
                break
            connection.wait([job.sentinel for job in running], LOOK_SECONDS)
            rows = []
            for job in list(running):
                is_alive = job.is_alive()  # before its log is read, which then is whole
                outcome, lines = _read_log(job)
                last = lines[-1] if lines and outcome == "done" else ""
                row = f"{job.name:{max(map(len, needs))}} {time.monotonic() - job.started:4.0f} s  "
                if is_alive:
                    rows.append(row + last)
                    continue
                running.remove(job)
                if job.exitcode:
                    print(f"{row}FAILED  {job.log}", *lines[-LAST_LINES:], sep="\n    ", flush=True)
                else:
                    print(f"{row}{outcome}  {last}".rstrip(), flush=True)
                    done.add(job.name)
            rows.append(f"{len(done)} of {len(needs)} done")
            live.update(Text("\n".join(rows), no_wrap=True, overflow="ellipsis"), refresh=True)
    finally:
        _stop(running)
    if waiting and not stopped:
        print(f"Not started, since a stage that they need failed: {', '.join(waiting)}", flush=True)
    return done == needs.keys()


def _read_log(job: Job) -> tuple[str, list[str]]:
    """Read what a stage has printed so far.

    Returns:
        `done` once DVC has started the command, else `from cache` or `unchanged`; then the lines of the command, or of
        a DVC that did not start it, without the stage's own name in front and `0 s left`.
    """
    log = job.log.read_text(encoding="utf-8", errors="replace")
    outcome = "done" if _BEFORE.search(log) else "from cache" if " is cached - skipping run" in log else "unchanged"
    lines = _AFTER.split(_BEFORE.split(log)[-1])[0].splitlines()
    needless = rf"^{re.escape(re.split('[@:]', job.name)[-1])}(: |  )|  0 s left$|^.*\r"  # a bar overwrote itself
    return outcome, [re.sub(needless, "", line).rstrip() for line in lines if line.strip()]


def _stop(running: Sequence[Job]) -> None:
    """Terminate the commands, then kill them. Kill DVC only if it does not end then: it may be writing dvc.lock."""
    started = time.monotonic()
    while any(job.is_alive() for job in running) and (spent := time.monotonic() - started) < RECORD_SECONDS:
        for job in running:
            with suppress(psutil.NoSuchProcess):
                for command in psutil.Process(job.pid).children(recursive=True):
                    command.kill() if spent > KILL_SECONDS else command.terminate()
        time.sleep(0.1)
    for job in running:
        with suppress(ProcessLookupError):
            os.killpg(job.pid, signal.SIGKILL)
        job.join()


if __name__ == "__main__":
    if lines := other_dvcs().values():
        sys.exit("\n".join(["DVC is working here, so nothing was changed. Wait for it, or stop it:", *lines]))
