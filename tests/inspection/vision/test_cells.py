import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from inspection.vision.cells import CELL_PX, DEPTH, STATISTICS, cell_statistics

BLOCK = 16


def plainly(image):
    """The statistics as their names say, block by block: the judge of the fast code."""
    below, right = -image.shape[0] % CELL_PX, -image.shape[1] % CELL_PX
    whole = np.asarray(cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_REFLECT_101))
    fine = halved(whole.astype(int))
    coarse = halved(fine)
    spots = halved(coarse)
    means = squares(spots, 2, np.mean)
    near = np.maximum(mean_around(means, 5), 8)
    around = np.maximum(mean_around(means, 11), 8)
    ratios = [
        squares(steps(fine, 1), 8, np.mean) / near,
        squares(steps(fine, 0), 8, np.mean) / near,
        squares(fine, 8, np.max) / near - 1,
        1 - squares(fine, 8, np.min) / near,
        squares(steps(coarse, 1), 4, np.mean) / near,
        squares(steps(coarse, 0), 4, np.mean) / near,
        squares(coarse, 4, np.max) / near - 1,
        1 - squares(coarse, 4, np.min) / near,
        squares(spots, 2, np.max) / near - 1,
        1 - squares(spots, 2, np.min) / near,
        means / around - 1,
        1 - means / around,
        (near / 255) ** 2,
    ]
    blocks = np.minimum(np.rint(160 * np.sqrt(np.maximum(np.stack(ratios, axis=-1), 0))), 255)
    rows, columns, count = blocks.shape
    four = blocks.reshape(rows // 2, 2, columns // 2, 2, count)
    return np.concatenate([four.sum(axis=(1, 3)), four.max(axis=(1, 3))], axis=2)


def halved(picture):
    return (picture[0::2, 0::2] + picture[0::2, 1::2] + picture[1::2, 0::2] + picture[1::2, 1::2] + 2) // 4


def squares(picture, side, how):
    rows, columns = (length // side for length in picture.shape)
    return np.array(
        [
            [
                how(picture[row * side : (row + 1) * side, column * side : (column + 1) * side])
                for column in range(columns)
            ]
            for row in range(rows)
        ]
    )


def steps(picture, axis):
    filled = np.zeros(picture.shape, int)
    difference = np.abs(np.diff(picture, axis=axis))
    filled[: difference.shape[0], : difference.shape[1]] = difference
    return filled


def mean_around(means, side):
    half = side // 2
    padded = np.pad(means, half, mode="symmetric")
    rows, columns = means.shape
    return np.array(
        [
            [padded[row : row + side, column : column + side].mean() for column in range(columns)]
            for row in range(rows)
        ]
    )


def grain(seed, height, width, *, mean=120.0, sigma=9.0):
    rng = np.random.default_rng(seed)
    grey = cv2.GaussianBlur(rng.normal(0, 3 * sigma, (height, width)), (0, 0), 1.2) + mean
    return np.clip(np.rint(grey), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("shape", [(64, 96), (200, 200), (33, 250), (1, 1), (1, 90), (70, 31)])
def test_the_fast_statistics_are_those_of_the_plain_ones(shape):
    image = grain(shape[1], *shape, sigma=30)
    fast, plain = cell_statistics(image), plainly(image)
    assert fast.shape == plain.shape == (-(-shape[0] // CELL_PX), -(-shape[1] // CELL_PX), DEPTH)
    # Float32 against float64: a ratio on the very middle between two whole numbers may go either way.
    assert (np.abs(fast - plain) <= 1).all()
    assert (fast == plain).mean() > 0.999


@settings(deadline=None, max_examples=40)
@given(hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=80)))
def test_statistics_are_whole_numbers_in_their_range_for_any_picture(image):
    found = cell_statistics(image)
    assert np.array_equal(found, np.rint(found))
    assert found.min() >= 0
    assert found[..., : len(STATISTICS)].max() <= 4 * 255
    assert found[..., len(STATISTICS) :].max() <= 255


def test_a_window_of_a_picture_is_measured_like_a_copy_of_it():
    image = grain(1, 300, 400)
    window = image[17:260, 33:390]
    np.testing.assert_array_equal(cell_statistics(window), cell_statistics(window.copy()))


def test_grey_stored_as_colour_is_measured_as_grey():
    image = grain(2, 128, 160)
    np.testing.assert_array_equal(cell_statistics(np.dstack([image] * 3)), cell_statistics(image))


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 3), st.integers(1, 3))
def test_a_surface_moved_by_whole_cells_has_its_statistics_moved_by_as_many_cells(down, right):
    surface = grain(3, 16 * CELL_PX, 16 * CELL_PX)
    here = cell_statistics(surface[: 12 * CELL_PX, : 12 * CELL_PX])
    moved = cell_statistics(surface[down * CELL_PX :, right * CELL_PX :][: 12 * CELL_PX, : 12 * CELL_PX])
    # As far as statistics reach: 5 blocks of 16 px, so 3 cells from any border of either picture.
    reach = 3
    np.testing.assert_array_equal(
        here[down + reach : -reach, right + reach : -reach],
        moved[reach : -reach - down, reach : -reach - right],
    )


def test_half_the_light_leaves_everything_but_the_brightness_nearly_as_it_was():
    image = grain(4, 256, 256, mean=160, sigma=20)
    dim = np.rint(image * 0.5).astype(np.uint8)
    at = STATISTICS.index("brightness")
    full, half = cell_statistics(image)[..., :at] / 4, cell_statistics(dim)[..., :at] / 4
    # Rounding to whole grey levels is all that differs: 0.5 of 80 is a ratio of 0.006, a root of 13 of 255.
    assert np.abs(full - half).max() <= 13
    assert np.abs(full - half).mean() < 3


def test_a_dark_and_a_light_spot_raise_the_statistics_of_their_own_sign():
    dark, light = (np.full((320, 320), 120, np.uint8) for _ in range(2))
    dark[144:168, 144:168], light[144:168, 144:168] = 60, 180
    of_dark, of_light = (cell_statistics(image)[4, 4, : len(STATISTICS)] for image in (dark, light))
    for name in ("darkest fine", "darkest coarse", "darkest spot"):
        assert of_dark[STATISTICS.index(name)] > of_light[STATISTICS.index(name)]
    for name in ("brightest fine", "brightest coarse", "brightest spot"):
        assert of_dark[STATISTICS.index(name)] < of_light[STATISTICS.index(name)]
