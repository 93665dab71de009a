from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from inspection.errors import DetectionsInvalid, TooManyDetections
from inspection.judging import judge
from inspection.pipeline import Pipeline
from inspection.types import Box, Detections, Frame, Limit, Mask, Surface, Verdict
from inspection.vision.locating import locate
from inspection.vision.regions import MOST_REGIONS, outline, regions
from tests.builders import NOON


def a_map(*places, shape=(40, 60), score=0.8):
    scores = np.zeros(shape, np.float32)
    for top, left, height, width in places:
        scores[top : top + height, left : left + width] = score
    return scores


def a_frame():
    return Frame(pixels=np.full((40, 60), 90, np.uint8), camera="top", sequence=7, captured_at=NOON)


maps = arrays(np.float32, (12, 17), elements=st.integers(0, 4).map(lambda score: score / 4))


@given(maps)
def test_every_pixel_that_stands_out_is_in_the_mask_of_exactly_one_defect(scores):
    found = regions(scores, threshold=0.5, kind="anomaly")
    seen = np.zeros(scores.shape, int)
    for mask, (x1, y1, x2, y2) in zip(found.masks, found.xyxy.astype(int), strict=True):
        height, width = mask.pixels.shape
        assert (mask.left, mask.top, mask.left + width, mask.top + height) == (x1, y1, x2, y2)
        seen[mask.top : mask.top + height, mask.left : mask.left + width] += mask.pixels
    np.testing.assert_array_equal(seen, scores >= 0.5)


@given(maps)
def test_the_surest_come_first_and_have_the_highest_score_of_their_piece(scores):
    found = regions(scores, threshold=0.5, kind="anomaly")
    assert (np.diff(found.score) <= 0).all()
    for mask, score in zip(found.masks, found.score, strict=True):
        height, width = mask.pixels.shape
        assert scores[mask.top :, mask.left :][:height, :width][mask.pixels].max() == score


def test_crumbs_within_reach_are_one_defect_and_its_area_is_theirs():
    crumbs = a_map((10, 10, 2, 2), (10, 14, 2, 2))
    assert len(regions(crumbs, threshold=0.5, kind="anomaly")) == 2
    found = regions(crumbs, threshold=0.5, kind="anomaly", reach_px=3)
    assert found.xyxy.tolist() == [[10, 10, 16, 12]]
    assert found.masks[0].area_px == 8


def test_pieces_below_the_least_area_are_left_out():
    found = regions(a_map((5, 5, 1, 2), (20, 20, 3, 3)), threshold=0.5, kind="anomaly", min_area_px=3)
    assert found.xyxy.tolist() == [[20, 20, 23, 23]]


def test_a_place_whose_score_is_no_number_keeps_the_frame_from_being_judged():
    broken = a_map()
    broken[3, 3] = np.nan

    class Broken:
        def detect(self, image):
            return regions(broken, threshold=0.5, kind="anomaly")

    frame = replace(a_frame(), pixels=np.random.default_rng(1).integers(40, 200, (40, 60)).astype(np.uint8))
    result = Pipeline(detector=Broken(), surface=Surface(name="top"), limits=()).inspect(frame)
    assert (result.verdict, result.failure) == (Verdict.NOT_INSPECTED, DetectionsInvalid.code)


def test_the_area_of_a_defect_is_that_of_its_pixels_not_of_its_box():
    """A scratch across the corner of a box of 100 mm²: 10 mm² of it are scratched."""
    scores = np.zeros((40, 60), np.float32)
    scores[np.arange(10, 20), np.arange(10, 20)] = 1
    surface = Surface(name="top", x_mm_per_px=1.0, y_mm_per_px=1.0)
    (defect,) = locate(regions(scores, threshold=0.5, kind="scratch"), a_frame(), surface)
    assert (defect.area_mm2, defect.box_mm.area) == (10.0, 100.0)
    limit = Limit(kinds=frozenset({"scratch"}), measure="area_mm2", review_from=None, reject_from=50.0)
    assert judge([defect], [limit]) is Verdict.ACCEPT
    assert judge([replace(defect, mask_area_mm2=None)], [limit]) is Verdict.REJECT


def test_an_area_without_a_scale_is_not_known_and_goes_to_review():
    (defect,) = locate(
        regions(a_map((5, 5, 3, 3)), threshold=0.5, kind="pits"), a_frame(), Surface(name="top")
    )
    assert defect.area_mm2 is None
    limit = Limit(kinds=frozenset({"pits"}), measure="area_mm2", review_from=None, reject_from=50.0)
    assert judge([defect], [limit]) is Verdict.REVIEW


def test_the_outline_lies_in_pixels_of_the_frame_and_goes_around_the_mask():
    found = regions(a_map((10, 20, 4, 6)), threshold=0.5, kind="pits")
    (defect,) = locate(found, a_frame(), Surface(name="top"), roi_px=Box(100, 50, 160, 90))
    x, y = np.array(defect.outline_px).T
    assert (x.min(), x.max(), y.min(), y.max()) == (120.5, 125.5, 60.5, 63.5)


def test_an_outline_of_a_ragged_defect_stays_short():
    ragged = np.random.default_rng(2).random((200, 200)) < 0.7
    assert 3 <= len(outline(Mask(left=0, top=0, pixels=ragged))) <= 48


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(1, 5)), min_size=1, max_size=4))
def test_the_union_of_masks_has_every_pixel_of_each(places):
    masks = [Mask(left=x, top=y, pixels=np.ones((side, side), np.bool_)) for x, y, side in places]
    plainly = {
        (row, column) for x, y, side in places for row in range(y, y + side) for column in range(x, x + side)
    }
    union = Mask.union(masks)
    rows, columns = np.nonzero(union.pixels)
    assert {(int(r) + union.top, int(c) + union.left) for r, c in zip(rows, columns, strict=True)} == plainly


def test_a_mask_for_some_detections_only_is_refused():
    mask = Mask(left=0, top=0, pixels=np.ones((2, 2), np.bool_))
    with pytest.raises(ValueError, match="1 masks"):
        Detections(
            xyxy=np.zeros((2, 4), np.float32),
            score=np.zeros(2, np.float32),
            kind=("pits", "pits"),
            masks=(mask,),
        )


def specks(count: int, *, score: float = 0.9):
    """So many of 4 px, each by itself."""
    scores = np.zeros((200, 200), np.float32)
    for number in range(count):
        top, left = divmod(number, 40)
        scores[4 * top + 40 : 4 * top + 42, 4 * left : 4 * left + 2] = score
    return scores


def test_a_large_faint_piece_is_never_left_out_for_many_small_sure_ones():
    def with_a_dent(count):
        scores = specks(count)
        scores[:30, :30] = 0.6
        return regions(scores, threshold=0.5, kind="dent")

    assert max(mask.pixels.sum() for mask in with_a_dent(MOST_REGIONS - 1).masks) == 900
    with pytest.raises(TooManyDetections):
        with_a_dent(MOST_REGIONS)


def test_who_looks_closer_than_what_decides_gets_the_surest():
    found = regions(specks(MOST_REGIONS + 50, score=0.4), threshold=0.1, kind="dent", judged_from=0.5)
    assert len(found) == MOST_REGIONS
