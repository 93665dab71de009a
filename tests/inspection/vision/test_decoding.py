import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow

from inspection.errors import ImageUnreadable, ImageUnsuitable
from inspection.vision.decoding import decode_image

TEXTURE = np.random.default_rng(3).integers(0, 255, (64, 80)).astype(np.uint8)


def encoded(pixels: np.ndarray, suffix: str = ".png") -> bytes:
    return cv2.imencode(suffix, pixels)[1].tobytes()


def test_a_grey_picture_comes_back_as_it_was_and_cannot_be_written_to():
    image = decode_image(encoded(TEXTURE))
    np.testing.assert_array_equal(image, TEXTURE)
    assert not image.flags.writeable


def test_colour_comes_in_the_order_blue_green_red():
    colour = np.dstack([TEXTURE, TEXTURE[::-1], TEXTURE[:, ::-1]])
    np.testing.assert_array_equal(decode_image(encoded(colour)), colour)


def test_grey_stored_as_colour_is_grey():
    assert decode_image(encoded(np.dstack([TEXTURE] * 3))).shape == TEXTURE.shape


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".tiff"])
def test_a_picture_cut_short_is_refused_not_half_inspected(suffix):
    data = encoded(TEXTURE, suffix)
    with pytest.raises(ImageUnreadable):
        decode_image(data[: len(data) * 6 // 10])


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"\x00" * 1000, b"not a picture"])
def test_what_is_no_picture_is_refused(data):
    with pytest.raises(ImageUnreadable):
        decode_image(data)


def test_a_picture_of_16_bits_is_refused_with_its_depth():
    tiff = io.BytesIO()
    Pillow.fromarray(TEXTURE.astype(np.uint16) * 256).save(tiff, "TIFF")
    with pytest.raises(ImageUnsuitable) as refusal:
        decode_image(tiff.getvalue())
    assert refusal.value.facts["reason"] == "depth"


def test_a_picture_of_one_pixel_is_refused():
    with pytest.raises(ImageUnsuitable, match="1 x 1"):
        decode_image(encoded(TEXTURE[:1, :1]))


def test_a_header_of_40000_by_40000_is_refused_before_memory_is_taken():
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 40000, 40000, 8, 0, 0, 0, 0)
    png = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0"))
        + chunk(b"IEND", b"")
    )
    with pytest.raises(ImageUnsuitable) as refusal:
        decode_image(png)
    assert refusal.value.facts["reason"] == "size"
