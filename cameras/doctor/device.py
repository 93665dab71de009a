"""Looks at a camera through the library that is to drive it: its settings, and some seconds of its pictures."""

from __future__ import annotations

import time

from cameras.doctor.facts import Opened, Seen, Streamed, Unseen
from cameras.errors import CameraInUse, CameraSilent
from cameras.genicam import GenicamCamera
from cameras.pixels import FORMATS
from cameras.producers import Producer
from cameras.settings import GenicamSettings
from inspection.errors import InspectionError

FEATURES = (
    "PixelFormat",
    "PayloadSize",
    "ExposureTime",
    "ExposureTimeAbs",
    "AcquisitionFrameRate",
    "AcquisitionFrameRateAbs",
    "TriggerMode",
    "TriggerSource",
    "DeviceLinkThroughputLimit",
    "GevSCPSPacketSize",
    "PtpEnable",
    "PtpStatus",
    "PtpOffsetFromMaster",
    "GevIEEE1588",
    "GevIEEE1588Status",
    "GevIEEE1588OffsetFromMaster",
    "DeviceTemperature",
    "DeviceTemperatureAbs",
)
"""Names: GenICam SFNC 2.7; those with Abs and IEEE1588 are of cameras from before SFNC 2."""

_SILENT_S = 2.0
"""At least, whatever is asked for: slow cameras make a picture in a second or two."""

_COUNTS = ("StreamIncompleteFrameCount", "StreamResentPacketCount")


def watch(serial: str, producer: Producer, *, seconds: float) -> Seen[Opened]:
    """Opens, reads, and takes pictures for so long; 0 takes none. Unseen where another program has the camera."""
    settings = GenicamSettings(producer=producer, serial=serial, silent_after_s=max(seconds, _SILENT_S))
    features: dict[str, int | float | str] = {}
    streamed: Seen[Streamed] = Unseen("not_opened")
    failure = None
    try:
        with GenicamCamera(serial, settings) as camera:
            features = camera.values(FEATURES)
            streamed = _streamed(camera, seconds) if seconds > 0 else Unseen("not_asked")
            # Once more: PTP and temperature are as they are while it works.
            features |= camera.values(FEATURES)
    except CameraInUse:
        return Unseen("taken")
    except InspectionError as error:
        failure = error.code, error.what
    pixel_format = features.get("PixelFormat")
    understood = {known.name for known in FORMATS.values()}
    return Opened(
        features=features,
        is_format_understood=Unseen("no_feature") if pixel_format is None else pixel_format in understood,
        streamed=streamed,
        failure=failure,
    )


def _streamed(camera: GenicamCamera, seconds: float) -> Streamed:
    """Raises the camera's errors, but for silence: that is what was seen."""
    began_s = time.monotonic()
    sequences: list[int] = []
    try:
        for frame in camera.frames():
            sequences.append(frame.sequence)
            if time.monotonic() - began_s > seconds:
                break
    except CameraSilent:
        pass
    took_s = time.monotonic() - began_s
    counts = camera.values(_COUNTS)
    incomplete, resent = (
        int(value) if isinstance(value := counts.get(name), int | float) else Unseen("no_feature")
        for name in _COUNTS
    )
    lost = sequences[-1] - sequences[0] + 1 - len(sequences) if sequences else 0
    return Streamed(seconds=took_s, frames=len(sequences), lost=lost, incomplete=incomplete, resent=resent)
