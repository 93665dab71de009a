"""What lies in a camera's buffer, made into an image of ours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from inspection.types import Image


class PayloadTooShort(Exception):
    """The buffer holds fewer bytes than its own description needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelFormat:
    """How a pixel lies in memory, and what turns rows of it into grey or BGR."""

    name: str
    bytes_per_px: int
    to_image: Callable[[Image], Image]


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """An image where the driver left it. `data` is the driver's memory and soon refilled.

    offset_bytes       of row 0 in `data`
    row_padding_bytes  after each row, not part of the image
    """

    data: bytes | bytearray | memoryview
    offset_bytes: int
    width_px: int
    height_px: int
    row_padding_bytes: int
    format: PixelFormat


def image_of(payload: Payload) -> Image:
    """A copy of the image: contiguous, read-only, the caller's own; grey (H, W) or BGR (H, W, 3).

    Raises PayloadTooShort rather than show what an earlier frame left in the buffer.
    """
    row_bytes = payload.width_px * payload.format.bytes_per_px
    pitch_bytes = row_bytes + payload.row_padding_bytes
    needed = payload.height_px * pitch_bytes
    there = len(payload.data) - payload.offset_bytes
    if min(payload.width_px, payload.height_px) < 1 or needed > there:
        raise PayloadTooShort(
            f"{payload.width_px} x {payload.height_px} px of {payload.format.name} need {needed} bytes,"
            f" not {there}"
        )
    lines = np.frombuffer(payload.data, np.uint8, count=needed, offset=payload.offset_bytes)
    rows = lines.reshape(payload.height_px, pitch_bytes)[:, :row_bytes]
    image = payload.format.to_image(rows)
    image.setflags(write=False)
    return image


def _grey(rows: Image) -> Image:
    return rows.copy()


def _bgr(rows: Image) -> Image:
    return rows.reshape(len(rows), -1, 3).copy()


def _to_bgr(conversion: int, channels: int) -> Callable[[Image], Image]:
    def to_image(rows: Image) -> Image:
        pixels = rows if channels == 1 else rows.reshape(len(rows), -1, channels)
        return np.asarray(cv2.cvtColor(pixels, conversion), np.uint8)

    return to_image


FORMATS = {
    0x01080001: PixelFormat(name="Mono8", bytes_per_px=1, to_image=_grey),
    0x02180014: PixelFormat(name="RGB8", bytes_per_px=3, to_image=_to_bgr(cv2.COLOR_RGB2BGR, 3)),
    0x02180015: PixelFormat(name="BGR8", bytes_per_px=3, to_image=_bgr),
    0x02200016: PixelFormat(name="RGBa8", bytes_per_px=4, to_image=_to_bgr(cv2.COLOR_RGBA2BGR, 4)),
    0x02200017: PixelFormat(name="BGRa8", bytes_per_px=4, to_image=_to_bgr(cv2.COLOR_BGRA2BGR, 4)),
    # OpenCV names a pattern by its second row and column, PFNC by its first: hence the aliases spelled out.
    0x01080008: PixelFormat(name="BayerGR8", bytes_per_px=1, to_image=_to_bgr(cv2.COLOR_BayerGRBG2BGR, 1)),
    0x01080009: PixelFormat(name="BayerRG8", bytes_per_px=1, to_image=_to_bgr(cv2.COLOR_BayerRGGB2BGR, 1)),
    0x0108000A: PixelFormat(name="BayerGB8", bytes_per_px=1, to_image=_to_bgr(cv2.COLOR_BayerGBRG2BGR, 1)),
    0x0108000B: PixelFormat(name="BayerBG8", bytes_per_px=1, to_image=_to_bgr(cv2.COLOR_BayerBGGR2BGR, 1)),
}
"""By code. Source: GenICam Pixel Format Naming Convention 2.4, pixel format values."""

UNDERSTOOD = ", ".join(sorted(form.name for form in FORMATS.values()))
