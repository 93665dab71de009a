"""What is not known of a surface hides no defect of it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspection.errors import SensorBlind
from inspection.vision.heights import Deviation, HeightRules

LEAST_PX = 13
TOP, LEFT = 40, 60


def rules(from_mm: float = -0.05) -> HeightRules:
    return HeightRules(deviations=(Deviation(kind="dent", from_mm=from_mm, min_area_px=LEAST_PX),))


def a_surface(pit, depth_mm: float, *, seed=0):
    """A rough plate with a pit, or what sticks out of it, where `pit` says."""
    heights = np.random.default_rng(seed).normal(0, 0.002, (90, 120)).astype(np.float32)
    heights[TOP : TOP + pit.shape[0], LEFT : LEFT + pit.shape[1]][pit] = depth_mm
    return heights


def areas(heights, from_mm=-0.05):
    return [mask.area_px for mask in rules(from_mm).sensed(heights).found.masks]


SQUARE = np.ones((4, 4), np.bool_)
SLOT = np.ones((2, 9), np.bool_)
RING = np.hypot(*np.mgrid[-3:4, -3:4]) <= 3.2
CROSS = np.zeros((7, 7), np.bool_)
CROSS[2:5, :] = CROSS[:, 2:5] = True


@given(
    pit=st.sampled_from([SQUARE, SLOT, RING, CROSS]),
    off_mm=st.sampled_from([-0.2, -0.12, 0.2]),
    dark=st.integers(0, 2**49 - 1),
)
def test_whatever_of_a_pit_lies_in_shadow_it_is_found_or_the_plate_is_not_inspected(pit, off_mm, dark):
    """Never nothing, however the shadow falls, and never smaller than the pit is."""
    heights = a_surface(pit, off_mm)
    shadow = np.array([dark >> place & 1 for place in range(49)], np.bool_)[: pit.size].reshape(pit.shape)
    heights[TOP : TOP + pit.shape[0], LEFT : LEFT + pit.shape[1]][pit & shadow] = np.nan
    try:
        (area,) = areas(heights, from_mm=np.sign(off_mm) * 0.05)
    except SensorBlind:
        return
    assert area >= np.count_nonzero(pit)


@pytest.mark.parametrize("dark_columns", [0, 1, 2, 3])
def test_a_shadow_over_the_deep_part_of_a_dent_makes_it_no_smaller(dark_columns):
    heights = a_surface(SQUARE, -0.2)
    heights[TOP : TOP + 4, LEFT + 4 - dark_columns : LEFT + 4] = np.nan
    assert min(areas(heights)) >= SQUARE.size


def test_the_corners_of_a_dent_are_enough_to_know_that_what_lies_dark_between_them_belongs_to_it():
    """Averaged with the sound places around it each would be less than half as deep."""
    heights = a_surface(SQUARE, -0.2)
    heights[TOP : TOP + 4, LEFT + 1 : LEFT + 3] = heights[TOP + 1 : TOP + 3, LEFT : LEFT + 4] = np.nan
    assert min(areas(heights)) >= SQUARE.size


@given(st.integers(0, 2**32), st.floats(0, 0.15))
def test_shadows_on_a_sound_plate_are_no_defects(seed, share):
    heights = a_surface(np.zeros((1, 1), np.bool_), 0.0, seed=seed)
    # Each dark place is a square of 3 x 3, and few enough touch each other.
    rows, columns = np.nonzero(np.random.default_rng(seed).random((15, 20)) < share)
    for row, column in zip(rows, columns, strict=True):
        heights[6 * row : 6 * row + 3, 6 * column : 6 * column + 3] = np.nan
    assert areas(heights) == []


def test_a_dent_too_small_to_be_looked_for_is_not_made_large_enough_by_a_shadow_that_does_not_touch_it():
    small = np.ones((2, 2), np.bool_)
    heights = a_surface(small, -0.06)
    heights[TOP : TOP + 3, LEFT + 4 : LEFT + 8] = np.nan
    assert areas(heights) == []
