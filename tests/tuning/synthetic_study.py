"""A learning-rate study that never took place, for the tests of its figures and page."""

import math

import numpy as np

from descent.analysis.study_tables import BestOfK, SensitivityPoint
from descent.report.figures import Study
from descent.trajectories.paths import Path, Surface, TrajectoryParameters, thin

FACTORS = [10 ** (0.5 * step) for step in range(-4, 5)]
RATES = {"adam": 0.001, "sgd": 0.01, "own": math.nan}  # `own` runs with a schedule
BEST = {"adam": 0, "sgd": 3, "own": -1}  # in steps of the grid from the default
WIDTHS = {"adam": 0.4, "sgd": 0.1, "own": 0.8}  # of the range that is good
EPOCHS, SEEDS = 4, 3


def error(name, factor):
    """An error that grows with the distance from the best rate."""
    return 0.05 * 10 ** min(1.25, (2 * math.log10(factor) - BEST[name]) ** 2 * 0.02 / WIDTHS[name])


def diverged(name, factor):
    """Runs of sgd that diverge at the largest factor."""
    return 2 if name == "sgd" and factor > 99 else 0


def sensitivity(names=tuple(RATES)):
    """Rows of sensitivity.csv."""
    return [
        SensitivityPoint(name, factor, RATES[name] * factor, mean, mean - 0.01, mean + 0.01, SEEDS, lost)
        for name in names
        for factor in FACTORS
        for lost in [diverged(name, factor)]
        for mean in [1 - error(name, factor)]
    ]


def chosen(names=tuple(RATES)):
    """Optimizer -> its best factor."""
    return {name: 10 ** (0.5 * BEST[name]) for name in names}


def best_of_k(names=tuple(RATES)):
    """Rows of best_of_k.csv."""
    return [BestOfK(name, k, 0.95 - 0.3 / k - 0.01 * i) for i, name in enumerate(names) for k in range(1, 10)]


def losses(names=tuple(RATES)):
    """Optimizer, factor -> validation loss, [epochs]; a diverged one ends in nan."""
    curves = {}
    for name in names:
        for factor in FACTORS:
            curve = 3 * error(name, factor) + 1 / np.arange(1, EPOCHS + 1)
            curves[name, factor] = np.where(np.arange(EPOCHS) > 1, np.nan, curve) if diverged(name, factor) else curve
    return curves


def trajectories():
    """A bowl and a saddle."""
    even = {"angle_degrees": 0.0, "start": [-0.2, 0.1], "noise": 0.0}
    surfaces = {"bowl": Surface(curvatures=[1.0, 1.0], **even), "flat_saddle": Surface(curvatures=[1.0, -1.0], **even)}
    return TrajectoryParameters(steps=20, seed=0, plot_range=0.3, constant_gradient=0.3, surfaces=surfaces)


def traced(names=tuple(RATES)):
    """Straight paths, longer at larger factors: those at the largest leave the picture."""
    steps = np.arange(21)[:, None]
    found = []
    for name in names:
        for factor in FACTORS:
            path = np.array([-0.2, 0.1]) + steps * np.array([0.0004, -0.0003]) * factor
            found += [Path(surface, name, factor, *thin(path, 0.3)) for surface in ("bowl", "flat_saddle")]
    return found


def study(names=tuple(RATES), **changes):
    """All numbers behind the figures and the page."""
    whole = Study(
        sensitivity=sensitivity(names),
        chosen=chosen(names),
        best_of_k=best_of_k(names),
        losses=losses(names),
        paths=traced(names),
        trajectories=trajectories(),
        confidence=0.95,
    )
    return whole._replace(**changes)
