"""GigE Vision through a client that pip installs: no GenTL producer. The only file that knows viva_genicam."""

from __future__ import annotations

import ipaddress
import logging
import socket
import struct
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from queue import Empty, Full, Queue
from threading import Event, Thread
from types import TracebackType
from typing import Any, Self

from cameras.counting import CountRestarted, ExposureCount
from cameras.errors import (
    CameraInUse,
    CameraLost,
    CameraNotFound,
    CameraSilent,
    ProducerMissing,
    SettingRefused,
)
from cameras.pixels import FORMATS, UNDERSTOOD, LinesShareBytes, Payload, PayloadTooShort, image_of
from cameras.settings import GigeSettings
from cameras.simulator.protocol import (
    GVCP_PORT,
    Ack,
    Command,
    Discovery,
    Malformed,
    ReadRegisters,
    Status,
    pack_ack,
    pack_command,
    parse_ack,
    parse_header,
)
from inspection.types import Frame, Image

_INSTALL = 'pip install "lynceus[gige]"'

try:
    import viva_genicam as viva
except ImportError as error:
    raise ProducerMissing(
        f"GigE Vision without a GenTL producer needs viva-genicam: {error}.",
        action=f"Run: {_INSTALL}",
        producer="viva-genicam",
        reason=str(error),
        install=_INSTALL,
    ) from error

logger = logging.getLogger(__name__)

_TAKE_MS = 100
"""One wait for a picture; how late the receiver notices that the camera is left."""

_QUIET_S = 0.5
"""So long without a picture, and the device is asked whether it is still there, and still ours."""

_ASK_S = 0.4
_ASKS = 3
"""Three unanswered questions: the device is gone. With _QUIET_S that is 1.7 s. The library itself never says
so: 25 s after its device was killed it still called the control held."""

_LOOK_MS = 500
_INTRODUCE_MS = 200
_INTRODUCE_WITHIN_S = 10.0
_LOCALHOST = "127.0.0.1"

_SERIAL = slice(0xD8, 0xE8)
_TICKS_PER_S, _CCP, _SCP = 0x093C, 0x0A00, 0x0D00
_PENDING = 0x0089
"""Bootstrap registers: the serial number, which has the same place in a discovery's answer; the timestamp's
frequency; who controls the device; the port it streams to. And the answer that says the answer takes longer.
Source: AIA, GigE Vision 1.2."""

_NOTHING_CAME = "timeout waiting for frame"
_NS = 1_000_000_000


class GigeCamera:
    """One device, started when entered. Its `sequence` is the device's block id made to rise across its wrap.

    A thread of its own takes every picture from the library, which keeps only the newest, and holds `buffers` of
    them for a busy lane. What comes damaged, or finds no room, is never given: a hole in `sequence`. `frames` ends
    when the camera is left, from whichever thread. Entering raises CameraNotFound, CameraInUse, CameraLost and
    SettingRefused; `frames` raises CameraSilent, CameraLost and, for unknown pixels, SettingRefused.
    """

    def __init__(self, name: str, settings: GigeSettings) -> None:
        self._name = name
        self._settings = settings
        self._left = Event()
        self._left.set()
        self._open = ExitStack()

    def __enter__(self) -> Self:
        self._left = Event()
        self._frames: Queue[Frame] = Queue(self._settings.buffers)
        self._failed: Exception | None = None
        self._incomplete = 0
        with ExitStack() as opening:
            try:
                device = _found(self._name, self._settings)
                camera = _connected(self._name, device)
                opening.callback(self._quietly, camera.close)
                apply_features(self._name, camera, self._settings)
                self._ticks_per_s = int.from_bytes(camera.read_register(_TICKS_PER_S, 8))
                stream = camera.stream(deliver_incomplete=True)
                opening.callback(self._quietly, stream.close)
                camera.acquisition_start()
                opening.callback(self._stop, camera)
            except viva.GenicamError as error:
                raise self._lost(error) from error
            receiver = Thread(
                target=self._receive, args=(stream, device.address), name=f"camera {self._name}", daemon=True
            )
            receiver.start()
            opening.callback(receiver.join)
            opening.callback(self._left.set)
            self._open = opening.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.close()

    def frames(self) -> Iterator[Frame]:
        while (frame := self._next()) is not None:
            yield frame

    def _next(self) -> Frame | None:
        # Silence is counted from here, so that a busy lane is not taken for a silent camera.
        asked_s = time.monotonic()
        before = self._incomplete
        while not self._left.is_set():
            # Looked at first: what arrived before the failure is still given.
            failed = self._failed
            try:
                return self._frames.get(block=failed is None, timeout=_TAKE_MS / 1000)
            except Empty:
                if failed is not None:
                    raise failed from failed.__cause__
            if time.monotonic() - asked_s > self._settings.silent_after_s:
                incomplete = self._incomplete - before
                raise CameraSilent(
                    f"Camera {self._name} sent no whole frame for {self._settings.silent_after_s:g} s"
                    f" ({incomplete} came damaged).",
                    action="Check power, cable and trigger, then press Retry.",
                    camera=self._name,
                    timeout_s=self._settings.silent_after_s,
                    incomplete=incomplete,
                )
        return None

    # --- on the receiver's thread ----------------------------------------------------------------------

    def _receive(self, stream: Any, address: str) -> None:
        try:
            self._take_all(stream, address)
        except (viva.GenicamError, CountRestarted, _Gone) as error:
            self._failed = self._lost(error)
            self._failed.__cause__ = error
        except Exception as error:  # noqa: BLE001 - raised again where the frames are waited for
            self._failed = error

    def _take_all(self, stream: Any, address: str) -> None:
        count = ExposureCount()
        first: int | None = None
        incomplete = 0
        heard_s = time.monotonic()
        while not self._left.is_set():
            picture = _taken(stream)
            if picture is None:
                if time.monotonic() - heard_s > _QUIET_S:
                    _check_it_is_ours(address)
                    heard_s = time.monotonic()
                continue
            heard_s = time.monotonic()
            pixels = self._pixels(picture)
            if pixels is None:
                incomplete += 1
                self._incomplete += 1
                continue
            sequence = count.of(picture.block_id, incomplete_before=incomplete)
            incomplete = 0
            if sequence is not None:
                first = sequence if first is None else first
                self._keep(self._frame(picture, pixels, sequence=sequence, first=first))

    def _pixels(self, picture: Any) -> Image | None:
        """None for a picture that is not whole."""
        if not picture.is_complete:
            return None
        try:
            form = FORMATS[picture.pixel_format_code]
        except KeyError:
            found = f"0x{picture.pixel_format_code:08X}"
            raise _refused(self._name, "PixelFormat", UNDERSTOOD, found=found) from None
        try:
            return image_of(
                Payload(
                    data=picture.payload(),
                    offset_bytes=0,
                    width_px=picture.width,
                    height_px=picture.height,
                    row_padding_bytes=picture.padding_x,
                    format=form,
                )
            )
        except PayloadTooShort:
            return None
        except LinesShareBytes as error:
            raise _refused(self._name, "width_px", picture.width, found=str(error)) from error

    def _frame(self, picture: Any, pixels: Image, *, sequence: int, first: int) -> Frame:
        ticks = picture.ts_dev
        return Frame(
            pixels=pixels,
            camera=self._name,
            sequence=sequence,
            captured_at=datetime.now(UTC),
            device_time_ns=None
            if ticks is None or not self._ticks_per_s
            else ticks * _NS // self._ticks_per_s,
            y_origin_mm=(sequence - first) * len(pixels) * (self._settings.mm_per_line or 0.0),
        )

    def _keep(self, frame: Frame) -> None:
        with suppress(Full):
            self._frames.put_nowait(frame)

    # --- leaving ---------------------------------------------------------------------------------------

    def _stop(self, camera: Any) -> None:
        if self._failed is None:
            self._quietly(camera.acquisition_stop)

    def _quietly(self, let_go: Callable[[], None]) -> None:
        try:
            let_go()
        except viva.GenicamError:
            logger.warning("camera %s: the device did not stop as it should", self._name, exc_info=True)

    def _lost(self, error: Exception) -> CameraLost:
        return CameraLost(
            f"Camera {self._name} was lost: {error}",
            action="Check power and cable, then press Retry.",
            camera=self._name,
            reason=str(error),
        )


def _taken(stream: Any) -> Any | None:
    """The next picture, if one comes in time. Waiting in the library lets other threads run."""
    try:
        return stream.next_frame(_TAKE_MS)
    except viva.TransportError as error:
        if str(error) == _NOTHING_CAME:
            return None
        raise


# --- settings ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Feature:
    """A setting of ours and its standard name. `before` and `after` are written too, where the device has them."""

    setting: str
    node: str
    before: tuple[tuple[str, str], ...] = ()
    after: tuple[tuple[str, str], ...] = ()


_FEATURES = (
    _Feature(setting="pixel_format", node="PixelFormat"),
    _Feature(setting="width_px", node="Width"),
    _Feature(setting="height_px", node="Height"),
    _Feature(setting="exposure_us", node="ExposureTime", before=(("ExposureAuto", "Off"),)),
    _Feature(setting="gain_db", node="Gain", before=(("GainAuto", "Off"),)),
    _Feature(
        setting="frames_per_s",
        node="AcquisitionFrameRate",
        before=(("AcquisitionFrameRateEnable", "true"),),
    ),
    _Feature(
        setting="trigger_source",
        node="TriggerSource",
        before=(("TriggerSelector", "FrameStart"),),
        after=(("TriggerMode", "On"),),
    ),
)
"""In the order they are written: the later ones are bounded by the earlier. Names: GenICam SFNC 2.7."""

_ROUNDING = 0.02
"""Devices round times and gains to their clock; more than this is another value, not a rounded one."""


def apply_features(name: str, camera: Any, settings: GigeSettings) -> None:
    """Write what is set, and read each back. Raises SettingRefused at the first the device did not take."""
    for feature in _FEATURES:
        value = getattr(settings, feature.setting)
        if value is None:
            continue
        if camera.node_info(feature.node) is None:
            raise _refused(name, feature.setting, value, found=f"no {feature.node}")
        try:
            for node, text in (*feature.before, (feature.node, str(value)), *feature.after):
                if camera.node_info(node) is not None:
                    camera.set(node, text)
            # What was written is kept by the library: only asked anew does the device itself answer.
            camera.invalidate(feature.node)
            found = camera.feature_state(feature.node).value
        except viva.GenApiError as error:
            raise _refused(name, feature.setting, value, found=_readable(camera, feature.node)) from error
        if not _took(value, found):
            raise _refused(name, feature.setting, value, found=found)


def _took(value: Any, found: Any) -> bool:
    if isinstance(value, float) and isinstance(found, int | float):
        return abs(found - value) <= _ROUNDING * abs(value)
    return bool(value == found)


def _readable(camera: Any, node: str) -> str:
    try:
        return str(camera.get(node))
    except viva.GenicamError as error:
        return str(error)


def _refused(camera: str, setting: str, value: object, *, found: object) -> SettingRefused:
    return SettingRefused(
        f"Camera {camera} does not take {setting} = {value}; it has {found}.",
        action=f"Change {setting} in the station's settings to what the camera offers.",
        camera=camera,
        setting=setting,
        value=value,
        found=found,
    )


# --- finding and connecting ----------------------------------------------------------------------------


class _Gone(Exception):
    """The device does not answer, or no longer to us."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Device:
    """`handle` is the library's own, where it found the device by itself; `said` its answer to a discovery."""

    address: str
    said: bytes
    handle: Any | None

    @property
    def serial(self) -> str:
        return self.said[_SERIAL].split(b"\0", 1)[0].decode(errors="replace")


def _found(name: str, settings: GigeSettings) -> _Device:
    there = list(_looked_for(settings.address))
    fitting = [device for device in there if settings.serial in (None, device.serial)]
    if len(fitting) != 1:
        wanted = " at ".join(filter(None, (settings.serial or "*", settings.address)))
        found = ", ".join(device.serial for device in there)
        raise CameraNotFound(
            f"Camera {name}: wanted serial number {wanted}, found {found or 'no device'}.",
            action="Check power, cable and the serial number in the station's settings.",
            camera=name,
            wanted=wanted,
            found=found or "-",
        )
    return fitting[0]


def _looked_for(address: str | None) -> Iterator[_Device]:
    """The devices that answer, or the one of this address."""
    handles = {}
    if address is None or not _is_beside_localhost(address):
        handles = {info.ip: info for info in viva.discover(_LOOK_MS, all=True)}
    for at in sorted(handles) if address is None else [address]:
        # The library does not pass a device's serial number on.
        with suppress(_Gone):
            yield _Device(address=at, said=_asked(at, Discovery()).body, handle=handles.get(at))


def _is_beside_localhost(address: str) -> bool:
    """On this computer, where the library looks at 127.0.0.1 only."""
    return address != _LOCALHOST and ipaddress.ip_address(address).is_loopback


def _connected(name: str, device: _Device) -> Any:
    try:
        if device.handle is not None:
            return viva.connect_gige(device.handle)
        return viva.connect_gige(_introduced(device), iface=_address_towards(device.address))
    except viva.TransportError as error:
        if Status.ACCESS_DENIED.name not in str(error):
            raise
        raise CameraInUse(
            f"Camera {name}: another program or lane has opened {device.serial}.",
            action="Close the vendor's viewer or the other lane, then press Retry.",
            camera=name,
            wanted=device.serial,
        ) from error


def _introduced(device: _Device) -> Any:
    """The library's handle for a device that it cannot find by itself.

    It takes a device for what its answer to a discovery says, wherever the answer comes from. So for a moment
    somebody answers at 127.0.0.1, where it looks, with what the device has said.
    """
    with _port_of_localhost() as port, ThreadPoolExecutor(1) as elsewhere:
        answering = elsewhere.submit(_answer_once, port, device.said)
        found = viva.discover(_INTRODUCE_MS, iface=_LOCALHOST)
        answering.result()
    for info in found:
        if info.ip == device.address:
            return info
    raise viva.TransportError(f"viva-genicam did not take {device.address} for a device")


def _answer_once(port: socket.socket, said: bytes) -> None:
    port.settimeout(_INTRODUCE_MS / 1000)
    with suppress(TimeoutError, Malformed):
        data, asker = port.recvfrom(2048)
        question = parse_header(data)
        answer = Ack(status=0, code=question.code + 1, request_id=question.request_id, body=said)
        port.sendto(pack_ack(answer), asker)


@contextmanager
def _port_of_localhost() -> Iterator[socket.socket]:
    """GVCP's port there. Another lane that opens its camera has it for a moment, too."""
    give_up_s = time.monotonic() + _INTRODUCE_WITHIN_S
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as port:
        while True:
            try:
                port.bind((_LOCALHOST, GVCP_PORT))
                break
            except OSError as error:
                if time.monotonic() > give_up_s:
                    raise viva.TransportError(
                        f"UDP port {GVCP_PORT} of {_LOCALHOST}: {error.strerror}"
                    ) from error
                time.sleep(_INTRODUCE_MS / 1000)
        yield port


# --- asking the device itself --------------------------------------------------------------------------


def _check_it_is_ours(address: str) -> None:
    """Raises _Gone for a device that does not answer, was switched on anew, or has another master."""
    answer = _asked(address, ReadRegisters(addresses=(_CCP, _SCP)))
    if answer.status == Status.ACCESS_DENIED:
        raise _Gone("another program has taken control of it")
    if answer.status == Status.SUCCESS and len(answer.body) == 8 and 0 in struct.unpack(">II", answer.body):
        raise _Gone("it no longer knows that it is ours: switched off and on, or its heartbeat failed")


def _asked(address: str, command: Command) -> Ack:
    """What a device answers, asked from a socket of its own: the library takes 4 s to say that it does not."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(_ASK_S)
        try:
            asking.connect((address, GVCP_PORT))
            for request_id in range(1, _ASKS + 1):
                asking.send(pack_command(command, request_id=request_id))
                with suppress(TimeoutError, Malformed):
                    while (answer := parse_ack(asking.recv(2048))).code == _PENDING:
                        pass
                    return answer
        except OSError as error:
            raise _Gone(error.strerror or str(error)) from error
    raise _Gone(f"{address} does not answer")


def _address_towards(address: str) -> str:
    """Ours, of the network the device is in."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as towards:
        towards.connect((address, GVCP_PORT))
        return str(towards.getsockname()[0])
