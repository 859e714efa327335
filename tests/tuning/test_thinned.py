"""Paths thinned for the page: what a picture can show is kept, and a table gives back what was written."""

import numpy as np
import pytest
import synthetic_study

from descent.core.parameters import InputError
from descent.trajectories import thinned

HALF = 0.3


def test_points_that_a_picture_cannot_tell_apart_are_dropped_but_never_the_last():
    path = np.array([[0, 0], [1e-4, 0], [0.1, 0], [0.1, 1e-4]])
    steps, points = thinned.thin(path, HALF)
    assert steps.tolist() == [0, 2, 3]
    assert points.tolist() == path[[0, 2, 3]].tolist()


def test_no_point_of_the_path_is_far_from_what_is_kept():
    path = np.cumsum(np.random.default_rng(0).normal(0, 0.001, (300, 2)), axis=0)
    steps, points = thinned.thin(path, HALF)
    kept = points[np.searchsorted(steps, np.arange(300), side="right") - 1]
    assert len(steps) < 150
    assert np.abs(path - kept).max() <= HALF / thinned.PARTS


def test_path_that_leaves_ends_near_outside_on_its_line():
    path = np.array([[0.1, 0.1], [1e6, 2e6], [0, 0]], "float32")
    steps, points = thinned.thin(path, HALF)
    assert steps.tolist() == [0, 1]
    leap = points[1] - points[0]
    assert leap[1] / leap[0] == pytest.approx(2, rel=1e-5)
    assert HALF < np.abs(points[1]).max() < 4 * HALF


@pytest.mark.parametrize("lost", [np.nan, np.inf])
def test_path_that_is_lost_ends_there(lost):
    steps, points = thinned.thin(np.array([[0, 0], [lost, 0], [0, 0]]), HALF)
    assert steps.tolist() == [0, 1]
    assert not np.isfinite(points[1, 0])


def test_path_of_one_point_stays():
    assert thinned.thin(np.zeros((1, 2)), HALF)[0].tolist() == [0]


def test_table_gives_back_what_was_written():
    found = synthetic_study.traced()
    again = thinned.parse(thinned.csv_text(found), "paths.csv")
    assert [path[:2] for path in again] == [path[:2] for path in found]
    for path, other in zip(found, again, strict=True):
        assert other.factor == pytest.approx(path.factor, rel=1e-5)
        assert other.steps.tolist() == path.steps.tolist()
        np.testing.assert_allclose(other.points, path.points, rtol=1e-3)


@pytest.mark.parametrize("text", ["", "a,b\n", f"{','.join(thinned.COLUMNS)}\nbowl,adam,x,0,0,0\n"])
def test_another_table_is_refused_with_the_file(text):
    with pytest.raises(InputError, match=r"paths\.csv: damaged"):
        thinned.parse(text, "paths.csv")
