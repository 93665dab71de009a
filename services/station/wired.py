"""Simulated GigE Vision cameras in the place of drawn ones: each a process, seen over the network like any camera."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final, Literal

from cameras.drawn import strip_of
from cameras.errors import ProducerMissing
from cameras.settings import (
    CameraSettings,
    DrawnPartsSettings,
    DrawnStripSettings,
    GenicamSettings,
    GigeSettings,
)
from cameras.simulator.device import DeviceSettings, SimulatedCamera
from cameras.simulator.protocol import GVCP_PORT
from cameras.simulator.scene import parts_scene, scene_of
from inspection.errors import InspectionError
from services.station.ending import stop_when_told
from station_config import LaneSettings, StationSettings

_ADDRESS: Final = "127.86.{station}.{camera}"
"""On Linux all of 127.0.0.0/8 is this computer. 127.0.0.1 is left to those who look only there."""

_LOCALHOST: Final = "127.0.0.1"
"""The client that pip installs looks for cameras of this computer nowhere else (cameras/gige.py)."""

_PATIENCE_S: Final = 2.0
_STATIONS: Final = range(1, 255)

Chain = Literal["genicam", "gige"]
Unwired = Literal["not_linux", "no_client", "localhost_taken", "no_address"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A simulated camera, for the process that is it. `sees` is the drawn camera it stands for."""

    serial: str
    address: str
    sees: DrawnStripSettings | DrawnPartsSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Wired:
    """A station whose cameras are `devices`, read through `chain`; or, with neither, as it was, and why."""

    station: StationSettings
    devices: tuple[Device, ...] = ()
    chain: Chain | None = None
    why_not: Unwired | None = None


def wired(station: StationSettings, *, build: Path | None = None) -> Wired:
    """The station with a simulated camera for each drawn one, at addresses that are free now.

    Read through harvesters and our own GenTL producer where both are there, else through the client that pip
    installs. A second station on this computer gets other addresses, and other serial numbers.

    build  where our producer is built, if not where `make producer` puts it
    """
    if sys.platform != "linux":
        return Wired(station=station, why_not="not_linux")
    chain = _chain(build)
    if chain is None:
        return Wired(station=station, why_not="no_client")
    if chain == "gige" and not _is_soon_free(_LOCALHOST):
        return Wired(station=station, why_not="localhost_taken")
    for number in _STATIONS:
        devices = _devices(station.lanes, number)
        if all(_is_free(device.address) for device in devices):
            break
    else:
        return Wired(station=station, why_not="no_address")
    by_lane = dict(zip(_drawn(station.lanes), devices, strict=True))
    lanes = tuple(
        lane.model_copy(update={"camera": _reached(by_lane[lane.name], chain)})
        if lane.name in by_lane
        else lane
        for lane in station.lanes
    )
    return Wired(station=station.model_copy(update={"lanes": lanes}), devices=devices, chain=chain)


def run_device(device: Device, parent: Connection) -> None:
    """Main of a device's process. Tells `parent` "ready", or the InspectionError that keeps it from starting."""
    stop = stop_when_told()
    try:
        with switched_on(device):
            parent.send("ready")
            stop.wait()
    except InspectionError as error:
        parent.send(error)


def switched_on(device: Device) -> SimulatedCamera:
    """The device, not yet entered. It shows what the drawn camera it stands for would draw."""
    match device.sees:
        case DrawnStripSettings() as strip:
            scene = scene_of(strip_of(strip), wh_px=(strip.width_px, strip.height_px))
        case DrawnPartsSettings() as parts:
            scene = parts_scene(parts.seed, size_px=parts.size_px)
    return SimulatedCamera(
        DeviceSettings(
            address=device.address, serial=device.serial, scene=scene, frames_per_s=device.sees.frames_per_s
        )
    )


def _chain(build: Path | None) -> Chain | None:
    """The first that is there; what is installed and does not load is not."""
    with suppress(ProducerMissing):
        import cameras.genicam
        from cameras.producers import our_producer, producer_file

        producer_file("lynceus") if build is None else our_producer(build)
        return "genicam"
    with suppress(ProducerMissing):
        import cameras.gige  # noqa: F401

        return "gige"
    return None


def _drawn(lanes: Sequence[LaneSettings]) -> dict[str, DrawnStripSettings | DrawnPartsSettings]:
    return {
        lane.name: lane.camera
        for lane in lanes
        if isinstance(lane.camera, DrawnStripSettings | DrawnPartsSettings)
    }


def _devices(lanes: Sequence[LaneSettings], number: int) -> tuple[Device, ...]:
    return tuple(
        Device(
            # Said in every record and on the page: what it is.
            serial=f"SIM-{name.upper()}-{number}"[:16],
            address=_ADDRESS.format(station=number, camera=camera),
            sees=sees,
        )
        for camera, (name, sees) in enumerate(_drawn(lanes).items(), start=1)
    )


def _is_soon_free(address: str) -> bool:
    """A lane of another station that opens its camera is there for a moment."""
    give_up_s = time.monotonic() + _PATIENCE_S
    while not (is_free := _is_free(address)) and time.monotonic() < give_up_s:
        time.sleep(_PATIENCE_S / 10)
    return is_free


def _is_free(address: str) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, GVCP_PORT))
        except OSError:
            return False
    return True


def _reached(device: Device, chain: Chain) -> CameraSettings:
    """As one would set a real camera: a line scan placed by its encoder, an area scan triggered by a light barrier."""
    common = {"serial": device.serial, "frames_per_s": device.sees.frames_per_s}
    match device.sees:
        case DrawnStripSettings() as strip:
            # The device's encoder counts lines.
            common |= {"height_px": strip.height_px, "chunks": True, "mm_per_encoder_count": strip.mm_per_px}
        case DrawnPartsSettings():
            # Counted, so that a part for which the camera was too slow is not passed over.
            common |= {"trigger": "line", "trigger_source": "Line1", "chunks": True, "count_triggers": True}
    if chain == "gige":
        return GigeSettings.model_validate(common)
    return GenicamSettings.model_validate(common | {"producer": "lynceus"})
