"""Asks DVC which stages are out of date, and keeps its lock files in the order of a sequential run."""

import contextlib
import copy
import functools
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from dvc.repo import Repo
from dvc.repo.reproduce import collect_stages, get_active_graph, plan_repro
from dvc.utils.serialize import dumps_yaml, load_yaml, parse_yaml_for_update
from ruamel.yaml import YAML
from tqdm import tqdm

from descent.core import process

_load = YAML.load


class Plan(NamedTuple):
    """What to run."""

    needs: dict[str, set[str]]  # each stage that may be out of date, with those of them that it needs
    total: int  # number of stages, up to date or not
    orders: dict[Path, list[str]]  # each lock file, with its stages in the order of a sequential run


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


def plan(target: str) -> Plan:
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


def sort_locks(orders: dict[Path, list[str]]) -> None:
    """Sort the stages of each lock file: DVC, which ignores the order, appends a new stage when it ends."""
    with _locked_repository():
        for lock, order in orders.items():
            now = _recorded(lock)
            if now != (wanted := sorted(now, key=[*order, *now].index)):
                document = parse_yaml_for_update(lock.read_text(encoding="utf-8"), lock)
                for name in wanted:
                    document["stages"].move_to_end(name)
                process.write_file(lock, dumps_yaml(document).encode())


def _recorded(lock: Path) -> list[str]:
    return list(load_yaml(lock).get("stages", [])) if lock.exists() else []


@contextlib.contextmanager
def _locked_repository() -> Iterator[Repo]:
    with contextlib.redirect_stderr(io.StringIO()), Repo(".", _wait_for_lock=True) as repo, repo.lock:  # DVC draws bars
        yield repo
