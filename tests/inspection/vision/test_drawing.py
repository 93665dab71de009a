import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspection.vision.drawing import (
    PART_KINDS,
    STRIP_KINDS,
    Drawing,
    RollMark,
    StripDrawing,
    draw_part,
    draw_strip_patch,
)

STRIP = StripDrawing(7)


def assert_truth_lies_in_the_picture(drawing: Drawing) -> None:
    height, width = drawing.pixels.shape
    for defect in drawing.truth:
        box = defect.box_px
        assert 0 <= box.x1 < box.x2 <= width
        assert 0 <= box.y1 < box.y2 <= height


def test_a_frame_of_strip_is_the_same_each_time_it_is_drawn():
    again = StripDrawing(7)
    again.frame(3)  # what was drawn before plays no part
    np.testing.assert_array_equal(STRIP.frame(41).pixels, again.frame(41).pixels)
    assert STRIP.frame(41).truth == again.frame(41).truth


def test_another_seed_is_another_strip():
    assert not np.array_equal(STRIP.frame(0).pixels, StripDrawing(8).frame(0).pixels)


def test_a_dirty_roll_marks_the_strip_once_a_turn_until_it_is_cleaned():
    strip = StripDrawing(
        7, defects_per_megapixel=0, roll_mark=RollMark(period_px=623.5, rows=4000, of=10_000)
    )
    clean = StripDrawing(7, defects_per_megapixel=0)
    begins = []
    for index in range(25):
        drawing = strip.frame(index)
        assert_truth_lies_in_the_picture(drawing)
        for mark in drawing.truth:
            if mark.box_px.y1 > 0:
                begins.append(400 * index + mark.box_px.y1)
        is_marked = not np.array_equal(drawing.pixels, clean.frame(index).pixels)
        assert is_marked == bool(drawing.truth)
    assert [round(begin / 623.5) for begin in begins] == [10, 11, 12, 13, 14, 15, 16]
    assert all(abs(begin - round(begin / 623.5) * 623.5) <= 0.5 for begin in begins)


def test_beside_a_strip_with_margins_is_background_and_no_defect():
    strip = StripDrawing(7, defects_per_megapixel=6, margin_px=30)
    for index in range(5):
        drawing = strip.frame(index)
        assert drawing.pixels[:, :22].max() < 40
        assert drawing.pixels[:, -22:].max() < 40
        assert drawing.pixels[:, 45:-45].mean() > 80
        assert all(one.box_px.x1 >= 60 and one.box_px.x2 <= 740 for one in drawing.truth)


def test_steel_runs_on_over_the_border_of_two_frames():
    clean = StripDrawing(7, defects_per_megapixel=0)
    # Row 1021 is where the grain begins again, 2503 the broad streaks: no seam there either.
    for border in (1, 5, 1021, 2503):
        above, below = (
            clean.frame(i, height_px=1 if border > 5 else 400).pixels for i in (border - 1, border)
        )
        step = np.abs(above[-1].astype(float) - below[0]).mean()
        inside = clean.frame(border).pixels.astype(float)
        usual = np.abs(np.diff(inside, axis=0)).mean()
        assert step < 1.25 * usual  # 800 pixels: the mean step varies by a few per cent


def test_one_tall_frame_shows_the_steel_of_two_short_ones():
    clean = StripDrawing(7, defects_per_megapixel=0)
    tall = clean.frame(2, height_px=400).pixels
    short = [clean.frame(i, height_px=200).pixels for i in (4, 5)]
    np.testing.assert_array_equal(tall, np.vstack(short))


def test_about_six_in_ten_frames_have_no_defect():
    clean = sum(not STRIP.frame(index).truth for index in range(300))
    # Poisson with mean 0.512: 60 %, and 300 frames leave a standard deviation of 8.5 of them.
    assert 0.6 * 300 - 4 * 8.5 < clean < 0.6 * 300 + 4 * 8.5


def test_a_strip_can_be_ordered_without_defects():
    clean = StripDrawing(7, defects_per_megapixel=0)
    assert all(not clean.frame(index).truth for index in range(20))


def test_frames_are_as_wide_and_as_high_as_ordered():
    drawing = StripDrawing(1, width_px=512).frame(9, height_px=128)
    assert drawing.pixels.shape == (128, 512)
    assert drawing.pixels.dtype == np.uint8


@pytest.mark.parametrize("kind", STRIP_KINDS)
def test_every_kind_of_strip_defect_changes_the_picture_where_its_box_says(kind):
    changed = 0
    for seed in range(12):
        clean = draw_strip_patch(seed, kinds=()).pixels.astype(int)
        drawn = draw_strip_patch(seed, kinds=(kind,))
        assert_truth_lies_in_the_picture(drawn)
        difference = np.abs(drawn.pixels.astype(int) - clean)
        outside = np.ones_like(difference, bool)
        for defect in drawn.truth:
            box = defect.box_px
            assert defect.kind == kind
            inside = np.s_[int(box.y1) : int(box.y2), int(box.x1) : int(box.x2)]
            outside[inside] = False
            changed += int(difference[inside].max() > 8)
        assert difference[outside].max(initial=0) == 0
    assert changed >= 11


def test_strip_is_streaky_along_the_rolling_direction():
    clean = StripDrawing(7, defects_per_megapixel=0).frame(4).pixels.astype(float)
    down, across = clean.mean(axis=0).std(), clean.mean(axis=1).std()
    assert down > 1.5 * across


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from([160, 200, 320]))
def test_truth_lies_in_the_picture_and_patches_are_neither_black_nor_white(seed, size_px):
    drawing = draw_strip_patch(seed, size_px=size_px)
    assert drawing.pixels.shape == (size_px, size_px)
    assert_truth_lies_in_the_picture(drawing)
    assert 35 < drawing.pixels.mean() < 225


def test_a_part_is_the_same_each_time_it_is_drawn():
    np.testing.assert_array_equal(draw_part(5, 3).pixels, draw_part(5, 3).pixels)


def test_a_good_part_has_no_defect_and_a_bad_one_has():
    assert all(not draw_part(5, index, defective=False).truth for index in range(20))
    assert all(draw_part(5, index, defective=True).truth for index in range(20))


def test_about_85_of_100_parts_are_good():
    good = sum(not draw_part(6, index).truth for index in range(200))
    assert 170 - 4 * 5 < good < 170 + 4 * 5  # binomial: standard deviation 5 of 200


def test_all_kinds_of_part_defects_occur_within_the_picture():
    drawings = [draw_part(5, index, defective=True) for index in range(40)]
    for drawing in drawings:
        assert_truth_lies_in_the_picture(drawing)
    assert {defect.kind for drawing in drawings for defect in drawing.truth} == set(PART_KINDS)


def test_a_part_is_bright_on_a_dark_bench():
    pixels = draw_part(5, 0, defective=False).pixels
    assert pixels[:20, :20].mean() < 60 < 90 < np.median(pixels[pixels > 70])
