"""Measuring, judged on drawn discs and bars: how far off the mean is, and how often the stated uncertainty holds."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from inspection.types import Image, Measurement
from inspection.vision.calibration import CalibrationMisfit, EvenScale, calibrate
from inspection.vision.measuring import (
    CircleGauge,
    Edge,
    EdgeNotFound,
    Line,
    LineGauge,
    Pose,
    Quantity,
    find_edges,
    fit,
    fit_circle,
    fit_line,
    measure,
)
from tests.inspection.vision.drawn_scenes import (
    CHECKERS,
    bar,
    disc,
    noisy,
    seen_on_plane,
    shape_picture,
    views,
)

PLANE = EvenScale(x_mm_per_px=0.1, y_mm_per_px=0.1, scale_uncertainty=0.0)
RIM = CircleGauge(centre_mm=(2.4, 2.4), radius_mm=1.5, reach_mm=0.6)
DIAMETER = Quantity(name="diameter", kind="diameter", of=("rim",))
WIDTH = Quantity(name="width", kind="distance", of=("upper", "lower"))
ANGLE = Quantity(name="angle", kind="angle", of=("upper", "other"))
SEEDS = 120


def a_disc(seed: int = 0, **overrides: float) -> tuple[Image, float]:
    """A disc somewhere near the middle of 48 px, and its diameter, mm."""
    rng = np.random.default_rng(seed)
    (x, y), radius = rng.uniform(23, 25, 2), rng.uniform(13.5, 16.5)
    picture = shape_picture(disc((x, y), radius), size_px=48, seed=seed, **overrides)
    return picture, 0.2 * radius


def of_disc(picture: Image) -> Measurement:
    return measure(picture, PLANE, {"rim": RIM}, [DIAMETER])[0]


def a_bar(seed: int = 0, **overrides: float) -> tuple[Image, float]:
    rng = np.random.default_rng(seed)
    centre, width, angle = rng.uniform(23, 25, 2), rng.uniform(12, 18), rng.uniform(-8, 8)
    picture = shape_picture(
        bar((centre[0], centre[1]), width, angle), size_px=48, seed=seed, **{"noise": 5.0, **overrides}
    )
    return picture, 0.1 * width


def of_bar(picture: Image) -> Measurement:
    upper = LineGauge(start_mm=(0.8, 1.65), end_mm=(4.0, 1.65), reach_mm=0.8)
    lower = replace(upper, start_mm=(0.8, 3.15), end_mm=(4.0, 3.15))
    return measure(picture, PLANE, {"upper": upper, "lower": lower}, [WIDTH])[0]


@pytest.fixture(scope="module", params=["disc", "bar"])
def errors_and_uncertainties(request: pytest.FixtureRequest) -> tuple[np.ndarray, np.ndarray]:
    """Of many drawn shapes, mm."""
    drawn, measured = (a_disc, of_disc) if request.param == "disc" else (a_bar, of_bar)
    pairs = [(drawn(seed, noise=5.0), seed) for seed in range(SEEDS)]
    results = [(measured(picture), truth) for (picture, truth), _ in pairs]
    errors = np.array([result.value - truth for result, truth in results])
    return errors, np.array([result.uncertainty for result, _ in results])


def test_what_is_measured_is_right_in_the_mean(errors_and_uncertainties):
    errors, _ = errors_and_uncertainties
    # 0.01 px of a diameter or a width of about 30 and 15 px, in the mean of many.
    assert abs(errors.mean()) < 0.001


def test_the_stated_uncertainty_holds_as_often_as_it_says(errors_and_uncertainties):
    errors, uncertainties = errors_and_uncertainties
    # 95 % expected at k = 2. Of 120, chance alone moves that by 2 %; a quarter less uncertainty would give 87 %.
    assert 0.89 <= (np.abs(errors) <= 2 * uncertainties).mean() <= 1.0
    assert 0.5 <= (np.abs(errors) <= uncertainties).mean() <= 0.9


@pytest.mark.parametrize(("blur_px", "noise"), [(0.0, 0.0), (0.7, 0.0), (1.3, 0.0), (1.3, 3.0)])
def test_blur_does_not_change_what_is_measured(blur_px, noise):
    errors = [
        of_disc(picture).value - truth
        for picture, truth in (a_disc(seed, blur_px=blur_px, noise=noise) for seed in range(25))
    ]
    # Uncorrected, a blur of 1.3 px makes this diameter 0.12 px smaller.
    assert abs(np.mean(errors)) < 0.002


LIES = {"along the rows": 0.0, "nearly so": 0.5, "askew": 3.0, "anyhow": 45.0}
SEEN = [
    # grey levels of contrast, of noise, and px of the lens's blur
    (120.0, 0.0, 0.0),
    (120.0, 0.0, 0.5),
    (120.0, 1.0, 0.7),
    (120.0, 5.0, 1.0),
    (30.0, 0.0, 0.7),
    (30.0, 1.0, 0.5),
]


@pytest.mark.parametrize("within_deg", LIES.values(), ids=LIES.keys())
def test_where_an_edge_lies_and_points_is_as_sure_as_it_says_along_the_grid_too(within_deg):
    """Coverage of twice the stated uncertainty over known edges, at every phase of the pixel grid."""
    rng = np.random.default_rng(int(10 * within_deg))
    held: dict[str, list[bool]] = {"place": [], "angle": [], "width": []}
    for contrast, noise, blur_px in SEEN:
        for seed in range(20):
            angle, (x, y) = rng.uniform(-within_deg, within_deg), rng.uniform(23, 25, 2)
            width = rng.uniform(14, 20)
            picture = shape_picture(
                bar((x, y), width, angle),
                size_px=48,
                seed=seed,
                noise=noise,
                blur_px=blur_px,
                dark=100 - contrast / 2,
                bright=100 + contrast / 2,
            )
            pose = Pose(x_mm=0.1 * x, y_mm=0.1 * y, angle_deg=angle)
            upper = LineGauge(
                start_mm=(-1.5, -0.05 * width),
                end_mm=(1.5, -0.05 * width),
                reach_mm=0.6,
                edge=Edge(min_contrast=10),
            )
            lower = replace(upper, start_mm=(-1.5, 0.05 * width), end_mm=(1.5, 0.05 * width))
            line = fit(picture, PLANE, upper, name="upper", pose=pose)
            assert isinstance(line, Line)
            lies = line.offset(pose.to_plane(np.array([[0.0, -0.05 * width]]))[0])
            points = np.degrees(np.arctan2(line.direction[1], line.direction[0])) - angle
            held["place"].append(abs(lies) <= 2 * np.hypot(line.u_offset_mm, line.u_edge_mm))
            held["angle"].append(abs(points) <= 2 * np.degrees(line.u_angle))
            (wide,) = measure(picture, PLANE, {"upper": upper, "lower": lower}, [WIDTH], pose=pose)
            assert wide.uncertainty is not None
            held["width"].append(abs(wide.value - 0.1 * width) <= 2 * wide.uncertainty)
    # 95 % are due; of 120 each, chance alone moves that by 2 %, and three such are allowed.
    assert min(np.mean(one) for one in held.values()) >= 0.89, {k: np.mean(v) for k, v in held.items()}


@pytest.mark.parametrize(("contrast", "within_px"), [(30.0, 0.06), (120.0, 0.02)])
def test_a_sharp_picture_without_noise_hides_no_more_of_an_edge_than_it_says(contrast, within_px):
    """Along the rows every point of an edge is wrong by the same, so that their scatter says nothing."""
    gauge = LineGauge(start_mm=(1.0, 1.7), end_mm=(3.8, 1.7), reach_mm=0.6)
    for phase in np.linspace(0, 1, 11):
        shown = {"noise": 0.0, "blur_px": 0.5, "dark": 100 - contrast / 2, "bright": 100 + contrast / 2}
        picture = shape_picture(bar((24.0, 24.0 + phase), 14, 0.0), size_px=48, **shown)
        line = fit(picture, PLANE, gauge, name="upper", pose=Pose())
        assert isinstance(line, Line)
        u_mm = np.hypot(line.u_offset_mm, line.u_edge_mm)
        assert u_mm < 0.1 * within_px
        assert abs(line.middle_mm[1] - 0.1 * (17.0 + phase)) <= 2.5 * u_mm


def test_more_noise_is_more_uncertainty():
    calm, wild = (of_disc(a_disc(3, noise=noise)[0]).uncertainty for noise in (1.0, 12.0))
    assert wild > 2 * calm


def test_the_uncertainty_of_the_scale_goes_with_the_length():
    picture, _ = a_disc()
    unsure = replace(PLANE, scale_uncertainty=0.01)
    result = measure(picture, unsure, {"rim": RIM}, [DIAMETER])[0]
    exact = of_disc(picture)
    assert result.uncertainty == pytest.approx(np.hypot(exact.uncertainty, 0.01 * exact.value))


def test_a_hole_is_measured_like_a_disc():
    picture, truth = a_disc(5, noise=1.0)
    assert of_disc(255 - picture).value == pytest.approx(truth, abs=0.004)


@settings(max_examples=25, deadline=None)
@given(st.floats(-20, 20))
def test_an_angle_is_found_whatever_it_is(angle):
    picture = shape_picture(bar((24.0, 24.0), 18, angle), size_px=48, noise=1.0)
    along = np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
    off = 9 * np.array([-along[1], along[0]])
    start, end = (0.1 * (24 - off + reach * along) for reach in (-15, 15))
    upper = LineGauge(start_mm=tuple(start), end_mm=tuple(end), reach_mm=0.6)
    level = shape_picture(bar((24.0, 24.0), 18, 0.0), size_px=48, noise=1.0)
    fitted = measure(picture, PLANE, {"upper": upper, "other": upper}, [ANGLE])[0]
    assert fitted.value == pytest.approx(0.0, abs=1e-6)
    flat = LineGauge(start_mm=(0.9, 1.5), end_mm=(3.9, 1.5), reach_mm=0.6)
    both = np.hstack([picture, level])
    shifted = replace(flat, start_mm=(5.7, 1.5), end_mm=(8.7, 1.5))
    result = measure(both, PLANE, {"upper": upper, "other": shifted}, [ANGLE])[0]
    assert result.unit == "°"
    assert result.value == pytest.approx(abs(angle), abs=max(3.5 * result.uncertainty, 0.03))
    # A line of 30 px, two of them.
    assert result.uncertainty < 0.08


def test_distances_between_middles_and_from_lines():
    left, right = disc((16.0, 32.0), 8.0), disc((44.3, 30.0), 7.0)
    picture = shape_picture(lambda places: np.maximum(left(places), right(places)), noise=1.0)
    gauges = {
        "left": CircleGauge(centre_mm=(1.6, 3.2), radius_mm=0.8, reach_mm=0.4),
        "right": CircleGauge(centre_mm=(4.4, 3.0), radius_mm=0.7, reach_mm=0.4),
    }
    apart = Quantity(name="apart", kind="distance", of=("left", "right"))
    result = measure(picture, PLANE, gauges, [apart])[0]
    assert result.value == pytest.approx(0.1 * np.hypot(28.3, 2.0), abs=3 * result.uncertainty)
    halves = np.vstack([picture, shape_picture(bar((32.0, 32.0), 20, 0.0), noise=1.0)])
    line = LineGauge(start_mm=(1.0, 8.6), end_mm=(5.4, 8.6), reach_mm=0.5)
    from_line = Quantity(name="from line", kind="distance", of=("line", "left"))
    result = measure(halves, PLANE, {"line": line, "left": gauges["left"]}, [from_line])[0]
    assert result.value == pytest.approx(0.1 * (64 + 22 - 32), abs=3 * result.uncertainty)


def test_dirt_on_a_third_of_the_rim_does_not_change_the_diameter():
    picture, truth = a_disc(7, noise=1.0)
    spoilt = picture.copy()
    spoilt[:14, 14:34] = 180
    result = of_disc(spoilt)
    assert result.value == pytest.approx(truth, abs=0.01)


@pytest.mark.parametrize("choice", ["first", "strongest"])
def test_the_edge_that_was_asked_for_is_taken(choice):
    row = np.repeat([50.0, 100.0, 200.0, 120.0], 16)
    picture = noisy(np.tile(row, (20, 1)).astype(np.float32), sigma=0.5, seed=1)
    starts = np.stack([np.full(5, 4.0), np.arange(5) + 5.0], axis=1)
    ends = starts + np.array([54.0, 0.0])
    edge = Edge(brightness="rising", choice=choice)
    expected = 15.5 if choice == "first" else 31.5
    assert_allclose(find_edges(picture, starts, ends, edge).points_px[:, 0], expected, atol=0.05)
    falling = find_edges(picture, starts, ends, replace(edge, brightness="falling"))
    assert_allclose(falling.points_px[:, 0], 47.5, atol=0.05)
    assert len(find_edges(picture, starts, ends, replace(edge, min_contrast=120.0)).points_px) == 0


@pytest.mark.parametrize(
    "picture",
    [
        np.full((48, 48), 120, np.uint8),
        np.zeros((48, 48), np.uint8),
        noisy(np.full((48, 48), 120, np.float32), sigma=25, seed=1),
        shape_picture(bar((24.0, 24.0), 26, 0.0), size_px=48),
        shape_picture(disc((24.0, 24.0), 4.0), size_px=48),
    ],
    ids=["even", "black", "noise", "a bar", "too small"],
)
def test_a_quantity_without_its_edge_is_no_number(picture):
    with pytest.raises(EdgeNotFound) as missing:
        of_disc(picture)
    assert missing.value.facts["gauge"] == "rim"


@pytest.mark.parametrize("blur_px", [0.5, 1.0, 1.5])
@pytest.mark.parametrize("size_px", [80, 61], ids=["inside the picture", "at its border"])
def test_an_edge_at_the_end_of_the_reach_is_measured_right_or_not_at_all(blur_px, size_px):
    """The reach ends at 60 px, where the smaller of the pictures ends too."""
    gauge = LineGauge(start_mm=(5.0, 5.0), end_mm=(5.0, 1.0), reach_mm=1.0, edge=Edge(brightness="rising"))
    found = []
    for at_px in np.arange(53.0, 65.0, 0.25):
        picture = shape_picture(
            lambda places, at_px=at_px: places[..., 0] - at_px, size_px=size_px, blur_px=blur_px
        )
        try:
            line = fit(picture, PLANE, gauge, name="face", pose=Pose())
        except EdgeNotFound:
            continue
        assert isinstance(line, Line)
        u_mm = np.hypot(line.u_offset_mm, line.u_edge_mm)
        assert abs(line.middle_mm[0] - 0.1 * at_px) <= 3 * u_mm, at_px
        found.append(at_px)
    # At the end itself some of the points lie beyond it. In the last 5 px of a picture nothing is known for sure.
    assert found[0] == 53.0
    assert found[-1] in ((59.75, 60.0) if size_px == 80 else (53.75, 54.0))


@pytest.mark.parametrize("diameter_mm", [2.0, 2.05, 3.95, 4.0, 4.1])
def test_a_bore_as_large_as_the_reach_is_not_taken_for_another_size(diameter_mm):
    gauge = CircleGauge(centre_mm=(2.4, 2.4), radius_mm=1.5, reach_mm=0.5)
    picture = shape_picture(disc((24.0, 24.0), 5 * diameter_mm), size_px=48, noise=1.0)
    try:
        (bore,) = measure(picture, PLANE, {"rim": gauge}, [DIAMETER])
    except EdgeNotFound:
        return
    assert bore.value == pytest.approx(diameter_mm, abs=3 * bore.uncertainty)


def test_what_lies_outside_the_picture_is_not_measured():
    picture, _ = a_disc()
    with pytest.raises(EdgeNotFound):
        measure(picture, PLANE, {"rim": replace(RIM, centre_mm=(0.9, 2.4))}, [DIAMETER])


def test_a_quantity_that_cannot_be_made_of_its_gauges_is_a_mistake():
    picture, _ = a_disc()
    with pytest.raises(ValueError, match="no angle of circle"):
        measure(picture, PLANE, {"rim": RIM}, [replace(DIAMETER, kind="angle")])


def test_the_same_picture_gives_the_same_numbers():
    picture, _ = a_disc(9)
    assert of_disc(picture) == of_disc(picture.copy())


def test_colour_is_measured_as_grey():
    picture, _ = a_disc(9)
    assert of_disc(np.dstack([picture] * 3)) == of_disc(picture)


@settings(max_examples=25, deadline=None)
@given(st.floats(-180, 180), st.floats(-3, 3), st.floats(-3, 3))
def test_gauges_follow_the_part(angle, x, y):
    # Two edges of a bar at -6 and +6 px from the part's origin, wherever it lies and however it is turned.
    picture = shape_picture(bar((32 + x, 32 + y), 12, angle), noise=1.0)
    gauges = {
        "upper": LineGauge(start_mm=(-1.5, -0.6), end_mm=(1.5, -0.6), reach_mm=0.4),
        "lower": LineGauge(start_mm=(-1.5, 0.6), end_mm=(1.5, 0.6), reach_mm=0.4),
    }
    pose = Pose(x_mm=0.1 * (32 + x), y_mm=0.1 * (32 + y), angle_deg=angle)
    result = measure(picture, PLANE, gauges, [WIDTH], pose=pose)[0]
    assert result.value == pytest.approx(1.2, abs=5 * result.uncertainty)


def test_a_calibrated_camera_measures_through_its_lens():
    calibration = calibrate(views(CHECKERS), CHECKERS)
    picture = seen_on_plane(disc((40.0, 12.0), 9.0))
    gauge = CircleGauge(centre_mm=(40.0, 12.0), radius_mm=9.0, reach_mm=1.5)
    result = measure(picture, calibration, {"rim": gauge}, [DIAMETER])[0]
    # 18 mm is about 100 px here; without the calibration the lens would make it 0.3 mm smaller.
    assert result.value == pytest.approx(18.0, abs=3 * result.uncertainty)
    assert result.uncertainty < 0.04
    with pytest.raises(CalibrationMisfit):
        measure(picture[:300], calibration, {"rim": gauge}, [DIAMETER])


# --- the fits alone ------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.floats(-10, 10), st.floats(-10, 10), st.floats(0.5, 50))
def test_points_on_a_circle_give_the_circle(x, y, radius):
    angle = np.linspace(0, 4, 30)
    points = np.stack([x + radius * np.cos(angle), y + radius * np.sin(angle)], axis=1)
    circle = fit_circle(points)
    assert_allclose([*circle.centre_mm, circle.radius_mm], [x, y, radius], atol=1e-6 * radius + 1e-9)


@settings(deadline=None)
@given(st.floats(-10, 10), st.floats(0, 180), st.floats(-20, 20))
def test_points_on_a_line_lie_on_the_line_fitted(offset, angle, beyond):
    along = np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
    base = offset * np.array([-along[1], along[0]])
    points = base + np.linspace(-3, 3, 20)[:, None] * along
    assert fit_line(points).offset(base + beyond * along) == pytest.approx(0, abs=1e-9)


def test_residuals_that_run_together_count_as_fewer():
    angle = np.linspace(0, 2 * np.pi, 80, endpoint=False)
    rng = np.random.default_rng(4)
    rough = rng.normal(0, 0.01, 80)
    smooth = np.repeat(rng.normal(0, 0.01, 10), 8)
    out = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    apart, together = (fit_circle(out * (5 + part)[:, None]).covariance[2, 2] for part in (rough, smooth))
    assert together > 3 * apart
