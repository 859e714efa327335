"""Runs command lines of DVC, each in a process of its own, but forked from one that has DVC loaded: in half the time.

Reads from each line a JSON list - folder, environment, files for stdout and stderr, arguments - and answers with the
exit code. Nothing that is imported here starts a thread, which a fork would lose.
"""

import contextlib
import gc
import json
import os
import pickle
import sys
from pathlib import Path

import dvc.cli.parser
import dvc.repo.experiments
import networkx  # noqa: F401  DVC loads it when it draws its graph
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

# DVC spends most of its time on YAML, which it parses in Python, the same files several times in a run. What a text
# says does not change, so each is parsed once; what all runs read, before the fork.
parse, parsed = YAML.load, {}


def load(self: YAML, stream):
    """Parse as ruamel.yaml does; of a text that was parsed before, return a copy of what came out."""
    if self.typ != ["safe"] or not isinstance(stream, str):
        return parse(self, stream)
    if stream not in parsed:
        parsed[stream] = pickle.dumps(parse(self, stream))
    return pickle.loads(parsed[stream])


YAML.load = load
gc.freeze()  # what all share is not copied by a child's collections
for line in sys.stdin:
    folder, environment, outputs, arguments = json.loads(line)
    for name in ("dvc.yaml", "dvc.lock", "params.yaml"):
        with contextlib.suppress(OSError, UnicodeDecodeError, YAMLError):
            YAML(typ="safe").load(Path(folder, name).read_text(encoding="utf-8"))
    if child := os.fork():
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)
        continue
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for number, path in enumerate([os.devnull, *outputs]):
        os.dup2(os.open(path, os.O_RDWR | os.O_CREAT), number)
    sys.argv = ["dvc", *arguments]
    sys.exit(dvc.cli.main())
