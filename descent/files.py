"""Writes a file whole or not at all."""

import os
from pathlib import Path


def write(path: Path, content: bytes | memoryview) -> None:
    """Put content at path, making its folder when missing; a failure on the way leaves the old file as it was.

    Raises:
        OSError: which names `path` where the disk is full or cannot be written.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")  # two processes never write to one
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(content)
        part.replace(path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        part.unlink(missing_ok=True)
