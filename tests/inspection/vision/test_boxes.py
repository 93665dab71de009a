import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from inspection.vision.boxes import (
    Letterbox,
    areas,
    clip,
    fuse_per_kind,
    overlaps,
    suppress,
    suppress_per_kind,
)


def boxes(*rows):
    return np.array(rows, np.float32).reshape(-1, 4)


@st.composite
def any_boxes(draw, most=12):
    n = draw(st.integers(0, most))
    corner = draw(arrays(np.float32, (n, 2), elements=st.integers(0, 60)))
    side = draw(arrays(np.float32, (n, 2), elements=st.integers(1, 30)))
    return np.concatenate([corner, corner + side], axis=1)


def test_half_a_box_overlaps_its_whole_by_a_half():
    assert overlaps(boxes([0, 0, 10, 10]), boxes([0, 0, 5, 10], [20, 20, 30, 30])).tolist() == [[0.5, 0.0]]


def test_boxes_that_only_touch_do_not_overlap():
    assert overlaps(boxes([0, 0, 10, 10]), boxes([10, 0, 20, 10])).tolist() == [[0.0]]


def test_a_box_without_area_overlaps_nothing():
    empty = boxes([5, 5, 5, 9])
    assert overlaps(empty, empty).tolist() == [[0.0]]
    assert areas(boxes([5, 5, 2, 9])).tolist() == [0.0]


def test_no_boxes_are_fine_everywhere():
    none = boxes()
    assert overlaps(none, none).shape == (0, 0)
    assert suppress(none, np.empty(0, np.float32), above=0.5).shape == (0,)
    assert suppress_per_kind(none, np.empty(0, np.float32), np.empty(0, np.intp), above=0.5).shape == (0,)


@given(any_boxes(), any_boxes())
def test_overlap_is_mutual_and_between_0_and_1(a, b):
    forth = overlaps(a, b)
    np.testing.assert_array_equal(forth, overlaps(b, a).T)
    assert ((forth >= 0) & (forth <= 1)).all()


@given(any_boxes(), st.data())
def test_suppression_keeps_the_surest_and_only_drops_what_they_cover(xyxy, data):
    score = data.draw(arrays(np.float32, len(xyxy), elements=st.integers(0, 4)))
    kept = suppress(xyxy, score, above=0.4)
    assert (np.diff(score[kept]) <= 0).all()
    among = overlaps(xyxy[kept], xyxy[kept])
    np.fill_diagonal(among, 0)
    assert (among <= 0.4).all()
    for gone in set(range(len(xyxy))) - set(kept.tolist()):
        surer = kept[score[kept] >= score[gone]]
        assert (overlaps(xyxy[[gone]], xyxy[surer]) > 0.4).any()


@given(any_boxes(), st.data())
def test_kinds_do_not_compete(xyxy, data):
    score = data.draw(arrays(np.float32, len(xyxy), elements=st.integers(0, 4)))
    kind = data.draw(arrays(np.intp, len(xyxy), elements=st.integers(0, 2)))
    together = suppress_per_kind(xyxy, score, kind, above=0.4)
    alone = [
        np.flatnonzero(kind == k)[suppress(xyxy[kind == k], score[kind == k], above=0.4)] for k in range(3)
    ]
    assert sorted(together.tolist()) == sorted(np.concatenate(alone).tolist())


def test_clipping_leaves_what_is_inside():
    assert clip(boxes([-5, 3, 30, 12]), width_px=20, height_px=10).tolist() == [[0, 3, 20, 10]]


@given(st.integers(1, 5000), st.integers(1, 5000), any_boxes())
def test_a_box_survives_the_way_into_the_letterbox_and_back(height, width, xyxy):
    fit = Letterbox.fit((height, width), (224, 320))
    assert 0 <= fit.left <= fit.left + fit.width <= 320
    assert 0 <= fit.top <= fit.top + fit.height <= 224
    # float32 carries seven digits; shifts of up to 160 px are divided by a scale as small as 1/22.
    assert fit.to_image(fit.to_input(xyxy)) == pytest.approx(xyxy, abs=1e-3)


def test_a_wide_image_is_centred_between_margins_above_and_below():
    fit = Letterbox.fit((100, 200), (224, 224))
    assert (fit.left, fit.top, fit.width, fit.height) == (0, 56, 224, 112)
    assert fit.to_input(boxes([0, 0, 200, 100])).tolist() == [[0, 56, 224, 168]]


def fused(xyxy, score, kind, look, *, above=0.5, looks=2):
    return fuse_per_kind(
        xyxy,
        np.array(score, np.float32),
        np.array(kind, np.intp),
        np.array(look, np.intp),
        above=above,
        looks=looks,
    )


def test_a_box_that_all_looks_agree_on_stays_as_sure_and_one_that_one_look_sees_is_half_as_sure_of_two():
    xyxy, score, kind = fused(
        boxes([0, 0, 10, 10], [0, 0, 10, 10], [30, 0, 40, 10]), [0.8, 0.6, 0.9], [2, 2, 2], [0, 1, 1]
    )
    assert xyxy.tolist() == [[0, 0, 10, 10], [30, 0, 40, 10]]
    assert score.tolist() == pytest.approx([0.7, 0.45])
    assert kind.tolist() == [2, 2]


def test_a_fused_box_lies_nearer_to_the_surer_one():
    xyxy, _, _ = fused(boxes([0, 0, 10, 10], [0, 0, 14, 10]), [0.9, 0.3], [0, 0], [0, 1])
    assert xyxy.tolist() == [[0, 0, 11, 10]]


def test_boxes_of_two_kinds_are_not_fused():
    assert len(fused(boxes([0, 0, 10, 10], [0, 0, 10, 10]), [0.9, 0.8], [0, 1], [0, 1])[0]) == 2


def test_nothing_fused_is_nothing():
    xyxy, score, kind = fused(boxes(), [], [], [])
    assert xyxy.shape == (0, 4)
    assert (score.shape, kind.shape) == ((0,), (0,))


@given(any_boxes(), st.data())
def test_fused_boxes_are_of_the_kinds_given_lie_among_them_and_are_never_surer(xyxy, data):
    n = len(xyxy)
    score = data.draw(arrays(np.float32, n, elements=st.floats(0, 1, width=32)))
    kind = data.draw(arrays(np.intp, n, elements=st.integers(0, 2)))
    look = data.draw(arrays(np.intp, n, elements=st.integers(0, 3)))
    out, sure, kinds = fuse_per_kind(xyxy, score, kind, look, above=0.4, looks=4)
    assert len(out) == len(sure) == len(kinds) <= n
    assert set(kinds) == set(kind)
    assert (np.diff(sure) <= 0).all()
    for number in set(kinds):
        mine = kinds == number
        assert sure[mine].max() <= score[kind == number].max() + 1e-6
        low, high = xyxy[kind == number].min(axis=0), xyxy[kind == number].max(axis=0)
        assert ((out[mine] >= low - 1e-3) & (out[mine] <= high + 1e-3)).all()
