"""Sets revisions beside each other: the accuracy of every optimizer in each, and which may be the best there.

Usage: python -m tools.series REVISION ...        (any that DVC knows: a branch, a commit, an experiment)

`python -m stages.diff` tests what two revisions differ in. Here optimizers are compared within each: there is no test
between columns.
"""

import sys

import numpy as np
from tabulate import tabulate

from descent.analysis import tables
from descent.analysis.records import Results
from descent.analysis.settings import ReportParameters
from descent.core import parameters
from descent.report import display_tables
from descent.report.text import percent
from descent.runs import metrics
from stages.diff import read_revision


def column(results: Results) -> dict[str, str]:
    """Write what each optimizer reached in a revision: mean and sd over its runs, bold where it may be the best."""
    runs = {name: training.final_accuracy for name, training in results.trainings.items()}
    verdicts, cells = tables.verdicts(runs, results.conditions), {}
    for name, values in runs.items():
        sd = metrics.sample_sd(values, 1 / results.conditions.data.validation_size)
        text = display_tables.accuracy(values.mean(), sd)
        if verdicts[name].may_be_best == "diverged":
            text = f"{np.isnan(values).sum()} of {len(values)} diverged"
        cells[name] = f"**{text}**" if verdicts[name].may_be_best == "yes" else text
    return cells


@parameters.end_with_message
def main(*names: str) -> None:
    """Read the revisions through DVC, print one table."""
    report = parameters.read("params.yaml", "report", ReportParameters)
    revisions = [read_revision(name, report, "accuracy") for name in names]
    cells = [column(results) for results in revisions]
    last = {name: training.final_accuracy for name, training in revisions[-1].trainings.items()}
    optimizers = sorted(set().union(*cells), key=lambda name: -np.nanmean(last[name]) if name in last else 0)
    runs = [len(next(iter(results.trainings.values())).final_accuracy) for results in revisions]
    heads = ["Validation accuracy, %", *(f"{name} (n = {n})" for name, n in zip(names, runs, strict=True))]
    rows = [[name, *(column.get(name, "") for column in cells)] for name in optimizers]
    print(tabulate(rows, heads, "pipe", disable_numparse=True))
    level = percent(report.confidence)
    print(f"\nBold: may be the best in its column, at {level}. ±: standard deviation over the runs.")


if __name__ == "__main__":
    main(*sys.argv[1:])
