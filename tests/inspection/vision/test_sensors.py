"""Each reference component finds its drawn defects from the stated size on, and nothing on flawless surfaces.

The stated sizes are those of docs/sensors.md. Seeds here are not those the components were set up on.
"""

import io
import wave
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspection.errors import ImageUnreadable, SensorBlind, SensorMisfit
from inspection.pipeline import Pipeline
from inspection.types import Detections, Frame, Limit, Surface, Verdict
from inspection.vision.drawing import StripDrawing
from inspection.vision.drawn_sensors import (
    LINE_ROWS,
    MM_PER_RAD,
    PERIODS,
    SAMPLE_HZ,
    STEPS,
    Z_MM_PER_PX,
    draw_fringes,
    draw_laser,
    draw_waveform,
    flat_fringes,
    fringes_on,
    heights_of,
    laser_on,
    some_shapes,
)
from inspection.vision.heights import Deviation, HeightRules
from inspection.vision.laser_line import LaserLine
from inspection.vision.phase_shift import PhaseShift
from inspection.vision.waveform import Burst, Waveform, decode_wav, frame_of, samples_of
from tests.builders import NOON

HW = (160, 200)


def rules(from_mm, **changes):
    deviations = tuple(
        Deviation(kind=kind, from_mm=sign * from_mm, min_area_px=12)
        for kind, sign in (("dent", -1), ("bump", 1))
    )
    return HeightRules(**{"deviations": deviations, **changes})


STRIPES = PhaseShift(reference=None, periods=PERIODS, steps=STEPS, mm_per_rad=MM_PER_RAD, rules=rules(0.02))
LINE = LaserLine(line_rows=LINE_ROWS, z_mm_per_px=Z_MM_PER_PX, rules=rules(0.03))
PROBE = Waveform(
    sample_hz=SAMPLE_HZ,
    window=512,
    hop=256,
    bursts=(Burst(kind="crack", from_hz=18e3, to_hz=26e3, above_db=4.5),),
)

HEIGHT_SENSORS = [
    # sensor, drawing, and from which depth at 8 px on nothing is missed
    pytest.param(STRIPES, draw_fringes, 0.03, id="structured light"),
    pytest.param(LINE, draw_laser, 0.05, id="laser line"),
]


def found_of(truth, found):
    """For each drawn defect whether one of its kind was found over its middle."""
    boxes = found.xyxy
    for defect in truth:
        box = defect.box_px
        x, y = (box.x1 + box.x2) / 2, (box.y1 + box.y2) / 2
        over = (boxes[:, 0] <= x) & (x <= boxes[:, 2]) & (boxes[:, 1] <= y) & (y <= boxes[:, 3])
        yield any(kind == defect.kind for kind, is_over in zip(found.kind, over, strict=True) if is_over)


@pytest.mark.parametrize(("sensor", "draw", "depth_mm"), HEIGHT_SENSORS)
@settings(max_examples=12)
@given(
    seed=st.integers(10_000, 2**31),
    width_px=st.floats(8, 16),
    deeper=st.floats(1.0, 6.0),
)
def test_no_dent_or_bump_from_the_stated_size_on_is_missed_and_nothing_else_is_found(
    sensor, draw, depth_mm, seed, width_px, deeper
):
    off_mm = depth_mm * deeper
    shapes = some_shapes(seed, HW, kinds=[("dent", -off_mm), ("bump", off_mm)], width_px=width_px, count=4)
    drawn = draw(seed, HW, shapes)
    found = sensor.sense(drawn.raw).found
    assert all(found_of(drawn.truth, found))
    assert len(found) == len(drawn.truth)


@pytest.mark.parametrize(("sensor", "draw", "depth_mm"), HEIGHT_SENSORS)
@pytest.mark.parametrize("seed", range(500, 506))
def test_on_a_flawless_plate_nothing_is_found_however_it_lies(sensor, draw, depth_mm, seed):
    assert len(sensor.sense(draw(seed, HW).raw).found) == 0


@pytest.mark.parametrize(
    ("sensor", "drawn", "noise_mm"), [(STRIPES, fringes_on, 0.002), (LINE, laser_on, 0.006)]
)
def test_heights_are_true_to_the_drawing(sensor, drawn, noise_mm):
    heights = heights_of(77, HW, some_shapes(77, HW, kinds=[("dent", -0.4)], width_px=20, count=3))
    error = sensor.heights(drawn(77, heights)) - heights
    assert abs(np.nanmean(error)) < noise_mm / 5
    assert np.nanstd(error) < noise_mm


def test_a_plate_far_from_the_reference_is_unwrapped_right():
    """Farther off than the fine stripes alone could tell: they repeat every 0.31 mm."""
    heights = np.full(HW, 2.0, np.float32)
    np.testing.assert_allclose(STRIPES.heights(fringes_on(3, heights)), 2.0, atol=0.02)


def test_heights_against_a_reference_frame_leave_its_own_shape_out():
    bent = heights_of(5, HW, some_shapes(5, HW, kinds=[("bump", 0.3)], width_px=30, count=2))
    sensor = replace(STRIPES, reference=fringes_on(1, bent))
    assert len(sensor.sense(fringes_on(2, bent)).found) == 0
    assert len(STRIPES.sense(fringes_on(2, bent)).found) == 2


def test_a_reference_of_another_size_and_a_frame_of_no_whole_pictures_are_refused():
    with pytest.raises(SensorMisfit):
        replace(STRIPES, reference=flat_fringes((80, 200))).sense(draw_fringes(1, HW).raw)
    with pytest.raises(SensorMisfit):
        STRIPES.sense(draw_fringes(1, HW).raw[:-1])
    with pytest.raises(SensorMisfit):
        LINE.sense(draw_laser(1, HW).raw[:-1])


def darkened(raw, pictures, side):
    """Raw in which a square of the map is dark in every picture."""
    stack = raw.copy().reshape(pictures, -1, raw.shape[1])
    stack[:, 40 : 40 + side, 60 : 60 + side] = 10
    return stack.reshape(raw.shape)


def test_a_shadow_as_large_as_a_defect_leaves_the_plate_uninspected_and_a_smaller_one_hides_none():
    drawn = draw_fringes(9, HW)
    with pytest.raises(SensorBlind):
        STRIPES.sense(darkened(drawn.raw, 12, 4))
    assert len(STRIPES.sense(darkened(drawn.raw, 12, 3)).found) == 0


def test_a_defect_half_in_shadow_is_no_smaller_for_it():
    """Of 20 px that lie off 9 are dark: what is left, 11, would be too small to be one."""
    heights = np.zeros(HW, np.float32)
    heights[40:44, 60:65] = 0.5
    lit, shaded = fringes_on(4, heights), darkened(fringes_on(4, heights), 12, 3)
    assert len(STRIPES.sense(lit).found) == len(STRIPES.sense(shaded).found) == 1


def test_a_laser_line_with_a_reflection_as_bright_is_not_known():
    raw = draw_laser(2, HW).raw.reshape(HW[0], LINE_ROWS, HW[1]).copy()
    mirrored = raw.copy()
    mirrored[50:60, :, 100:110] = np.maximum(raw, np.roll(raw, 20, axis=1))[50:60, :, 100:110]
    with pytest.raises(SensorBlind):
        LINE.sense(mirrored.reshape(-1, HW[1]))


def test_a_surface_beyond_the_line_pictures_is_not_known():
    with pytest.raises(SensorBlind):
        LINE.sense(laser_on(1, np.full(HW, LINE_ROWS * Z_MM_PER_PX, np.float32)))


@pytest.mark.parametrize(
    "raw", [np.zeros((12 * 160, 200), np.uint8), np.full((12 * 160, 200), 255, np.uint8)]
)
def test_a_dark_or_a_glaring_plate_is_not_inspected(raw):
    with pytest.raises(SensorBlind):
        STRIPES.sense(raw)


def test_what_has_one_cross_section_all_along_is_judged_against_it():
    """A rail: its own shape is no defect, a dent across it is."""
    x = np.linspace(-1, 1, HW[1], dtype=np.float32)
    rail = np.broadcast_to(0.6 * (1 - x**2), HW).copy()
    sensor = replace(LINE, rules=rules(0.03, level="profile"))
    assert len(sensor.sense(laser_on(8, rail)).found) == 0
    rail[80:92, 90:110] -= 0.1
    assert sensor.sense(laser_on(8, rail)).found.kind == ("dent",)


@settings(max_examples=25)
@given(
    seed=st.integers(10_000, 2**31),
    starts=st.lists(st.integers(0, 11), min_size=1, max_size=5, unique=True),
    loudness=st.floats(0.02, 0.5),
)
def test_no_flaw_from_the_stated_loudness_on_is_missed_and_each_comes_out_once(seed, starts, loudness):
    flaws = [(1000 + 4000 * start, loudness) for start in starts]
    drawn = draw_waveform(seed, samples=50_000, flaws=flaws)
    found = PROBE.sense(drawn.raw).found
    assert len(found) == len(flaws)
    for flaw in drawn.truth:
        spans = [(y1 * 256, y2 * 256) for _, y1, _, y2 in found.xyxy.tolist()]
        assert any(first < flaw.box_px.y2 and flaw.box_px.y1 < last for first, last in spans)


@pytest.mark.parametrize("seed", range(700, 720))
def test_a_probe_on_a_flawless_bar_hears_nothing(seed):
    assert len(PROBE.sense(draw_waveform(seed, samples=50_000).raw).found) == 0


def test_a_sine_of_full_scale_has_no_decibels():
    time_s = np.arange(4096) / SAMPLE_HZ
    sine = np.sin(2 * np.pi * (64 * SAMPLE_HZ / 512) * time_s)
    spectrum = PROBE.spectrogram(sine)
    assert spectrum[:, 64] == pytest.approx(0, abs=1e-3)
    assert spectrum[:, 100].max() < -60


@pytest.mark.parametrize(
    ("samples", "error"),
    [
        (np.zeros(50_000), SensorBlind),
        (np.clip(np.sin(np.arange(50_000) / 9) * 2, -1, 1), SensorBlind),
        (np.random.default_rng(1).normal(0, 0.01, 600), SensorMisfit),
    ],
    ids=["silent", "clipped", "too short"],
)
def test_a_probe_that_is_not_connected_too_loud_or_cut_off_is_no_good_bar(samples, error):
    with pytest.raises(error):
        PROBE.sense(frame_of(np.rint(samples * 32767).astype(np.int16)))


def a_wav(samples, *, channels=1, width=2):
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(channels)
        out.setsampwidth(width)
        out.setframerate(int(SAMPLE_HZ))
        out.writeframes(samples.tobytes())
    return file.getvalue()


def test_a_wav_file_has_the_samples_that_were_recorded():
    samples = np.arange(-300, 300, dtype="<i2")
    pixels, sample_hz = decode_wav(a_wav(samples))
    assert sample_hz == SAMPLE_HZ
    np.testing.assert_array_equal(np.rint(samples_of(pixels) * 32768), samples)


@given(st.integers(0, 1243))
def test_a_wav_file_that_was_cut_off_is_never_taken_for_a_shorter_one(length):
    whole = a_wav(np.arange(600, dtype="<i2"))
    with pytest.raises(ImageUnreadable):
        decode_wav(whole[:length])


def test_a_wav_file_of_two_channels_or_eight_bits_is_refused():
    with pytest.raises(SensorMisfit):
        decode_wav(a_wav(np.zeros(600, "<i2"), channels=2))
    with pytest.raises(SensorMisfit):
        decode_wav(a_wav(np.zeros(600, np.uint8), width=1))


class FindsNothing:
    def detect(self, image):
        self.seen = image.shape
        return Detections.none()


def test_a_sensor_is_composed_with_detectors_limits_and_a_surface_like_a_camera():
    detector = FindsNothing()
    limit = Limit(kinds=frozenset({"dent"}), measure="length_mm", review_from=None, reject_from=0.8)
    pipeline = Pipeline(
        detector=detector,
        surface=Surface(name="face", x_mm_per_px=0.1, y_mm_per_px=0.1),
        limits=(limit,),
        sensor=STRIPES,
    )
    shapes = some_shapes(6, HW, kinds=[("dent", -0.1)], width_px=10, count=1)
    frame = Frame(pixels=draw_fringes(6, HW, shapes).raw, camera="top", sequence=0, captured_at=NOON)
    result = pipeline.inspect(frame)
    assert result.verdict is Verdict.REJECT
    assert detector.seen == result.picture.shape == HW
    (dent,) = result.defects
    assert dent.length_mm == pytest.approx(1.0, abs=0.4)
    assert dent.area_mm2 < dent.box_mm.area
    assert {one.name for one in result.measurements} == {"height_low", "height_high"}

    blind = pipeline.inspect(replace(frame, pixels=np.zeros_like(frame.pixels)))
    assert (blind.verdict, blind.failure) == (Verdict.NOT_INSPECTED, "INS-SENSOR-BLIND")


def test_the_same_recording_gives_the_same_result():
    for sensor, drawn in ((STRIPES, draw_fringes(3, HW)), (LINE, draw_laser(3, HW))):
        one, two = sensor.sense(drawn.raw), sensor.sense(drawn.raw)
        np.testing.assert_array_equal(one.picture, two.picture)
        assert one.measured == two.measured


def test_a_picture_is_never_heard_as_a_waveform():
    with pytest.raises(SensorMisfit):
        PROBE.sense(draw_laser(1, HW).raw)


def test_a_plate_that_moved_between_the_steps_is_not_inspected():
    """Painted dots that are elsewhere in each picture: the steps at a place are no cosine."""
    raw = draw_fringes(5, HW).raw.astype(np.float32).reshape(12, *HW)
    dots = (np.indices(HW).sum(axis=0) // 3 % 2)[None] * 0.8 + 0.2
    still = raw * dots
    moving = np.stack([picture * np.roll(dots[0], 2 * step, axis=1) for step, picture in enumerate(raw)])
    assert len(STRIPES.sense(still.reshape(-1, HW[1]).astype(np.uint8)).found) == 0
    with pytest.raises(SensorBlind):
        STRIPES.sense(moving.reshape(-1, HW[1]).astype(np.uint8))


def test_an_ordinary_picture_is_not_taken_for_stripes_or_a_laser_line():
    steel = StripDrawing(3, width_px=200).frame(0, height_px=12 * 64).pixels
    for sensor in (STRIPES, LINE):
        with pytest.raises(SensorBlind):
            sensor.sense(steel)


@pytest.mark.parametrize("more", [0, 1, 100, 255])
def test_the_last_samples_of_a_recording_are_heard_whatever_its_length(more):
    samples = np.random.default_rng(3).normal(0, 0.01, 512 + 256 * 100 + more)
    samples[-200:] += 0.3 * np.sin(2 * np.pi * 22e3 * np.arange(200) / SAMPLE_HZ)
    assert len(PROBE.sense(frame_of(np.rint(samples * 32767).astype(np.int16))).found) == 1


def test_a_line_of_unknown_places_is_as_long_askew_as_it_is_along():
    heights = np.zeros(HW, np.float32)
    along, askew = heights.copy(), heights.copy()
    along[80, 20:60] = np.nan
    askew[np.arange(40, 80), np.arange(20, 60)] = np.nan
    for unknown in (along, askew):
        with pytest.raises(SensorBlind):
            rules(0.02).sensed(unknown)
