from dataclasses import replace
from datetime import UTC, datetime

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspection.errors import InspectionError
from inspection.pipeline import PROGRAM_FAILED, Pipeline
from inspection.types import Box, Detections, Frame, Limit, Surface, Tolerance, Verdict
from inspection.vision.aligning import OutlineReference
from inspection.vision.correction import FlatField
from inspection.vision.edges import StripEdges
from inspection.vision.health import HealthLimits, HealthWatch
from inspection.vision.measuring import LineGauge, Quantity
from inspection.vision.outline import PartOutline
from inspection.vision.part import GaugedPart
from inspection.vision.welds import WeldFinder

SURFACE = Surface(name="top", x_mm_per_px=0.5, y_mm_per_px=0.25)
LIMITS = (Limit(kinds=frozenset({"scratch"}), measure="score", review_from=0.3, reject_from=0.6),)


class Finds:
    """A detector that always finds the same."""

    def __init__(self, *boxes: tuple[float, float, float, float], score: float = 0.9) -> None:
        self.found = Detections(
            xyxy=np.array(boxes, np.float32).reshape(-1, 4),
            score=np.full(len(boxes), score, np.float32),
            kind=("scratch",) * len(boxes),
        )

    def detect(self, image):
        return self.found


class Fails:
    def detect(self, image):
        raise InspectionError("The network gave no answer.", action="Look at the log.")


def a_frame(pixels=None, *, sequence=7, y_origin_mm=0.0) -> Frame:
    if pixels is None:
        pixels = np.tile(np.arange(64, dtype=np.uint8) * 3, (48, 1))
    return Frame(
        pixels=pixels,
        camera="top",
        sequence=sequence,
        captured_at=datetime(2026, 11, 20, tzinfo=UTC),
        y_origin_mm=y_origin_mm,
    )


def a_pipeline(detector=None, **changes) -> Pipeline:
    return replace(Pipeline(detector=detector or Finds(), surface=SURFACE, limits=LIMITS), **changes)


def test_a_clean_frame_is_accepted_and_says_what_each_step_took():
    result = a_pipeline().inspect(a_frame())
    assert result.verdict is Verdict.ACCEPT
    assert list(result.timings_ms) == ["correct", "check", "detect", "judge"]
    assert result.failure is None


def test_a_defect_is_placed_on_the_surface_and_refused():
    result = a_pipeline(Finds((10, 20, 14, 24))).inspect(a_frame(y_origin_mm=100.0))
    assert result.verdict is Verdict.REJECT
    assert result.defects[0].box_mm == Box(5.0, 105.0, 7.0, 106.0)


def test_a_detector_that_fails_leaves_the_frame_not_inspected():
    result = a_pipeline(Fails()).inspect(a_frame())
    assert (result.verdict, result.failure) == (Verdict.NOT_INSPECTED, "INS-ERROR")


class Throws:
    def detect(self, image):
        raise KeyError("tile 3")


class AnswersOddly:
    def detect(self, image):
        return [(1, 2, 3, 4)]


@pytest.mark.parametrize("detector", [Throws(), AnswersOddly()])
def test_whatever_a_detector_throws_or_answers_costs_the_frame_and_not_the_lane(detector):
    result = a_pipeline(detector).inspect(a_frame())
    assert (result.verdict, result.failure) == (Verdict.NOT_INSPECTED, "INS-DETECTOR-FAILED")


class ThrowsAtRaw:
    def sense(self, raw):
        raise ZeroDivisionError


def test_whatever_a_sensor_throws_costs_the_frame_and_not_the_lane():
    result = a_pipeline(sensor=ThrowsAtRaw()).inspect(a_frame())
    assert (result.verdict, result.failure) == (Verdict.NOT_INSPECTED, "INS-DETECTOR-FAILED")


class CorrectsNothing(FlatField):
    """A flat field with a mistake of ours in it, which OpenCV refuses."""

    def correct(self, image):
        return cv2.resize(image, (0, 0))


@pytest.mark.parametrize(
    "mistaken",
    [{"flat_field": CorrectsNothing()}, {"detector": Finds((1, 2, 3, 4)), "limits": (None,)}],
    ids=["looking", "judging"],
)
def test_a_mistake_of_ours_leaves_the_frame_not_inspected_and_the_log_says_where_it_is(mistaken, caplog):
    result = a_pipeline(**mistaken).inspect(a_frame(sequence=41))
    assert (result.verdict, result.failure) == (Verdict.NOT_INSPECTED, PROGRAM_FAILED)
    (said,) = caplog.records
    assert "Frame 41 of top" in said.message
    assert said.exc_info is not None


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((48, 64), np.float32),
        np.zeros((48, 64), np.uint16),
        np.zeros((48, 64, 4), np.uint8),
        np.zeros((0, 64), np.uint8),
        np.zeros(64, np.uint8),
    ],
    ids=lambda pixels: f"{pixels.dtype}{pixels.shape}",
)
def test_what_is_no_picture_is_not_inspected(pixels):
    result = a_pipeline().inspect(a_frame(pixels))
    assert (result.verdict, result.failure) == (Verdict.NOT_INSPECTED, "INS-IMAGE-UNSUITABLE")


@pytest.mark.parametrize(
    ("size", "failure"),
    [
        ((64, 48), None),
        ((64, None), None),
        ((65, 48), "INS-IMAGE-UNSUITABLE"),
        ((64, 49), "INS-IMAGE-UNSUITABLE"),
    ],
)
def test_a_frame_of_another_size_than_the_calibration_is_for_is_not_inspected(size, failure):
    assert a_pipeline(frame_wh_px=size).inspect(a_frame()).failure == failure


@pytest.mark.parametrize("box", [(0, 0, np.nan, 4), (0, 0, np.inf, 4)])
def test_a_detector_that_answers_with_no_numbers_leaves_the_frame_not_inspected(box):
    result = a_pipeline(Finds(box)).inspect(a_frame())
    assert (result.verdict, result.failure) == (Verdict.NOT_INSPECTED, "INS-DETECTIONS-INVALID")
    assert (
        a_pipeline(Finds((0, 0, 1, 1), score=np.nan)).inspect(a_frame()).failure == "INS-DETECTIONS-INVALID"
    )


@pytest.mark.parametrize(
    ("grey", "why"), [(0, "INS-IMAGE-DARK"), (255, "INS-IMAGE-GLARE"), (128, "INS-IMAGE-EMPTY")]
)
def test_a_picture_that_shows_nothing_is_not_inspected_rather_than_accepted(grey, why):
    result = a_pipeline().inspect(a_frame(np.full((48, 64), grey, np.uint8)))
    assert (result.verdict, result.failure) == (Verdict.NOT_INSPECTED, why)


def test_a_region_that_leaves_the_picture_is_not_inspected_rather_than_shortened():
    result = a_pipeline(roi_px=Box(0, 0, 65, 48)).inspect(a_frame())
    assert (result.verdict, result.failure) == (Verdict.NOT_INSPECTED, "INS-IMAGE-UNSUITABLE")


def test_defects_in_a_region_of_interest_keep_their_place_in_the_frame():
    result = a_pipeline(Finds((1, 2, 3, 4)), roi_px=Box(10, 20, 60, 40)).inspect(a_frame())
    assert result.defects[0].box_px == Box(11, 22, 13, 24)


def test_a_frame_says_which_part_of_the_surface_it_shows():
    assert a_pipeline().inspect(a_frame(y_origin_mm=100.0)).seen_mm == Box(0.0, 100.0, 32.0, 112.0)
    region = Box(10, 20, 60, 40)
    shown = a_pipeline(roi_px=region).inspect(a_frame(y_origin_mm=100.0)).seen_mm
    assert shown == Box(5.0, 105.0, 30.0, 110.0)
    assert a_pipeline(surface=Surface(name="top")).inspect(a_frame()).seen_mm is None


def a_strip_between(left: int, right: int):
    noise = np.random.default_rng(2).integers(0, 12, (64, 400)).astype(np.uint8)
    noise[:, left:right] += 110
    return noise


def test_strip_has_its_edges_and_width_and_only_what_lies_on_it_is_a_defect():
    pipeline = a_pipeline(Finds((10, 0, 50, 20), (100, 0, 110, 20)), edges=StripEdges(surface=SURFACE))
    result = pipeline.inspect(a_frame(a_strip_between(60, 340)))
    (defect,) = result.defects
    assert defect.edge_near_mm == pytest.approx(20, abs=0.2)
    assert result.edges[0].left_mm == pytest.approx(30, abs=0.2)
    assert [(one.name, round(one.value)) for one in result.measurements] == [("width", 140)]


def test_a_frame_in_which_an_edge_is_out_of_sight_is_not_inspected_and_has_no_width():
    result = a_pipeline(edges=StripEdges(surface=SURFACE)).inspect(a_frame(a_strip_between(0, 340)))
    assert (result.verdict, result.failure) == (Verdict.NOT_INSPECTED, "INS-EDGE-MISSING")
    assert result.measurements == ()


def test_an_empty_fixture_is_not_a_good_part():
    part = PartOutline(min_share=0.2, max_share=0.8)
    background = np.random.default_rng(1).integers(30, 40, (80, 80)).astype(np.uint8)
    with_part = background.copy()
    with_part[20:60, 15:65] += 120
    assert a_pipeline(part=part).inspect(a_frame(background)).failure == "INS-PART-MISSING"
    assert a_pipeline(part=part).inspect(a_frame(with_part)).verdict is Verdict.ACCEPT


@pytest.mark.parametrize("moved", [(0, 40), (-40, 0), (28, 0), (0, -28)])
def test_a_part_of_which_the_picture_cuts_something_off_is_not_a_good_one(moved):
    part = PartOutline(min_share=0.1, max_share=0.8)
    places = np.mgrid[:80, :80] - 40
    disc = np.hypot(places[0] - moved[0], places[1] - moved[1]) < 24
    picture = (np.random.default_rng(1).integers(30, 40, (80, 80)) + 120 * disc).astype(np.uint8)
    assert a_pipeline(part=part).inspect(a_frame(picture)).failure == "INS-PART-CUT-OFF"


def test_a_flat_field_of_another_size_is_refused():
    flat = FlatField.from_blank(np.full((48, 32), 100, np.uint8), per_column=True)
    assert a_pipeline(flat_field=flat).inspect(a_frame()).failure == "INS-IMAGE-UNSUITABLE"


def a_blank(darkest, brightest):
    """Of a lamp that falls off from the middle to the corners."""
    y, x = np.mgrid[-1:1:48j, -1:1:64j]
    return (brightest - (brightest - darkest) * (x**2 + y**2) / 2).astype(np.uint8)


@given(
    st.integers(60, 180),
    st.integers(60, 220),
    st.booleans(),
    st.sampled_from([(0, "DARK"), (128, "EMPTY"), (255, "GLARE")]),
)
def test_a_picture_that_shows_nothing_is_not_inspected_whatever_its_flat_field(
    darkest, brightest, per_column, shown
):
    """What was clipped or empty when it was taken, no gain makes a surface."""
    grey, why = shown
    flat = FlatField.from_blank(a_blank(darkest, brightest), per_column=per_column)
    result = a_pipeline(flat_field=flat).inspect(a_frame(np.full((48, 64), grey, np.uint8)))
    assert (result.verdict, result.failure) == (Verdict.NOT_INSPECTED, f"INS-IMAGE-{why}")


def textured(level):
    return (level + np.random.default_rng(3).normal(0, 6, (48, 64))).clip(0, 249)


@pytest.mark.parametrize("in_colour", [False, True])
def test_glare_is_measured_where_the_camera_was_clipped_and_where_the_flat_field_clips(in_colour):
    flat = FlatField.from_blank(a_blank(80, 190), per_column=False)
    watch = HealthWatch(HealthLimits(max_glare=0.01))

    def result(pixels):
        pixels = pixels.astype(np.uint8)
        picture = np.dstack([pixels] * 3) if in_colour else pixels
        return a_pipeline(flat_field=flat, health=watch).inspect(a_frame(picture))

    lit = a_blank(80, 190) * 0.9 + textured(0)
    clipped = lit.copy()
    clipped[16:32, 24:40] = 255  # where its gain is below 1: evened out, it has 210 grey levels
    brought_up = lit.copy()
    brought_up[:8, :8] = 220  # where its gain is nearly 2
    assert result(lit).failure is None
    for picture, glaring_px in ((clipped, 256), (brought_up, 64)):
        refused = result(picture)
        assert refused.failure == "INS-IMAGE-GLARE"
        values = {one.name: one.value for one in refused.measurements}
        assert values["image_saturated"] == pytest.approx(glaring_px / lit.size, rel=0.2)


def test_correcting_the_blank_itself_makes_it_even():
    blank = np.tile(np.linspace(80, 160, 64).astype(np.uint8), (48, 1))
    for per_column in (True, False):
        even = FlatField.from_blank(blank, per_column=per_column).correct(blank)
        assert int(even.max()) - int(even.min()) <= 1  # rounding


def a_measured_plate(**limits: float | None) -> GaugedPart:
    """A plate of 24 x 12 px, 12 mm long at 0.5 mm per px, its length held to limits."""
    ends = {
        name: LineGauge(start_mm=(x, -1.0), end_mm=(x, 1.0), reach_mm=1.5)
        for name, x in (("left", -6.0), ("right", 6.0))
    }
    return GaugedPart(
        aligner=OutlineReference(
            outline=PartOutline(min_share=0.05, max_share=0.5), offset_px=(0.0, 0.0), angle_deg=None
        ),
        gauges=ends,
        quantities=(Quantity(name="length", kind="distance", of=("left", "right")),),
        tolerances=(Tolerance(name="length", **{"lower": None, "upper": None, **limits}),),
        scale_uncertainty=0.001,
    )


def a_plate():
    picture = np.full((48, 64), 30, np.uint8)
    picture[14:34, 20:44] = 150
    return picture


@pytest.mark.parametrize(
    ("limits", "verdict"),
    [
        ({"lower": 11.9, "upper": 12.1}, Verdict.ACCEPT),
        ({"lower": 12.0}, Verdict.REVIEW),
        ({"upper": 11.9}, Verdict.REJECT),
    ],
)
def test_what_is_measured_is_in_the_result_and_judged(limits, verdict):
    plate = a_frame(a_plate())
    surface = replace(SURFACE, y_mm_per_px=0.5)
    result = a_pipeline(part=a_measured_plate(**limits), surface=surface).inspect(plate)
    assert [one.name for one in result.measurements] == ["length"]
    assert result.measurements[0].value == pytest.approx(12.0, abs=0.02)
    assert result.verdict is verdict
    assert "measure" in result.timings_ms


def test_a_defect_outweighs_a_size_that_is_right():
    surface = replace(SURFACE, y_mm_per_px=0.5)
    part = a_measured_plate(lower=11.9, upper=12.1)
    result = a_pipeline(Finds((1, 2, 3, 4)), part=part, surface=surface).inspect(a_frame(a_plate()))
    assert result.verdict is Verdict.REJECT


def test_a_part_that_cannot_be_measured_is_not_inspected():
    surface = replace(SURFACE, y_mm_per_px=0.5)
    ragged = a_plate()
    ragged[14:34, 12:20] = 150
    part = a_measured_plate(lower=11.9, upper=12.1)
    result = a_pipeline(part=part, surface=surface).inspect(a_frame(ragged))
    assert (result.verdict, result.failure) == (Verdict.NOT_INSPECTED, "INS-EDGE-NOT-FOUND")
    assert result.measurements == ()
    nothing = a_frame(np.random.default_rng(1).integers(20, 50, (48, 64)).astype(np.uint8))
    assert a_pipeline(part=part, surface=surface).inspect(nothing).failure == "INS-PART-MISSING"


def test_a_weld_is_placed_on_the_surface_and_found_before_the_strip_is_mirrored():
    strip = a_strip_between(60, 340)
    strip[30:38, 60:340] = 220
    finder = WeldFinder(surface=SURFACE, longest_mm=30)
    pipeline = a_pipeline(edges=StripEdges(surface=SURFACE), welds=finder)
    (weld,) = pipeline.inspect(a_frame(strip, y_origin_mm=100.0)).welds
    assert (weld.from_mm, weld.to_mm) == (pytest.approx(107.5), pytest.approx(109.5))
    assert pipeline.inspect(a_frame(a_strip_between(60, 340))).welds == ()
