from itertools import islice

import numpy as np
import pytest

from cameras.drawn import drawn_parts, drawn_strip
from cameras.settings import DrawnPartsSettings, DrawnStripSettings
from inspection.vision.drawing import StripDrawing
from tests.fake_cameras import TurnedClock

STRIP = DrawnStripSettings(seed=3, width_px=320, height_px=100, mm_per_px=0.25, frames_per_s=10)


def frames_of(camera, count):
    with camera:
        return list(islice(camera.frames(), count))


def test_each_frame_of_the_strip_goes_on_where_the_one_before_ended():
    frames = frames_of(drawn_strip("top", STRIP, clock=TurnedClock()), 4)
    assert [frame.sequence for frame in frames] == [0, 1, 2, 3]
    assert [frame.y_origin_mm for frame in frames] == [0.0, 25.0, 50.0, 75.0]
    assert all(frame.pixels.shape == (100, 320) for frame in frames)
    assert all(frame.trigger is None for frame in frames)


def test_each_part_has_its_trigger():
    camera = drawn_parts("bench", DrawnPartsSettings(seed=3, size_px=128), clock=TurnedClock())
    frames = frames_of(camera, 3)
    assert [frame.trigger for frame in frames] == [0, 1, 2]
    assert all(frame.pixels.shape == (128, 128) and frame.y_origin_mm == 0 for frame in frames)


def test_the_same_seed_draws_the_same_strip():
    first, second = (frames_of(drawn_strip("top", STRIP, clock=TurnedClock()), 3) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        assert np.array_equal(one.pixels, other.pixels)


def test_a_receiver_too_slow_for_the_strip_sees_the_loss_as_a_hole_at_the_right_place():
    clock = TurnedClock()
    with drawn_strip("top", STRIP, clock=clock) as camera:
        frames = camera.frames()
        next(frames)
        clock.turn(3.02)
        late = next(frames)
    assert late.sequence == 27
    assert late.y_origin_mm == 27 * 25.0
    everything = frames_of(drawn_strip("top", STRIP, clock=TurnedClock()), 28)
    assert np.array_equal(late.pixels, everything[27].pixels)


@pytest.mark.parametrize("buffers", [1, 2])
def test_the_fewer_buffers_the_more_is_lost(buffers):
    clock = TurnedClock()
    settings = STRIP.model_copy(update={"buffers": buffers})
    with drawn_strip("top", settings, clock=clock) as camera:
        frames = camera.frames()
        next(frames)
        clock.turn(1.02)
        assert next(frames).sequence == 11 - buffers


def test_a_strip_is_drawn_with_as_many_defects_as_asked_for():
    def first(defects_per_megapixel):
        settings = DrawnStripSettings(seed=3, defects_per_megapixel=defects_per_megapixel)
        return frames_of(drawn_strip("top", settings, clock=TurnedClock()), 1)[0].pixels

    plain = StripDrawing(3, defects_per_megapixel=0).frame(0)
    assert plain.truth == ()
    np.testing.assert_array_equal(first(0), plain.pixels)
    assert not np.array_equal(first(20), plain.pixels)
