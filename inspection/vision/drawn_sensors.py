"""What other sensors than cameras would record of surfaces with known defects, from a seed: demos and tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from inspection.types import Box, Image
from inspection.vision.drawing import DrawnDefect
from inspection.vision.waveform import frame_of

Field = NDArray[np.float32]

PERIODS: Final = (512.0, 64.0, 16.0)
"""Of the drawn stripes, px of the camera."""
STEPS: Final = 4
MM_PER_RAD: Final = 0.05
LINE_ROWS: Final = 64
Z_MM_PER_PX: Final = 0.05
SAMPLE_HZ: Final = 100_000.0
RING_HZ: Final = 22_000.0
"""A drawn flaw rings at this frequency."""

_GREY_NOISE: Final = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnShape:
    """A round place that lies off the surface by `off_mm` in its middle, flat but for a soft rim, px."""

    kind: str
    x: float
    y: float
    width_px: float
    off_mm: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DrawnRaw:
    """A frame as a sensor gives it, and what is in it: boxes in px of the picture that is made of it."""

    raw: Image
    truth: tuple[DrawnDefect, ...]


def some_shapes(
    seed: int, size_hw: tuple[int, int], *, kinds: Sequence[tuple[str, float]], width_px: float, count: int
) -> tuple[DrawnShape, ...]:
    """So many places of this width that do not touch each other, of these kinds (and how far off) in turn."""
    rng = np.random.default_rng((seed, 1))
    room, shapes = width_px + 12.0, list[DrawnShape]()
    for _ in range(10_000):
        if len(shapes) == count:
            break
        x, y = (float(rng.uniform(room, side - room)) for side in (size_hw[1], size_hw[0]))
        if all(np.hypot(x - one.x, y - one.y) > 2 * room for one in shapes):
            kind, off_mm = kinds[len(shapes) % len(kinds)]
            shapes.append(DrawnShape(kind=kind, x=x, y=y, width_px=width_px, off_mm=off_mm))
    return tuple(shapes)


def heights_of(seed: int, size_hw: tuple[int, int], shapes: Sequence[DrawnShape]) -> Field:
    """A plate that lies a little higher and tilted, with a roughness of 2 µm, and these places on it, mm."""
    rng = np.random.default_rng((seed, 2))
    y, x = np.mgrid[: size_hw[0], : size_hw[1]].astype(np.float32)
    tilt = rng.uniform(-0.05, 0.05, 3)
    heights = tilt[0] + tilt[1] * x / size_hw[1] + tilt[2] * y / size_hw[0]
    rough = cv2.GaussianBlur(rng.standard_normal(size_hw).astype(np.float32), (0, 0), 2.0)
    heights += 0.002 * rough / rough.std()
    for one in shapes:
        distance = np.hypot(x - one.x, y - one.y)
        # From the full depth to none over two pixels.
        heights += one.off_mm * np.clip((one.width_px / 2 + 1 - distance) / 2, 0, 1)
    return np.asarray(heights, np.float32)


def draw_fringes(seed: int, size_hw: tuple[int, int], shapes: Sequence[DrawnShape] = ()) -> DrawnRaw:
    """Pictures of stripes on the plate, for PERIODS, STEPS and MM_PER_RAD. Its paint is uneven, its camera noisy."""
    return DrawnRaw(raw=fringes_on(seed, heights_of(seed, size_hw, shapes)), truth=_truth(shapes))


def flat_fringes(size_hw: tuple[int, int]) -> Image:
    """The reference: stripes on a flat plate."""
    return fringes_on(0, np.zeros(size_hw, np.float32))


def fringes_on(seed: int, heights: Field) -> Image:
    """Pictures of stripes on these heights, one below the other."""
    rng = np.random.default_rng((seed, 3))
    height, width = heights.shape
    paint = cv2.GaussianBlur(rng.standard_normal((height, width)).astype(np.float32), (0, 0), 12.0)
    paint = 1 + 0.12 * paint / paint.std()
    x = np.arange(width, dtype=np.float32)
    pictures = []
    for period in PERIODS:
        phase = 2 * np.pi * x / period + heights / MM_PER_RAD * (PERIODS[-1] / period)
        for step in range(STEPS):
            light = paint * (100 + 70 * np.cos(phase + 2 * np.pi * step / STEPS))
            noise = _GREY_NOISE * rng.standard_normal((height, width))
            pictures.append(np.clip(light + noise, 0, 254))
    return np.asarray(np.vstack(pictures).round(), np.uint8)


def draw_laser(seed: int, size_hw: tuple[int, int], shapes: Sequence[DrawnShape] = ()) -> DrawnRaw:
    """Pictures of a laser line on the plate that moves past, one for each row of heights; with speckle."""
    return DrawnRaw(raw=laser_on(seed, heights_of(seed, size_hw, shapes)), truth=_truth(shapes))


def laser_on(seed: int, heights: Field) -> Image:
    """Pictures of the line on these heights, one below the other, for LINE_ROWS and Z_MM_PER_PX."""
    rng = np.random.default_rng((seed, 4))
    at = np.arange(LINE_ROWS, dtype=np.float32)[:, None]
    pictures = []
    for profile in heights:
        row = (LINE_ROWS - 1) / 2 - profile / Z_MM_PER_PX
        line = 150 * np.exp(-0.5 * ((at - row) / 1.4) ** 2)
        speckle = 1 + 0.15 * rng.standard_normal(line.shape)
        pictures.append(line * speckle + 12 + _GREY_NOISE * rng.standard_normal(line.shape))
    return np.asarray(np.clip(np.vstack(pictures), 0, 255).round(), np.uint8)


def draw_waveform(
    seed: int, *, samples: int, flaws: Sequence[tuple[int, float]] = (), kind: str = "crack"
) -> DrawnRaw:
    """A probe that passes over flaws: its own noise of 1 % of full scale, a hum, and a ringing for each flaw.

    flaws  where each begins, in samples, and how loud it is at most, of full scale. Boxes are of full rows of samples:
           y from the first to the last sample in which it is louder than a tenth of that; x says nothing
    """
    rng = np.random.default_rng((seed, 5))
    time_s = np.arange(samples) / SAMPLE_HZ
    wave = 0.01 * rng.standard_normal(samples) + 0.05 * np.sin(2 * np.pi * 150.0 * time_s)
    length = 1024
    swell = np.hanning(length)
    truth = []
    for start, loudness in flaws:
        ring = loudness * swell * np.sin(2 * np.pi * RING_HZ * time_s[:length] + rng.uniform(0, 2 * np.pi))
        wave[start : start + length] += ring
        loud = np.flatnonzero(swell > 0.1)
        truth.append(
            DrawnDefect(kind=kind, box_px=Box(0, start + int(loud[0]), 1, start + int(loud[-1]) + 1))
        )
    return DrawnRaw(
        raw=frame_of(np.clip(np.rint(wave * 32767), -32768, 32767).astype(np.int16)), truth=tuple(truth)
    )


def _truth(shapes: Sequence[DrawnShape]) -> tuple[DrawnDefect, ...]:
    return tuple(
        DrawnDefect(
            kind=one.kind,
            box_px=Box(
                one.x - one.width_px / 2,
                one.y - one.width_px / 2,
                one.x + one.width_px / 2,
                one.y + one.width_px / 2,
            ),
        )
        for one in shapes
    )
