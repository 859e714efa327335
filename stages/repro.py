"""Runs what is out of date, as `dvc repro` does, with independent stages in parallel.

Usage: python -m stages.repro [--jobs N] [TARGET]        (a dvc.yaml or a stage; the default is ./dvc.yaml)
"""

import argparse
import sys

from descent.core import parameters
from descent.parallel.scheduler import reproduce


@parameters.end_with_message
def main() -> None:
    """Read the command line, and reproduce."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, help="stages at once; the default depends on cores and memory")
    parser.add_argument("target", nargs="?", default="dvc.yaml")
    options = parser.parse_args()
    sys.exit(reproduce(options.target, options.jobs))


if __name__ == "__main__":
    main()
