"""Finding the part, judged on a drawn one at known places: a plate with two holes and a nose."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from inspection.errors import InspectionError
from inspection.types import Box, Image
from inspection.vision.aligning import Aligner, Fiducials, OutlineReference, PartNotFound, Template
from inspection.vision.calibration import EvenScale
from inspection.vision.measuring import CircleGauge, Pose, Quantity, measure
from inspection.vision.outline import PartCutOff, PartMissing, PartOutline
from tests.inspection.vision.drawn_scenes import Points, disc, noisy, shape_picture

PLANE = EvenScale(x_mm_per_px=0.1, y_mm_per_px=0.1, scale_uncertainty=0.0)
SIZE_PX = 120
NO_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate)
"""Each example draws a picture; a failing one says enough as it is."""
HOLES_MM = np.array([[-1.8, 0.0], [1.8, 0.4]])
MASTER_POSE = Pose(x_mm=6.0, y_mm=6.0)
"""The part's origin is the middle of its plate, at px 60, 60 of the master picture."""


def plate(pose: Pose) -> Callable[[Points], Points]:
    """5.6 x 3.2 mm, a nose at its right end that makes front and back differ, two holes."""
    c, s = np.cos(np.radians(pose.angle_deg)), np.sin(np.radians(pose.angle_deg))

    def inside(places: Points) -> Points:
        x, y = np.moveaxis(places - np.array([10 * pose.x_mm, 10 * pose.y_mm]), -1, 0)
        u, v = c * x + s * y, c * y - s * x
        body = np.minimum(28 - np.abs(u), 16 - np.abs(v))
        nose = 8 - np.hypot(u - 28, v)
        depth = np.maximum(body, nose)
        for hole_x, hole_y in 10 * HOLES_MM:
            depth = np.minimum(depth, np.hypot(u - hole_x, v - hole_y) - 5)
        return depth

    return inside


def picture(pose: Pose, seed: int = 0) -> Image:
    return shape_picture(plate(pose), size_px=SIZE_PX, noise=3.0, seed=seed)


def mark() -> Image:
    """One hole with the plate around it, from the master: 17 x 17 px, the hole's middle in its middle."""
    master = picture(MASTER_POSE)
    return master[52:69, 34:51].copy()


def by(way: str) -> Aligner:
    master = picture(MASTER_POSE)
    if way == "template":
        return Template.cut(master, Box(28, 40, 98, 80), origin_px=(60.0, 60.0))
    if way == "outline":
        outline = PartOutline(min_share=0.05, max_share=0.5)
        return OutlineReference.learn(master, outline, origin_px=(60.0, 60.0))
    return Fiducials(mark=mark(), at_mm=HOLES_MM, nominal=MASTER_POSE, search_mm=1.2, max_error_mm=0.05)


@pytest.fixture(scope="module", params=["template", "outline", "fiducials"])
def aligner(request: pytest.FixtureRequest) -> Aligner:
    return by(request.param)


def assert_near(found: Pose, truth: Pose, *, px: float, deg: float) -> None:
    assert found.x_mm == pytest.approx(truth.x_mm, abs=0.1 * px)
    assert found.y_mm == pytest.approx(truth.y_mm, abs=0.1 * px)
    assert (found.angle_deg - truth.angle_deg + 180) % 360 - 180 == pytest.approx(0, abs=deg)


@settings(max_examples=10, deadline=None, phases=NO_SHRINKING)
@given(st.floats(-0.7, 0.7), st.floats(-0.7, 0.7), st.floats(-6, 6))
def test_the_part_is_found_to_a_fraction_of_a_pixel(aligner, x, y, angle):
    pose = Pose(x_mm=6 + x, y_mm=6 + y, angle_deg=angle)
    assert_near(aligner.find(picture(pose, seed=1), PLANE), pose, px=0.1, deg=0.25)


@settings(max_examples=10, deadline=None, phases=NO_SHRINKING)
@given(st.floats(-0.8, 0.8), st.floats(-0.8, 0.8), st.floats(-180, 180))
def test_a_template_finds_the_part_however_it_is_turned(x, y, angle):
    pose = Pose(x_mm=6 + x, y_mm=6 + y, angle_deg=angle)
    assert_near(by("template").find(picture(pose, seed=2), PLANE), pose, px=0.05, deg=0.1)


@pytest.mark.parametrize("allowed_deg", [0.0, 5.0])
@pytest.mark.parametrize("further_deg", [-20.0, -4.0, -1.5, 0.0, 1.5, 4.0, 20.0])
def test_a_part_that_is_turned_further_than_is_allowed_is_not_found(allowed_deg, further_deg):
    master = picture(MASTER_POSE)
    template = Template.cut(master, Box(28, 40, 98, 80), origin_px=(60.0, 60.0), max_turn_deg=allowed_deg)
    turned = Pose(x_mm=6.2, y_mm=5.9, angle_deg=further_deg + np.copysign(allowed_deg, further_deg))
    if further_deg == 0:
        assert_near(template.find(picture(turned, seed=7), PLANE), turned, px=0.1, deg=0.25)
        return
    with pytest.raises(PartNotFound):
        template.find(picture(turned, seed=7), PLANE)


@pytest.mark.parametrize("seed", range(8))
def test_a_ring_that_looks_the_same_however_it_is_turned_is_never_turned_too_far(seed):
    def ring(x: float, y: float) -> Callable[[Points], Points]:
        outer, bore = disc((x, y), 30.0), disc((x, y), 10.0)
        return lambda places: np.minimum(outer(places), -bore(places))

    master = shape_picture(ring(60.0, 60.0), size_px=SIZE_PX, noise=3.0)
    template = Template.cut(master, Box(26, 26, 94, 94), origin_px=(60.0, 60.0), max_turn_deg=0.0)
    x, y = 60 + np.sin(seed), 60 + np.cos(seed)
    found = template.find(shape_picture(ring(x, y), size_px=SIZE_PX, noise=3.0, seed=seed + 1), PLANE)
    assert (found.x_mm, found.y_mm) == pytest.approx((0.1 * x, 0.1 * y), abs=0.01)


@pytest.mark.parametrize("off_px", [-6.0, -4.0, -2.0, 0.5])
@pytest.mark.parametrize("side", ["left", "right", "top", "bottom"])
def test_a_part_that_the_border_of_the_picture_cuts_off_is_not_one_that_was_seen(side, off_px):
    """How far inside the border the nearest side of the template lies, which was learned at 28, 40, 98 and 80 px."""
    at = {
        "left": (60 - 28 + off_px, 60.0),
        "right": (60 + SIZE_PX - 98 - off_px, 60.0),
        "top": (60.0, 60 - 40 + off_px),
        "bottom": (60.0, 60 + SIZE_PX - 80 - off_px),
    }
    pose = Pose(x_mm=0.1 * at[side][0], y_mm=0.1 * at[side][1])
    template = Template.cut(
        picture(MASTER_POSE), Box(28, 40, 98, 80), origin_px=(60.0, 60.0), max_turn_deg=5.0
    )
    if off_px > 0:
        assert_near(template.find(picture(pose, seed=8), PLANE), pose, px=0.5, deg=0.5)
        return
    with pytest.raises(PartCutOff) as cut:
        template.find(picture(pose, seed=8), PLANE)
    assert cut.value.facts["share"] == "19%"


@pytest.mark.parametrize("angle", [60.0, -80.0])
def test_an_outline_tells_a_turn_below_a_quarter_each_way(angle):
    pose = Pose(x_mm=6.2, y_mm=5.9, angle_deg=angle)
    assert_near(by("outline").find(picture(pose, seed=3), PLANE), pose, px=0.1, deg=0.25)


def test_a_round_outline_has_a_place_but_no_turn():
    def round_part(places):
        return 30 - np.hypot(places[..., 0] - 60, places[..., 1] - 60)

    master = shape_picture(round_part, size_px=SIZE_PX)
    aligner = OutlineReference.learn(
        master, PartOutline(min_share=0.05, max_share=0.5), origin_px=(60.0, 90.0)
    )
    assert aligner.angle_deg is None
    assert_near(aligner.find(master, PLANE), Pose(x_mm=6.0, y_mm=9.0), px=0.1, deg=0.0)


def test_what_is_measured_follows_the_part(aligner):
    gauges = {
        name: CircleGauge(centre_mm=(x, y), radius_mm=0.5, reach_mm=0.25)
        for name, (x, y) in zip(("left", "right"), HOLES_MM.tolist(), strict=True)
    }
    apart = Quantity(name="apart", kind="distance", of=("left", "right"))
    image = picture(Pose(x_mm=6.55, y_mm=5.6, angle_deg=5.0), seed=4)
    result = measure(image, PLANE, gauges, [apart], pose=aligner.find(image, PLANE))[0]
    assert result.value == pytest.approx(np.hypot(3.6, 0.4), abs=4 * result.uncertainty)


@pytest.mark.parametrize(
    "image",
    [
        np.full((SIZE_PX, SIZE_PX), 60, np.uint8),
        np.zeros((SIZE_PX, SIZE_PX), np.uint8),
        noisy(np.full((SIZE_PX, SIZE_PX), 120, np.float32), sigma=30, seed=5),
        shape_picture(lambda places: 5 - np.hypot(places[..., 0] - 60, places[..., 1] - 60), size_px=SIZE_PX),
        np.full((1, 1), 90, np.uint8),
        picture(MASTER_POSE)[:12],
    ],
    ids=["empty", "black", "noise", "another part", "one pixel", "a strip of it"],
)
def test_no_part_is_not_a_part(aligner, image):
    with pytest.raises((PartNotFound, PartMissing)):
        aligner.find(image, PLANE)


def test_a_picture_smaller_than_the_template_shows_no_part():
    with pytest.raises(PartNotFound):
        by("template").find(picture(MASTER_POSE)[:30, :30], PLANE)


def test_marks_that_do_not_agree_are_not_the_part():
    # The same marks, a tenth of a millimetre further apart than on the part that lies there.
    fiducials = Fiducials(
        mark=mark(),
        at_mm=HOLES_MM * [[1.0, 1.0], [1.08, 1.0]],
        nominal=MASTER_POSE,
        search_mm=1.2,
        max_error_mm=0.05,
    )
    with pytest.raises(PartNotFound, match="mm"):
        fiducials.find(picture(MASTER_POSE), PLANE)


def test_a_mark_outside_the_picture_is_not_found():
    far = Pose(x_mm=20.0, y_mm=20.0)
    fiducials = Fiducials(mark=mark(), at_mm=HOLES_MM, nominal=far, search_mm=1.0, max_error_mm=0.05)
    with pytest.raises(InspectionError):
        fiducials.find(picture(MASTER_POSE), PLANE)


def test_the_same_picture_gives_the_same_pose(aligner):
    image = picture(Pose(x_mm=6.3, y_mm=5.8, angle_deg=3.0), seed=6)
    assert aligner.find(image, PLANE) == aligner.find(image.copy(), PLANE)


def test_a_mirrored_part_lies_the_wrong_way_up():
    image = picture(Pose(x_mm=6.0, y_mm=6.0))
    skew = shape_picture(
        lambda places: np.maximum(
            plate(MASTER_POSE)(places), 6 - np.hypot(places[..., 0] - 45, places[..., 1] - 76)
        ),
        size_px=SIZE_PX,
    )
    template = Template.cut(skew, Box(28, 40, 98, 86), origin_px=(60.0, 60.0))
    right, wrong = (template.locate(one)[1] for one in (skew, np.ascontiguousarray(skew[:, ::-1])))
    assert right > 0.95
    assert wrong < right - 0.1
    assert template.locate(image)[1] < right
