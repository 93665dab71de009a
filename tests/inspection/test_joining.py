import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from inspection.joining import join
from inspection.types import Detections


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
