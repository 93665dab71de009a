from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspection.types import Surface
from inspection.vision.drawing import StripDrawing
from inspection.vision.welds import WeldFinder

SURFACE = Surface(name="top", x_mm_per_px=0.5, y_mm_per_px=0.5)
FINDER = WeldFinder(surface=SURFACE, longest_mm=30.0)
STRIP = StripDrawing(5, defects_per_megapixel=0.0)


def a_strip(index: int = 0) -> np.ndarray:
    return STRIP.frame(index).pixels.copy()


def with_a_weld(pixels, *, at_px: int, rows: int, grey: float, skew_px: int = 0, until_px: int | None = None):
    """A seam across the strip, so much brighter or darker, askew by so many rows from edge to edge."""
    width = pixels.shape[1]
    drawn = pixels.astype(np.float32)
    for x in range(until_px or width):
        top = at_px + round(skew_px * x / width)
        drawn[max(top, 0) : top + rows, x] += grey
    return np.clip(drawn, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("grey", [40.0, -40.0], ids=["bright", "dark"])
@pytest.mark.parametrize("skew_px", [0, 10])
def test_a_seam_across_the_strip_is_a_weld_at_its_place(grey, skew_px):
    pixels = with_a_weld(a_strip(), at_px=150, rows=16, grey=grey, skew_px=skew_px)
    (weld,) = FINDER.find(pixels, ())
    assert weld.from_mm == pytest.approx(75, abs=1)
    assert weld.to_mm == pytest.approx(83 + skew_px * 0.5, abs=1.5)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 400))
def test_strip_without_a_weld_has_none(index):
    assert FINDER.find(a_strip(index), ()) == ()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 400))
def test_no_defect_is_taken_for_a_weld(index):
    defective = StripDrawing(9, defects_per_megapixel=8.0).frame(index)
    assert FINDER.find(defective.pixels, ()) == ()


def test_a_scratch_that_stops_short_of_an_edge_is_no_weld():
    across = with_a_weld(a_strip(), at_px=150, rows=6, grey=60.0, until_px=700)
    assert FINDER.find(across, ()) == ()


def test_what_is_longer_than_a_seam_is_none():
    assert FINDER.find(with_a_weld(a_strip(), at_px=150, rows=80, grey=50.0), ()) == ()


def test_a_weld_that_the_border_of_a_frame_cuts_is_found_in_both():
    above = with_a_weld(a_strip(0), at_px=392, rows=8, grey=50.0)
    below = with_a_weld(a_strip(1), at_px=0, rows=8, grey=50.0)
    (ends,), (begins,) = FINDER.find(above, ()), FINDER.find(below, ())
    assert ends.to_mm == 200.0
    assert begins.from_mm == 0.0


def test_colour_is_as_good_as_grey_and_a_narrow_picture_has_no_weld():
    pixels = with_a_weld(a_strip(), at_px=150, rows=16, grey=40.0)
    assert len(FINDER.find(np.repeat(pixels[..., None], 3, axis=2), ())) == 1
    assert FINDER.find(pixels[:, :60], ()) == ()


@pytest.mark.parametrize("rows", range(1, 40))
def test_a_short_last_frame_of_a_coil_has_no_weld_and_is_no_trouble(rows):
    assert FINDER.find(a_strip()[:rows], ()) == ()
