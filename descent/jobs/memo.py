"""DVC reads the same files several times in a command, and parses YAML in Python: here it parses each text once.

That is more than half of what DVC itself takes to look at a stage (docs/training.md).
"""

import copy
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

_parse = YAML.load
_parsed: dict[str, Any] = {}


def install() -> None:
    """Have all of this process, and what is forked from it, parse as `_load` does."""
    YAML.load = _load


def read_ahead(paths: Iterable[str | Path]) -> None:
    """Parse files; what is missing or damaged is for DVC to speak of."""
    for path in paths:
        with suppress(OSError, UnicodeDecodeError, YAMLError):
            YAML(typ="safe").load(Path(path).read_text(encoding="utf-8"))


def _load(yaml: YAML, stream: Any) -> Any:
    """Parse as ruamel.yaml does; of a text that was parsed before, return a copy of what came out."""
    if yaml.typ != ["safe"] or not isinstance(stream, str):
        return _parse(yaml, stream)
    if stream not in _parsed:
        _parsed[stream] = _parse(yaml, stream)
    return copy.deepcopy(_parsed[stream])
