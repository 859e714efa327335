"""Fetches a data set: its entry in the section `download` of params.yaml -> data/raw/NAME.npz.

Usage: python -m stages.download mnist        (the bytes are the same from every source)
"""

import sys
from pathlib import Path

from descent.core import parameters
from descent.data.datasets import write_archive
from descent.data.download import Downloads, fetch


@parameters.end_with_message
def main(name: str) -> None:
    """Read the entry, fetch, write the four arrays."""
    settings = getattr(parameters.read("params.yaml", "download", Downloads), name)
    write_archive(Path("data/raw", f"{name}.npz"), fetch(name, settings))


if __name__ == "__main__":
    main(*sys.argv[1:])
