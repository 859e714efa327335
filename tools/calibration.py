"""Checks by simulation that the report's statements hold as often as they say -> docs/experiments/calibration.md.

Usage: python -m tools.calibration        (half a minute)

Experiments are drawn with the means and spreads that were measured, normally, and rounded to images as the real ones.
"""

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.polynomial import Chebyshev
from scipy import stats
from tabulate import tabulate

from descent.analysis import statistics
from descent.core import parameters
from descent.data.settings import DataParameters
from descent.runs import metrics
from descent.study import selection
from descent.training.settings import TrainingParameters

PAGE = Path("docs/experiments/calibration.md")
HISTORIES, TEN_SEEDS = Path("results/history"), Path("docs/experiments/ten-seeds.md")
CONFIDENCE = 0.95
GAPS = (0, 0.5, 1, 2, 3)


class Measured(NamedTuple):
    """What the simulated experiments are like; accuracies in [0, 1]."""

    names: list[str]
    means: np.ndarray  # [optimizers]
    sds: np.ndarray  # [optimizers]
    step: float  # what one image in one of the averaged epochs changes
    resolution: float  # what one image changes


class Calibration(NamedTuple):
    """Shares of the simulated experiments."""

    runs: int
    out_if_equal: np.ndarray  # [optimizers]: ruled out though all are equally good
    out: np.ndarray  # [optimizers]: ruled out at the measured means
    cost_exceeded: float  # some optimizer costs more than was said to be the most
    all_pairs_hold: float  # all differences lie in their simultaneous intervals


def measured(folder: Path) -> Measured:
    """Read means and spreads from the committed histories (a folder) or from the ranking quoted in a page (a file)."""
    last_epochs = parameters.read("params.yaml", "training", TrainingParameters).last_epochs
    images = parameters.read("params.yaml", "data", DataParameters).validation_size
    read = _of_histories if folder.is_dir() else _of_page
    names, means, sds = zip(*read(folder, images, last_epochs), strict=True)
    return Measured(list(names), np.array(means), np.array(sds), 1 / (images * last_epochs), 1 / images)


def _of_histories(folder: Path, images: int, last_epochs: int) -> list[tuple[str, float, float]]:
    found = []
    for path in sorted(folder.glob("*.csv")):
        table = np.genfromtxt(path, delimiter=",", names=True)
        accuracy = [table["val_accuracy"][table["seed"] == seed] for seed in np.unique(table["seed"])]
        runs = metrics.final_accuracy(np.transpose(accuracy), images, last_epochs)
        found.append((path.stem, runs.mean(), runs.std(ddof=1)))
    return found


def _of_page(path: Path, _images: int, _last_epochs: int) -> list[tuple[str, float, float]]:
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    column = next(i for i, head in enumerate(cells[0]) if head.startswith("Validation accuracy"))
    rows = [(row[0].partition(":")[0], re.fullmatch(r"(\S+) ± (\S+)", row[column])) for row in cells]
    return sorted((name, float(found[1]) / 100, float(found[2]) / 100) for name, found in rows if found)


def calibrate(real: Measured, runs: int, repeats: int, seed: int = 0) -> Calibration:
    """Simulate experiments of `runs` runs of each optimizer, and count how often each statement holds."""
    noise = np.random.default_rng(seed).normal(size=(repeats, len(real.names), runs)) * real.sds[:, None]

    def draw(means: np.ndarray) -> np.ndarray:
        return np.rint((means[:, None] + noise) / real.step) * real.step

    def best_set(values: np.ndarray) -> statistics.BestSet:
        return statistics.best_set(np.moveaxis(values, 1, 0), CONFIDENCE, real.resolution)

    values = draw(real.means)
    equal, found = best_set(draw(np.full_like(real.means, real.means.max()))), best_set(values)
    missed = simultaneous_misses(values, real)
    return Calibration(
        runs,
        1 - equal.in_best_set.mean(axis=0),
        1 - found.in_best_set.mean(axis=0),
        float((real.means.max() - real.means > found.behind_at_most + 1e-12).any(axis=-1).mean()),
        float(1 - missed.mean()),
    )


def simultaneous_misses(values: np.ndarray, real: Measured) -> np.ndarray:
    """Find the experiments [experiments] in which some simultaneous interval misses the true difference.

    `statistics.simultaneous` for many experiments at once: SciPy takes a twentieth of a second for one quantile. These
    come from a polynomial through six, which lies within 1e-6 of their size (tested).
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


def page(source: Path, repeats: int) -> str:
    """Write what one source of means and spreads gives, as Markdown."""
    real = measured(source)
    found = [calibrate(real, runs, repeats) for runs in (3, 5, 10)]
    best = int(real.means.argmax())
    heads = ["", *(f"{result.runs} runs" for result in found)]
    rows = {
        "ruled out though all are equal, mean over the optimizers": [result.out_if_equal.mean() for result in found],
        "the same, for the one that it befalls most often": [result.out_if_equal.max() for result in found],
        f"{real.names[best]}, the best, ruled out": [result.out[best] for result in found],
        "some optimizer costs more than was said": [result.cost_exceeded for result in found],
        "all pairs lie in their simultaneous intervals": [result.all_pairs_hold for result in found],
        **{f"{name} ruled out": [result.out[i] for result in found] for i, name in enumerate(real.names) if i != best},
    }
    cells = [[what, *(f"{100 * share:.1f} %" for share in shares)] for what, shares in rows.items()]
    spreads = ", ".join(f"{name} {100 * mean:.2f} ± {100 * sd:.2f}" for name, mean, sd in zip(*real[:3], strict=True))
    table = tabulate(cells, heads, "pipe", colalign=["left", *["right"] * len(found)], disable_numparse=True)
    return f"Means and spreads of `{source.as_posix()}`: {spreads}.\n\n{table}\n"


def sureness(gap: float, seeds: int, repeats: int, seed: int = 0) -> tuple[float, float]:
    """Let two learning rates, `gap` sd of a run apart, be chosen between; returns how sure the choice is told to be,
    and how often another selection makes the same choice, both in the mean over the repeats.
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
    table = tabulate(rows, ["Gap, sd of a run", "told", "chosen again"], "pipe", disable_numparse=True)
    return (
        f"How sure the study says the choice between two learning rates is, and how often {seeds} other seeds would"
        f" make the same ({repeats} simulated choices each). It is too sure where both are as good, and either will do."
        f"\n\n{table}\n"
    )


def main(repeats: int = 20000) -> None:
    """Simulate, and write the page."""
    error = 100 * np.sqrt(CONFIDENCE * (1 - CONFIDENCE) / repeats)
    text = (
        f"`tools/calibration.py` made this page: {repeats} simulated experiments each, at {100 * CONFIDENCE:g} % "
        f"confidence; one standard error of a share near {100 * (1 - CONFIDENCE):g} % is {error:.2f} %.\n"
    )
    parts = [text, *(page(source, repeats) for source in (HISTORIES, TEN_SEEDS)), page_of_sureness(3, repeats // 10)]
    PAGE.write_text("\n".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main()
