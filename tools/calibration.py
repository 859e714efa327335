"""Checks by simulation that the report's statements hold as often as they say -> docs/experiments/calibration.md.

Usage: python -m tools.calibration        (a minute)

Experiments are drawn with the means and spreads that were measured, and rounded to images as the real ones: normally,
and for a part of the races with a tail of bad runs.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.polynomial import Chebyshev
from scipy import stats
from tabulate import tabulate

from descent.analysis import statistics
from descent.analysis.statistics import Race, race
from descent.core import parameters
from descent.data.settings import DataParameters
from descent.runs.metrics import SCORES
from descent.study import selection
from descent.training.settings import TrainingParameters

PAGE, HISTORIES = Path("docs/experiments/calibration.md"), Path("results/history")
CONFIDENCE = 0.95
LOOKS = (5, 10, 20, 40)
GAPS = (0, 0.5, 1, 2, 3)


class Measured(NamedTuple):
    """What the simulated experiments are like; accuracies in [0, 1]."""

    names: list[str]
    means: np.ndarray  # [optimizers]
    sds: np.ndarray  # [optimizers]
    step: float  # what one image in one of the averaged epochs changes
    resolution: float  # what one image changes

    def all_best(self) -> np.ndarray:
        """Means at which all optimizers are as good as the best."""
        return np.full_like(self.means, self.means.max())

    def drawn(self, means: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Make runs [experiments, optimizers, runs] of noise of mean 0 and sd 1, rounded to images as real ones are."""
        return np.rint((means[:, None] + self.sds[:, None] * noise) / self.step) * self.step

    def race(self, runs: np.ndarray, looks: Sequence[int]) -> Race:
        """Hold the race of runs [experiments, optimizers, runs], in each experiment."""
        return race(list(np.moveaxis(runs, 1, 0)), looks, CONFIDENCE, self.resolution, len(self.names))


class Calibration(NamedTuple):
    """Shares of the simulated experiments."""

    runs: int
    out_if_equal: np.ndarray  # [optimizers]: ruled out though all are equally good
    out: np.ndarray  # [optimizers]: ruled out at the measured means
    bound_exceeded: float  # some optimizer is behind the best by more than its bound
    all_pairs_hold: float  # all differences lie in their simultaneous intervals


class Races(NamedTuple):
    """What came of simulated races with looks at `LOOKS`."""

    best_out: np.ndarray  # of each optimizer that is as good as the best: share of the races that it left
    one_left: float  # share of the races with a single winner
    runs: float  # of all optimizers together, mean over the races


def measured() -> Measured:
    """Read means and spreads from the committed histories."""
    last_epochs = parameters.read("params.yaml", "training", TrainingParameters).last_epochs
    images, found = parameters.read("params.yaml", "data", DataParameters).validation_size, {}
    for path in sorted(HISTORIES.glob("*.csv")):
        table = np.genfromtxt(path, delimiter=",", names=True)
        accuracy = [table["val_accuracy"][table["seed"] == seed] for seed in np.unique(table["seed"])]
        runs = SCORES["accuracy"].of_runs(np.transpose(accuracy), images, last_epochs)
        found[path.stem] = runs.mean(), runs.std(ddof=1)
    means, sds = np.array(list(found.values())).T
    return Measured(list(found), means, sds, 1 / (images * last_epochs), 1 / images)


def calibrate(real: Measured, runs: int, repeats: int, seed: int = 0) -> Calibration:
    """Simulate experiments of `runs` runs of each optimizer, and count how often each statement holds."""
    noise = np.random.default_rng(seed).normal(size=(repeats, len(real.names), runs))
    values = real.drawn(real.means, noise)
    equal, found = real.race(real.drawn(real.all_best(), noise), [runs]), real.race(values, [runs])
    behind = real.means.max() - real.means
    return Calibration(
        runs,
        1 - equal.remains.mean(axis=0),
        1 - found.remains.mean(axis=0),
        float((behind > found.behind_at_most + 1e-12).any(axis=-1).mean()),
        float(1 - simultaneous_misses(values, real).mean()),
    )


def races(real: Measured, means: np.ndarray, repeats: int, is_skewed: bool, seed: int = 0) -> Races:
    """Simulate races; skewed runs have the measured spreads, too, and a tail of bad ones: an exponential, mirrored."""
    random, size = np.random.default_rng(seed), (repeats, len(real.names), LOOKS[-1])
    noise = 1 - random.exponential(size=size) if is_skewed else random.normal(size=size)
    found = real.race(real.drawn(means, noise), LOOKS)
    return Races(
        1 - found.remains[:, means == means.max()].mean(axis=0),
        float((found.remains.sum(axis=-1) == 1).mean()),
        float(found.runs.sum(axis=-1).mean()),
    )


def simultaneous_misses(values: np.ndarray, real: Measured) -> np.ndarray:
    """Find the experiments [experiments] in which some simultaneous interval misses the true difference.

    This is `statistics.simultaneous` for many experiments at once: SciPy takes a twentieth of a second for a quantile.
    """
    values, unknown = statistics.with_floor(values, real.resolution)
    k, n = values.shape[-2:]
    i, j = np.triu_indices(k, 1)
    errors = stats.sem(values, axis=-1)
    freedom = stats.ttest_ind(values[:, i], values[:, j], axis=-1, equal_var=False).df
    half = critical_range(CONFIDENCE, k, n)(1 / freedom) / np.sqrt(2) * np.hypot(errors[:, i], errors[:, j])
    off = values.mean(axis=-1) - real.means
    return ((np.abs(off[:, i] - off[:, j]) > half) & ~(unknown[:, i] & unknown[:, j])).any(axis=-1)


def critical_range(confidence: float, k: int, n: int) -> Chebyshev:
    """Quantile of the studentized range of k means, as a function of 1 / (Welch's degrees of freedom), n runs each."""

    def quantile(inverse: np.ndarray) -> np.ndarray:
        return stats.studentized_range.ppf(confidence, k, 1 / inverse)

    return Chebyshev.interpolate(quantile, 5, domain=[1 / (2 * (n - 1)), 1 / (n - 1)])


def page(real: Measured, repeats: int) -> str:
    """Write how often each statement of the report holds, as Markdown."""
    found, best = [calibrate(real, runs, repeats) for runs in (3, 5, 10)], int(real.means.argmax())
    rows = {
        "ruled out though all are equal, mean over the optimizers": [result.out_if_equal.mean() for result in found],
        "the same, for the one that it befalls most often": [result.out_if_equal.max() for result in found],
        f"{real.names[best]}, the best, ruled out": [result.out[best] for result in found],
        "some optimizer further behind the best than its bound": [result.bound_exceeded for result in found],
        "all pairs lie in their simultaneous intervals": [result.all_pairs_hold for result in found],
        **{f"{name} ruled out": [result.out[i] for result in found] for i, name in enumerate(real.names) if i != best},
    }
    cells = [[what, *(f"{100 * share:.1f} %" for share in shares)] for what, shares in rows.items()]
    spreads = ", ".join(f"{name} {100 * mean:.2f} ± {100 * sd:.2f}" for name, mean, sd in zip(*real[:3], strict=True))
    table = markdown(["", *(f"{result.runs} runs" for result in found)], cells, words=1)
    return f"Means and spreads of `{HISTORIES.as_posix()}`: {spreads}.\n\n{table}\n"


def page_of_races(real: Measured, repeats: int) -> str:
    """Write how often races go wrong, how often they end with a winner, and after how many runs, as Markdown."""
    cells, worst = [], {}
    for noise in ("normal", "skewed"):
        for name, means in {"all equal": real.all_best(), "measured": real.means}.items():
            found = races(real, means, repeats, is_skewed=noise == "skewed")
            shares = found.best_out.mean(), found.best_out.max(), found.one_left
            cells.append([name, noise, *(f"{100 * share:.1f} %" for share in shares), f"{found.runs:.0f}"])
            worst[name, noise] = 100 * found.best_out.max()
    heads = ["Means", "Runs are", "A best excluded, mean", "the same, worst", "A single winner", "Runs in all"]
    *most, last = LOOKS
    return (
        f"Races with looks at {', '.join(map(str, most))} and {last} runs, with the spreads of `{HISTORIES.as_posix()}`"
        f" ({repeats} simulated races each; {last} runs of each optimizer would be {last * len(real.names)}).\n\n"
        f"{markdown(heads, cells, words=2)}\n\n"
        "Skewed runs (a mirrored exponential: now and then a bad one) exclude an equally good optimizer in up to "
        f"{worst['all equal', 'skewed']:.1f} % of the races, where {100 * (1 - CONFIDENCE):g} % are allowed and normal "
        f"runs take up to {worst['all equal', 'normal']:.1f} %: a steady optimizer leaves, led by a noisy one whose bad"
        " runs have not come yet.\n"
    )


def sureness(gap: float, seeds: int, repeats: int, seed: int = 0) -> tuple[float, float]:
    """Let two learning rates, `gap` sd of a run apart, be chosen between.

    Returns:
        How sure the study says its choice is, and how often another selection makes the same, means over the repeats.
    """
    means = np.array([[0.0], [-gap]])
    runs = means + np.random.default_rng(seed).normal(size=(repeats, 2, seeds))
    chosen = runs.mean(axis=-1).argmax(axis=-1)
    told = np.mean([selection.certainty(of)[index] for of, index in zip(runs, chosen, strict=True)])
    again = np.bincount(chosen, minlength=2) / repeats
    return float(told), float(again @ again)


def page_of_sureness(seeds: int, repeats: int) -> str:
    """Write how far the study's "sure" can be relied on, as Markdown."""
    rows = [[f"{gap:g}", *(f"{100 * share:.0f} %" for share in sureness(gap, seeds, repeats))] for gap in GAPS]
    table = markdown(["Gap, sd of a run", "told", "chosen again"], rows, words=3)
    return (
        f"How sure the study says the choice between two learning rates is, and how often {seeds} other seeds would"
        f" make the same ({repeats} simulated choices each). It is too sure where both are as good, and either will do."
        f"\n\n{table}\n"
    )


def markdown(heads: Sequence[str], cells: Sequence[Sequence[str]], words: int) -> str:
    """Write a table whose first columns are `words` at the left; the others are numbers at the right."""
    align = ["left"] * words + ["right"] * (len(heads) - words)
    return tabulate(cells, heads, "pipe", colalign=align, disable_numparse=True)


def main(repeats: int = 20000) -> None:
    """Simulate, and write the page."""
    error = 100 * np.sqrt(CONFIDENCE * (1 - CONFIDENCE) / repeats)
    text = (
        f"`tools/calibration.py` made this page: {repeats} simulated experiments each, at {100 * CONFIDENCE:g} % "
        f"confidence; one standard error of a share near {100 * (1 - CONFIDENCE):g} % is {error:.2f} %.\n"
    )
    real = measured()
    parts = [text, page(real, repeats), page_of_races(real, repeats // 4), page_of_sureness(3, repeats // 10)]
    PAGE.write_text("\n".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main()
