"""A drawn flange, found and measured as the demo's recipe says: its true sizes are 84 mm and 23 mm, round about one
middle."""

import numpy as np
import pytest

from inspection.types import Surface
from inspection.vision.calibration import CalibrationMisfit
from inspection.vision.drawing import draw_part
from inspection.vision.measuring import EdgeNotFound
from inspection.vision.outline import PartMissing
from inspection.vision.part import GaugedPart
from station_config import load_recipe

TRUTH = {"outer diameter": 84.0, "bore": 23.0, "bore out of centre": 0.0}


@pytest.fixture(scope="module")
def flange() -> tuple[GaugedPart, Surface]:
    settings = load_recipe("part-demo").settings
    assert settings.part is not None
    part = settings.part.part({})
    assert isinstance(part, GaugedPart)
    return part, settings.surface.surface()


@pytest.mark.parametrize("defective", [False, True], ids=["good", "with defects"])
def test_a_flange_has_its_true_sizes_within_what_is_stated(flange, defective):
    part, surface = flange
    inside = []
    for index in range(20):
        measured = part.measure(draw_part(5, index, defective=defective).pixels, surface)
        assert [one.name for one in measured] == list(TRUTH)
        off = np.array([abs(one.value - TRUTH[one.name]) for one in measured])
        inside.append(off <= 2 * np.array([one.uncertainty for one in measured]))
    # Twice the standard uncertainty holds for 95 %; of 20, chance takes some.
    assert (np.mean(inside, axis=0) >= 0.85).all()


def test_no_flange_is_no_measurement(flange):
    part, surface = flange
    bench = np.random.default_rng(1).normal(34, 3, (400, 400)).clip(0, 255).astype(np.uint8)
    with pytest.raises(PartMissing):
        part.measure(bench, surface)


def test_a_flange_without_its_bore_is_no_measurement(flange):
    part, surface = flange
    picture = draw_part(5, 0, defective=False).pixels.copy()
    picture[140:260, 140:260] = 130
    with pytest.raises(EdgeNotFound) as missing:
        part.measure(picture, surface)
    assert missing.value.facts["gauge"] == "bore"


def test_without_a_scale_nothing_is_measured(flange):
    part, _ = flange
    with pytest.raises(CalibrationMisfit):
        part.measure(draw_part(5, 0).pixels, Surface(name="face"))
