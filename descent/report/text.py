"""What the report says, in sentences: the answer, the conditions that it holds under, and further findings."""

import json
import math
from collections.abc import Sequence

from scipy import stats

from descent.analysis import tutorial
from descent.analysis.settings import Conditions
from descent.analysis.study_tables import Tuned
from descent.analysis.tables import Lead, Rank
from descent.analysis.tutorial import Agreement
from descent.study.settings import TuningParameters

NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def answer(ranking: Sequence[Rank], leads: Sequence[Lead], conditions: Conditions) -> str:
    """Say which optimizers may be the best, what choosing them costs at most, and how far the last is behind."""
    compared = [row for row in ranking if row.may_be_best != "diverged"]
    if not compared:
        return "Every optimizer had a run that diverged, so none can be called the best."
    best, last = compared[0], compared[-1]
    if len(compared) == 1:
        return f"There is nothing that {best.optimizer} could be compared with."
    if best.runs == 1:
        return f"One run each shows no spread, so nothing can be told apart; {best.optimizer} ended highest."
    kept = [row for row in compared if row.may_be_best == "yes"]
    all_of_them = f"the {_word(len(compared))}" + (" that never diverged" if len(compared) < len(ranking) else "")
    any_of = "either of" if len(compared) == 2 else "any of"
    may_be = f"{any_of} {all_of_them} may be the best" if last in kept else f"the best of {all_of_them} is"
    names = listed([row.optimizer for row in kept], "or")
    text = f"At {percent(conditions.report.confidence)} confidence {may_be}{':' * (last in kept)} {names} "
    text += f"({best.runs} runs each)"
    if len(kept) > 1 and not any(math.isnan(row.behind_at_most) for row in kept):
        costs = listed([f"{100 * row.behind_at_most:.2f}" for row in kept], "and")
        text += f"; choosing them costs at most {costs} points"
    lead = next(lead for lead in leads if (lead.ahead, lead.behind) == (best.optimizer, last.optimizer))
    if last not in kept and math.isfinite(lead.low):
        text += f"; {lead.ahead} leads {_lead(lead, lead.low, lead.high)}"
    return f"{text}."


def stated_conditions(conditions: Conditions, test_size: int) -> str:
    """State under what the ranking holds, in one line that begins with what matters most; `test_size`: examples."""
    data, network, training, *_, report = conditions
    over = f"the last {training.last_epochs} of" if training.last_epochs > 1 else "the last of"
    runs = f"{len(training.seeds)} runs" if len(training.seeds) > 1 else "one run"
    config = ", ".join(f"{key} {json.dumps(value)}" for key, value in network.config.items())
    seeds = ", ".join(map(str, sorted(training.seeds)))
    return (
        f"{report.note.rstrip('.')}. Validation accuracy: mean over {over} {training.epochs} epochs, ± standard "
        f"deviation over {runs} (seeds {seeds}). {data.title}: first {data.train_size} training examples in batches of "
        f"{training.batch_size}, {data.validation_size} validation and {test_size} test examples. "
        f"Network: {network.file}{f' ({config})' if config else ''}."
    )


def reading(gaps: Sequence[float]) -> str:
    """Say how to read the ranking.

    Args:
        gaps: for each optimizer test accuracy minus validation accuracy after the last epoch, means in [0, 1].
    """
    known = [100 * gap for gap in gaps if math.isfinite(gap)]
    other = "validation and test examples are not the same"
    if known and min(known) > 0:
        other = (
            f"the validation examples are harder than the test examples, by {min(known):.1f} to {max(known):.1f} points"
        )
    return (
        f"Compare within a column, never across: {other}. Costs: points of validation accuracy by which the best may "
        "lead."
    )


def summary(
    ranking: Sequence[Rank],
    leads: Sequence[Lead],
    agreements: Sequence[Agreement],
    conditions: Conditions,
    test_size: int,
) -> list[str]:
    """Tell the further findings, a sentence each; of the tutorial's numbers only where it trained on the same data."""
    return [
        *_leads(leads, conditions),
        *(_agreements(agreements, conditions) if tutorial.applies(conditions) else []),
        _test_set(ranking, test_size),
    ]


def study_answer(rows: Sequence[Tuned], conditions: Conditions) -> str:
    """Say which of the tuned may be the best, and what tuning bought most."""
    known = [row for row in rows if row.may_be_best in ("yes", "no")]
    if not known:
        return "These runs cannot tell which optimizer is the best with its learning rate tuned."
    names = listed([row.optimizer for row in known if row.may_be_best == "yes"], "or")
    text = f"With every learning rate tuned, at {percent(conditions.report.confidence)} confidence the best is {names}"
    gained = max((row for row in known if not math.isnan(row.gain)), key=lambda row: row.gain, default=None)
    if gained is not None and gained.gain > 0:
        text += f"; tuning bought {gained.optimizer} most, {100 * gained.gain:.2f} points"
    return f"{text}."


def study_conditions(conditions: Conditions, parameters: TuningParameters) -> str:
    """State how the rates were chosen, in one line."""
    seeds = ", ".join(map(str, sorted(parameters.seeds)))
    return (
        f"Learning rate tuned, all else at its default: {parameters.grid_size} factors on each entry's own rate, "
        f"{parameters.step_decades:g} decades apart and up to {parameters.max_extra} more beyond an end where the best "
        f"was, chosen by seeds {seeds} on {parameters.selection_size} examples that nothing else uses, reported on "
        f"fresh runs ({len(conditions.training.seeds)} each)."
    )


def study_reading(rows: Sequence[Tuned], conditions: Conditions) -> str:
    """Say how to read the table, and what must be doubted."""
    level = percent(conditions.report.confidence)
    text = (
        f"±: standard deviation over the fresh runs. Gain: tuned minus default, with its interval at {level} for all "
        "optimizers together. Sure: how often redrawn selections choose this rate. Good range: decades within 1 point "
        "of the best. Loses: points lost in the mean within a decade of the best. The interval is for the chosen rate; "
        "rankings may change again once other hyperparameters are tuned too."
    )
    if edges := [row.optimizer for row in rows if row.at_edge]:
        text += f" Still best at the end of the grid, so that another rate may be better yet: {', '.join(edges)}."
    if left_out := sorted(conditions.optimizers.keys() - {row.optimizer for row in rows}):
        text += f" Left out, since their steps do not follow their learning rates: {', '.join(left_out)}."
    return text


def percent(share: float) -> str:
    """Write a share as percent, with no more digits than it has."""
    return f"{100 * share:g} %"


def listed(words: Sequence[str], last: str) -> str:
    """Write words in a row, with commas and before the end the word `last`."""
    *most, end = words
    return f"{', '.join(most)} {last} {end}" if most else end


def _leads(leads: Sequence[Lead], conditions: Conditions) -> list[str]:
    of_best = [lead for lead in leads if lead.ahead == leads[0].ahead]
    if not of_best or math.isnan(of_best[-1].low):
        return ["By how much the best leads cannot be bounded: that takes two optimizers and three runs of each."]
    best, seeds = of_best[0].ahead, conditions.training.seeds
    here = [_lead(lead, lead.low, lead.high) for lead in of_best if lead.low > 0]
    elsewhere = [
        _lead(lead, lead.low_other_images, lead.high_other_images) for lead in of_best if lead.low_other_images > 0
    ]
    caution = ", though below five runs they do so less often than they say" if len(seeds) < 5 else ""
    return [
        f"{best} leads {listed(here, 'and') if here else 'none for sure'}, by {percent(conditions.report.confidence)} "
        f"intervals that hold for all pairs at once (Games and Howell){caution}.",
        f"On other examples of the same kind {best} leads "
        f"{listed(elsewhere, 'and') if elsewhere else 'none for sure'}: these {conditions.data.validation_size} "
        "are a sample too.",
    ]


def _lead(lead: Lead, low: float, high: float) -> str:
    return f"{lead.behind} by {100 * lead.lead:.2f} points ({100 * low:.2f} to {100 * high:.2f})"


def _agreements(agreements: Sequence[Agreement], conditions: Conditions) -> list[str]:
    if not agreements:
        return ["Whether the tutorial's numbers agree with ours cannot be said: fewer than two optimizers are in both."]
    report, texts = conditions.report, []
    for row in agreements:
        when = f"over epochs {row.epochs}" if " to " in row.epochs else f"after epoch {row.epochs}"
        verdict = "equivalent" if row.p <= 1 - report.confidence else "not shown to be equivalent"
        largest = row.largest and f"{row.largest.deviation:+.1f} standard deviations ({row.largest.optimizer})"
        texts.append(
            f"Tutorial minus ours {when}: {100 * row.mean:+.2f} points of validation accuracy ({100 * row.low:+.2f} to "
            f"{100 * row.high:+.2f}), mean over {row.optimizers} optimizers; {verdict} within "
            f"±{report.equivalence_margin:g} points (two one-sided tests, p = {row.p:.2g}); largest single deviation "
            f"{largest or 'unknown'}; Kendall's tau of the two orders {row.tau:.2f}."
        )
    return texts


def _test_set(ranking: Sequence[Rank], examples: int) -> str:
    known = [row for row in ranking if math.isfinite(row.test_accuracy_sd)]
    if not known:
        return "Whether the runs or the finite test set limit the test accuracy cannot be said without a spread."
    sampling = [100 * float(stats.binom.std(examples, row.test_accuracy)) / examples for row in known]
    runs = [100 * row.test_accuracy_sd / math.sqrt(row.runs) for row in known]
    dominated = sum(error > other for error, other in zip(sampling, runs, strict=True))
    return (
        f"Standard error of the mean test accuracy: {min(sampling):.2f} to {max(sampling):.2f} points from the finite "
        f"test set ({examples} examples, binomial), {min(runs):.2f} to {max(runs):.2f} points from the runs; the test "
        f"set dominates for {dominated} of {len(known)} optimizers."
    )


def _word(number: int) -> str:
    return NUMBERS[number] if number < len(NUMBERS) else str(number)
