import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cameras.pixels import FORMATS, LinesShareBytes, Payload, PayloadTooShort, image_of

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


def bits_lowest_first(pixels, depth):
    """Plain: pixel after pixel, each from its lowest bit, into bytes from their lowest bit."""
    stream = [pixel >> bit & 1 for pixel in pixels for bit in range(depth)]
    return bytes(
        sum(bit << i for i, bit in enumerate(stream[at : at + 8])) for at in range(0, len(stream), 8)
    )


def gige_vision_packed(pixels, depth):
    """Plain: of each pair the high bits of the one, the low bits of both, the high bits of the other."""
    low = depth - 8
    packed = bytearray()
    for one, other in zip(pixels[::2], pixels[1::2], strict=True):
        packed += bytes((one >> low, one & (1 << low) - 1 | (other & (1 << low) - 1) << 4, other >> low))
    return bytes(packed)


def sixteen_bits(pixels, depth):
    return b"".join(pixel.to_bytes(2, "little") for pixel in pixels)


DEEP = {
    "Mono10": (10, sixteen_bits),
    "Mono10p": (10, bits_lowest_first),
    "Mono10Packed": (10, gige_vision_packed),
    "Mono12": (12, sixteen_bits),
    "Mono12p": (12, bits_lowest_first),
    "Mono12Packed": (12, gige_vision_packed),
    "Mono16": (16, sixteen_bits),
}


@given(data=st.data(), name=st.sampled_from(sorted(DEEP)), padding=st.integers(0, 5))
def test_of_deeper_pixels_the_highest_eight_bits_are_kept(data, name, padding):
    depth, pack = DEEP[name]
    width = 4 * data.draw(st.integers(1, 6))
    line = st.lists(st.integers(0, 2**depth - 1), min_size=width, max_size=width)
    lines = data.draw(st.lists(line, min_size=1, max_size=4))
    rows = np.array([list(pack(pixels, depth)) for pixels in lines], np.uint8)
    image = image_of(payload(rows, name, width_px=width, padding=padding))
    assert image.tolist() == [[pixel >> depth - 8 for pixel in pixels] for pixels in lines]
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous


@pytest.mark.parametrize(("name", "width"), [("Mono10p", 6), ("Mono12p", 5), ("Mono12Packed", 5)])
def test_packed_lines_that_share_a_byte_are_refused_rather_than_guessed(name, width):
    rows = np.zeros((2, width * 2), np.uint8)
    with pytest.raises(LinesShareBytes, match=f"{name}: [24], [48] …"):
        image_of(payload(rows, name, width_px=width))


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
        rows = np.zeros((16, 16 * form.bits_per_px // 8), np.uint8)
        cv2.mean(image_of(payload(rows, form.name, width_px=16)))
