"""What every sensor promises, asked of each that comes with the program, as its recipe sets it up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from inspection.errors import InspectionError
from inspection.protocols import Sensor
from inspection.types import Image
from inspection.vision.drawn_sensors import draw_fringes, draw_laser, draw_waveform, some_shapes
from station_config import load_recipe

HW = (96, 128)
DENTS = some_shapes(4, HW, kinds=[("dent", -0.2), ("bump", 0.2)], width_px=12, count=2)


@dataclass(frozen=True)
class Case:
    recipe: str
    flawless: Callable[[int], Image]
    flawed: Image


CASES = [
    Case("sensor-structured-light", lambda seed: draw_fringes(seed, HW).raw, draw_fringes(4, HW, DENTS).raw),
    Case("sensor-laser-line", lambda seed: draw_laser(seed, HW).raw, draw_laser(4, HW, DENTS).raw),
    Case(
        "sensor-waveform",
        lambda seed: draw_waveform(seed, samples=30_000).raw,
        draw_waveform(4, samples=30_000, flaws=[(8000, 0.1), (20_000, 0.1)]).raw,
    ),
]


@pytest.fixture(params=CASES, ids=lambda case: case.recipe)
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


@pytest.fixture
def sensor(case: Case) -> Sensor:
    loaded = load_recipe(case.recipe)
    assert loaded.settings.sensor is not None
    return loaded.settings.sensor.sensor(loaded.settings.surface.surface(), loaded.files)


def test_what_is_drawn_is_found_and_lies_in_the_picture(sensor, case):
    sensed = sensor.sense(case.flawed)
    assert len(sensed.found) == 2
    height, width = sensed.picture.shape
    assert sensed.picture.dtype == np.uint8
    assert (sensed.found.xyxy[:, :2] >= 0).all()
    assert (sensed.found.xyxy[:, 2:] <= (width, height)).all()
    assert ((sensed.found.score >= 0.5) & (sensed.found.score <= 1)).all()
    assert (np.diff(sensed.found.score) <= 0).all()


def test_what_is_found_is_of_kinds_that_its_recipe_limits(sensor, case):
    limited = {kind for limit in load_recipe(case.recipe).settings.judged_by() for kind in limit.kinds}
    assert set(sensor.sense(case.flawed).found.kind) <= limited


@pytest.mark.parametrize("seed", range(30, 34))
def test_nothing_is_found_where_nothing_is(sensor, case, seed):
    assert len(sensor.sense(case.flawless(seed)).found) == 0


def test_the_same_recording_gives_the_same_whatever_came_between(sensor, case):
    first = sensor.sense(case.flawed)
    sensor.sense(case.flawless(1))
    again = sensor.sense(case.flawed)
    np.testing.assert_array_equal(first.picture, again.picture)
    np.testing.assert_array_equal(first.found.xyxy, again.found.xyxy)
    np.testing.assert_array_equal(first.found.score, again.found.score)
    assert first.measured == again.measured


def test_the_recording_given_is_not_written_to(sensor, case):
    raw = case.flawed.copy()
    raw.setflags(write=False)
    sensor.sense(raw)
    np.testing.assert_array_equal(raw, case.flawed)


def test_what_is_measured_is_a_number_with_a_unit(sensor, case):
    measured = sensor.sense(case.flawless(2)).measured
    assert measured
    assert all(np.isfinite(one.value) and one.unit for one in measured)


@pytest.mark.parametrize(
    "raw",
    [
        np.zeros((1, 60_000), np.uint8),
        np.zeros((12 * 96, 128), np.uint8),
        np.full((12 * 96, 128), 255, np.uint8),
        np.random.default_rng(5).integers(0, 256, (12 * 96, 128)).astype(np.uint8),
        np.zeros((12 * 96, 128, 3), np.uint8),
        np.zeros((97, 128), np.uint8),
        np.zeros((1, 7), np.uint8),
        np.zeros((16, 16), np.uint8),
    ],
    ids=["silence", "dark", "glare", "noise", "colour", "odd rows", "seven bytes", "an icon"],
)
def test_what_shows_no_surface_is_refused_with_one_of_our_errors(sensor, raw):
    with pytest.raises(InspectionError):
        sensor.sense(raw)
