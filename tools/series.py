"""Sets revisions beside each other: the accuracy of every optimizer in each, and which may be the best there.

Usage: python -m tools.series REVISION ...        (any that DVC knows: a branch, a commit, an experiment)

`python -m stages.diff` tests what two revisions differ in. Here optimizers are compared within each: there is no test
between columns.
"""

import sys

import numpy as np
from tabulate import tabulate

from descent.analysis import revisions, statistics
from descent.analysis.settings import ReportParameters
from descent.core import parameters
from descent.report import display_tables
from descent.report.text import percent
from descent.runs import metrics
from stages.diff import reader


def column(revision: revisions.Revision, confidence: float) -> dict[str, str]:
    """Write what each optimizer reached in a revision: mean and sd over its runs, bold where it may be the best."""
    judged = {name: runs for name, runs in revision.runs.items() if not np.isnan(runs).any()}
    kept = statistics.contest(np.array(list(judged.values())), confidence, revision.resolution).kept
    may_be_best = {name for name, is_kept in zip(judged, kept, strict=True) if is_kept}
    cells = {}
    for name, runs in revision.runs.items():
        told = display_tables.accuracy(runs.mean(), metrics.sample_sd(runs, revision.resolution))
        diverged = f"{np.isnan(runs).sum()} of {len(runs)} diverged"
        cells[name] = diverged if name not in judged else f"**{told}**" if name in may_be_best else told
    return cells


@parameters.end_with_message
def main(*names: str) -> None:
    """Read the revisions through DVC, print one table."""
    confidence = parameters.read("params.yaml", "report", ReportParameters).confidence
    read = [revisions.read_revision(name, reader(name)) for name in names]
    cells = [column(revision, confidence) for revision in read]
    last = read[-1].runs
    optimizers = sorted(set().union(*cells), key=lambda name: -np.nanmean(last[name]) if name in last else 0)
    runs = [len(next(iter(revision.runs.values()))) for revision in read]
    heads = ["Validation accuracy, %", *(f"{name} (n = {n})" for name, n in zip(names, runs, strict=True))]
    rows = [[name, *(column.get(name, "") for column in cells)] for name in optimizers]
    print(tabulate(rows, heads, "pipe", disable_numparse=True))
    print(f"\nBold: may be the best in its column, at {percent(confidence)}. ±: standard deviation over the runs.")


if __name__ == "__main__":
    main(*sys.argv[1:])
