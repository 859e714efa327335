"""Races the optimizers: reproduces, gives more runs to those that may still be the best, until one is left.

Usage: python -m stages.race [--study] [--jobs N]        (--study: at their tuned learning rates)

It writes the numbers of runs into params.yaml (`runs`, or `tuned_runs` for the study) and runs the pipeline. All it
knows stands in params.yaml and results/, so the same command continues a race that was stopped. It is no stage of
dvc.yaml: `dvc repro` has nothing to do afterwards.
"""

import argparse
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path

from descent.analysis import records, statistics, tables
from descent.analysis.settings import Conditions
from descent.analysis.tables import Verdict
from descent.core import parameters, process
from descent.core.write_parameters import with_values
from descent.parallel import scheduler
from descent.runs.metrics import SCORES, Score
from descent.runs.store import Store, Task
from descent.training.measurements import Wanted

PARAMETERS = Path("params.yaml")


@parameters.end_with_message
def main() -> None:
    """Reproduce and add runs in turn until the race is over; print after each look who left and who remains."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", action="store_true", help="race at the tuned learning rates")
    parser.add_argument("--jobs", type=int, help="stages at once; the default depends on cores and memory")
    options = parser.parse_args()
    key, target = ("tuned_runs", "tuning/dvc.yaml") if options.study else ("runs", "dvc.yaml")
    printed = 0  # the last look that was printed
    while True:
        if code := scheduler.reproduce(target, options.jobs):
            if code < 128:
                print("The race stopped, see above. Mend the fault; the same command continues.", file=sys.stderr)
            sys.exit(code)
        results = records.read_results(with_study=options.study)
        conditions = results.conditions
        sides = results.studies if options.study else results.trainings
        runs = {name: side.final_accuracy for name, side in sides.items()}
        race, verdicts = tables.race_of(runs, conditions), tables.verdicts(runs, conditions)
        if race is None:
            sound = ", ".join(tables.compared_of(runs)) or "none"
            needed = "the race needs two optimizers of which no run diverged, and training.runs of at least 2"
            raise parameters.InputError(f"{PARAMETERS}: {needed}, got {sound} and {conditions.training.runs}")
        for look in conditions.race.looks:
            if printed < look <= race.runs.max():
                print("\n".join(look_lines(look, verdicts, SCORES[conditions.training.score])), flush=True)
                printed = look
        remaining = [name for name, verdict in verdicts.items() if verdict.may_be_best == "yes"]
        wanted = statistics.next_look(race, conditions.race.looks)
        if wanted is None:
            reason = "one optimizer is left" if len(remaining) == 1 else "no look is left in race.looks"
            print(f"The race is over after {sum(map(len, runs.values()))} runs in all: {reason}.", flush=True)
            return
        lacking = {name: wanted - len(runs[name]) for name in remaining if len(runs[name]) < wanted}
        new = f"{sum(lacking.values())} new ones{duration(lacking, conditions, options.jobs)}"
        print(f"Next: {wanted} runs of each optimizer in the race ({new})\n", flush=True)
        values = {f"optimizers.{name}.{key}": wanted for name in lacking}
        process.write_file(PARAMETERS, with_values(PARAMETERS.read_bytes().decode(), values).encode())


def look_lines(look: int, verdicts: Mapping[str, Verdict], score: Score) -> list[str]:
    """Return lines about who left the race at a look, led by whom, and who remains."""
    lines, remaining = [], []
    for name, verdict in verdicts.items():
        if verdict.may_be_best == "diverged":
            lines.append(f"{name} is out: a run diverged")
        elif verdict.may_be_best == "yes" or verdict.runs_compared > look:
            remaining.append(name)
        elif verdict.runs_compared == look:
            ahead = f"{verdict.clearest_rival} is ahead by at least {score.text(verdict.behind_at_least)}"
            lines.append(f"{name} leaves: {ahead} {score.difference}")
    lines.append(f"in the race: {', '.join(remaining)}")
    wrap = textwrap.TextWrapper(100, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False)
    return [f"\nAfter {look} runs of each:", *(part for line in lines for part in wrap.wrap(line))]


def duration(lacking: Mapping[str, int], conditions: Conditions, jobs: int | None) -> str:
    """Return how long the lacking runs will take, by the time of a kept run of each optimizer; nothing if one has none.

    Args:
        lacking: number of runs of each optimizer.
        conditions: of these runs.
        jobs: stages at once; None for the default.
    """
    seconds = 0.0
    for name, number in lacking.items():
        task = Task(name, conditions.optimizers[name], conditions.network, conditions.training)
        run = Store(task, task.load(), environment=None).find(Wanted(seed=0))
        if run is None:
            return ""
        seconds += number * run.seconds
    seconds /= min(jobs or scheduler.default_jobs(), len(lacking))
    return f", about {seconds:.0f} s" if seconds < 100 else f", about {seconds / 60:.0f} min"


if __name__ == "__main__":
    main()
