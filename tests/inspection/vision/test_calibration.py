"""Calibration, judged on boards drawn through a lens whose every number is known."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from inspection.vision.calibration import (
    Board,
    BoardNotFound,
    Calibration,
    CalibrationMisfit,
    CalibrationRefused,
    CalibrationUnreadable,
    EvenScale,
    calibrate,
)
from tests.inspection.vision.drawn_scenes import (
    CHARUCO,
    CHECKERS,
    LENS,
    SIZE_WH,
    VIEWS,
    Points,
    board_picture,
    noisy,
    on_plane,
    straight_rays,
    views,
)

KINDS = {"checkerboard": CHECKERS, "charuco": CHARUCO}


@pytest.fixture(scope="module", params=KINDS)
def calibration(request: pytest.FixtureRequest) -> Calibration:
    board = KINDS[request.param]
    return calibrate(views(board), board)


@pytest.fixture(scope="module")
def of_checkers() -> Calibration:
    return calibrate(views(CHECKERS), CHECKERS)


def covered_grid(calibration: Calibration) -> Points:
    left, top, right, bottom = calibration.covered_px
    x, y = np.linspace(left, right, 5), np.linspace(top, bottom, 5)
    return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)


def lengths(points: Points) -> Points:
    grid = points.reshape(5, 5, 2)
    return np.concatenate([np.linalg.norm(np.diff(grid, axis=axis), axis=-1).ravel() for axis in (0, 1)])


def test_the_lens_is_found(calibration):
    # Half a percent: the corners of these pictures of 480 px are found to some hundredths of a pixel.
    assert_allclose([calibration.fx, calibration.fy], LENS[[0, 1], [0, 1]], rtol=0.005)
    assert_allclose([calibration.cx, calibration.cy], LENS[:2, 2], atol=1.5)
    assert calibration.reprojection_px < 0.15


def test_a_place_in_the_picture_is_found_on_the_plane(calibration):
    grid = covered_grid(calibration)
    truth = on_plane(straight_rays(grid), *VIEWS[0])
    # 0.05 mm is a quarter of a pixel, at the border of the area; without the lens's bend it would be 1.5 mm.
    assert_allclose(calibration.to_mm(grid), truth, atol=0.05)


def test_lengths_are_as_sure_as_stated(calibration):
    grid = covered_grid(calibration)
    wrong_by = lengths(calibration.to_mm(grid)) / lengths(on_plane(straight_rays(grid), *VIEWS[0])) - 1
    assert np.abs(wrong_by).max() < 3 * calibration.scale_uncertainty
    # And what is stated is not so much that it says nothing: the worst of 40 lengths reaches a third of it.
    assert np.abs(wrong_by).max() > calibration.scale_uncertainty / 3


def test_scale_and_tilt_are_those_of_the_plane(calibration):
    turn = np.linalg.norm(VIEWS[0][0][:2])
    assert calibration.tilt_deg == pytest.approx(np.degrees(turn), abs=0.2)
    middle = (np.array(SIZE_WH) - 1) / 2
    two = straight_rays(middle + np.array([[-5.0, 0], [5, 0]]))
    assert calibration.mm_per_px == pytest.approx(
        np.linalg.norm(np.diff(on_plane(two, *VIEWS[0]), axis=0)) / 10, rel=0.01
    )


def test_the_way_to_the_plane_and_back_ends_where_it_began(calibration):
    grid = covered_grid(calibration)
    assert_allclose(calibration.to_px(calibration.to_mm(grid)), grid, atol=1e-6)


def test_the_uncertainty_of_the_board_is_in_that_of_the_scale(of_checkers):
    on_paper = calibrate(views(CHECKERS), replace(CHECKERS, tolerance=0.01))
    assert on_paper.scale_uncertainty == pytest.approx(np.hypot(of_checkers.scale_uncertainty, 0.01))


def test_the_same_pictures_give_the_same_calibration(of_checkers):
    again = calibrate(views(CHECKERS), CHECKERS)
    # OpenCV adds up in several threads, in any order.
    assert again.fx == pytest.approx(of_checkers.fx, rel=1e-8)
    assert again.scale_uncertainty == pytest.approx(of_checkers.scale_uncertainty, rel=1e-6)


def test_storing_and_loading_changes_nothing(calibration):
    assert Calibration.from_toml(calibration.to_toml()) == calibration


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text.replace("width_px = 480", "width_px = 481"),
        lambda text: text.replace("fx = 5", "fx = 6"),
        lambda text: text[: len(text) // 2],
        lambda text: "",
    ],
    ids=["other frame", "other lens", "half of it", "nothing"],
)
def test_a_calibration_changed_after_it_was_made_is_refused(of_checkers, spoil):
    with pytest.raises(CalibrationUnreadable):
        Calibration.from_toml(spoil(of_checkers.to_toml()))


def test_its_digest_tells_calibrations_apart(of_checkers):
    assert replace(of_checkers, cx=of_checkers.cx + 1e-9).sha256 != of_checkers.sha256


def test_a_frame_of_another_size_is_refused(of_checkers):
    of_checkers.check_fits(np.zeros((360, 480), np.uint8))
    with pytest.raises(CalibrationMisfit) as refused:
        of_checkers.check_fits(np.zeros((480, 360), np.uint8))
    assert refused.value.facts == {"found": "360 x 480 px", "allowed": "480 x 360 px"}


def test_nothing_is_measured_where_the_board_was_not(of_checkers):
    with pytest.raises(CalibrationMisfit):
        of_checkers.to_mm(np.array([[240.0, 180.0], [2.0, 180.0]]))


def test_a_picture_without_the_board_is_named():
    pictures = (*views(CHECKERS)[:3], np.full((360, 480), 90, np.uint8))
    with pytest.raises(BoardNotFound) as missing:
        calibrate(pictures, CHECKERS)
    assert missing.value.facts["picture"] == 4


@pytest.mark.parametrize(("columns", "rows"), [(14, 9), (12, 11)])
def test_a_board_with_fewer_squares_than_described_is_named_with_both_numbers(columns, rows):
    described = replace(CHECKERS, columns=columns, rows=rows)
    for number, picture in enumerate(views(CHECKERS)[:3], 1):
        with pytest.raises(BoardNotFound) as refused:
            described.find(picture, picture=number)
        assert refused.value.facts == {
            "reason": "squares",
            "picture": number,
            "columns": columns,
            "rows": rows,
            "there": "12 x 9",
        }


def test_of_a_picture_without_any_board_it_is_said_how_many_corners_are_missing():
    with pytest.raises(BoardNotFound) as refused:
        CHECKERS.find(noisy(np.full((360, 480), 90, np.float32), sigma=9, seed=1))
    facts = refused.value.facts
    assert (facts["reason"], facts["found"], facts["needed"]) == ("unseen", 0, 88)


@pytest.mark.parametrize(
    ("pictures", "reason"),
    [
        (views(CHECKERS)[:3], "pictures"),
        ((*views(CHECKERS)[:4], np.zeros((200, 200), np.uint8)), "sizes"),
        (tuple(board_picture(CHECKERS, (0.02 * n, 0.2, 0), (-30, -20, 400)) for n in range(4)), "cover"),
        (views(CHECKERS)[:1] * 5, "turn"),
    ],
    ids=["too few", "two sizes", "only in the middle", "one place"],
)
def test_pictures_that_do_not_determine_the_camera_are_refused(pictures, reason):
    with pytest.raises(CalibrationRefused) as refused:
        calibrate(pictures, CHECKERS)
    assert refused.value.facts["reason"] == reason


def test_a_board_that_the_model_does_not_fit_is_refused():
    # A bent board: between the pictures, one half of it is printed wider.
    class Bent(Board):
        def find(self, image, *, picture=1):
            corners = super().find(image)
            wide = corners.board_mm[:, :1] ** 2 * [[0.004, 0.0]]
            return replace(corners, board_mm=corners.board_mm + wide)

    bent = Bent(columns=12, rows=9, square_mm=6.0)
    with pytest.raises(CalibrationRefused) as refused:
        calibrate(views(CHECKERS), bent)
    assert refused.value.facts["reason"] == "reprojection"


def test_an_even_scale_is_a_plane_too():
    plane = EvenScale(x_mm_per_px=0.25, y_mm_per_px=0.5, scale_uncertainty=0.001)
    points = np.array([[4.0, 4.0], [0.0, 10.0]])
    assert_allclose(plane.to_mm(points), [[1, 2], [0, 5]])
    assert_allclose(plane.to_px(plane.to_mm(points)), points)
