"""`lynceus camera record`: a camera's frames into a folder, without loss, to be played or inspected later.

Exit status: 0 every exposure is in the folder; 1 some are missing, or the disk failed; 2 called wrongly; 3 no such
camera, in use, silent or lost. Ctrl-C ends a recording as it should be ended.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from services.cli.options import FiniteRange
from services.text import language_of_environment, say

if TYPE_CHECKING:
    from cameras.producers import Producer
    from cameras.recording import BackgroundRecorder
    from cameras.settings import CameraSettings
    from inspection.protocols import Camera
    from inspection.types import Frame


FEATURES = (
    "DeviceVendorName",
    "DeviceModelName",
    "DeviceVersion",
    "DeviceFirmwareVersion",
    "DeviceSerialNumber",
    "DeviceUserID",
    "DeviceScanType",
    "DeviceTemperature",
    "DeviceLinkThroughputLimit",
    "PixelFormat",
    "Width",
    "Height",
    "OffsetX",
    "OffsetY",
    "BinningHorizontal",
    "BinningVertical",
    "ReverseX",
    "ReverseY",
    "ExposureAuto",
    "ExposureTime",
    "GainAuto",
    "Gain",
    "BlackLevel",
    "Gamma",
    "BalanceWhiteAuto",
    "AcquisitionMode",
    "AcquisitionFrameRate",
    "AcquisitionLineRate",
    "TriggerSelector",
    "TriggerMode",
    "TriggerSource",
    "TriggerActivation",
    "ChunkModeActive",
    "GevSCPSPacketSize",
    "GevSCPD",
    "GevTimestampTickFrequency",
    "PtpEnable",
    "PtpStatus",
    "UserSetDefault",
)
"""What is read back from the device into a run's header. Names: GenICam SFNC 2.7."""


class _CtrlC:
    """Ends the wait for a frame. A frame that came is still recorded, and the run is closed as it should be."""

    def __init__(self) -> None:
        self.is_asked = False
        self._is_waiting = False

    def __call__(self, number: int, frame: object) -> None:
        self.is_asked = True
        if self._is_waiting:
            raise KeyboardInterrupt

    def next_of(self, frames: Iterator[Frame]) -> Frame | None:
        """The next frame; None where there is none, or where the recording is to end."""
        frame = None
        try:
            self._is_waiting = True
            if not self.is_asked:
                frame = next(frames, None)
            self._is_waiting = False
        except KeyboardInterrupt:
            self._is_waiting = False
        return frame


@dataclass(kw_only=True)
class Account:
    """What came of a camera. `holes`: exposures it counted and that never came, or came damaged."""

    frames: int = 0
    holes: int = 0
    last: int | None = None

    def add(self, frame: Frame) -> None:
        self.frames += 1
        # Of a count that went back the recorder ends the recording.
        self.holes += frame.lost_before if self.last is None else max(0, frame.sequence - self.last - 1)
        self.last = frame.sequence


@click.command(help=say("camera.help.record", language_of_environment()))
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help=say("camera.help.record_out", language_of_environment()),
)
@click.option(
    "--frames", type=click.IntRange(min=1), help=say("camera.help.record_frames", language_of_environment())
)
@click.option(
    "--seconds",
    type=FiniteRange(min=0, min_open=True),
    help=say("camera.help.record_seconds", language_of_environment()),
)
@click.option(
    "--producer",
    metavar="PATH|lynceus|simulated",
    help=say("camera.help.producer", language_of_environment()),
)
@click.option("--serial", metavar="SERIAL", help=say("camera.help.serial", language_of_environment()))
@click.option("--device", metavar="NAME|MAC|IP", help=say("camera.help.device", language_of_environment()))
@click.option(
    "--station", metavar="NAME|FILE.toml", help=say("camera.help.record_station", language_of_environment())
)
@click.option("--lane", metavar="NAME", help=say("camera.help.record_lane", language_of_environment()))
@click.option("--json", "as_json", is_flag=True, help=say("camera.help.json", language_of_environment()))
def record(
    out: Path,
    frames: int | None,
    seconds: float | None,
    producer: str | None,
    serial: str | None,
    device: str | None,
    station: str | None,
    lane: str | None,
    as_json: bool,
) -> int:
    from cameras.recording import BackgroundRecorder, Recorder

    language = language_of_environment()
    name, settings = _chosen(producer=producer, serial=serial, device=device, station=station, lane=lane)
    account = Account()
    ctrl_c = _CtrlC()
    with _opened(name, settings) as (camera, found):
        table = settings.model_dump(mode="json", exclude_none=True)
        recorder = BackgroundRecorder(Recorder(out, settings=table, device=found))
        before = {number: signal.signal(number, ctrl_c) for number in (signal.SIGINT, signal.SIGTERM)}
        has_begun = False
        try:
            with recorder:
                has_begun = True
                if not as_json:
                    click.echo(say("camera.record.began", language, camera=name, folder=out), err=True)
                _take(camera, recorder, account, ctrl_c, frames=frames, seconds=seconds)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            # Also where the camera was lost or the disk is full: what came until then is in the folder.
            if has_begun:
                _tell(_facts(name, out, recorder, account), language, as_json=as_json)
    return 1 if account.holes or recorder.lost else 0


@contextmanager
def _opened(name: str, settings: CameraSettings) -> Iterator[tuple[Camera, dict[str, int | float | str]]]:
    """The camera, running, and what its device had then, where the driver can say so."""
    from cameras import open_camera
    from cameras.settings import GenicamSettings

    if isinstance(settings, GenicamSettings):
        from cameras.genicam import GenicamCamera

        # In this process: from one of its own only frames come. If the library takes this one with it, the
        # run holds what was written.
        with GenicamCamera(name, settings) as device:
            yield device, device.values(FEATURES)
    else:
        with open_camera(name, settings) as camera:
            yield camera, {}


def _facts(name: str, out: Path, recorder: BackgroundRecorder, account: Account) -> dict[str, str | int]:
    return {
        "camera": name,
        "folder": str(out),
        "frames": recorder.written,
        "lost_before": account.holes,
        "lost_here": recorder.lost,
    }


def _tell(facts: Mapping[str, str | int], language: str, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(facts, ensure_ascii=False))
    else:
        click.echo(say("camera.record.ended", language, **facts))


def _take(
    camera: Camera,
    recorder: BackgroundRecorder,
    account: Account,
    ctrl_c: _CtrlC,
    *,
    frames: int | None,
    seconds: float | None,
) -> None:
    end_s = None if seconds is None else time.monotonic() + seconds
    source = camera.frames()
    while (frame := ctrl_c.next_of(source)) is not None:
        account.add(frame)
        recorder.take(frame)
        if account.frames == frames or (end_s is not None and time.monotonic() >= end_s):
            return


def _chosen(
    *, producer: str | None, serial: str | None, device: str | None, station: str | None, lane: str | None
) -> tuple[str, CameraSettings]:
    """The camera's name and settings. Raises UsageError, and CFG- errors for the station's file."""
    from cameras.settings import GenicamSettings
    from station_config import load_station

    language = language_of_environment()
    if station is None:
        if lane is not None:
            raise click.UsageError(say("camera.record.lane_of_what", language))
        if serial is not None and device is not None:
            raise click.UsageError(say("camera.snap.one_name", language))
        path = _producer(producer or "simulated")
        if device is None:
            serial = serial or _first(path)
        return serial or device or "", GenicamSettings(producer=path, serial=serial, device=device)
    if (producer, serial, device) != (None, None, None):
        raise click.UsageError(say("camera.record.one_of_both", language))
    lanes: dict[str, tuple[str, CameraSettings]] = {}
    for one in load_station(station).lanes:
        if one.camera is not None:
            lanes[one.name] = one.camera_name, one.camera
        lanes |= {f"{one.name}.{view}": (view, camera) for view, camera in one.cameras.items()}
    if lane is None and len(lanes) == 1:
        (lane,) = lanes
    if lane not in lanes:
        raise click.UsageError(say("camera.record.which_lane", language, there=", ".join(lanes)))
    return lanes[lane]


def _first(producer: Producer) -> str:
    from cameras.errors import CameraNotFound
    from cameras.genicam import list_devices

    devices = list_devices(producer)
    if not devices:
        raise CameraNotFound(
            f"The camera library {producer} lists no camera.",
            action="Check power, cable and network of the camera, then list again.",
            camera="-",
            wanted="*",
            found="-",
        )
    return devices[0].serial


def _producer(given: str) -> Producer:
    match given:
        case "simulated" | "lynceus":
            return given
        case _:
            return Path(given)
