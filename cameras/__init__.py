"""Where frames come from: one table of drivers. A driver's libraries load when it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cameras.settings import (
    CameraSettings,
    DrawnPartsSettings,
    DrawnStripSettings,
    GenicamSettings,
    GigeSettings,
    ReplaySettings,
)

if TYPE_CHECKING:
    from inspection.protocols import Camera


def open_camera(name: str, settings: CameraSettings) -> Camera:
    """The camera of these settings, not yet started: entering it does that.

    name  the station's own name for it, which its frames carry

    Raises ProducerMissing where the driver's libraries are not installed.
    """
    match settings:
        case GenicamSettings():
            from cameras.genicam import GenicamCamera

            return GenicamCamera(name, settings)
        case GigeSettings():
            from cameras.gige import GigeCamera

            return GigeCamera(name, settings)
        case ReplaySettings():
            from cameras.replay import ReplayCamera

            return ReplayCamera(name, settings)
        case DrawnStripSettings():
            from cameras.drawn import drawn_strip

            return drawn_strip(name, settings)
        case DrawnPartsSettings():
            from cameras.drawn import drawn_parts

            return drawn_parts(name, settings)
