"""Prints what changed between two revisions by more than noise; `dvc metrics diff` prints bare numbers.

Usage: python -m stages.diff REVISION [REVISION] [--md]        (any that DVC knows: a branch, a commit, an experiment)
       python -m stages.diff HEAD --brief                      (one line; nothing where the results are the same)

Without a second revision it compares with the workspace. It is no stage of dvc.yaml: it writes nothing.
"""

import argparse
import sys

from dvc.api import DVCFileSystem
from dvc.exceptions import DvcException

from descent.analysis import records
from descent.analysis.records import Results
from descent.analysis.settings import ReportParameters
from descent.core import parameters
from descent.report import changes
from descent.training.settings import TrainingParameters


def read_revision(revision: str | None, report: ReportParameters, score: str) -> Results:
    """Read a revision through DVC, or the workspace; the message of an InputError begins with its name."""
    files = DVCFileSystem(rev=revision)

    def read(path: str) -> str:
        try:
            return files.read_text(path, encoding="utf-8")
        except FileNotFoundError:
            cure = f"not in Git at {revision}; git add it and commit" if revision else "not there; run dvc repro"
            raise parameters.InputError(f"{path}: {cure}") from None
        except (DvcException, UnicodeDecodeError) as error:  # DVC looks for the revision as late as here
            raise parameters.InputError(str(error)) from None

    try:
        return records.read_results(read, report, score=score)
    except parameters.InputError as error:
        raise parameters.InputError(f"{revision or 'workspace'}: {error}") from None


@parameters.end_with_message
def main() -> None:
    """Read both revisions, compare, print."""
    parser = argparse.ArgumentParser(description="Print what changed between two revisions by more than noise.")
    parser.add_argument("before", help="a revision that DVC knows: a branch, a commit, an experiment")
    parser.add_argument("after", nargs="?", help="another one; the default is the workspace")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--md", action="store_true", help="print Markdown")
    form.add_argument("--brief", action="store_true", help="print one line; nothing where the results are the same")
    asked = parser.parse_args()
    report = parameters.read("params.yaml", "report", ReportParameters)  # that of an old revision may have other keys
    score = parameters.read("params.yaml", "training", TrainingParameters).score  # the one of today compares both
    try:
        before, after = (read_revision(revision, report, score) for revision in (asked.before, asked.after))
    except parameters.InputError:
        if not asked.brief:
            raise
        # As after `make mine` and its commit. The caller, `make repro`, must not fail.
        print(f"No committed results to compare with (python -m stages.diff {asked.before} says why): commit yours.")
        return
    names = (asked.before, asked.after or "workspace")
    if asked.brief:
        text = changes.render_line(before, after, names)
    else:
        text = changes.render_table(before, after, names, "pipe" if asked.md else "simple")
    if text:
        sys.stdout.reconfigure(errors="replace")  # a terminal may not show every letter, as ±
        print(text)


if __name__ == "__main__":
    main()
