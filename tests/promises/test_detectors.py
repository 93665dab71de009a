"""What every detector promises, asked of each of them."""

from __future__ import annotations

import numpy as np
import pytest

from inspection.errors import InspectionError
from inspection.types import Image
from inspection.vision.boxes import areas, intersections
from inspection.vision.drawing import StripDrawing, draw_part
from models import ModelStore, ReleasedDetector, open_detector

DETECTORS = sorted(ModelStore().versions())

FLAT = np.full((200, 200), 120, np.uint8)
STRIP = StripDrawing(3)


def pictures() -> dict[str, Image]:
    strip = next(frame.pixels for frame in map(STRIP.frame, range(50)) if len(frame.truth) > 1)
    return {
        "strip": strip,
        "part": draw_part(3, 0, defective=True).pixels,
        "colour": np.dstack([strip[:200, :200]] * 3),
        "flat": FLAT,
        "black": np.zeros((64, 300), np.uint8),
        "one pixel": np.zeros((1, 1), np.uint8),
        "one row": np.zeros((1, 900), np.uint8),
        "noise": np.random.default_rng(1).integers(0, 256, (333, 517)).astype(np.uint8),
    }


@pytest.fixture(scope="module", params=DETECTORS)
def detector(request: pytest.FixtureRequest) -> ReleasedDetector:
    return open_detector(request.param)


@pytest.fixture(scope="module", params=DETECTORS)
def watchful(request: pytest.FixtureRequest) -> ReleasedDetector:
    """So low a threshold that there is always something to look at."""
    return open_detector(request.param, min_score=0.01)


@pytest.mark.parametrize("name", pictures())
def test_detections_lie_in_the_picture_and_have_kinds_of_the_model(watchful, name):
    image = pictures()[name]
    found = watchful.detect(image)
    height, width = image.shape[:2]
    assert found.xyxy.dtype == found.score.dtype == np.float32
    assert (found.xyxy[:, :2] >= 0).all()
    assert (found.xyxy[:, 2:] <= (width, height)).all()
    assert (found.xyxy[:, :2] <= found.xyxy[:, 2:]).all()
    assert ((found.score >= 0) & (found.score <= 1)).all()
    assert (np.diff(found.score) <= 0).all()
    assert set(found.kind) <= set(watchful.kinds)


@pytest.mark.parametrize("name", ["strip", "part", "noise"])
def test_the_same_picture_gives_the_same_detections_whatever_came_between(watchful, name):
    image = pictures()[name]
    first = watchful.detect(image)
    watchful.detect(FLAT)
    again = watchful.detect(image)
    np.testing.assert_array_equal(first.xyxy, again.xyxy)
    np.testing.assert_array_equal(first.score, again.score)
    assert first.kind == again.kind


def test_the_picture_given_is_not_written_to(detector):
    image = pictures()["strip"].copy()
    image.setflags(write=False)
    detector.detect(image)
    np.testing.assert_array_equal(image, pictures()["strip"])


def test_a_window_of_a_picture_is_seen_like_a_copy_of_it(watchful):
    frame = pictures()["strip"]
    window = frame[50:250, 100:300]
    assert not window.flags.c_contiguous
    np.testing.assert_array_equal(watchful.detect(window).xyxy, watchful.detect(window.copy()).xyxy)


def test_grey_stored_as_colour_is_seen_as_grey(watchful):
    grey = pictures()["strip"][:200, :200]
    np.testing.assert_array_equal(watchful.detect(grey).xyxy, watchful.detect(np.dstack([grey] * 3)).xyxy)


def test_an_even_surface_is_looked_at_and_nothing_is_found(detector):
    assert len(detector.detect(FLAT)) == 0


def test_a_picture_without_pixels_is_refused_not_passed(detector):
    with pytest.raises(InspectionError):
        detector.detect(np.empty((0, 200), np.uint8))


def test_it_says_which_released_bytes_it_runs(detector):
    model = ModelStore().find(detector.ref.name, detector.ref.version)
    assert detector.ref == model.card.ref


def test_a_lower_score_asked_for_still_finds_every_place(detector, watchful):
    """Not as many of them: on a map, two places are one where what lies between them counts as well."""
    if detector.ref != watchful.ref:
        return
    image = pictures()["strip"][:200, :200]
    found, more = detector.detect(image), watchful.detect(image)
    shared = intersections(found.xyxy, more.xyxy) / np.maximum(areas(found.xyxy), 1)[:, None]
    kinds = np.array(found.kind, object)[:, None] == np.array(more.kind, object)[None, :]
    assert (np.where(kinds, shared, 0).max(axis=1, initial=0) >= 0.5).all()


@pytest.mark.parametrize("name", ["strip", "part", "one pixel"])
def test_asked_for_all_its_tiles_it_finds_what_it_finds_in_the_picture(watchful, name):
    image = pictures()[name]
    everywhere = watchful.detect(image)
    tiles = watchful.tiles(image.shape[:2])
    tiled = watchful.together(image.shape[:2], tiles, [watchful.look_at(image, tile) for tile in tiles])
    np.testing.assert_array_equal(everywhere.xyxy, tiled.xyxy)
    np.testing.assert_array_equal(everywhere.score, tiled.score)
    assert everywhere.kind == tiled.kind


def test_asked_for_some_tiles_it_looks_nowhere_else(watchful):
    image = pictures()["strip"]
    for tile in watchful.tiles(image.shape[:2])[:3]:
        found = watchful.look_at(image, tile)
        assert (found.xyxy >= (tile.left, tile.top, tile.left, tile.top)).all()
        assert (found.xyxy <= (tile.right, tile.bottom, tile.right, tile.bottom)).all()
        elsewhere = image.copy()
        elsewhere[: tile.top], elsewhere[tile.bottom :] = 0, 255
        np.testing.assert_array_equal(watchful.look_at(elsewhere, tile).xyxy, found.xyxy)


def test_asked_for_no_tile_it_finds_nothing(watchful):
    assert len(watchful.together(pictures()["strip"].shape[:2], [], [])) == 0
