"""Races the optimizers: reproduces, gives more runs to those that may still be the best, until one is left.

Usage: python -m stages.race [--study] [--jobs N]        (--study: at their tuned learning rates)

It writes the numbers of runs into params.yaml (`runs`, or `tuned_runs` for the study) and runs the pipeline. All it
knows stands in params.yaml and results/, so the same command continues a race that was stopped. It is no stage of
dvc.yaml: `dvc repro` has nothing to do afterwards.
"""

import argparse
import io
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from ruamel.yaml import YAML

from descent.analysis import records, tables
from descent.analysis.race import next_look
from descent.analysis.tables import Verdict
from descent.core import parameters, process

PARAMETERS = Path("params.yaml")


@parameters.end_with_message
def main() -> None:
    """Reproduce and add runs in turn until the race is over; print a line for each look."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", action="store_true", help="race at the tuned learning rates")
    parser.add_argument("--jobs", help="stages at once; the default depends on cores and memory")
    options = parser.parse_args()
    key, target = ("tuned_runs", "tuning/dvc.yaml") if options.study else ("runs", "dvc.yaml")
    jobs = ["--jobs", options.jobs] if options.jobs else []
    decided, missing = 0, 0  # the last look that was printed; runs that the next reproduction trains
    while True:
        started = time.monotonic()
        if code := subprocess.call([sys.executable, "-m", "stages.repro", *jobs, target]):
            sys.exit(code)
        seconds = (time.monotonic() - started) / missing if missing else None
        results = records.read_results(with_study=options.study)
        sides = results.studies if options.study else results.trainings
        runs = {name: side.final_accuracy for name, side in sides.items()}
        race = tables.race_of(runs, results.conditions)
        if race is None:
            raise parameters.InputError("the race needs two optimizers that never diverged, and two runs of each")
        verdicts, looks = tables.verdicts(runs, results.conditions), results.conditions.race.looks
        for look in looks:
            if decided < look <= race.runs.max():
                print("\n".join(look_lines(look, verdicts)), flush=True)
                decided = look
        wanted = next_look(race, looks)
        if wanted is None:
            print(f"The race is over after {sum(map(len, runs.values()))} runs.")
            return
        lacking = {name for name, verdict in verdicts.items() if verdict.may_be_best == "yes"}
        lacking = [name for name in sorted(lacking) if len(runs[name]) < wanted]
        missing = sum(wanted - len(runs[name]) for name in lacking)
        left = f", about {seconds * missing / 60:.0f} min" if seconds else ""
        print(f"Next: {wanted} runs of each that remains, {missing} new ones{left}", flush=True)
        write_runs(dict.fromkeys(lacking, wanted), key)


def look_lines(look: int, verdicts: Mapping[str, Verdict]) -> list[str]:
    """Say who left the race at a look, led by whom, and who remains."""
    left = [
        f"  {name} leaves: {verdict.clearest_rival} leads it by at least "
        f"{100 * verdict.behind_at_least:.2f} percentage points"
        for name, verdict in verdicts.items()
        if verdict.may_be_best == "no" and verdict.runs_compared == look
    ]
    remaining = [
        name
        for name, verdict in verdicts.items()
        if verdict.may_be_best == "yes" or (verdict.may_be_best == "no" and verdict.runs_compared > look)
    ]
    return [f"After {look} runs each:", *left, f"  in the race: {', '.join(remaining)}"]


def write_runs(runs: Mapping[str, int], key: str) -> None:
    """Write numbers of runs into the entries of params.yaml; comments and order stay."""
    editor = YAML()  # that keeps comments and order
    editor.preserve_quotes, editor.width = True, sys.maxsize
    document = editor.load(PARAMETERS)
    for name, number in runs.items():
        entry = document["optimizers"][name]
        if key in entry:
            entry[key] = number
        else:
            entry.insert(0, key, number)  # at the end it would come after the comment that opens the next section
    text = io.StringIO()
    editor.dump(document, text)
    process.write_file(PARAMETERS, text.getvalue().encode())


if __name__ == "__main__":
    main()
