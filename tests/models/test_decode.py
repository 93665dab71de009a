import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from inspection.errors import TooManyDetections
from inspection.vision.boxes import overlaps
from models.decode import MOST, MOST_BEFORE, decode

KINDS = ("scratch", "pits", "patch")


def thresholds(*values):
    return np.array(values, np.float32)


@st.composite
def answers(draw):
    n = draw(st.integers(0, 12))
    centres = draw(arrays(np.float32, (2, n), elements=st.integers(0, 224)))
    sides = draw(arrays(np.float32, (2, n), elements=st.integers(2, 80)))
    scores = draw(arrays(np.float32, (len(KINDS), n), elements=st.integers(0, 20).map(lambda s: s / 20)))
    return np.concatenate([centres, sides, scores]).astype(np.float32)


def plainly(answer, limits, above):
    """The plain version, as judge: one kind and one box at a time."""
    kept = []
    for k, kind in enumerate(KINDS):
        places = [p for p in range(answer.shape[1]) if answer[4 + k, p] >= limits[k]]
        for place in sorted(places, key=lambda p: (-answer[4 + k, p], p)):
            x, y, w, h = answer[:4, place]
            box = np.array([[x - w / 2, y - h / 2, x + w / 2, y + h / 2]], np.float32)
            if all(overlaps(box, other)[0, 0] <= above for _, _, other, like in kept if like == kind):
                kept.append((float(answer[4 + k, place]), k, box, kind))
    kept.sort(key=lambda one: -one[0])
    return sorted((score, kind, *box[0].tolist()) for score, _, box, kind in kept)


def listed(found):
    return sorted(
        (float(s), k, *b.tolist()) for s, k, b in zip(found.score, found.kind, found.xyxy, strict=True)
    )


@given(answers(), st.sampled_from([0.3, 0.5, 0.9]))
def test_it_finds_what_the_plain_version_finds(answer, above):
    limits = thresholds(0.2, 0.5, 0.7)
    assert listed(decode(answer, kinds=KINDS, thresholds=limits, suppress_above=above)) == plainly(
        answer, limits, above
    )


@given(answers())
def test_raising_thresholds_only_takes_the_less_sure_away(answer):
    low = decode(answer, kinds=KINDS, thresholds=thresholds(0.1, 0.1, 0.1), suppress_above=0.5)
    high = decode(answer, kinds=KINDS, thresholds=thresholds(0.6, 0.6, 0.6), suppress_above=0.5)
    assert listed(high) == [one for one in listed(low) if one[0] >= np.float32(0.6)]


@given(answers())
def test_the_surest_come_first(answer):
    found = decode(answer, kinds=KINDS, thresholds=thresholds(0.0, 0.0, 0.0), suppress_above=0.5)
    assert (np.diff(found.score) <= 0).all()


def test_a_score_equal_to_its_threshold_counts():
    answer = np.array([100, 50, 20, 10, 0.5, 0, 0], np.float32).reshape(7, 1)
    found = decode(answer, kinds=KINDS, thresholds=thresholds(0.5, 0.1, 0.1), suppress_above=0.5)
    assert listed(found) == [(0.5, "scratch", 90.0, 45.0, 110.0, 55.0)]


def test_each_kind_has_its_own_threshold():
    answer = np.array([[100, 50, 20, 10, 0.4, 0.4, 0.4]], np.float32).T
    found = decode(answer, kinds=KINDS, thresholds=thresholds(0.5, 0.3, 0.9), suppress_above=0.5)
    assert found.kind == ("pits",)


def test_nothing_above_threshold_is_no_detection_not_an_error():
    found = decode(
        np.zeros((7, 1029), np.float32),
        kinds=KINDS,
        thresholds=thresholds(0.1, 0.1, 0.1),
        suppress_above=0.5,
    )
    assert len(found) == 0
    assert found.xyxy.shape == (0, 4)


def test_an_answer_for_other_kinds_is_refused():
    with pytest.raises(ValueError, match="3 kinds"):
        decode(np.zeros((9, 5), np.float32), kinds=KINDS, thresholds=thresholds(0, 0, 0), suppress_above=0.5)


def boxes_apart(count: int, score: float) -> np.ndarray:
    """So many of 4 px that do not touch, each a scratch."""
    answer = np.zeros((4 + len(KINDS), count), np.float32)
    answer[0], answer[1] = 8 * (np.arange(count) % 60) + 4, 8 * (np.arange(count) // 60) + 4
    answer[2:4] = 4
    answer[4] = score
    return answer


def test_no_box_that_may_decide_is_left_out_for_surer_ones():
    limits = thresholds(0.5, 0.5, 0.5)
    faint = np.array([[300], [300], [200], [200], [0.6], [0], [0]], np.float32)
    asked = {"kinds": KINDS, "thresholds": limits, "suppress_above": 0.5}
    assert len(decode(np.hstack([boxes_apart(MOST - 1, 0.9), faint]), **asked)) == MOST
    with pytest.raises(TooManyDetections):
        decode(np.hstack([boxes_apart(MOST, 0.9), faint]), **asked)
    closer = decode(
        np.hstack([boxes_apart(MOST, 0.9), faint]), **asked, judged_from=thresholds(0.7, 0.7, 0.7)
    )
    assert len(closer) == MOST


def test_of_thousands_that_suppress_each_other_none_that_may_decide_is_left_out():
    same = np.repeat(boxes_apart(1, 0.9), MOST_BEFORE + 1, axis=1)
    asked = {"kinds": KINDS, "thresholds": thresholds(0.5, 0.5, 0.5), "suppress_above": 0.5}
    assert len(decode(same[:, :-1], **asked)) == 1
    with pytest.raises(TooManyDetections):
        decode(same, **asked)
