"""What lies in a camera's buffer, made into an image of ours."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from inspection.types import Image


class PayloadTooShort(Exception):
    """The buffer holds fewer bytes than its own description needs."""


class LinesShareBytes(Exception):
    """Packed lines that do not end with a byte: makers differ in where the next one begins. The text is the format and
    the widths that do, as `Mono12p: 2, 4 …`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelFormat:
    """How a pixel lies in memory, and what turns rows of it into grey or BGR of 8 bits."""

    name: str
    bits_per_px: int
    to_image: Callable[[Image], Image]

    @property
    def px_per_step(self) -> int:
        """A line of a multiple of so many pixels ends with a byte."""
        return 8 // math.gcd(self.bits_per_px, 8)


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

    Of deeper pixels the 8 highest bits are kept. Raises PayloadTooShort rather than show what an earlier frame
    left in the buffer, and LinesShareBytes.
    """
    if payload.width_px % (step := payload.format.px_per_step):
        raise LinesShareBytes(f"{payload.format.name}: {step}, {2 * step} …")
    row_bytes = payload.width_px * payload.format.bits_per_px // 8
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


def _highest_bits(bits: int) -> Callable[[Image], Image]:
    """Pixels of 16 bits, little-endian, of which the lowest `bits` are used."""

    def to_image(rows: Image) -> Image:
        return (np.ascontiguousarray(rows).view("<u2") >> (bits - 8)).astype(np.uint8)

    return to_image


def _outer_bytes(rows: Image) -> Image:
    """GigE Vision's own packing: of 3 bytes the first and the last are the highest bits of 2 pixels."""
    return np.ascontiguousarray(rows.reshape(len(rows), -1, 3)[:, :, ::2]).reshape(len(rows), -1)


def _twelve_bits(rows: Image) -> Image:
    """2 pixels in 3 bytes, the lowest bits first."""
    low, middle, high = np.moveaxis(rows.reshape(len(rows), -1, 3), 2, 0)
    return np.stack((low >> 4 | middle << 4, high), axis=2).reshape(len(rows), -1)


def _ten_bits(rows: Image) -> Image:
    """4 pixels in 5 bytes, the lowest bits first."""
    b0, b1, b2, b3, b4 = np.moveaxis(rows.reshape(len(rows), -1, 5), 2, 0)
    pixels = (b0 >> 2 | b1 << 6, b1 >> 4 | b2 << 4, b2 >> 6 | b3 << 2, b4)
    return np.stack(pixels, axis=2).reshape(len(rows), -1)


FORMATS = {
    0x01080001: PixelFormat(name="Mono8", bits_per_px=8, to_image=_grey),
    0x01100003: PixelFormat(name="Mono10", bits_per_px=16, to_image=_highest_bits(10)),
    0x010A0046: PixelFormat(name="Mono10p", bits_per_px=10, to_image=_ten_bits),
    0x010C0004: PixelFormat(name="Mono10Packed", bits_per_px=12, to_image=_outer_bytes),
    0x01100005: PixelFormat(name="Mono12", bits_per_px=16, to_image=_highest_bits(12)),
    0x010C0047: PixelFormat(name="Mono12p", bits_per_px=12, to_image=_twelve_bits),
    0x010C0006: PixelFormat(name="Mono12Packed", bits_per_px=12, to_image=_outer_bytes),
    0x01100007: PixelFormat(name="Mono16", bits_per_px=16, to_image=_highest_bits(16)),
    0x02180014: PixelFormat(name="RGB8", bits_per_px=24, to_image=_to_bgr(cv2.COLOR_RGB2BGR, 3)),
    0x02180015: PixelFormat(name="BGR8", bits_per_px=24, to_image=_bgr),
    0x02200016: PixelFormat(name="RGBa8", bits_per_px=32, to_image=_to_bgr(cv2.COLOR_RGBA2BGR, 4)),
    0x02200017: PixelFormat(name="BGRa8", bits_per_px=32, to_image=_to_bgr(cv2.COLOR_BGRA2BGR, 4)),
    # OpenCV names a pattern by its second row and column, PFNC by its first: hence the aliases spelled out.
    0x01080008: PixelFormat(name="BayerGR8", bits_per_px=8, to_image=_to_bgr(cv2.COLOR_BayerGRBG2BGR, 1)),
    0x01080009: PixelFormat(name="BayerRG8", bits_per_px=8, to_image=_to_bgr(cv2.COLOR_BayerRGGB2BGR, 1)),
    0x0108000A: PixelFormat(name="BayerGB8", bits_per_px=8, to_image=_to_bgr(cv2.COLOR_BayerGBRG2BGR, 1)),
    0x0108000B: PixelFormat(name="BayerBG8", bits_per_px=8, to_image=_to_bgr(cv2.COLOR_BayerBGGR2BGR, 1)),
}
"""By code. Source: GenICam Pixel Format Naming Convention 2.4: pixel format values, and how each is packed."""

UNDERSTOOD = ", ".join(sorted(form.name for form in FORMATS.values()))
