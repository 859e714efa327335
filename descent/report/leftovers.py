"""Finds and deletes what the trainings of removed optimizers left: by dvc.lock, never by listing folders."""

import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path

import yaml

from descent.parameters import InputError

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # in C, a fifteenth of the half second that ruamel.yaml takes
TRAINS = ("train", "train_own")  # stages of dvc.yaml with one instance for each optimizer, STAGE@OPTIMIZER


def find(lock: Path, optimizers: Collection[str]) -> dict[str, str]:
    """Find the files that a training made of which no optimizer is the owner any more.

    Args:
        lock: dvc.lock, which keeps the stages of removed optimizers; where there is none, nothing was made.
        optimizers: names of those that params.yaml lists, in whichever section.

    Returns:
        Path -> MD5 of what the training wrote there.

    Raises:
        InputError: if this is no dvc.lock.
    """
    if not lock.exists():
        return {}
    found = {}
    try:
        for stage, entry in ((LOADER(lock.read_bytes()).get_single_data() or {}).get("stages") or {}).items():
            kind, _, optimizer = stage.partition("@")
            if kind in TRAINS and optimizer not in optimizers:
                found |= {out["path"]: out["md5"] for out in entry.get("outs", ()) if "md5" in out}
    except (AttributeError, KeyError, TypeError, yaml.YAMLError):
        raise InputError(f"{lock}: damaged; git checkout {lock}, then dvc repro") from None
    return found


def delete(found: Mapping[str, str]) -> list[str]:
    """Delete files that still are what `find` says that they are; one with another content is someone else's.

    Returns:
        The paths of those deleted.
    """
    deleted = []
    for path, checksum in found.items():
        if Path(path).is_file() and hashlib.md5(Path(path).read_bytes()).hexdigest() == checksum:
            Path(path).unlink()
            deleted.append(path)
    return deleted
