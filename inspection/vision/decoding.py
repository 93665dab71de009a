"""From the bytes of a picture file to an image that can be judged, or a refusal that says why not.

Pillow decodes rather than OpenCV: OpenCV fills the missing half of a truncated JPEG with grey and says
nothing, so half a picture would be inspected and the other half accepted unseen.
"""

from __future__ import annotations

import io
import warnings

import numpy as np
from PIL import Image as Pillow
from PIL import ImageFile

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


def decode_image(data: bytes) -> Image:
    """Decode a picture file: grey (H, W), or (H, W, 3) BGR. Read-only, and the caller's own.

    Raises ImageUnreadable when the bytes are no complete picture, ImageUnsuitable when they are one that
    cannot be judged (more than 8 bits deep, smaller than 16 px, more than 120 megapixels). The size is
    read from the header, before memory is taken.
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
        if picture.mode not in _TO_GREY | _TO_COLOUR:
            raise ImageUnsuitable(
                f"The picture's pixels are of type {picture.mode}, not 8 bits per channel.",
                action="Export it with 8 bits per channel; detectors were trained on 8-bit pictures.",
                reason="depth",
                found=f"{picture.format} {picture.mode}",
                allowed="8 bit",
            )
        try:
            pixels = np.array(picture.convert("L" if picture.mode in _TO_GREY else "RGB"))
        except (OSError, ValueError, SyntaxError) as error:
            raise _unreadable(data, str(error)) from error
    if pixels.ndim == 3:
        pixels = np.ascontiguousarray(pixels[:, :, ::-1])
        if np.array_equal(pixels[..., 0], pixels[..., 1]) and np.array_equal(pixels[..., 0], pixels[..., 2]):
            # Grey stored as colour: a third of the work from here on.
            pixels = np.ascontiguousarray(pixels[..., 0])
    pixels.setflags(write=False)
    return pixels


def _unreadable(data: bytes, why: str) -> ImageUnreadable:
    return ImageUnreadable(
        f"The file is no complete picture ({len(data)} bytes: {why}).",
        action="Copy it again from its source, or take the picture again.",
        bytes=len(data),
        why=why,
    )
