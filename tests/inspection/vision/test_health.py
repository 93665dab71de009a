"""On drawn parts and strip. What docs/measuring.md says the values mean is held to here."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspection.errors import ImageUnfit
from inspection.pipeline import Pipeline
from inspection.types import Detections, Frame, Surface, Verdict
from inspection.vision.drawing import StripDrawing, draw_part
from inspection.vision.health import (
    Health,
    HealthLimits,
    HealthWatch,
    ImageBlurred,
    ImageBright,
    ImageDark,
    ImageGlare,
    ImageMoved,
    ImageUneven,
    LensDirty,
    health_of,
)
from tests.builders import NOON

PARTS = [draw_part(3, index).pixels for index in range(4)]
HEALTHY = Health(
    mean_grey=120, evenness=0.9, saturated=0.0, glare=0.0, blur_across_px=2.0, blur_along_px=2.0, dirt=0.0
)


def blurred(image, sigma):
    return cv2.GaussianBlur(image, (0, 0), sigma)


def moved(image, way_px):
    """The product goes that far along while the shutter is open."""
    return cv2.filter2D(image, -1, np.full((way_px, 1), 1 / way_px, np.float32))


@pytest.mark.parametrize("part", range(4))
def test_drawn_parts_are_in_focus_and_the_same_blurred_are_not(part):
    limits = HealthLimits(max_blur_px=4.0, max_motion_px=2.0)
    limits.check(health_of(PARTS[part]))
    for sigma in (2, 3, 4):
        with pytest.raises(ImageBlurred):
            limits.check(health_of(blurred(PARTS[part], sigma)))


@pytest.mark.parametrize("part", range(4))
@pytest.mark.parametrize("sigma", [1.5, 2, 3, 4])
def test_blur_is_two_and_a_half_sigma(part, sigma):
    health = health_of(blurred(PARTS[part], sigma))
    # The drawn edges have a softness of their own.
    own = health_of(PARTS[part]).blur_across_px
    assert health.blur_across_px == pytest.approx(np.hypot(2.5 * sigma, own), rel=0.2)


@pytest.mark.parametrize("part", range(4))
@pytest.mark.parametrize("way_px", [7, 9, 13])
def test_motion_blurs_one_way_only_and_is_told_from_bad_focus(part, way_px):
    limits = HealthLimits(max_blur_px=4.0, max_motion_px=2.0)
    with pytest.raises(ImageMoved):
        limits.check(health_of(moved(PARTS[part], way_px)))


def test_a_picture_without_an_edge_is_not_known_to_be_sharp():
    even = np.random.default_rng(1).normal(120, 3, (200, 200)).astype(np.uint8)
    assert health_of(even).blur_across_px is None
    HealthLimits().check(health_of(even))
    with pytest.raises(ImageBlurred, match="0 edges"):
        HealthLimits(max_blur_px=4.0).check(health_of(even))
    with pytest.raises(ImageMoved):
        HealthLimits(max_motion_px=4.0).check(health_of(even))


@given(st.integers(0, 40), st.integers(0, 40), st.integers(20, 60))
def test_glare_is_the_largest_bright_place_wherever_it_lies(left, top, side):
    image = np.full((100, 100), 90, np.uint8)
    image[top : top + side, left : left + side] = 255
    found = health_of(image)
    assert found.saturated == pytest.approx(side**2 / 1e4)
    # A quarter of the size, and what is partly bright is not counted.
    assert (side - 8) ** 2 / 1e4 <= found.glare <= side**2 / 1e4


@pytest.mark.parametrize(
    ("changed", "limits", "unfit"),
    [
        ({"mean_grey": 60.0}, HealthLimits(min_mean=80), ImageDark),
        ({"mean_grey": 220.0}, HealthLimits(max_mean=200), ImageBright),
        ({"saturated": 0.3}, HealthLimits(max_saturated=0.2), ImageGlare),
        ({"glare": 0.1}, HealthLimits(max_glare=0.05), ImageGlare),
        ({"evenness": 0.4}, HealthLimits(min_evenness=0.5), ImageUneven),
        ({"dirt": 0.01}, HealthLimits(max_dirt=0.001), LensDirty),
        ({"mean_grey": float("nan")}, HealthLimits(min_mean=80), ImageDark),
    ],
)
def test_each_limit_refuses_for_its_own_reason_and_only_where_it_is_set(changed, limits, unfit):
    sick = replace(HEALTHY, **changed)
    limits.check(HEALTHY)
    HealthLimits().check(sick)
    with pytest.raises(unfit):
        limits.check(sick)


def test_an_ageing_lamp_shows_as_a_falling_mean_and_a_dead_piece_of_it_as_unevenness():
    new = StripDrawing(5, width_px=512).frame(0).pixels
    aged = np.rint(new * 0.8).astype(np.uint8)
    assert health_of(aged).mean_grey == pytest.approx(0.8 * health_of(new).mean_grey, rel=0.01)
    assert health_of(aged).evenness == pytest.approx(health_of(new).evenness, abs=0.02)
    dead = new.copy()
    dead[:, 100:140] //= 3
    assert health_of(dead).evenness < 0.6 * health_of(new).evenness


def strip_through(lens, *, frames=60):
    """What a watch says of each frame of a moving strip, seen through a lens that dims some of it."""
    strip, watch = StripDrawing(8, width_px=640), HealthWatch(HealthLimits(max_dirt=0.0005))
    for index in range(frames):
        image = np.rint(strip.frame(index).pixels * lens).astype(np.uint8)
        health = watch.look(image)
        try:
            watch.limits.check(health)
            yield None
        except ImageUnfit as error:
            yield type(error)


def test_dirt_on_the_lens_is_what_stays_while_the_strip_moves_on():
    clean, dirty = np.ones((400, 640), np.float32), np.ones((400, 640), np.float32)
    cv2.circle(dirty, (300, 200), 16, 0.6, -1)
    assert set(strip_through(clean)) == {None}
    said = list(strip_through(dirty))
    assert said[:31] == [None] * 31
    assert set(said[31:]) == {LensDirty}


def test_what_is_not_fit_is_not_inspected_with_the_reason_and_its_values_are_kept():
    class FindsNothing:
        def detect(self, image):
            return Detections.none()

    pipeline = Pipeline(
        detector=FindsNothing(),
        surface=Surface(name="face"),
        limits=(),
        health=HealthWatch(HealthLimits(max_blur_px=4.0)),
    )

    def result(pixels):
        return pipeline.inspect(Frame(pixels=pixels, camera="top", sequence=0, captured_at=NOON))

    sharp, soft = result(PARTS[0]), result(blurred(PARTS[0], 3))
    assert (sharp.verdict, soft.verdict) == (Verdict.ACCEPT, Verdict.NOT_INSPECTED)
    assert soft.failure == "INS-IMAGE-BLURRED"
    names = {one.name for one in soft.measurements}
    assert names == {one.name for one in sharp.measurements}
    assert {"image_mean", "image_blur_across", "image_evenness"} <= names
