import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import TiffImagePlugin

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


def saved(format: str, *pictures: Pillow.Image, **how: object) -> bytes:
    out = io.BytesIO()
    pictures[0].save(out, format, **how)
    return out.getvalue()


GREY = Pillow.fromarray(TEXTURE)


@pytest.mark.parametrize("format", ["TIFF", "PNG", "WEBP", "MPO"])
def test_a_file_of_several_pictures_is_refused_for_only_the_first_would_be_looked_at(format):
    second = Pillow.fromarray(TEXTURE[::-1].copy()).convert("RGB")
    data = saved(format, GREY.convert("RGB"), save_all=True, append_images=[second])
    with pytest.raises(ImageUnsuitable) as refusal:
        decode_image(data)
    assert refusal.value.facts["reason"] == "pages"


@pytest.mark.parametrize("format", ["TIFF", "PNG", "WEBP"])
def test_a_file_of_one_picture_is_looked_at_however_it_could_hold_more(format):
    assert decode_image(saved(format, GREY, save_all=True, lossless=True)).shape == TEXTURE.shape


def test_a_tiff_whose_picture_lies_inside_of_another_one_is_refused():
    inner = TiffImagePlugin.ImageFileDirectory_v2()
    inner[330] = 8
    with pytest.raises(ImageUnsuitable) as refusal:
        decode_image(saved("TIFF", GREY, tiffinfo=inner))
    assert refusal.value.facts["reason"] == "pages"


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bits_are_refused_in_colour_as_in_grey(suffix, channels):
    deep = np.dstack([TEXTURE.astype(np.uint16) * 16] * channels)
    with pytest.raises(ImageUnsuitable, match="16 bit") as refusal:
        decode_image(encoded(deep, suffix))
    assert refusal.value.facts["reason"] == "depth"


def test_a_png_that_hides_its_header_behind_another_chunk_is_no_picture():
    data = saved("PNG", GREY)
    text = b"tEXt" + b"a\0b"
    hidden = data[:8] + struct.pack(">I", 3) + text + struct.pack(">I", zlib.crc32(text)) + data[8:]
    with pytest.raises(ImageUnreadable):
        decode_image(hidden)
