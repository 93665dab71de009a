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


def saved(format: str, *pictures: Pillow.Image, **how: object) -> bytes:
    out = io.BytesIO()
    pictures[0].save(out, format, **how)
    return out.getvalue()


GREY = Pillow.fromarray(TEXTURE)


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


def with_a_hole(data: bytes, hole: str) -> bytes:
    half, end = len(data) // 2, b"\xff\xd9"
    return {
        "cut, and ended": data[:half] + end,
        "zeros to the end": data[:half] + bytes(len(data) - half - 2) + end,
        "4096 bytes of zeros": data[:half] + bytes(4096) + data[half + 4096 :],
        "4096 bytes missing": data[:half] + data[half + 4096 :],
    }[hole]


@pytest.mark.parametrize(
    "hole", ["cut, and ended", "zeros to the end", "4096 bytes of zeros", "4096 bytes missing"]
)
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True], ids=["row by row", "progressive"])
def test_a_jpeg_that_has_its_end_and_not_its_middle_is_refused(hole, mode, progressive):
    noise = np.random.default_rng(5).integers(0, 255, (256, 320, 3)).astype(np.uint8)
    whole = saved("JPEG", Pillow.fromarray(noise).convert(mode), progressive=progressive)
    assert decode_image(whole).shape[:2] == (256, 320)
    with pytest.raises(ImageUnreadable):
        decode_image(with_a_hole(whole, hole))


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("how", [{}, {"progressive": True}, {"subsampling": 0}, {"restart_marker_rows": 1}])
def test_a_jpeg_is_decoded_to_the_pixels_that_pillow_gives(mode, how):
    colour = np.dstack([cv2.GaussianBlur(one, (0, 0), 2) for one in (TEXTURE, TEXTURE[::-1], 255 - TEXTURE)])
    data = saved("JPEG", Pillow.fromarray(colour).convert(mode), **how)
    by_pillow = np.asarray(Pillow.open(io.BytesIO(data)).convert("L" if mode == "L" else "RGB"))
    np.testing.assert_array_equal(decode_image(data), by_pillow if mode == "L" else by_pillow[..., ::-1])


def test_a_jpeg_is_looked_at_as_its_pixels_lie_whichever_way_up_the_camera_was_held():
    turned = Pillow.Exif()
    turned[0x0112] = 6
    assert decode_image(saved("JPEG", GREY, exif=turned)).shape == TEXTURE.shape


def test_what_follows_a_jpeg_that_is_whole_does_not_matter():
    data = encoded(TEXTURE, ".jpg")
    np.testing.assert_array_equal(decode_image(data + bytes(3000)), decode_image(data))


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
