"""Asks DVC which stages are out of date, and keeps its lock files in the order of a sequential run."""

import contextlib
import copy
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from dvc.lock import LockError
from dvc.repo import Repo
from dvc.repo.reproduce import collect_stages, get_active_graph, plan_repro
from dvc.utils.serialize import dumps_yaml, load_yaml, parse_yaml_for_update
from ruamel.yaml import YAML
from tqdm import tqdm

from descent.core import process
from descent.parallel import processes

parsed: dict[str, Any] = {}  # each YAML text, with what it holds
_parse = YAML.load


class Plan(NamedTuple):
    """What to run."""

    needs: dict[str, set[str]]  # each stage that may be out of date, with those of them that it needs
    total: int  # number of stages, up to date or not
    orders: dict[Path, list[str]]  # each lock file, with its stages in the order of a sequential run


def prepare_forks() -> None:
    """Have DVC parse each YAML text once, here and in what is forked from here: half of its CPU time goes there.

    It also keeps the progress bars from starting a thread, which would be lost in a fork with what it has locked.
    """
    YAML.load = _load
    tqdm.monitor_interval = 0


def _load(yaml: YAML, stream: Any) -> Any:
    if yaml.typ != ["safe"] or not isinstance(stream, str):
        return _parse(yaml, stream)
    if stream not in parsed:
        parsed[stream] = _parse(yaml, stream)
    return copy.deepcopy(parsed[stream])


def plan(target: str) -> Plan:
    """Ask DVC which stages of a target (a dvc.yaml or a stage) are out of date, or need one that is.

    While another process holds DVC's lock, every stage is in the plan, and each will wait.
    """
    with _repository() as repo:
        graph = get_active_graph(repo.index.graph)
        stages = [stage for stage in plan_repro(graph, collect_stages(repo, [target])) if stage.cmd]
        try:
            with repo.lock:
                processes.forget_killed()
                outdated = {stage for stage in stages if _is_outdated(stage)}
        except LockError:
            outdated = set(stages)
            print("Waiting for", *processes.others().values() or ["another DVC"], sep="\n    ", flush=True)
        plan = Plan({}, len(stages), {})
        for stage in stages:
            needed = {other.addressing for other in graph.successors(stage)} & plan.needs.keys()
            if stage in outdated or needed:
                plan.needs[stage.addressing] = needed
            lock = Path(stage.path).with_suffix(".lock")
            order = plan.orders.setdefault(lock, _recorded(lock))
            order += [stage.name] * (stage.name not in order)
        return plan


def sort_locks(orders: dict[Path, list[str]]) -> None:
    """Sort the stages of each lock file, since DVC appends a new stage when it ends.

    DVC ignores the order. While another process holds DVC's lock, the files stay as they are.
    """
    with contextlib.suppress(LockError), _repository() as repo, repo.lock:
        for lock, order in orders.items():
            now = _recorded(lock)
            if now != (wanted := sorted(now, key=[*order, *now].index)):
                document = parse_yaml_for_update(lock.read_text(encoding="utf-8"), lock)
                for name in wanted:
                    document["stages"].move_to_end(name)
                process.write_file(lock, dumps_yaml(document).encode())


def _is_outdated(stage: Any) -> bool:
    try:
        return stage.changed()
    except LockError:  # another DVC works on its files
        return True


def _recorded(lock: Path) -> list[str]:
    return list(load_yaml(lock).get("stages", [])) if lock.exists() else []


@contextlib.contextmanager
def _repository() -> Iterator[Repo]:
    with contextlib.redirect_stderr(io.StringIO()), Repo(".") as repo:  # DVC draws a bar even for a lock that is free
        yield repo
