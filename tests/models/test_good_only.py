"""What the network that learns from good parts only is shown, and what its file makes of what it learned."""

from __future__ import annotations

import json
import os
import subprocess

import cv2
import numpy as np
import onnxruntime
import pytest

from models.anomaly import KIND
from models.errors import TrainingDataMissing
from models.training.drawn_defects import FAMILIES
from models.training.good_only import LAYERS, POOLED, fit, view
from models.training.pieces import PIECE_PX
from models.training.segment import LAYERS as WHOLE
from models.training.segment import as_onnx
from tests.models.drawn_metal import surface
from tests.models.segment_in_torch import drawn
from tests.where import REPOSITORY, TRAINING_PYTHON


def views(count: int, *, hw=(256, 256)):
    rng = np.random.default_rng(0)
    good = [cv2.resize(surface(seed), hw[::-1]) for seed in range(3)]
    return [view(good[n % 3], rng) for n in range(count)]


@pytest.mark.parametrize("hw", [(256, 256), (90, 300), (110, 100)])
def test_in_more_than_half_of_what_it_is_shown_something_is_drawn_whatever_the_size_of_the_parts(hw):
    shown = views(200, hw=hw)
    for seen, cells, kinds in shown:
        assert seen.shape == (PIECE_PX, PIECE_PX)
        assert seen.dtype == cells.dtype == np.float32
        assert 0 <= seen.min() <= seen.max() <= 1
        assert len(cells) == len(kinds) == len(FAMILIES)
        assert set(np.unique(cells)) <= {-1, 0, 1}
    assert 60 <= sum(bool((cells != 0).any()) for _, cells, _ in shown) <= 140


def test_the_network_has_a_map_for_each_family_and_half_the_channels():
    assert [layer.name for layer in LAYERS] == [layer.name for layer in WHOLE]
    assert LAYERS[-1].channels == len(FAMILIES)
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
    even_at = [1.5, 0, -1, 0.5, 2]
    plain, pooled = answers(), answers(pooled=POOLED, even_at=even_at)
    for one, other, size, even in zip(plain, pooled, POOLED, even_at, strict=True):
        rim = size // 2
        around = cv2.blur(one, (size, size))[rim:-rim, rim:-rim]
        # A score near 0 or 1 says little of its logit.
        told = np.abs(around) < 6
        assert other[rim:-rim, rim:-rim][told] == pytest.approx(around[told] - even, abs=0.02)


def test_of_each_place_the_released_file_gives_the_surest_family():
    each, loudest = answers(pooled=POOLED), answers(pooled=POOLED, loudest=True)
    assert loudest.shape == (1, *each.shape[1:])
    assert loudest[0] == pytest.approx(each.max(axis=0), abs=1e-4)


def test_from_a_handful_of_pictures_nothing_is_fitted():
    with pytest.raises(TrainingDataMissing, match="at least 10"):
        fit([surface(1)], name="few", source="drawn")


@pytest.mark.timeout(1800)
@pytest.mark.skipif(not TRAINING_PYTHON.exists(), reason="not there: make .venv-training/ready")
def test_a_short_fit_tells_a_hole_on_a_part_it_never_saw_from_good_parts():
    run = subprocess.run(
        [str(TRAINING_PYTHON), "-m", "tests.models.short_fit"],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        check=True,
        text=True,
    )
    told = json.loads(run.stdout.splitlines()[-1])
    assert np.mean(told["holed"]) > np.mean(told["good"])
    assert told["kinds"] == [KIND]
