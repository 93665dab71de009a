"""From the bytes of a picture file to an image that can be judged, or a refusal that says why not.

OpenCV fills the missing half of a truncated JPEG with grey and says nothing, so half a picture would be inspected and
the other half accepted unseen. Pillow does so where data are missing and the end of the file is there. So Pillow reads
headers and decodes all other formats, and simplejpeg (MIT), the same libjpeg-turbo as strictly as it can be, a JPEG.
"""

from __future__ import annotations

import io
import warnings

import numpy as np
import simplejpeg
from PIL import Image as Pillow
from PIL import ImageFile, TiffImagePlugin

from inspection.errors import ImageUnreadable, ImageUnsuitable
from inspection.types import Image

MIN_SIDE_PX = 16
"""Smaller than this no detector of ours sees a defect; such files are icons and accidents."""

MAX_PIXELS = 120_000_000
"""About 7000 lines of a 16k line-scan camera: more than any frame we know, and 360 MB in colour."""

FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP")

# Modes whose channels are 8 bits deep, and what they become.
_TO_GREY = {"L", "1"}
_TO_COLOUR = {"RGB", "RGBA", "P", "LA", "CMYK", "YCbCr"}

_BITS_PER_SAMPLE = 258
_SUB_IFDS = 330
"""Tags of TIFF. Source: TIFF 6.0, section 8; TIFF Technical Note 1."""


def decode_image(data: bytes) -> Image:
    """Decode a picture file: grey (H, W), or (H, W, 3) BGR. Read-only, and the caller's own.

    Raises ImageUnreadable when the bytes are no complete picture, ImageUnsuitable when they are one that
    cannot be judged (more than 8 bits deep, of several pages, smaller than 16 px, more than 120 megapixels).
    Size, depth and pages are read from the header, before memory is taken.
    """
    if ImageFile.LOAD_TRUNCATED_IMAGES:
        raise RuntimeError(
            "Pillow was told to accept truncated files; half a picture would pass for a whole one."
        )
    try:
        with warnings.catch_warnings():
            # Our own size limit is stricter than Pillow's warning; broken metadata alone spoils no pixel.
            warnings.simplefilter("ignore")
            picture = Pillow.open(io.BytesIO(data), formats=FORMATS)
    except Pillow.DecompressionBombError as error:
        raise ImageUnsuitable(
            f"The picture's header announces far more than {MAX_PIXELS} pixels.",
            action="Check the file; cut larger pictures into frames before inspecting them.",
            reason="size",
            # Pillow raises at twice its own limit, without the size for a program to read.
            found=f"> {2 * (Pillow.MAX_IMAGE_PIXELS or 0) // 1_000_000} Mpx",
            allowed=f"{MIN_SIDE_PX} px … {MAX_PIXELS // 1_000_000} Mpx",
        ) from error
    except (OSError, ValueError, SyntaxError) as error:
        raise _unreadable(data, "no picture format we know") from error
    with picture:
        width, height = picture.size
        if min(width, height) < MIN_SIDE_PX or width * height > MAX_PIXELS:
            raise ImageUnsuitable(
                f"The picture is {width} x {height} px.",
                action=f"Give pictures from {MIN_SIDE_PX} px a side up to {MAX_PIXELS // 1_000_000} Mpx.",
                reason="size",
                found=f"{width} x {height} px",
                allowed=f"{MIN_SIDE_PX} px … {MAX_PIXELS // 1_000_000} Mpx",
            )
        _check_depth(picture, data)
        _check_pages(picture)
        try:
            pixels = _from_jpeg(data, picture) if picture.format == "JPEG" else _converted(picture)
        except (OSError, ValueError, SyntaxError) as error:
            raise _unreadable(data, str(error)) from error
    if pixels.ndim == 3 and (
        np.array_equal(pixels[..., 0], pixels[..., 1]) and np.array_equal(pixels[..., 0], pixels[..., 2])
    ):
        # Grey stored as colour: a third of the work from here on.
        pixels = np.ascontiguousarray(pixels[..., 0])
    pixels.setflags(write=False)
    return pixels


def _from_jpeg(data: bytes, picture: Pillow.Image) -> Image:
    """As `_converted`, and to the same pixels.

    Raises ValueError wherever libjpeg warns of data that are corrupt or missing. A JPEG has no checksum: of a few bytes
    that are wrong the rest may be decoded without a warning.
    """
    if picture.mode == "CMYK":
        simplejpeg.decode_jpeg(data, "CMYK", strict=True)
        return _converted(picture)
    pixels = np.asarray(simplejpeg.decode_jpeg(data, "GRAY" if picture.mode == "L" else "BGR", strict=True))
    return pixels[..., 0] if picture.mode == "L" else pixels


def _converted(picture: Pillow.Image) -> Image:
    """Grey (H, W), or (H, W, 3) BGR."""
    if picture.mode in _TO_GREY:
        return np.array(picture.convert("L"))
    return np.ascontiguousarray(np.asarray(picture.convert("RGB"))[:, :, ::-1])


def _check_depth(picture: Pillow.Image, data: bytes) -> None:
    bits = _bits_per_channel(picture, data)
    if picture.mode in _TO_GREY | _TO_COLOUR and bits <= 8:
        return
    found = f"{picture.format} {picture.mode}" + (f" {bits} bit" if bits > 8 else "")
    raise ImageUnsuitable(
        f"The picture's pixels are of type {found}, not 8 bits per channel.",
        action="Export it with 8 bits per channel; detectors were trained on 8-bit pictures.",
        reason="depth",
        found=found,
        allowed="8 bit",
    )


def _bits_per_channel(picture: Pillow.Image, data: bytes) -> int:
    """As the file says it: of 16 bits in colour Pillow drops the lower eight, and calls the rest RGB."""
    if isinstance(picture, TiffImagePlugin.TiffImageFile):
        return int(max(picture.tag_v2.get(_BITS_PER_SAMPLE, (1,))))
    if picture.format == "PNG":
        # The header comes first in every PNG: length, name, width, height, and the depth (PNG, 3rd ed., 11.2.1).
        if data[12:16] != b"IHDR":
            raise _unreadable(data, "a PNG that does not begin with its header")
        return data[24]
    return 8


def _check_pages(picture: Pillow.Image) -> None:
    """Only the first page would be looked at, and what is on the others accepted unseen."""
    has_inner = isinstance(picture, TiffImagePlugin.TiffImageFile) and _SUB_IFDS in picture.tag_v2
    if getattr(picture, "is_animated", False) or has_inner:
        raise ImageUnsuitable(
            f"The {picture.format} holds more than one picture.",
            action="Save each of them as a file of its own.",
            reason="pages",
            found=str(picture.format),
            allowed="1",
        )


def _unreadable(data: bytes, why: str) -> ImageUnreadable:
    return ImageUnreadable(
        f"The file is no complete picture ({len(data)} bytes: {why}).",
        action="Copy it again from its source, or take the picture again.",
        bytes=len(data),
        why=why,
    )
