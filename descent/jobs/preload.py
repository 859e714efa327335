"""Loads what every DVC process of `processes` needs, once; imported by the server that forks them, and by nobody else.

Nothing that is imported here starts a thread, which a fork would lose.
"""

import gc
import os

import dvc.cli.parser
import dvc.repo.experiments  # noqa: F401
import networkx  # noqa: F401  DVC loads it when it draws its graph

import descent.jobs.processes
import descent.runs.executor  # noqa: F401  with what else `stages.repro` imports: every process imports that anew
from descent.jobs import memo

memo.install()
memo.read_ahead(["params.yaml", "dvc.yaml", "dvc.lock", "tuning/dvc.yaml"])
os.setsid()  # what a terminal sends is for `make repro`, which then ends each process in its turn
gc.freeze()  # what all share is not copied by a child's collections
