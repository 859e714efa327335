"""The surfaces themselves, and what a picture shows of them; without Keras, which takes seconds to load."""

from typing import NamedTuple

import numpy as np

from descent.trajectories.settings import Surface


class Map(NamedTuple):
    """Heights over a grid of points, and the levels at which contour lines are drawn."""

    line: np.ndarray  # coordinates along each of the two axes, [points]
    heights: np.ndarray  # [points, points], the second weight first
    levels: np.ndarray


def hessian(surface: Surface) -> np.ndarray:
    """Second derivatives of a surface, [2, 2]; its gradient at p is H p."""
    angle = np.radians(surface.angle_degrees)
    axes = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return axes @ np.diag(surface.curvatures) @ axes.T


def survey(surface: Surface, plot_range: float, points: int) -> Map:
    """Measure a surface between - and + plot_range, at this number of points along each axis."""
    line = np.linspace(-plot_range, plot_range, points)
    grid = np.stack(np.meshgrid(line, line), axis=-1)
    heights = np.einsum("...i,ij,...j->...", grid, hessian(surface), grid) / 2
    # Levels that grow with the square are equally far apart in the plane.
    return Map(line, heights, np.abs(heights).max() * np.linspace(-1, 1, 19) * np.abs(np.linspace(-1, 1, 19)))


def leaves_at(path: np.ndarray, plot_range: float) -> int | None:
    """First step at which a path [steps + 1, 2] is beyond plot_range of zero, or nan; None if it never is."""
    outside = ~(np.abs(path) <= plot_range).all(axis=1)  # so that nan counts as outside
    return int(outside.argmax()) if outside.any() else None
