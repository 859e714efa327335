"""What the reports say, in sentences: the answer, the conditions that it holds under, and further findings."""

import json
import math
from collections.abc import Sequence

from scipy import stats

from descent.analysis import tutorial
from descent.analysis.settings import Conditions
from descent.analysis.study_tables import Tuned
from descent.analysis.tables import Lead, Rank
from descent.analysis.tutorial import Agreement
from descent.runs.metrics import SCORES, Score
from descent.study.grid import TuningParameters

NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def answer(ranking: Sequence[Rank], leads: Sequence[Lead], conditions: Conditions) -> str:
    """Name the winner, or those that could be the best and how far they can be behind it; and the last with its lead.

    Rows are sorted: best first, diverged last.
    """
    compared = [row for row in ranking if row.may_be_best != "diverged"]
    if not compared:
        return "Every optimizer had a run that diverged, so none can be called the best."
    best, last, score = compared[0], compared[-1], SCORES[conditions.training.score]
    if len(compared) == 1:
        return f"There is nothing that {best.optimizer} could be compared with."
    if min(row.runs for row in compared) == 1:
        highest = "highest" if score.direction > 0 else "lowest"
        return f"One run shows no spread, so nothing can be told apart; {best.optimizer} ended {highest}."
    text = verdict(ranking, conditions)
    lead = next(lead for lead in leads if (lead.ahead, lead.behind) == (best.optimizer, last.optimizer))
    if last.may_be_best == "no" and math.isfinite(lead.low):
        level, behind = percent(conditions.report.confidence), f"{score.text(lead.lead)} {score.difference}"
        interval = f"{level} interval {score.text(lead.low)} to {score.text(lead.high)}"
        text += f" {last.optimizer} is last, {behind} behind {best.optimizer} ({interval})."
    return text


def verdict(rows: Sequence[Rank] | Sequence[Tuned], conditions: Conditions) -> str:
    """Say who won the race, or who remains in it and how far ahead of the leader the true best can be."""
    compared = [row for row in rows if row.may_be_best in ("yes", "no")]
    remaining = [row for row in compared if row.may_be_best == "yes"]
    level, score = percent(conditions.report.confidence), SCORES[conditions.training.score]
    all_of_them = f"{_word(len(compared))} optimizers" + (" that never diverged" if len(compared) < len(rows) else "")
    most = max((row.runs_compared for row in compared), default=0)
    if not most:
        return f"{conditions.race.looks[0]} runs of each are needed to tell which optimizer is the best."
    if len(remaining) == 1:
        [best] = remaining
        left_last = [row for row in compared if row.runs_compared == most and row is not best]
        second = min(left_last, key=lambda row: row.behind_at_least)
        [ahead] = [row for row in rows if row.optimizer == second.clearest_rival]
        leads = "It leads" if ahead is best else f"{ahead.optimizer} leads"
        least = at_least(second, score)
        lead = f"{least} {score.difference}"
        if ahead.runs == second.runs == most:  # else the means are of other runs than the verdict
            mean = score.turned(ahead.val_accuracy - second.val_accuracy)
            lead = f"{_never_zero(mean, score)} {score.difference} ({least})"
        text = (
            f"{best.optimizer} is the best of the {all_of_them} ({level} confidence). {leads} {second.optimizer}, the "
            f"last to leave the race, by {lead} after {most} runs of both."
        )
    else:
        names = listed([row.optimizer for row in remaining])
        share = _word(len(remaining)).capitalize()
        if len(remaining) == len(compared):
            share = "Either" if len(compared) == 2 else "Any"
        text = f"{share} of the {all_of_them} could be the best ({level} confidence, {most} runs of each): {names}."
        leader = remaining[0].optimizer
        if not math.isnan(remaining[0].behind_at_most):
            bound = f"{score.text(remaining[0].behind_at_most)} {score.difference}"
            text += (
                f" {leader} leads these runs. The true best may be another one, ahead of {leader} by at most {bound}."
            )
    used = sum(row.runs_compared for row in compared)
    if used < most * len(compared):
        text += (
            f" The race took {used} runs; {most} runs of all {_word(len(compared))} would be {most * len(compared)}."
        )
    return text


def at_least(row: Rank | Tuned, score: Score) -> str:
    """Write by how much the clearest rival leads an optimizer at the least."""
    return f"at least {_never_zero(row.behind_at_least, score)}"


def stated_conditions(conditions: Conditions, test_size: int, largest: tuple[str, float]) -> str:
    """State under what the ranking holds, beginning with what matters most.

    `largest` is the largest class with its share of the validation examples.
    """
    data, network, training = conditions.data, conditions.network, conditions.training
    over = f"the last {training.last_epochs} of" if training.last_epochs > 1 else "the last of"
    config = ", ".join(f"{key} {json.dumps(value)}" for key, value in network.config.items())
    title, classes = SCORES[training.score].title, ""
    if training.score == "balanced_accuracy":
        title += " (the mean over the classes of the share that is right)"
    if training.score == "accuracy":
        name, share = largest
        classes = f"The largest class, {name}, has {percent(round(share, 3))} of the validation examples. "
    return (
        f"{conditions.report.note.rstrip('.')}. {title} is the mean over {over} {training.epochs} epochs, "
        f"± the standard deviation over {_runs(conditions, 'runs')}. {_looks(conditions)}{data.title}: the first "
        f"{data.train_size} training examples in batches of {training.batch_size}, {data.validation_size} validation "
        f"and {test_size} test examples. {classes}Network: {network.file}{f' ({config})' if config else ''}."
    )


def reading(ranking: Sequence[Rank], gaps: Sequence[float], conditions: Conditions) -> str:
    """Say how to read the ranking, and what is the same in all of its rows.

    `gaps` are the optimizers' test accuracies minus validation accuracies after the last epoch, means in [0, 1].
    """
    score = SCORES[conditions.training.score]
    parts = _verdicts(ranking, score)
    known = [100 * gap for gap in gaps if math.isfinite(gap)]
    other = "validation and test examples are not the same"
    if conditions.training.score == "balanced_accuracy":
        other = "test accuracy and the epochs to the target count all examples alike"
    elif known and min(known) > 0:
        harder = f"by {min(known):.1f} to {max(known):.1f} percentage points after the last epoch"
        other = f"the validation examples are harder than the test examples, {harder}"
    parts.append(f"Compare numbers within a column only: {other}.")
    for name, entry in sorted(conditions.optimizers.items()):
        if entry.class_name == "TFOptimizer":  # its name tells nothing of what it wraps
            further = [
                f"{key} {entry.config[key]}" for key in sorted(entry.config.keys() - {"optimizer", "learning_rate"})
            ]
            parts.append(f"{name} is TensorFlow's {', '.join([entry.config['optimizer'], *further])}.")
    twins = {tuple(sorted([row.optimizer, *row.same_as.split(", ")])) for row in ranking if row.same_as}
    parts += [f"{listed(names)} had the same runs to the last digit: this is no tie." for names in sorted(twins)]
    return " ".join([*parts, *(_diverged(ranking, "diverged") or ["No run diverged."])])


def leads_reading(ranking: Sequence[Rank], conditions: Conditions) -> str:
    """Say what the intervals of the leads hold for."""
    compared = [row for row in ranking if row.may_be_best != "diverged"]
    fewest = min((row.runs for row in compared), default=0)
    if len(compared) < 2 or fewest < 3:
        return "By how much the best leads cannot be bounded: that takes two optimizers and three runs of each."
    said = f"The {percent(conditions.report.confidence)} intervals hold for all pairs at once (Games-Howell)."
    if fewest < 5:
        said += " With fewer than five runs they hold less often."
    if conditions.training.score == "accuracy":  # for others nothing is known of single examples
        size = conditions.data.validation_size
        said += f" Those for other examples of the same kind also count the luck of these {size} validation examples."
    return said


def summary(
    ranking: Sequence[Rank], agreements: Sequence[Agreement], conditions: Conditions, test_size: int
) -> list[str]:
    """Tell the further findings, a sentence each; of the tutorial's numbers only where it trained on the same data."""
    of_tutorial = _agreements(agreements, conditions) if tutorial.applies(conditions) else []
    return [*of_tutorial, _test_set(ranking, test_size)]


def study_answer(rows: Sequence[Tuned], conditions: Conditions) -> str:
    """Say which of the tuned may be the best, what tuning gained most, and how far behind this one still is."""
    if not any(row.may_be_best in ("yes", "no") for row in rows):
        return "These runs cannot tell which optimizer is the best with its learning rate tuned."
    text, score = f"Every learning rate is tuned. {verdict(rows, conditions)}", SCORES[conditions.training.score]
    gained = max((row for row in rows if row.gain > 0), key=lambda row: row.gain, default=None)
    if gained:
        text += f" {gained.optimizer} gained most from tuning: {score.text(gained.gain)} {score.difference}."
        # After a race, the means of the two rest on unlike numbers of runs.
        if gained.may_be_best == "no" and rows[0].may_be_best == "yes" and rows[0].runs == gained.runs:
            behind = score.turned(rows[0].val_accuracy - gained.val_accuracy)
            text += f" It is now {score.text(behind)} behind {rows[0].optimizer}."
    return text


def study_conditions(conditions: Conditions, parameters: TuningParameters) -> str:
    """State how the rates were chosen."""
    seeds = listed(sorted(parameters.seeds))
    return (
        f"Only the learning rate is tuned. Every optimizer tries {parameters.grid_size} factors on its own rate, "
        f"{parameters.step_decades:g} decades apart, and up to {parameters.max_extra} more where the best is at an end "
        f"of the grid. Runs with seeds {seeds} choose, on {parameters.selection_size} examples that nothing else "
        f"uses. The table shows {_runs(conditions, 'tuned_runs')} at the chosen rate. {_looks(conditions)}".strip()
    )


def study_reading(rows: Sequence[Tuned], conditions: Conditions) -> str:
    """Say how to read the table, and what must be doubted."""
    score = SCORES[conditions.training.score]
    gain = "tuned minus default" if score.direction > 0 else "default minus tuned"
    parts = [
        "± is the standard deviation over the runs.",
        *_verdicts(rows, score),
        f"Gain is {gain} in {score.difference}, with an interval at {percent(conditions.report.confidence)} for all "
        "optimizers together. Rankings may change again once other hyperparameters are tuned too.",
    ]
    equal = [name for name, entry in conditions.optimizers.items() if entry.runs == entry.tuned_runs]
    kept = [row for row in rows if row.optimizer in equal and math.isclose(row.factor, 1) and row.gain == 0]
    if any(row.default != row.val_accuracy for row in kept):
        parts.append(
            "Study and comparison come from different machines or code, since runs at equal rates differ: to compare "
            "default and tuned, remove results/tuning/runs and run make tune."
        )
    if edges := [row.optimizer for row in rows if row.at_edge]:
        parts.append(f"Best at the end of the grid, so another rate may be better: {listed(edges)}.")
    parts += _diverged(rows, "diverged at the tuned rate")
    if left_out := sorted(conditions.optimizers.keys() - {row.optimizer for row in rows}):
        parts.append(f"Left out, since their steps do not follow a learning rate: {listed(left_out)}.")
    return " ".join(parts)


def percent(share: float) -> str:
    """Write a share as percent, with no more digits than it has."""
    return f"{100 * share:g} %"


def listed(words: Sequence[str | int]) -> str:
    """Write words in a row, with commas and before the last one "and"."""
    *most, end = map(str, words)
    return f"{', '.join(most)} and {end}" if most else end


def _agreements(agreements: Sequence[Agreement], conditions: Conditions) -> list[str]:
    if not agreements:
        return ["Whether the tutorial's numbers agree with ours is unknown: fewer than two optimizers are in both."]
    report, texts = conditions.report, []
    for row in agreements:
        when = f"over epochs {row.epochs}" if " to " in row.epochs else f"after epoch {row.epochs}"
        agree = "This is equivalent" if row.p <= 1 - report.confidence else "This is not shown to be equivalent"
        text = (
            f"The tutorial's validation accuracy {when} minus ours: {100 * row.mean:+.2f} percentage points "
            f"({100 * row.low:+.2f} to {100 * row.high:+.2f}), mean over {row.optimizers} optimizers. {agree} within "
            f"±{report.equivalence_margin:g} points (two one-sided tests, p = {row.p:.2g}). Kendall's tau of the two "
            f"orders is {row.tau:.2f}."
        )
        if row.largest:
            deviation = f"{row.largest.deviation:+.1f} standard deviations"
            text += f" The largest single deviation is that of {row.largest.optimizer}, {deviation}."
        texts.append(text)
    return texts


def _test_set(ranking: Sequence[Rank], examples: int) -> str:
    known = [row for row in ranking if math.isfinite(row.test_accuracy_sd)]
    if not known:
        return "Whether the runs or the finite test set limit the test accuracy is unknown without a spread."
    sampling = [100 * float(stats.binom.std(examples, row.test_accuracy)) / examples for row in known]
    runs = [100 * row.test_accuracy_sd / math.sqrt(row.runs) for row in known]
    dominated = sum(error > other for error, other in zip(sampling, runs, strict=True))
    return (
        f"The mean test accuracy has two standard errors. The finite test set ({examples} examples, binomial) makes "
        f"{min(sampling):.2f} to {max(sampling):.2f} percentage points, the runs make {min(runs):.2f} to "
        f"{max(runs):.2f}. The test set's is the larger one for {dominated} of {len(known)} optimizers."
    )


def _runs(conditions: Conditions, key: str) -> str:
    """Say how many runs each optimizer has, such as "5 runs of each (seeds 0 to 4)"."""
    numbers = {getattr(entry, key) or conditions.training.runs for entry in conditions.optimizers.values()}
    few, most = min(numbers), max(numbers)
    if few < most:
        return f"{few} to {most} runs (seeds from 0 on)"
    return f"{most} runs of each (seeds 0 to {most - 1})" if most > 1 else "one run of each (seed 0)"


def _looks(conditions: Conditions) -> str:
    looks = conditions.race.looks
    return f"The race has looks at {listed(looks)} runs. " if len(looks) > 1 else ""


def _verdicts(rows: Sequence[Rank] | Sequence[Tuned], score: Score) -> list[str]:
    """Explain the verdicts, why one remains in the race below another that left, and where no spread is seen."""
    parts = [
        f"Behind the best is in {score.difference}. At most: these runs exclude that the true best leads by more. At "
        "least: the rival that the row names leads by this or more."
    ]
    lowest = next((row for row in reversed(rows) if row.may_be_best == "yes"), None)
    better = rows[: rows.index(lowest)] if lowest else []
    above = [row.optimizer for row in better if row.may_be_best == "no" and row.val_accuracy != lowest.val_accuracy]
    if above:
        name, better_mean = lowest.optimizer, f"a {'higher' if score.direction > 0 else 'lower'} mean"
        parts.append(f"{name} could be the best although {listed(above)}, with {better_mean}, could not.")
        looks_and_spreads = [(row.runs_compared, row.val_accuracy_sd) for row in better if row.optimizer in above]
        if all(runs == lowest.runs_compared and sd < lowest.val_accuracy_sd for runs, sd in looks_and_spreads):
            parts.append(f"The runs of {name} scatter more, so its true mean is less certain.")
    judged = [row for row in rows if row.runs > 1 and row.may_be_best != "diverged"]
    if alike := [row.optimizer for row in judged if math.isnan(row.val_accuracy_sd)]:
        parts.append(f"No ± where the runs differ by less than one validation example: {listed(alike)}.")
    return parts


def _diverged(rows: Sequence[Rank] | Sequence[Tuned], how: str) -> list[str]:
    diverged = [f"{row.diverged} of {row.runs} of {row.optimizer}" for row in rows if row.diverged]
    return [f"Runs that {how}: {listed(diverged)}."] if diverged else []


def _never_zero(difference: float, score: Score) -> str:
    """Write a difference; one that would be 0.00, with its first digit."""
    written = score.text(difference)
    return written if float(written) else f"{score.factor * difference:.1g}"


def _word(number: int) -> str:
    return NUMBERS[number] if number < len(NUMBERS) else str(number)
