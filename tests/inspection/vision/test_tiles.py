from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from inspection.vision.tiles import Tile, cut_into_tiles


@given(
    st.integers(1, 900), st.integers(1, 900), st.sampled_from([64, 200]), st.sampled_from([0.0, 0.25, 0.5])
)
def test_every_pixel_is_in_a_tile_and_neighbours_share_enough(height, width, tile_px, overlap):
    tiles = cut_into_tiles((height, width), tile_px=tile_px, overlap=overlap)
    seen = np.zeros((height, width), bool)
    for tile in tiles:
        assert 0 <= tile.left < tile.right <= width
        assert 0 <= tile.top < tile.bottom <= height
        assert tile.right - tile.left == min(tile_px, width)
        assert tile.bottom - tile.top == min(tile_px, height)
        tile.of(seen)[...] = True  # type: ignore[arg-type]
    assert seen.all()
    columns = sorted({tile.left for tile in tiles})
    assert all(b - a <= max(tile_px * (1 - overlap), 1) for a, b in pairwise(columns))


def test_tiles_come_row_by_row():
    tiles = cut_into_tiles((300, 350), tile_px=200)
    assert [(t.top, t.left) for t in tiles] == [(0, 0), (0, 150), (100, 0), (100, 150)]


def test_an_image_of_one_tile_is_not_cut():
    assert cut_into_tiles((200, 200), tile_px=200) == (Tile(left=0, top=0, right=200, bottom=200),)


def test_a_box_goes_back_to_its_image():
    tile = Tile(left=150, top=100, right=350, bottom=300)
    assert tile.to_image(np.array([[1, 2, 3, 4]], np.float32)).tolist() == [[151, 102, 153, 104]]


def test_only_a_border_inside_the_image_cuts():
    tile = Tile(left=0, top=100, right=200, bottom=300)
    at_top = [50, 100, 60, 150]
    at_image_edge = [0, 150, 40, 180]
    in_the_middle = [50, 150, 60, 200]
    at_right = [150, 150, 197, 200]
    xyxy = np.array([at_top, at_image_edge, in_the_middle, at_right], np.float32)
    assert tile.cuts(xyxy, image_hw=(300, 400)).tolist() == [True, False, False, True]
