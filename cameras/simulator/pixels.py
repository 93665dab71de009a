"""The pixel formats the device sends: from the grey it sees to the bytes of a line.

Colour is the grey with a tint, so that channels which changed places show.
Codes and packing: GenICam PFNC 2.4; the two `Packed` are GigE Vision's own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspection.types import Image

TINT_RGB = (1.0, 0.75, 0.5)
"""What of the grey each channel shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelFormat:
    """`pack` makes the bytes of a grey picture whose width is a multiple of 4, line after line without a gap."""

    name: str
    code: int
    pack: Callable[[Image], Image]

    @property
    def bits_per_px(self) -> int:
        """PFNC has them in each code."""
        return self.code >> 16 & 0xFF


def _spread(grey: Image, bits: int) -> NDArray[np.uint16]:
    """Grey of 8 bits over the range of `bits`: black stays black, and white the highest value."""
    wide = grey.astype(np.uint16)
    return np.asarray(wide << (bits - 8) | wide >> (16 - bits), np.uint16)


def _words(bits: int) -> Callable[[Image], Image]:
    def pack(grey: Image) -> Image:
        words: Image = _spread(grey, bits).astype("<u2").view(np.uint8)
        return words

    return pack


def _ten_bits(grey: Image) -> Image:
    """4 pixels in 5 bytes, the lowest bits first."""
    p0, p1, p2, p3 = np.moveaxis(_spread(grey, 10).reshape(len(grey), -1, 4), 2, 0)
    return _bytes(p0, p0 >> 8 | p1 << 2, p1 >> 6 | p2 << 4, p2 >> 4 | p3 << 6, p3 >> 2)


def _twelve_bits(grey: Image) -> Image:
    """2 pixels in 3 bytes, the lowest bits first."""
    p0, p1 = np.moveaxis(_spread(grey, 12).reshape(len(grey), -1, 2), 2, 0)
    return _bytes(p0, p0 >> 8 | p1 << 4, p1 >> 4)


def _highest_outside(bits: int) -> Callable[[Image], Image]:
    """2 pixels in 3 bytes: the highest bits of each in the first and last, what is left of both between them."""
    low = bits - 8

    def pack(grey: Image) -> Image:
        p0, p1 = np.moveaxis(_spread(grey, bits).reshape(len(grey), -1, 2), 2, 0)
        rest = (1 << low) - 1
        return _bytes(p0 >> low, p0 & rest | (p1 & rest) << 4, p1 >> low)

    return pack


def _bytes(*columns: NDArray[Any]) -> Image:
    """The lowest byte of each."""
    packed: Image = np.stack(columns, axis=2).astype(np.uint8)
    return packed.reshape(len(packed), -1)


def _tinted(grey: Image, share: float) -> Image:
    tinted: Image = np.rint(grey * share).astype(np.uint8)
    return tinted


def _channels(*shares: float) -> Callable[[Image], Image]:
    def pack(grey: Image) -> Image:
        return np.stack([_tinted(grey, share) for share in shares], axis=2).reshape(len(grey), -1)

    return pack


def _bayer_rg(grey: Image) -> Image:
    red, green, blue = TINT_RGB
    mosaic = _tinted(grey, green)
    mosaic[::2, ::2] = _tinted(grey[::2, ::2], red)
    mosaic[1::2, 1::2] = _tinted(grey[1::2, 1::2], blue)
    return mosaic


PIXEL_FORMATS = (
    PixelFormat(name="Mono8", code=0x01080001, pack=lambda grey: grey),
    PixelFormat(name="Mono10", code=0x01100003, pack=_words(10)),
    PixelFormat(name="Mono10p", code=0x010A0046, pack=_ten_bits),
    PixelFormat(name="Mono10Packed", code=0x010C0004, pack=_highest_outside(10)),
    PixelFormat(name="Mono12", code=0x01100005, pack=_words(12)),
    PixelFormat(name="Mono12p", code=0x010C0047, pack=_twelve_bits),
    PixelFormat(name="Mono12Packed", code=0x010C0006, pack=_highest_outside(12)),
    PixelFormat(name="Mono16", code=0x01100007, pack=_words(16)),
    PixelFormat(name="BayerRG8", code=0x01080009, pack=_bayer_rg),
    PixelFormat(name="RGB8", code=0x02180014, pack=_channels(*TINT_RGB)),
    PixelFormat(name="BGR8", code=0x02180015, pack=_channels(*reversed(TINT_RGB))),
)
"""The first is what a device sends until it is told otherwise."""
