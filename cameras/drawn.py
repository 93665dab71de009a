"""Cameras that draw what they see: for demonstrations and tests, in the place of a real one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from threading import Event
from types import TracebackType
from typing import Self

from cameras.pacing import Clock, Exposures, SystemClock
from cameras.settings import DrawnPartsSettings, DrawnStripSettings
from inspection.types import Frame, Image
from inspection.vision.drawing import RollMark, StripDrawing, draw_part


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scene:
    """What the exposure of an index sees. A part is triggered, a strip is not."""

    draw: Callable[[int], Image]
    y_advance_mm: float
    is_triggered: bool


class DrawnCamera:
    """Exposes at its own rate, whoever looks: what waits longer than its buffers hold is lost, as a hole in
    `sequence`. `frames` never ends by itself, only when the camera is left, from whichever thread."""

    def __init__(
        self, name: str, scene: _Scene, *, frames_per_s: float, buffers: int, clock: Clock | None
    ) -> None:
        self._name = name
        self._scene = scene
        self._frames_per_s = frames_per_s
        self._buffers = buffers
        self._clock = clock or SystemClock()
        self._left = Event()

    def __enter__(self) -> Self:
        self._left = Event()
        self._exposures = Exposures(
            frames_per_s=self._frames_per_s, buffers=self._buffers, clock=self._clock, left=self._left
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._left.set()

    def frames(self) -> Iterator[Frame]:
        while (exposure := self._exposures.next()) is not None:
            index, exposed_at = exposure
            pixels = self._scene.draw(index)
            pixels.setflags(write=False)
            yield Frame(
                pixels=pixels,
                camera=self._name,
                sequence=index,
                captured_at=exposed_at,
                y_origin_mm=index * self._scene.y_advance_mm,
                trigger=index if self._scene.is_triggered else None,
            )


def drawn_strip(name: str, settings: DrawnStripSettings, *, clock: Clock | None = None) -> DrawnCamera:
    """A camera above an endless strip: each frame goes on where the one before ended."""
    strip = strip_of(settings)
    scene = _Scene(
        draw=lambda index: strip.frame(index, height_px=settings.height_px).pixels,
        y_advance_mm=settings.height_px * settings.mm_per_px,
        is_triggered=False,
    )
    return DrawnCamera(name, scene, frames_per_s=settings.frames_per_s, buffers=settings.buffers, clock=clock)


def strip_of(settings: DrawnStripSettings) -> StripDrawing:
    """The strip that these settings describe."""
    mark = settings.roll_mark
    return StripDrawing(
        settings.seed,
        width_px=settings.width_px,
        defects_per_megapixel=settings.defects_per_megapixel,
        margin_px=settings.margin_px,
        roll_mark=None
        if mark is None
        else RollMark(
            period_px=mark.period_mm / settings.mm_per_px,
            rows=mark.frames * settings.height_px,
            of=mark.of_frames * settings.height_px,
        ),
    )


def drawn_parts(name: str, settings: DrawnPartsSettings, *, clock: Clock | None = None) -> DrawnCamera:
    """A camera above a bench, triggered once for each part."""
    scene = _Scene(
        draw=lambda index: draw_part(settings.seed, index, size_px=settings.size_px).pixels,
        y_advance_mm=0.0,
        is_triggered=True,
    )
    return DrawnCamera(name, scene, frames_per_s=settings.frames_per_s, buffers=settings.buffers, clock=clock)
