import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cameras.pixels import FORMATS, Payload, PayloadTooShort, image_of

BY_NAME = {form.name: form for form in FORMATS.values()}


def payload(rows, name, *, width_px, padding=0, offset=0):
    """Rows of bytes as a driver leaves them."""
    padded = np.pad(rows, ((0, 0), (0, padding)), constant_values=0xEE)
    return Payload(
        data=b"\xdd" * offset + padded.tobytes(),
        offset_bytes=offset,
        width_px=width_px,
        height_px=len(rows),
        row_padding_bytes=padding,
        format=BY_NAME[name],
    )


@given(
    height=st.integers(1, 20),
    width=st.integers(1, 20),
    padding=st.integers(0, 9),
    offset=st.integers(0, 9),
)
def test_padded_rows_come_out_straight(height, width, padding, offset):
    rows = np.arange(height * width, dtype=np.uint8).reshape(height, width)
    image = image_of(payload(rows, "Mono8", width_px=width, padding=padding, offset=offset))
    assert np.array_equal(image, rows)
    assert image.flags.c_contiguous
    assert not image.flags.writeable


@pytest.mark.parametrize(
    ("name", "pixel"),
    [
        ("RGB8", (30, 20, 10)),
        ("BGR8", (10, 20, 30)),
        ("RGBa8", (30, 20, 10, 255)),
        ("BGRa8", (10, 20, 30, 255)),
    ],
)
@pytest.mark.parametrize("padding", [0, 3])
def test_colour_becomes_bgr_whatever_its_order(name, pixel, padding):
    rows = np.tile(np.array(pixel, np.uint8), (4, 5))
    image = image_of(payload(rows, name, width_px=5, padding=padding))
    assert image.shape == (4, 5, 3)
    assert (image == (10, 20, 30)).all()


@pytest.mark.parametrize("name", ["BayerRG8", "BayerGR8", "BayerGB8", "BayerBG8"])
def test_a_bayer_pattern_gives_back_the_colour_it_was_made_of(name):
    blue_green_red = {"B": 40, "G": 90, "R": 200}
    other = {"RG": "GB", "GR": "BG", "GB": "RG", "BG": "GR"}[name[5:7]]
    tile = [[blue_green_red[c] for c in name[5:7]], [blue_green_red[c] for c in other]]
    image = image_of(payload(np.tile(np.array(tile, np.uint8), (8, 8)), name, width_px=16, padding=2))
    assert image.shape == (16, 16, 3)
    assert (image[4:-4, 4:-4] == (40, 90, 200)).all()


def test_an_image_keeps_nothing_of_the_drivers_memory():
    memory = bytearray(b"\x07" * 64)
    image = image_of(
        Payload(
            data=memory,
            offset_bytes=0,
            width_px=8,
            height_px=8,
            row_padding_bytes=0,
            format=BY_NAME["Mono8"],
        )
    )
    memory[:] = b"\xff" * 64
    assert (image == 7).all()


@pytest.mark.parametrize("rows", [np.zeros((0, 4), np.uint8), np.zeros((4, 0), np.uint8)])
def test_an_image_of_no_pixels_is_refused(rows):
    with pytest.raises(PayloadTooShort):
        image_of(payload(rows, "Mono8", width_px=rows.shape[1]))


def test_a_buffer_shorter_than_its_image_is_refused_rather_than_filled_up():
    whole = payload(np.zeros((4, 4), np.uint8), "Mono8", width_px=4)
    with pytest.raises(PayloadTooShort, match="4 x 5 px of Mono8 need 20 bytes, not 16"):
        image_of(
            Payload(
                data=whole.data,
                offset_bytes=0,
                width_px=4,
                height_px=5,
                row_padding_bytes=0,
                format=whole.format,
            )
        )


def test_opencv_takes_every_image_as_it_is():
    for form in FORMATS.values():
        rows = np.zeros((16, 16 * form.bytes_per_px), np.uint8)
        cv2.mean(image_of(payload(rows, form.name, width_px=16)))
