"""What the simulated camera sees, and what is true of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from cameras.recording import MANIFEST, pictures_in, read_run, unreadable
from inspection.errors import ImageUnreadable, ImageUnsuitable
from inspection.types import Image
from inspection.vision.decoding import decode_image
from inspection.vision.drawing import DrawnDefect, StripDrawing, draw_part

_KEPT = 32
"""Pictures of a folder that are kept decoded."""


class NothingToSee(Exception):
    """A picture that was there when the device started can no longer be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What the whole sensor sees: grey, of the sensor's size; of a line scan, as many lines as asked for."""

    pixels: Image
    defects: tuple[DrawnDefect, ...] = ()
    file: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """`look(index, lines)`: the strip's stretch, the part or the picture of this index, from 0 on.

    is_line_scan  the strip passes under a line of pixels: `lines` are taken to make a picture, and the
                  stretch of an index begins where the one before ended
    """

    about: str
    sensor_wh_px: tuple[int, int]
    default_wh_px: tuple[int, int]
    is_line_scan: bool
    look: Callable[[int, int], View]


def strip_scene(
    seed: int = 0, *, wh_px: tuple[int, int] = (800, 400), defects_per_megapixel: float = 1.6
) -> Scene:
    """An endless drawn strip under a line-scan camera."""
    strip = StripDrawing(seed, width_px=wh_px[0], defects_per_megapixel=defects_per_megapixel)
    return scene_of(strip, wh_px=wh_px)


def scene_of(strip: StripDrawing, *, wh_px: tuple[int, int]) -> Scene:
    """This strip under a line-scan camera; `wh_px` has the strip's own width."""
    width, height = wh_px

    def look(index: int, lines: int) -> View:
        drawing = strip.frame(index, height_px=lines)
        return View(pixels=drawing.pixels, defects=drawing.truth)

    return Scene(
        about="drawn strip, line scan",
        sensor_wh_px=(width, max(4096, height)),
        default_wh_px=(width, height),
        is_line_scan=True,
        look=look,
    )


def parts_scene(seed: int = 0, *, size_px: int = 400) -> Scene:
    """Drawn machined parts under an area camera, one to a picture."""

    def look(index: int, _: int) -> View:
        drawing = draw_part(seed, index, size_px=size_px)
        return View(pixels=drawing.pixels, defects=drawing.truth)

    return Scene(
        about="drawn parts, area scan",
        sensor_wh_px=(size_px, size_px),
        default_wh_px=(size_px, size_px),
        is_line_scan=False,
        look=look,
    )


def prepared_scene(scene: Scene, count: int) -> Scene:
    """Its first `count` pictures, drawn now and shown again and again: drawing takes longer than sending.

    A strip shown so does not go on from its last picture to its first.
    """
    kept = lru_cache(maxsize=count)(scene.look)
    for index in range(count):
        kept(index, scene.default_wh_px[1])
    return replace(scene, look=lambda index, lines: kept(index % count, lines))


def folder_scene(folder: Path) -> Scene:
    """The pictures of a folder or of a recorded run, again and again. Raises RunUnreadable."""
    if (folder / MANIFEST).exists():
        files: Sequence[Path] = [folder / frame.file for frame in read_run(folder).frames]
    else:
        files = pictures_in(folder)
    if not files:
        raise unreadable(folder, "no pictures")
    try:
        sizes = [_grey(file).shape for file in files]
    except NothingToSee as error:
        raise unreadable(folder, str(error)) from error
    # Sizes that the device can announce: what is missing is black.
    width = max(16, -(-max(size[1] for size in sizes) // 4) * 4)
    height = max(16, *(size[0] for size in sizes))

    @lru_cache(maxsize=_KEPT)
    def kept(file: Path) -> Image:
        grey = _grey(file)
        pixels = np.zeros((height, width), np.uint8)
        pixels[: grey.shape[0], : grey.shape[1]] = grey
        return pixels

    def look(index: int, _: int) -> View:
        file = files[index % len(files)]
        return View(pixels=kept(file), file=file.name)

    return Scene(
        about=f"pictures of {folder.name}",
        sensor_wh_px=(width, height),
        default_wh_px=(width, height),
        is_line_scan=False,
        look=look,
    )


def _grey(file: Path) -> Image:
    try:
        pixels = decode_image(file.read_bytes())
    except (OSError, ImageUnreadable, ImageUnsuitable) as error:
        raise NothingToSee(f"{file.name}: {error}") from error
    return pixels if pixels.ndim == 2 else np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY), np.uint8)
