"""Loads what every DVC process of `processes` needs, once; imported by the server that forks them, and by nobody else.

Nothing that is imported here starts a thread, which a fork would lose.
"""

import gc
import os

import networkx  # noqa: F401  DVC loads it when it draws its graph

import descent.jobs.processes  # noqa: F401

os.setsid()  # what a terminal sends is for `make repro`, which then ends each process in its turn
gc.freeze()  # what all share is not copied by a child's collections
