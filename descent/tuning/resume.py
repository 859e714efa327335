"""Keeps the runs of a study that is stopped, until it goes on; used under the very same conditions only."""

import json
from pathlib import Path
from typing import Any

from descent import files


class Kept:
    """Results of finished runs by a key, in a file that is written whole after each."""

    def __init__(self, path: Path, conditions: str):
        """Read what is kept under these conditions; what is damaged, or of others, counts for nothing."""
        self._path, self._conditions, self.runs = path, conditions, {}
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            if kept["conditions"] == conditions:
                self.runs = dict(kept["runs"])
        except (OSError, ValueError, KeyError, TypeError):
            pass

    def keep(self, key: str, result: Any) -> None:
        """Add a run; numbers come back to the bit, nan too."""
        self.runs[key] = result
        content = {"conditions": self._conditions, "runs": self.runs}
        files.write(self._path, json.dumps(content).encode())

    def forget(self) -> None:
        """Remove the file: the study is done."""
        self._path.unlink(missing_ok=True)
