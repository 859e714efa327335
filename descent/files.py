"""Writes a file whole or not at all."""

import os
from pathlib import Path


def write(path: Path, content: bytes) -> None:
    """Put content at path, making its folder when missing; a failure on the way leaves the old file as it was."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")  # two processes never write to one
    try:
        part.write_bytes(content)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
