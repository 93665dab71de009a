from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspection.joining import SurfaceJoiner, agreed, join
from inspection.types import Box, Defect, Detections, Mask, Stretch
from tests.builders import a_defect


def found(*rows):
    """Rows of kind, score, x1, y1, x2, y2, the surest first."""
    return Detections(
        xyxy=np.array([row[2:] for row in rows], np.float32).reshape(-1, 4),
        score=np.array([row[1] for row in rows], np.float32),
        kind=tuple(row[0] for row in rows),
    )


def all_cut(detections):
    return np.ones(len(detections), bool)


@st.composite
def any_found(draw):
    n = draw(st.integers(0, 8))
    scores = sorted((draw(st.integers(1, 9)) / 10 for _ in range(n)), reverse=True)
    rows = []
    for score in scores:
        x, y = draw(st.integers(0, 80)), draw(st.integers(0, 80))
        width, height = draw(st.integers(1, 40)), draw(st.integers(1, 40))
        rows.append((draw(st.sampled_from("ab")), score, x, y, x + width, y + height))
    return found(*rows)


def test_a_scratch_through_three_tiles_is_one_scratch():
    pieces = found(
        ("scratch", 0.9, 100, 150, 108, 350),
        ("scratch", 0.8, 101, 0, 109, 200),
        ("scratch", 0.4, 102, 300, 110, 420),
    )
    whole = join(pieces, cut=all_cut(pieces))
    assert whole.xyxy.tolist() == [[100, 0, 110, 420]]
    assert whole.score.tolist() == np.array([0.9], np.float32).tolist()


def test_pieces_of_different_kinds_stay_apart():
    pieces = found(("scratch", 0.9, 0, 0, 10, 100), ("inclusion", 0.8, 0, 95, 10, 200))
    assert len(join(pieces, cut=all_cut(pieces))) == 2


def test_defects_that_no_border_cut_stay_apart_even_when_they_overlap():
    two = found(("pits", 0.9, 0, 0, 100, 100), ("pits", 0.8, 50, 0, 150, 100))
    assert join(two, cut=np.zeros(2, bool)) is two


def test_a_cut_piece_joins_the_whole_it_lies_in():
    pieces = found(("patch", 0.9, 0, 0, 100, 100), ("patch", 0.5, 60, 0, 100, 100))
    assert join(pieces, cut=np.array([False, True])).xyxy.tolist() == [[0, 0, 100, 100]]


def test_two_scratches_that_meet_at_a_corner_stay_two():
    pieces = found(("scratch", 0.9, 0, 0, 20, 100), ("scratch", 0.8, 18, 96, 200, 110))
    assert len(join(pieces, cut=all_cut(pieces))) == 2


def test_nothing_found_joins_to_nothing():
    assert len(join(Detections.none(), cut=np.zeros(0, bool))) == 0


@given(any_found(), st.data())
def test_every_piece_lies_in_a_whole_of_its_kind_and_nothing_is_added(pieces, data):
    cut = np.array([data.draw(st.booleans()) for _ in pieces.kind], bool)
    whole = join(pieces, cut=cut)
    assert len(whole) <= len(pieces)
    assert (np.diff(whole.score) <= 0).all()
    for box, score, kind in zip(pieces.xyxy, pieces.score, pieces.kind, strict=True):
        assert any(
            kind == other
            and score <= sure
            and (around[:2] <= box[:2]).all()
            and (around[2:] >= box[2:]).all()
            for around, sure, other in zip(whole.xyxy, whole.score, whole.kind, strict=True)
        )


def test_a_doubtful_piece_does_not_stretch_a_sure_box():
    pieces = found(("pits", 0.9, 0, 0, 100, 100), ("pits", 0.05, 0, 90, 100, 300))
    assert len(join(pieces, cut=all_cut(pieces))) == 2


# --- over the borders of frames

MM = 0.5
REACH_MM = 6 * MM


def a_defect_on_strip(box: Box, kind: str = "scratch", score: float = 0.5) -> Defect:
    return Defect(kind=kind, score=score, box_px=Box(0, 0, 1, 1), box_mm=box, camera="top", sequence=0)


def cut_into_frames(strip: list[Defect], borders_mm: list[float]) -> list[tuple[Stretch, list[Defect]]]:
    """What frames show that end at these borders: of each defect the part inside."""
    frames = []
    for sequence, (top, bottom) in enumerate(pairwise(borders_mm)):
        shown = []
        for whole in strip:
            box = whole.box_mm
            if box.y1 < bottom and box.y2 > top:
                mm = Box(box.x1, max(box.y1, top), box.x2, min(box.y2, bottom))
                px = Box(mm.x1 / MM, (mm.y1 - top) / MM, mm.x2 / MM, (mm.y2 - top) / MM)
                shown.append(replace(whole, box_mm=mm, box_px=px, sequence=sequence))
        frames.append((Stretch(from_mm=top, to_mm=bottom), shown))
    return frames


def joined(frames):
    joiner = SurfaceJoiner(x_mm_per_px=MM, y_mm_per_px=MM)
    settled = [defect for stretch, shown in frames for defect in joiner.add(shown, stretch)]
    settled += joiner.finish()
    assert sorted(map(repr, settled)) == sorted(map(repr, joiner.joined()))
    return joiner.joined()


def sizes(defects):
    return sorted((one.kind, one.box_mm.x1, one.box_mm.y1, one.box_mm.x2, one.box_mm.y2) for one in defects)


@st.composite
def separate_defects(draw):
    """Defects of which no two of a kind lie within reach of each other; that is two, and not one cut in pieces."""
    placed = []
    for _ in range(draw(st.integers(0, 10))):
        x, y = draw(st.integers(0, 300)), draw(st.integers(0, 1000))
        box = Box(x, y, x + draw(st.integers(1, 100)), y + draw(st.integers(1, 700)))
        one = a_defect_on_strip(box, draw(st.sampled_from("ab")), draw(st.floats(0.1, 1)))
        if all(one.kind != other.kind or are_apart(box, other.box_mm) for other in placed):
            placed.append(one)
    return placed


def are_apart(one: Box, two: Box) -> bool:
    across = max(one.x1, two.x1) - min(one.x2, two.x2)
    along = max(one.y1, two.y1) - min(one.y2, two.y2)
    return across > REACH_MM or along > 2 * REACH_MM


borders = st.lists(st.integers(7, 1790), max_size=12, unique=True).map(
    lambda inner: [0.0, *map(float, sorted(inner)), 1800.0]
)


@given(separate_defects(), borders, st.randoms())
def test_wherever_a_strip_is_cut_and_in_whichever_order_its_frames_come_its_defects_are_the_same(
    strip, borders_mm, random
):
    frames = cut_into_frames(strip, borders_mm)
    whole = joined(frames)
    assert sizes(whole) == sizes(strip)
    assert joined(random.sample(frames, len(frames))) == whole
    # Each frame that shows some of a defect has its box.
    shown = [(one.kind, one.sequence, one.box_px) for _, frame in frames for one in frame]
    boxes = [(one.kind, one.sequence, one.box_px) for one in whole]
    boxes += [(one.kind, piece.sequence, piece.box_px) for one in whole for piece in one.pieces]
    assert sorted(map(repr, boxes)) == sorted(map(repr, shown))


@given(borders, st.integers(0, 300), st.integers(0, 300), st.integers(0, 600), st.integers(900, 1800))
def test_a_scratch_askew_is_one_scratch_wherever_it_is_cut(borders_mm, x_from, x_to, y_from, y_to):
    """Its pieces touch at one point of each border and do not face each other."""

    def x_at(y):
        return x_from + (x_to - x_from) * (y - y_from) / (y_to - y_from)

    frames = []
    for sequence, (top, bottom) in enumerate(pairwise(borders_mm)):
        first, last = max(top, y_from), min(bottom, y_to)
        shown = []
        if first < last:
            left, right = sorted((x_at(first), x_at(last)))
            shown = [replace(a_defect_on_strip(Box(left, first, right + 1, last)), sequence=sequence)]
        frames.append((Stretch(from_mm=top, to_mm=bottom), shown))
    (scratch,) = joined(frames)
    assert (scratch.box_mm.y1, scratch.box_mm.y2) == (y_from, y_to)
    assert scratch.box_mm.width == pytest.approx(abs(x_to - x_from) + 1)


def test_networks_may_end_a_cut_defect_a_little_inside_the_border():
    upper = a_defect_on_strip(Box(10, 150, 20, 197.5))
    lower = replace(a_defect_on_strip(Box(11, 202, 21, 260)), sequence=1)
    frames = [(Stretch(from_mm=0, to_mm=200), [upper]), (Stretch(from_mm=200, to_mm=400), [lower])]
    assert sizes(joined(frames)) == [("scratch", 10, 150, 21, 260)]


def test_pieces_on_both_sides_of_a_lost_frame_stay_two():
    above, below = a_defect_on_strip(Box(10, 150, 20, 200)), a_defect_on_strip(Box(10, 400, 20, 450))
    frames = [(Stretch(from_mm=0, to_mm=200), [above]), (Stretch(from_mm=400, to_mm=600), [below])]
    assert len(joined(frames)) == 2


def test_defects_of_different_kinds_at_a_border_stay_apart():
    frames = cut_into_frames(
        [a_defect_on_strip(Box(0, 0, 10, 100)), a_defect_on_strip(Box(0, 100, 10, 200), "pits")],
        [0, 100, 200],
    )
    assert len(joined(frames)) == 2


def test_a_whole_is_as_sure_and_as_near_to_the_edge_as_the_surest_and_nearest_of_its_pieces():
    one = replace(a_defect_on_strip(Box(0, 0, 10, 100), score=0.4), edge_near_mm=5.0, edge_far_mm=15.0)
    two = replace(
        a_defect_on_strip(Box(0, 100, 10, 200), score=0.8), edge_near_mm=3.0, edge_far_mm=13.0, sequence=1
    )
    (whole,) = joined([(Stretch(from_mm=0, to_mm=100), [one]), (Stretch(from_mm=100, to_mm=200), [two])])
    assert (whole.score, whole.sequence, whole.edge_near_mm, whole.edge_far_mm) == (0.8, 1, 3.0, 15.0)
    unknown = replace(two, edge_near_mm=None, edge_far_mm=None)
    (whole,) = joined([(Stretch(from_mm=0, to_mm=100), [one]), (Stretch(from_mm=100, to_mm=200), [unknown])])
    assert (whole.edge_near_mm, whole.edge_far_mm) == (None, None)


def test_defects_without_millimetres_are_kept_as_they_came():
    one = replace(a_defect_on_strip(Box(0, 0, 1, 1)), box_mm=None)
    assert joined([(Stretch(from_mm=0, to_mm=1), [one, one])]) == (one, one)


def test_what_is_settled_is_not_kept_waiting():
    joiner = SurfaceJoiner(x_mm_per_px=MM, y_mm_per_px=MM)
    endless = a_defect_on_strip(Box(0, 0, 10, 100))
    for number in range(100):
        mm = Box(0, 100 * number, 10, 100 * (number + 1))
        stretch = Stretch(from_mm=mm.y1, to_mm=mm.y2)
        assert joiner.add([replace(endless, box_mm=mm, sequence=number)], stretch) == ()
        assert len(joiner._waiting) == 2
    (whole,) = joiner.finish()
    assert whole.length_mm == 10_000


def masked(*boxes, kinds=None, score=None):
    """Detections of full boxes, with masks of the same extent."""
    found = boxes_found(*boxes, kinds=kinds, score=score)
    return replace(
        found,
        masks=tuple(
            Mask(left=x1, top=y1, pixels=np.ones((y2 - y1, x2 - x1), np.bool_)) for x1, y1, x2, y2 in boxes
        ),
    )


def boxes_found(*boxes, kinds=None, score=None):
    n = len(boxes)
    return Detections(
        xyxy=np.array(boxes, np.float32).reshape(-1, 4),
        score=np.array(score or [0.9 - 0.1 * i for i in range(n)], np.float32),
        kind=kinds or ("scratch",) * n,
    )


def test_a_defect_that_tiles_cut_keeps_all_its_pixels_and_counts_shared_ones_once():
    found = masked((10, 0, 20, 55), (10, 45, 20, 90))
    whole = join(found, cut=np.array([True, True]))
    assert [mask.area_px for mask in whole.masks] == [10 * 90]


def test_a_defect_of_which_one_piece_has_no_mask_has_none():
    found = masked((10, 0, 20, 55), (10, 45, 20, 90))
    found = replace(found, masks=(found.masks[0], None))
    assert join(found, cut=np.array([True, True])).masks == (None,)


def test_what_two_detectors_call_the_same_in_the_same_place_is_one_defect_that_encloses_both():
    one, two = boxes_found((10, 10, 30, 30), score=[0.6]), boxes_found((12, 10, 34, 30), score=[0.8])
    found = agreed([one, two], above=0.5)
    assert found.xyxy.tolist() == [[10, 10, 34, 30]]
    assert found.score.tolist() == [np.float32(0.8)]


def test_two_kinds_in_one_place_stay_two_defects():
    one, two = boxes_found((10, 10, 30, 30)), boxes_found((10, 10, 30, 30), kinds=("pits",))
    assert sorted(agreed([one, two], above=0.5).kind) == ["pits", "scratch"]


def test_two_boxes_of_one_detector_stay_two_defects():
    found = boxes_found((10, 10, 30, 30), (11, 10, 31, 30))
    assert len(agreed([found, Detections.none()], above=0.5)) == 2
    assert len(agreed([found], above=0.5)) == 2


@given(
    st.lists(
        st.lists(
            st.tuples(st.integers(0, 30), st.integers(0, 30), st.integers(1, 20), st.integers(1, 20)),
            max_size=3,
        ),
        max_size=3,
    )
)
def test_several_detectors_lose_nothing_that_one_of_them_found(found):
    each = [boxes_found(*((x, y, x + w, y + h) for x, y, w, h in boxes)) for boxes in found]
    together = agreed(each, above=0.5)
    for one in each:
        for box in one.xyxy:
            inside = (together.xyxy[:, :2] <= box[:2]) & (together.xyxy[:, 2:] >= box[2:])
            assert inside.all(axis=1).any()
    assert (np.diff(together.score) <= 0).all()


def test_the_area_of_a_defect_cut_by_frames_is_the_sum_of_its_pieces_or_not_known():
    joiner = SurfaceJoiner(x_mm_per_px=1.0, y_mm_per_px=1.0)
    upper = a_defect(box_mm=Box(10, 80, 20, 100), sequence=0, mask_area_mm2=120.0)
    lower = a_defect(box_mm=Box(10, 100, 20, 110), sequence=1, mask_area_mm2=60.0)
    joiner.add([upper], Stretch(from_mm=0, to_mm=100))
    joiner.add([lower], Stretch(from_mm=100, to_mm=200))
    assert [one.area_mm2 for one in joiner.joined()] == [180.0]

    joiner = SurfaceJoiner(x_mm_per_px=1.0, y_mm_per_px=1.0)
    joiner.add([upper], Stretch(from_mm=0, to_mm=100))
    joiner.add([replace(lower, mask_area_mm2=None)], Stretch(from_mm=100, to_mm=200))
    assert [one.area_mm2 for one in joiner.joined()] == [300.0]
