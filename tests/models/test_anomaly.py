"""A detector fitted from good parts only, on a drawn surface; on real tiles: benchmarks/parts/good_only.py."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import ModelStore, open_detector
from models.anomaly import KIND, fit, write
from models.blemishes import blemished
from models.errors import TrainingDataMissing
from tests.models.drawn_metal import surface, with_hole

GOOD = [surface(seed) for seed in range(12)]


# Small matrices on a busy machine: the fit takes seconds alone and minutes beside others.
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def model():
    return fit(GOOD, name="ground-metal", source="drawn", versions_each=4, steps=600)


@pytest.fixture(scope="module")
def detector(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    write(model, folder)
    return open_detector("ground-metal", store=ModelStore(folder))


def test_it_finds_a_hole_that_no_picture_it_learned_from_has(detector):
    for seed in range(100, 105):
        found = detector.detect(with_hole(seed))
        assert set(found.kind) == {KIND}
        x1, y1, x2, y2 = found.xyxy[0].tolist()
        assert x1 <= 80 <= x2
        assert y1 <= 176 <= y2


def test_good_parts_it_has_not_seen_are_seldom_reported(detector):
    reported = sum(len(detector.detect(surface(seed))) > 0 for seed in range(200, 210))
    # Two pictures set the score: of ten others, about three are expected to lie above the surest of two.
    assert reported <= 7


def test_the_same_pictures_make_the_same_network_and_others_another():
    first, again, other = (
        fit(good, name="ground-metal", source="drawn", versions_each=1, steps=5)
        for good in (GOOD[:10], GOOD[:10], GOOD[1:11])
    )
    assert again.card == first.card
    assert other.card.sha256 != first.card.sha256
    assert other.card.training.digest != first.card.training.digest


def test_too_few_good_pictures_are_refused_with_their_number():
    with pytest.raises(TrainingDataMissing, match=r"3 pictures.*at least 10"):
        fit(GOOD[:3], name="ground-metal", source="drawn")


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_a_blemish_changes_the_picture_where_it_says_and_nowhere_far_from_it(seed):
    seen, where = blemished(GOOD[0], GOOD, np.random.default_rng(seed))
    again, _ = blemished(GOOD[0], GOOD, np.random.default_rng(seed))
    np.testing.assert_array_equal(seen, again)
    assert seen.dtype == np.uint8
    far = cv2.dilate(where.astype(np.uint8), np.ones((31, 31), np.uint8)) == 0
    if where.any():
        np.testing.assert_array_equal(seen[far], GOOD[0][far])
