"""From pixels to millimetres: the laws that hold wherever a frame lies and whichever part of it is looked at."""

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspection.types import Box, Detections, Frame, Surface
from inspection.vision.locating import locate, seen_in

scales = st.floats(0.01, 10)
places = st.floats(0, 4000, width=32)


@st.composite
def boxes(draw):
    x, y = draw(places), draw(places)
    return (x, y, x + draw(st.floats(1, 500, width=32)), y + draw(st.floats(1, 500, width=32)))


def found(*boxes_px) -> Detections:
    return Detections(
        xyxy=np.array(boxes_px, np.float32).reshape(-1, 4),
        score=np.full(len(boxes_px), 0.5, np.float32),
        kind=("scratch",) * len(boxes_px),
    )


def a_frame(y_origin_mm: float) -> Frame:
    return Frame(
        pixels=np.zeros((16, 16), np.uint8),
        camera="top",
        sequence=3,
        captured_at=datetime(2026, 11, 20, tzinfo=UTC),
        y_origin_mm=y_origin_mm,
    )


@given(boxes(), scales, scales, st.floats(-100, 100), st.floats(0, 1e6))
def test_a_place_survives_the_way_to_the_surface_and_back(box, x_scale, y_scale, x_origin_mm, y_origin_mm):
    surface = Surface(name="top", x_mm_per_px=x_scale, y_mm_per_px=y_scale, x_origin_mm=x_origin_mm)
    (defect,) = locate(found(box), a_frame(y_origin_mm), surface)
    mm = defect.box_mm
    back = (
        (mm.x1 - x_origin_mm) / x_scale,
        (mm.y1 - y_origin_mm) / y_scale,
        (mm.x2 - x_origin_mm) / x_scale,
        (mm.y2 - y_origin_mm) / y_scale,
    )
    # A double holds 1e6 mm to 1e-10 mm; a hundredth of a pixel at the finest scale is 1e-4 mm.
    assert back == pytest.approx(box, abs=1e-2)
    assert defect.box_px == Box(*(float(side) for side in np.float32(box)))


@given(boxes(), scales, st.floats(0, 300), st.floats(0, 300))
def test_what_a_region_of_interest_shows_lies_where_the_whole_frame_shows_it(box, scale, left, top):
    surface = Surface(name="top", x_mm_per_px=scale, y_mm_per_px=scale)
    region = Box(left, top, left + 5000, top + 5000)
    (inside,) = locate(found(box), a_frame(7.0), surface, roi_px=region)
    moved = (box[0] + left, box[1] + top, box[2] + left, box[3] + top)
    (whole,) = locate(found(moved), a_frame(7.0), surface)
    for name in ("x1", "y1", "x2", "y2"):
        assert getattr(inside.box_mm, name) == pytest.approx(getattr(whole.box_mm, name), rel=1e-5, abs=1e-2)


@given(boxes(), scales, st.integers(0, 4000))
def test_a_defect_lies_at_one_place_whichever_of_two_frames_shows_it(box, scale, rows):
    surface = Surface(name="top", x_mm_per_px=scale, y_mm_per_px=scale)
    (in_the_first,) = locate(found(box), a_frame(100.0), surface)
    above = (box[0], box[1] - rows, box[2], box[3] - rows)
    (in_the_next,) = locate(found(above), a_frame(100.0 + rows * scale), surface)
    assert in_the_next.box_mm.y1 == pytest.approx(in_the_first.box_mm.y1, rel=1e-5, abs=1e-2)
    assert in_the_next.box_mm.y2 == pytest.approx(in_the_first.box_mm.y2, rel=1e-5, abs=1e-2)


def test_without_a_scale_nothing_lies_anywhere_in_millimetres():
    (defect,) = locate(found((1, 2, 3, 4)), a_frame(0.0), Surface(name="top"))
    assert defect.box_mm is None
    assert seen_in((16, 16), a_frame(0.0), Surface(name="top")) is None
