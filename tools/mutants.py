"""Changes the code in one place after another, and runs its tests: what they do not notice, no test holds.

Usage: python -m tools.mutants ROOM [MUTANTS [SEED]]        (ROOM: statistics, optimizers, keras2 or data)

A changed module is never written: a process that has loaded what is slow is forked, and its child imports the module
with the change and runs the tests of the room. Standard output gets the mutants that survive, and how many there were.
"""

import ast
import copy
import importlib.machinery
import importlib.util
import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import hypothesis  # noqa: F401  loaded here, as what follows, and not in each child
import keras  # noqa: F401
import pooch  # noqa: F401
import pydantic  # noqa: F401
import pytest
import requests  # noqa: F401
import scipy.stats  # noqa: F401

from descent.core import parameters

_OPTIMIZERS = ("build", "entries", "elementwise", "own_files")  # test_update_rules.py is about keras2
ROOMS = {
    "statistics": ("descent/report/statistics.py", "tests/report/test_statistics.py"),
    "optimizers": ("descent/optimizers/*.py", " ".join(f"tests/optimizers/test_{of}.py" for of in _OPTIMIZERS)),
    "keras2": ("descent/optimizers/keras2/*.py", "tests/optimizers/test_update_rules.py tests/optimizers"),
    "data": ("descent/data/*.py", "tests/data"),
}
AT_ONCE = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
OTHER = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.And: ast.Or, ast.Or: ast.And,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Div,
    ast.Mod: ast.Mult, ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr, ast.MatMult: ast.Mult,
}  # fmt: skip


class Mutant(NamedTuple):
    """One change of one module."""

    path: Path
    line: int
    told: str
    tree: ast.Module


def replacements(node: ast.AST) -> Iterator[ast.AST]:
    """What stands in for a node: another operator or number, no `not`, no value returned, no statement."""
    match node:
        case ast.BinOp(op=op) | ast.BoolOp(op=op) if type(op) in OTHER:
            new = copy.copy(node)
            new.op = OTHER[type(op)]()
            yield new
        case ast.Compare(ops=[op]) if type(op) in OTHER:
            yield ast.Compare(node.left, [OTHER[type(op)]()], node.comparators)
        case ast.UnaryOp(op=ast.Not() | ast.USub() | ast.Invert()):
            yield node.operand
        case ast.Constant(value=bool()):
            yield ast.Constant(not node.value)
        case ast.Constant(value=int() | float()):
            yield ast.Constant(node.value + 1)
        case ast.Return(value=ast.AST()):
            yield ast.Return(ast.Constant(None))
        case ast.If() | ast.While() | ast.IfExp():
            new = copy.copy(node)
            new.test = ast.UnaryOp(ast.Not(), node.test)
            yield new
        case ast.AugAssign() | ast.Raise() | ast.Expr(value=ast.Call()):
            yield ast.Pass()


def mutants(path: Path) -> Iterator[Mutant]:
    """Change a module in one place after another."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for parent in list(ast.walk(tree)):
        for field, value in ast.iter_fields(parent):
            for index, node in enumerate(value if isinstance(value, list) else [value]):
                for new in replacements(node) if isinstance(node, ast.AST) else ():
                    changed = [*value[:index], new, *value[index + 1 :]] if isinstance(value, list) else new
                    ast.copy_location(new, node)
                    setattr(parent, field, changed)
                    told = f"{_first_line(node)}  ->  {_first_line(new)}"
                    yield Mutant(path, node.lineno, told, ast.fix_missing_locations(copy.deepcopy(tree)))
                    setattr(parent, field, value)


def _first_line(node: ast.AST) -> str:
    return ast.unparse(ast.fix_missing_locations(copy.deepcopy(node))).splitlines()[0]


class Changed(importlib.machinery.SourceFileLoader):
    """Loads and finds one module as a mutant has it."""

    def __init__(self, mutant: Mutant):
        parts = mutant.path.with_suffix("").parts
        super().__init__(".".join(parts[:-1] if parts[-1] == "__init__" else parts), str(mutant.path.resolve()))
        self.tree = mutant.tree

    def find_spec(self, name: str, *_: object) -> importlib.machinery.ModuleSpec | None:
        return importlib.util.spec_from_file_location(name, self.path, loader=self) if name == self.name else None

    def get_code(self, _: str):
        return compile(self.tree, self.path, "exec")


def start(tests: str, mutant: Mutant | None) -> int:
    """Fork, and run the tests with the mutant, or without; returns the child's number."""
    if child := os.fork():
        return child
    os.setpgid(0, 0)
    for number, mode in enumerate((os.O_RDONLY, os.O_WRONLY, os.O_WRONLY)):
        os.dup2(os.open(os.devnull, mode), number)
    for name in [name for name in sys.modules if name.split(".")[0] == "descent"]:
        del sys.modules[name]
    if mutant:
        sys.meta_path.insert(0, Changed(mutant))
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    os._exit(pytest.main(["-x", "-q", "-p", "no:cacheprovider", *tests.split()]))


def survivors(tests: str, tried: list[Mutant], limit: float) -> Iterator[Mutant]:
    """Run the tests with each mutant, some side by side; yields those with which they pass within the limit."""
    waiting, running = [*reversed(tried)], {}
    while waiting or running:
        while waiting and len(running) < AT_ONCE:
            mutant = waiting.pop()
            running[start(tests, mutant)] = mutant, time.monotonic() + limit
        child, status = os.waitpid(-1, os.WNOHANG)
        if child in running:
            mutant, _ = running.pop(child)
            if os.waitstatus_to_exitcode(status) == 0:
                yield mutant
            print(f"{len(waiting) + len(running)} left", end="\r", file=sys.stderr)
        for number in [number for number, (_, deadline) in running.items() if time.monotonic() > deadline]:
            os.killpg(number, signal.SIGKILL)
        time.sleep(0.05)


@parameters.end_with_message
def main(room: str, many: str = "1000000", seed: str = "0") -> None:
    """Print the mutants of a room that no test notices."""
    pattern, tests = ROOMS[room]
    found = [mutant for path in sorted(Path().glob(pattern)) for mutant in mutants(path)]
    tried = [found[i] for i in sorted(random.Random(int(seed)).sample(range(len(found)), min(int(many), len(found))))]
    started = time.monotonic()
    _, status = os.waitpid(start(tests, None), 0)
    if status:
        raise parameters.InputError(f"{tests}: fails as it is")
    left = 0
    for mutant in survivors(tests, tried, 15 + 2 * (time.monotonic() - started)):
        left += 1
        print(f"{mutant.path}:{mutant.line}: {mutant.told}", flush=True)
    print(f"\n{room}: {len(found)} mutants, {len(tried)} tried, {left} survived.")


if __name__ == "__main__":
    main(*sys.argv[1:])
