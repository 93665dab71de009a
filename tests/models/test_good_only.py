"""What the network that learns from good parts only is shown, and what its file makes of what it learned."""

from __future__ import annotations

import cv2
import numpy as np
import onnxruntime
import pytest

from models.blemishes import blemished_finely
from models.errors import TrainingDataMissing
from models.training.good_only import CROP_PX, LAYERS, POOLED, fit, view
from models.training.segment import CELL_PX, as_onnx
from models.training.segment import LAYERS as WHOLE
from tests.models.segment_in_torch import drawn
from tests.models.test_anomaly import surface

CELLS = CROP_PX // CELL_PX


def views(count: int, *, hw=(256, 256)):
    rng = np.random.default_rng(0)
    good = [cv2.resize(surface(seed), hw[::-1]) for seed in range(3)]
    return [view(good[n % 3], good, rng) for n in range(count)]


@pytest.mark.parametrize("hw", [(256, 256), (90, 300), (110, 100)])
def test_half_of_what_it_is_shown_is_blemished_whatever_the_size_of_the_parts(hw):
    shown = views(200, hw=hw)
    for seen, cells in shown:
        assert seen.shape == (CROP_PX, CROP_PX)
        assert seen.dtype == cells.dtype == np.float32
        assert 0 <= seen.min() <= seen.max() <= 1
        assert cells.shape == (CELLS, CELLS)
        assert set(np.unique(cells)) <= {-1, 0, 1}
    assert 60 <= sum(bool((cells != 0).any()) for _, cells in shown) <= 120


def test_a_blemish_is_marked_where_the_picture_was_changed_and_the_same_seed_draws_the_same():
    good = surface(1)
    for seed in range(40):
        seen, where = blemished_finely(good, [surface(2)], np.random.default_rng(seed))
        again, _ = blemished_finely(good, [surface(2)], np.random.default_rng(seed))
        assert np.array_equal(seen, again)
        # Edges are soft: what is changed by little may lie beyond the mark.
        around = cv2.dilate(where.astype(np.uint8), np.ones((25, 25), np.uint8)) > 0
        assert not (np.abs(seen.astype(int) - good)[~around] > 2).any()


def test_the_network_has_one_answer_and_half_the_channels():
    assert [layer.name for layer in LAYERS] == [layer.name for layer in WHOLE]
    assert LAYERS[-1].channels == 1
    assert all(
        small.channels * 2 == whole.channels
        for small, whole in zip(LAYERS, WHOLE, strict=True)
        if not small.last
    )


def answers(**how):
    learned, picture = drawn()
    session = onnxruntime.InferenceSession(
        as_onnx(learned, opset=17, **how), providers=["CPUExecutionProvider"]
    )
    (found,) = session.run(None, {"image": picture})
    return np.log(found / (1 - found))[0]


def test_a_cells_score_is_the_mean_of_those_around_it_and_half_where_it_is_told():
    plain, pooled = answers(), answers(pooled=POOLED, even_at=1.5)
    for one, other in zip(plain, pooled, strict=True):
        around = cv2.blur(one, (POOLED, POOLED))[1:-1, 1:-1]
        # A score near 0 or 1 says little of its logit.
        told = np.abs(around) < 6
        assert other[1:-1, 1:-1][told] == pytest.approx(around[told] - 1.5, abs=0.02)


def test_from_a_handful_of_pictures_nothing_is_fitted():
    with pytest.raises(TrainingDataMissing, match="at least 10"):
        fit([surface(1)], name="few", source="drawn")
