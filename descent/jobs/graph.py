"""What a target needs, from DVC's own graph, and the order in which DVC's lock files name it."""

import io
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, suppress
from pathlib import Path
from typing import NamedTuple

from dvc.lock import LockError
from dvc.repo import Repo
from dvc.repo.reproduce import collect_stages, get_active_graph, plan_repro
from dvc.utils.serialize import dumps_yaml, load_yaml, parse_yaml_for_update

from descent.core import process


class Stage(NamedTuple):
    """A stage with a command."""

    needs: set[str]  # names of the stages that must be done before it
    outdated: bool  # DVC would run it as things stand; with what it needs yet to run, no more can be said
    lock: Path  # the lock file that records it
    key: str  # its name there


def read(target: str) -> dict[str, Stage]:
    """Read the stages of a target and all that they need, in the order of a plain `dvc repro`.

    While another process holds DVC's lock, every stage counts as outdated.

    Args:
        target: as `dvc repro` takes it: a dvc.yaml, or a stage.

    Returns:
        By the name that `dvc repro` knows each by, such as `train@adam` or `tuning/dvc.yaml:choose`.

    Raises:
        DvcException: if there is no such target, or the graph is none.
    """
    with _repository() as repo:
        graph = get_active_graph(repo.index.graph)
        steps = [stage for stage in plan_repro(graph, collect_stages(repo, [target])) if stage.cmd]
        try:
            with repo.lock:
                outdated = {stage for stage in steps if stage.changed()}
        except LockError:
            outdated = set(steps)
        return {
            stage.addressing: Stage(
                needs={other.addressing for other in graph.successors(stage) if other.cmd},
                outdated=stage in outdated,
                lock=Path(stage.path).with_suffix(".lock"),
                key=stage.name,
            )
            for stage in steps
        }


@contextmanager
def _repository() -> Iterator[Repo]:
    """Open the repository; on a terminal, DVC's lock would show a bar even where it need not wait."""
    with redirect_stderr(io.StringIO()), Repo(".") as repo:
        yield repo


def to_do(stages: Mapping[str, Stage]) -> dict[str, set[str]]:
    """Leave out what is up to date, with all that it needs: by name what each other stage must wait for.

    What needs an outdated stage may turn out to be up to date; only DVC can say so, after that stage.
    """
    found: dict[str, set[str]] = {}
    for name, stage in stages.items():
        if stage.outdated or stage.needs & found.keys():
            found[name] = stage.needs & found.keys()
    return found


def recorded(locks: Iterable[Path]) -> dict[Path, list[str]]:
    """Read which stages each lock file names, in its order; one that does not exist names none."""
    return {lock: list(load_yaml(lock).get("stages", [])) if lock.exists() else [] for lock in locks}


def sort(stages: Mapping[str, Stage], before: Mapping[Path, list[str]]) -> None:
    """Put what is new in each lock file where a serial run puts it: at the end, in the order of the graph.

    DVC appends a stage when it ends, which side by side is a matter of chance. The order decides nothing: while another
    process holds DVC's lock, it stays.

    Args:
        stages: as `read` gives them.
        before: what the lock files named before the run.
    """
    with suppress(LockError), _repository() as repo, repo.lock:
        for lock, now in recorded(path for path in before if path.exists()).items():
            new = [stage.key for stage in stages.values() if stage.lock == lock and stage.key not in before[lock]]
            wanted = [key for key in now if key not in new] + [key for key in new if key in now]
            if wanted != now:
                document = parse_yaml_for_update(lock.read_text(encoding="utf-8"), lock)
                for key in wanted:
                    document["stages"].move_to_end(key)
                process.write_file(lock, dumps_yaml(document).encode())
