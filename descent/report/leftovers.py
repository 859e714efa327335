"""Finds what the trainings of removed optimizers left behind: in dvc.lock, never by listing folders."""

from collections.abc import Collection

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from descent.parameters import InputError

TRAINS = ("train", "train_own")  # stages of dvc.yaml with one instance for each optimizer, STAGE@OPTIMIZER


def outputs(lock: str, optimizers: Collection[str]) -> dict[str, str]:
    """Find the files that a training made of which no optimizer is the owner any more.

    Args:
        lock: content of dvc.lock, which keeps the stages of removed optimizers.
        optimizers: names of those that params.yaml lists, in whichever section.

    Returns:
        Path -> MD5 of what the training wrote there: a file with another content is someone else's.

    Raises:
        InputError: if this is no dvc.lock.
    """
    found = {}
    try:
        for stage, entry in ((YAML(typ="safe").load(lock) or {}).get("stages") or {}).items():
            kind, _, optimizer = stage.partition("@")
            if kind in TRAINS and optimizer not in optimizers:
                found |= {out["path"]: out["md5"] for out in entry.get("outs", ()) if "md5" in out}
    except (AttributeError, KeyError, TypeError, YAMLError):
        raise InputError("dvc.lock: damaged; git checkout dvc.lock, then dvc repro") from None
    return found
