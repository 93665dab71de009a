"""Where frames come from: one table of drivers. A driver's libraries load when it is asked for."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from cameras.settings import (
    CameraSettings,
    DrawnPartsSettings,
    DrawnStripSettings,
    GenicamSettings,
    GigeSettings,
    ReplaySettings,
    SampleStreamSettings,
)

if TYPE_CHECKING:
    from cameras.genicam import GenicamCamera
    from cameras.gige import GigeCamera
    from cameras.isolated import Driver
    from cameras.pacing import Clock
    from inspection.protocols import Camera


def open_camera(name: str, settings: CameraSettings) -> Camera:
    """The camera of these settings, not yet started: entering it does that.

    A camera read through a library of others runs in a process of its own; elsewhere than on Linux, in this one. Raises
    ProducerMissing where a driver's libraries are not installed; in a process of its own, entering does.

    name  the station's own name for it, which its frames carry
    """
    match settings:
        case GenicamSettings():
            return _isolated(name, partial(_genicam, name, settings), buffers=settings.buffers)
        case GigeSettings():
            return _isolated(name, partial(_gige, name, settings), buffers=settings.buffers)
        case ReplaySettings():
            from cameras.replay import ReplayCamera

            return ReplayCamera(name, settings)
        case DrawnStripSettings():
            from cameras.drawn import drawn_strip

            return drawn_strip(name, settings)
        case DrawnPartsSettings():
            from cameras.drawn import drawn_parts

            return drawn_parts(name, settings)
        case SampleStreamSettings():
            from cameras.samples import SampleStream

            return SampleStream(name, settings)


def _genicam(name: str, settings: GenicamSettings, clock: Clock) -> GenicamCamera:
    from cameras.genicam import GenicamCamera

    return GenicamCamera(name, settings, clock=clock)


def _gige(name: str, settings: GigeSettings, clock: Clock) -> GigeCamera:
    from cameras.gige import GigeCamera

    return GigeCamera(name, settings, clock=clock)


def _isolated(name: str, driver: Callable[[Clock], Driver], *, buffers: int) -> Camera:
    if sys.platform != "linux":
        # The frames' way between processes is Linux's own: cameras/ring.py.
        from cameras.pacing import SystemClock

        return driver(SystemClock())
    from cameras.isolated import IsolatedCamera

    return IsolatedCamera(name, driver, buffers=buffers)
