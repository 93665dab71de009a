"""GigE Vision through a client that pip installs: no GenTL producer. The only file that knows viva_genicam."""

from __future__ import annotations

import ipaddress
import logging
import socket
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from queue import Empty, Full, Queue
from threading import Event, Thread
from types import TracebackType
from typing import Any, Self, TypeVar

from cameras.counting import CountRestarted, ExposureCount
from cameras.errors import (
    CameraInUse,
    CameraLost,
    CameraNotFound,
    CameraSilent,
    ProducerMissing,
)
from cameras.features import NodeRefused, Value, apply_settings, make_idle, refused
from cameras.gvcp import Announced, discover, normal_mac, parse_announcement
from cameras.pacing import Clock, SystemClock
from cameras.pixels import FORMATS, UNDERSTOOD, LinesShareBytes, Payload, PayloadTooShort, image_of
from cameras.placing import StripPlaces
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

_T = TypeVar("_T")

_TAKE_MS = 100
"""One wait for a picture; how late the receiver notices that the camera is left."""

_QUIET_S = 0.5
"""So long without a picture, and the device is asked whether it is still there, and still ours."""

_ASK_S = 0.4
_ASKS = 3
"""Three unanswered questions: the device is gone. With _QUIET_S that is 1.7 s. The library itself never says
so: of a device that was killed it goes on saying that it controls it."""

_LOOK_MS = 500
_INTRODUCE_MS = 200
_INTRODUCE_WITHIN_S = 10.0
_LOCALHOST = "127.0.0.1"

_TICKS_PER_S, _CCP, _SCP = 0x093C, 0x0A00, 0x0D00
_PENDING = 0x0089
"""Bootstrap registers: the timestamp's frequency; who controls the device; the port it streams to. And the answer
that says the answer takes longer. Source: AIA, GigE Vision 1.2."""

_NOTHING_CAME = "timeout waiting for frame"
_NO_ANSWER = ("register I/O failed: timeout", "register I/O failed: io")
"""How the library says that; another GenApiError is a device that refuses."""

_NS = 1_000_000_000


class GigeCamera:
    """One device, started when entered. Its `sequence` is the device's block id made to rise across its wrap; where
    triggers are counted, by those that exposed nothing, too.

    A thread of its own takes every picture from the library, which keeps only the newest, and holds `buffers` of
    them for a busy lane. What comes damaged, or finds no room, is never given: a hole in `sequence`. `frames` ends
    when the camera is left, from whichever thread. Entering raises CameraNotFound, CameraInUse, CameraLost and
    SettingRefused; `frames` raises CameraSilent, CameraLost and, for unknown pixels, SettingRefused.
    """

    def __init__(self, name: str, settings: GigeSettings, *, clock: Clock | None = None) -> None:
        self._name = name
        self._settings = settings
        self._clock = clock or SystemClock()
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
                self._nodes = _Nodes(camera)
                make_idle(self._nodes)
                self._applied = apply_settings(self._nodes, self._settings)
                for change in self._applied.changes:
                    logger.info("camera %s made of %s", self._name, change)
                self._applied.check(self._name)
                self._places = StripPlaces(self._settings, lines_per_frame=int(self._nodes.read("Height")))
                channels = 1 if str(self._nodes.read("PixelFormat")).startswith("Mono") else 3
                self._frame_bytes = (
                    int(self._nodes.read("Width")) * int(self._nodes.read("Height")) * channels
                )
                self._ticks_per_s = int.from_bytes(camera.read_register(_TICKS_PER_S, 8))
                stream = camera.stream(deliver_incomplete=True)
                opening.callback(self._quietly, stream.close)
                camera.acquisition_start()
                opening.callback(self._stop, camera)
            except (viva.GenicamError, NodeRefused, _Gone) as error:
                raise self._lost(error) from error
            receiver = Thread(
                target=self._receive,
                args=(camera, stream, device.address),
                name=f"camera {self._name}",
                daemon=True,
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

    @property
    def frame_bytes(self) -> int:
        """The most that a frame's pixels can have as the device is set up. Once entered."""
        return self._frame_bytes

    def trigger(self) -> None:
        """One software trigger; nothing where the camera is left. Raises SettingRefused and CameraLost."""
        if self._left.is_set():
            return
        try:
            self._nodes.execute("TriggerSoftware")
        except NodeRefused as error:
            raise refused(self._name, "trigger", "software", found=str(error)) from error
        except viva.GenicamError as error:
            raise self._lost(error) from error

    def _next(self) -> Frame | None:
        # Silence is counted from here, so that a busy lane is not taken for a silent camera.
        asked_s = self._clock.monotonic_s()
        before = self._incomplete
        while not self._left.is_set():
            # Looked at first: what arrived before the failure is still given.
            failed = self._failed
            try:
                return self._frames.get(block=failed is None, timeout=_TAKE_MS / 1000)
            except Empty:
                if failed is not None:
                    raise failed from failed.__cause__
            if self._clock.monotonic_s() - asked_s > self._settings.silent_after_s:
                incomplete = self._incomplete - before
                raise CameraSilent(
                    f"Camera {self._name} sent no whole frame for {self._settings.silent_after_s:g} s"
                    f" ({incomplete} came damaged).",
                    action="Check power, cable and trigger; a lane opens it again by itself.",
                    camera=self._name,
                    timeout_s=self._settings.silent_after_s,
                    incomplete=incomplete,
                )
        return None

    # --- on the receiver's thread ----------------------------------------------------------------------

    def _receive(self, camera: Any, stream: Any, address: str) -> None:
        try:
            self._take_all(camera, stream, address)
        except (viva.GenicamError, CountRestarted, _Gone) as error:
            self._failed = self._lost(error)
            self._failed.__cause__ = error
        except Exception as error:  # noqa: BLE001 - raised again where the frames are waited for
            self._failed = error

    def _take_all(self, camera: Any, stream: Any, address: str) -> None:
        count = ExposureCount()
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
            chunks = {} if pixels is None else _chunks_of(camera, picture, self._applied.chunks)
            if pixels is None or not self._settings.is_told_enough(chunks):
                incomplete += 1
                self._incomplete += 1
                continue
            trigger = int(chunks["CounterValue"]) if "CounterValue" in chunks else None
            sequence = count.of(
                picture.block_id,
                incomplete_before=incomplete,
                trigger=trigger if self._settings.count_triggers else None,
                device_time_ns=self._time_ns(picture),
                received_s=heard_s,
            )
            incomplete = 0
            if sequence is not None:
                self._keep(self._frame(picture, pixels, chunks, sequence, trigger, first=count.first))

    def _pixels(self, picture: Any) -> Image | None:
        """None for a picture that is not whole."""
        if not picture.is_complete:
            return None
        try:
            form = FORMATS[picture.pixel_format_code]
        except KeyError:
            found = f"0x{picture.pixel_format_code:08X}"
            raise refused(self._name, "PixelFormat", UNDERSTOOD, found=found) from None
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
            raise refused(self._name, "width_px", picture.width, found=str(error)) from error

    def _frame(
        self,
        picture: Any,
        pixels: Image,
        chunks: dict[str, int | float],
        sequence: int,
        trigger: int | None,
        *,
        first: int | None,
    ) -> Frame:
        return Frame(
            pixels=pixels,
            camera=self._name,
            sequence=sequence,
            captured_at=self._clock.utc(),
            device_time_ns=self._time_ns(picture),
            y_origin_mm=self._places.y_origin_mm(sequence, chunks),
            trigger=trigger,
            chunks=chunks,
            first_sequence=first,
        )

    def _time_ns(self, picture: Any) -> int | None:
        ticks: int | None = picture.ts_dev
        return None if ticks is None or not self._ticks_per_s else ticks * _NS // self._ticks_per_s

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
        except viva.GenicamError as failed:
            logger.warning("camera %s: the device did not stop as it should: %s", self._name, failed)

    def _lost(self, error: Exception) -> CameraLost:
        return CameraLost(
            f"Camera {self._name} was lost: {error}",
            action="Check power and cable; a lane opens it again by itself.",
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


# --- features ------------------------------------------------------------------------------------------


class _Nodes:
    """A camera's features as `cameras.features.Nodes`."""

    def __init__(self, camera: Any) -> None:
        self._camera = camera

    def has(self, name: str) -> bool:
        try:
            return bool(self._camera.feature_state(name).is_implemented)
        except viva.GenApiError:
            return False

    def read(self, name: str) -> Value:
        def read() -> Value:
            # What was written is kept by the library: only asked anew does the device itself answer.
            self._camera.invalidate(name)
            value: Value = self._camera.feature_state(name).value
            return value

        return _answered(read)

    def write(self, name: str, value: Value) -> None:
        text = str(value).lower() if isinstance(value, bool) else str(value)
        _answered(lambda: self._camera.set(name, text))

    def execute(self, name: str) -> None:
        _answered(lambda: self._camera.execute(name))

    def entries(self, name: str) -> tuple[str, ...]:
        try:
            return tuple(self._camera.available_enum_entries(name))
        except viva.GenApiError:
            return ()

    def offers(self, name: str) -> str:
        try:
            state = self._camera.feature_state(name)
        except viva.GenApiError:
            return ""
        if state.enum_entries:
            return ", ".join(state.enum_entries)
        if state.range is None:
            return ""
        low, high, step = (
            _plain(value) for value in (state.range.min, state.range.max, state.range.inc or 0)
        )
        return f"{low}, {_plain(low + step)} … {high}" if step > 1 else f"{low} … {high}"

    def whole_numbers(self, name: str) -> range | None:
        try:
            state = self._camera.feature_state(name)
        except viva.GenApiError:
            return None
        if state.range is None or state.kind != "Integer":
            return None
        return range(int(state.range.min), int(state.range.max) + 1, max(1, int(state.range.inc or 1)))


def _answered(ask: Callable[[], _T]) -> _T:
    try:
        return ask()
    except viva.GenApiError as error:
        if str(error).startswith(_NO_ANSWER):
            raise
        raise NodeRefused(str(error)) from error


def _plain(value: float) -> float:
    return int(value) if float(value).is_integer() else value


def _chunks_of(camera: Any, picture: Any, names: Sequence[str]) -> dict[str, int | float]:
    """What came with the picture, of these names; a name the device left out, or that is no number, is left out."""
    if not names:
        return {}
    found = camera.chunk_features(picture)
    values = ((name, found.get(f"Chunk{name}")) for name in names)
    return {name: value for name, text in values if (value := _number(text)) is not None}


def _number(text: object) -> int | float | None:
    if isinstance(text, str):
        for kind in (int, float):
            with suppress(ValueError):
                return kind(text)
    return None


# --- finding and connecting ----------------------------------------------------------------------------


class _Gone(Exception):
    """The device does not answer, or no longer to us."""


def _found(name: str, settings: GigeSettings) -> Announced:
    """The one device that the settings ask for. Raises CameraNotFound where there is none, or several."""
    wanted = settings.serial or settings.device or "*"
    there = _announced(settings.device)
    matching = [device for device in there if settings.serial in (None, device.serial)]
    if settings.device is not None:
        matching = [device for device in matching if _spelled(settings.device) in _names(device)]
    if len(matching) == 1:
        return matching[0]
    found = ", ".join(device.serial for device in matching or there) or "-"
    raise CameraNotFound(
        f"Camera {name}: wanted exactly one device {wanted}, found {found}.",
        action="Check power, cable and network, and that the station's settings name exactly one.",
        camera=name,
        wanted=wanted,
        found=found,
    )


def _announced(device: str | None) -> list[Announced]:
    """The devices that answer; where one is wanted by its IP address, that one, also where no broadcast reaches it."""
    try:
        addresses = {str(ipaddress.IPv4Address(device or ""))}
    except ValueError:
        addresses = {heard.address for heard in discover()}
        # Elsewhere than on Linux ours hears nothing.
        addresses |= {info.ip for info in viva.discover(_LOOK_MS, all=True)} if not addresses else set()
    there = []
    for address in sorted(addresses):
        with suppress(_Gone, Malformed):
            there.append(parse_announcement(_asked(address, Discovery()).body, interface="-"))
    return there


def _names(device: Announced) -> tuple[str, ...]:
    return device.serial, device.user_name, device.mac, device.address


def _spelled(device: str) -> str:
    """A MAC address in the one way we spell it, anything else as it is."""
    with suppress(ValueError):
        return normal_mac(device)
    return device


def _connected(name: str, device: Announced) -> Any:
    ours = _address_towards(device.address)
    try:
        return viva.connect_gige(_handle(device, ours), iface=ours)
    except viva.TransportError as error:
        if Status.ACCESS_DENIED.name not in str(error):
            raise
        raise CameraInUse(
            f"Camera {name}: another program or lane has opened {device.serial}.",
            action="Close the vendor's viewer or the other lane; a lane opens it again by itself.",
            camera=name,
            wanted=device.serial,
        ) from error


def _handle(device: Announced, ours: str) -> Any:
    """The library's own for a device. It looks by broadcast, and on this computer at 127.0.0.1 only."""
    if ours != _LOCALHOST or device.address == _LOCALHOST:
        for info in viva.discover(_LOOK_MS, iface=ours):
            if info.ip == device.address:
                return info
    return _introduced(device)


def _introduced(device: Announced) -> Any:
    """The library's handle for a device that it cannot find by itself.

    It takes a device for what its answer to a discovery says, wherever the answer comes from. So for a moment
    somebody answers at 127.0.0.1, where it looks, with what the device has said.
    """
    with _port_of_localhost() as port, ThreadPoolExecutor(1) as elsewhere:
        answering = elsewhere.submit(_answer_once, port, _asked(device.address, Discovery()).body)
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
