"""GigE Vision and every other GenTL producer. The only file that knows harvesters and genicam.

Run as a program with a producer's file it prints the devices there: see `list_devices`.
"""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Event, Lock
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
from cameras.features import (
    Applied,
    Change,
    NodeRefused,
    Value,
    apply_settings,
    make_idle,
    refused,
    values_of,
)
from cameras.gvcp import Announced, discover, normal_mac
from cameras.pacing import Clock, SystemClock
from cameras.pixels import (
    FORMATS,
    UNDERSTOOD,
    LinesShareBytes,
    Payload,
    PayloadTooShort,
    PixelFormat,
    image_of,
)
from cameras.placing import StripPlaces
from cameras.producers import INSTALL_GENICAM, Producer, producer_fails, producer_file
from cameras.settings import GenicamSettings
from inspection.types import Frame

try:
    from genicam import genapi, gentl
    from harvesters.core import Callback, Harvester, ParameterKey, ParameterSet
except ImportError as error:
    raise ProducerMissing(
        f"GenICam cameras need harvesters and genicam: {error}.",
        action=f"Run: {INSTALL_GENICAM}",
        producer="genicam",
        reason=str(error),
        install=INSTALL_GENICAM,
    ) from error

logger = logging.getLogger(__name__)

# These three share no base class. The last is what genicam makes of a message in the vendor's local encoding.
_VENDOR_ERRORS = (gentl.GenericException, genapi.GenericException, UnicodeDecodeError)

_FETCH_S = 1e-6
"""Long enough for one look into the queue and no second one."""

_POLL_S = 0.0005
"""Between two looks. Waiting inside genicam instead holds the interpreter: a 1 ms sleep in another thread
was measured to end 5.6 ms late, so 0.07 ms."""

_LOSSES = (
    "StreamIncompleteFrameCount",
    "StreamUnderrunCount",
    "StreamMissingPacketCount",
    "StreamResentPacketCount",
)
"""Counts of a producer, where it has them. The first is of frames, the second of ours is of packets."""

_CHUNK_END_BYTES = 8
"""Source: AIA, GigE Vision 1.2: an id and a length, big-endian, of 4 bytes each."""

_DISCOVERY_S = 30.0
_DEVICES = "lynceus-devices "


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceInfo:
    """What a producer says of a device it can reach, and a GigE Vision device of itself.

    name       as its user calls it, else as its producer does
    transport  as GenTL names it: GEV, U3V, Custom
    address, mac  empty where it has none, or was not heard
    """

    serial: str
    vendor: str
    model: str
    name: str
    transport: str
    address: str = ""
    mac: str = ""


def list_devices(producer: Producer) -> tuple[DeviceInfo, ...]:
    """Every device of a producer, in its order. Looks from a process of its own: looking again from one
    that acquires makes its cameras invalid.

    Raises ProducerMissing, also for a producer that crashes or hangs.
    """
    path = producer_file(producer)
    # -P: a folder named `cameras` where the user happens to stand is not ours.
    command = [sys.executable, "-P", "-m", "cameras.genicam", str(path)]
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and module, no shell
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_DISCOVERY_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise producer_fails(path, f"no answer within {_DISCOVERY_S:g} s") from error
    for line in done.stdout.decode(errors="replace").splitlines():
        if line.startswith(_DEVICES):
            return tuple(DeviceInfo(**device) for device in json.loads(line.removeprefix(_DEVICES)))
    said = done.stderr.decode(errors="replace").strip().splitlines()
    raise producer_fails(path, said[-1] if said else f"it ended with status {done.returncode}")


class GenicamCamera:
    """One device, started when entered. Its `sequence` is the device's frame id made to rise across its wrap; where
    triggers are counted, by those that exposed nothing, too.

    Frames that come damaged are never given: they leave a hole in `sequence`. `frames` ends when the camera
    is left, from whichever thread. Entering raises CameraNotFound, CameraInUse, ProducerMissing, CameraLost
    and SettingRefused; `frames` raises CameraSilent, CameraLost and, for unknown pixels, SettingRefused.

    connect  how the device is reached; tests reach one of their own
    """

    def __init__(
        self,
        name: str,
        settings: GenicamSettings,
        *,
        connect: Callable[[str, GenicamSettings], AbstractContextManager[Any]] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._name = name
        self._settings = settings
        self._connect = connect or connected
        self._clock = clock or SystemClock()
        self._lock = Lock()
        self._left = Event()
        self._left.set()
        self._open = ExitStack()
        self._asking = Lock()
        self._incomplete = 0
        self._count = ExposureCount()
        self._applied = Applied(changes=())

    @property
    def changes(self) -> tuple[Change, ...]:
        """Of the settings it was entered with: what the device rounded or, where entering raised, refused."""
        return self._applied.changes

    def __enter__(self) -> Self:
        self._incomplete = 0
        self._count = ExposureCount()
        try:
            with ExitStack() as opening:
                self._acquirer = opening.enter_context(self._connect(self._name, self._settings))
                # Last in, first out, each tried even when the one before failed: after a lost link `stop`
                # fails and leaves the stream grabbing, and this process would never see a device again.
                # Leaving it as a context manager, not `destroy`, also frees the acquirer itself.
                opening.push(self._acquirer)
                opening.callback(_kill_streams, self._acquirer)
                opening.callback(self._acquirer.stop)
                self._start()
                opening.callback(self._say_what_was_lost)
                self._open = opening.pop_all()
        except _VENDOR_ERRORS as error:
            raise self._lost(error) from error
        self._left.clear()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Closing takes seconds where a link broke: nobody who waits for a frame is to wait for that too.
        with self._lock:
            self._left.set()
        with self._asking:
            opened, self._open = self._open, ExitStack()
        try:
            opened.close()
        except _VENDOR_ERRORS as failed:
            # As every device that is gone: an operator's log is not to have a page of it.
            logger.warning("camera %s: the device did not stop as it should: %s", self._name, _words(failed))

    def frames(self) -> Iterator[Frame]:
        while (frame := self._next()) is not None:
            yield frame

    @property
    def frame_bytes(self) -> int:
        """The most that a frame's pixels can have as the device is set up. Once entered. Raises CameraLost."""
        try:
            nodes = self._acquirer.remote_device.node_map
            channels = 1 if str(nodes.PixelFormat.value).startswith("Mono") else 3
            return int(nodes.Width.value) * int(nodes.Height.value) * channels
        except _VENDOR_ERRORS as error:
            raise self._lost(error) from error

    def trigger(self) -> None:
        """One software trigger; nothing where the camera is left. Raises SettingRefused and CameraLost."""
        with self._asking:
            if self._left.is_set():
                return
            try:
                self._nodes.execute("TriggerSoftware")
            except NodeRefused as error:
                raise self._refused("trigger", "software", found=str(error)) from error
            except _VENDOR_ERRORS as error:
                raise self._lost(error) from error

    def values(self, names: Iterable[str]) -> dict[str, int | float | str]:
        """What the device, or for names that begin with `Stream` the producer's data stream, says now.

        names  as in SFNC; a number or a text each. What is not there, or not readable, is left out; all of it
               where the camera is left.

        From any thread, and beside `frames`. Of a device that died it may take as long as the producer needs to
        know.
        """
        wanted = tuple(names)
        of_stream = [name for name in wanted if name.startswith("Stream")]
        of_device = [name for name in wanted if not name.startswith("Stream")]
        with self._asking:
            if self._left.is_set():
                return {}
            stream = _Nodes(self._acquirer.data_streams[0].node_map)
            try:
                return values_of(self._nodes, of_device) | values_of(stream, of_stream)
            except _VENDOR_ERRORS as error:
                logger.debug("camera %s does not say: %s", self._name, error)
                return {}

    def _say_what_was_lost(self) -> None:
        """To the log, since a hole does not say why: whether frames came damaged, or found no buffer free. The
        counts have their producer's names: what ours mean is in docs/cameras.md."""
        with suppress(*_VENDOR_ERRORS):
            found = values_of(_Nodes(self._acquirer.data_streams[0].node_map), _LOSSES)
            if any(found.get(name) for name in _LOSSES[:2]):
                said = ", ".join(f"{name.removeprefix('Stream')} {value}" for name, value in found.items())
                logger.warning("camera %s: frames were lost before they came: %s", self._name, said)

    def _start(self) -> None:
        streams = len(self._acquirer.data_streams)
        if streams != 1:
            raise self._refused("data streams", 1, found=streams)
        self._nodes = _Nodes(self._acquirer.remote_device.node_map)
        make_idle(self._nodes)
        self._applied = apply_settings(self._nodes, self._settings)
        for change in self._applied.changes:
            logger.info("camera %s made of %s", self._name, change)
        self._applied.check(self._name)
        lines_per_frame = int(self._nodes.read("Height")) if self._settings.mm_per_line else 0
        self._places = StripPlaces(self._settings, lines_per_frame=lines_per_frame)
        self._acquirer.timeout_period_on_update_event_data_call = 0
        self._acquirer.num_buffers = self._settings.buffers
        self._acquirer.add_callback(
            self._acquirer.Events.INCOMPLETE_BUFFER, _Counting(self._count_incomplete)
        )
        self._acquirer.start()

    def _next(self) -> Frame | None:
        # Silence is counted from here, so that a busy lane is not taken for a silent camera.
        asked_s = self._clock.monotonic_s()
        incomplete = 0
        while True:
            with self._lock:
                if self._left.is_set():
                    return None
                before = self._incomplete
                frame = self._poll()
                incomplete += max(0, self._incomplete - before)
            if frame is not None:
                return frame
            if self._clock.monotonic_s() - asked_s > self._settings.silent_after_s:
                raise CameraSilent(
                    f"Camera {self._name} sent no whole frame for {self._settings.silent_after_s:g} s"
                    f" ({incomplete} came damaged).",
                    action="Check power, cable and trigger; a lane opens it again by itself.",
                    camera=self._name,
                    timeout_s=self._settings.silent_after_s,
                    incomplete=incomplete,
                )
            self._clock.wait(_POLL_S, unless=self._left)

    def _poll(self) -> Frame | None:
        """The next whole frame, if one is there."""
        try:
            # Raw: what harvesters builds around a buffer is a view that the next frame overwrites, skewed
            # where rows are padded, and an exception on formats it does not know.
            buffer = self._acquirer.try_fetch(timeout=_FETCH_S, is_raw=True)
            if buffer is None:
                return None
            try:
                return self._frame(buffer)
            finally:
                # Whatever is wrong with the frame, a buffer kept back starves the stream.
                buffer.parent.queue_buffer(buffer)
        except (*_VENDOR_ERRORS, CountRestarted) as error:
            raise self._lost(error) from error

    def _frame(self, buffer: Any) -> Frame | None:
        try:
            payload = self._payload(buffer)
            pixels = image_of(payload)
        except PayloadTooShort:
            self._count_incomplete()
            return None
        except LinesShareBytes as error:
            raise self._refused("width_px", payload.width_px, found=str(error)) from error
        try:
            chunks = _chunks_of(self._acquirer, buffer, self._applied.chunks)
        except genapi.GenericException as error:
            logger.info("camera %s: what came with a frame is unreadable: %s", self._name, error)
            self._count_incomplete()
            return None
        if not self._settings.is_told_enough(chunks):
            self._count_incomplete()
            return None
        trigger = int(chunks["CounterValue"]) if "CounterValue" in chunks else None
        device_time_ns = _known(lambda: buffer.timestamp_ns)
        sequence = self._count.of(
            _known(lambda: buffer.frame_id),
            incomplete_before=self._incomplete,
            trigger=trigger if self._settings.count_triggers else None,
            device_time_ns=device_time_ns,
            received_s=self._clock.monotonic_s(),
        )
        if sequence is None:
            return None
        self._incomplete = 0
        return Frame(
            pixels=pixels,
            camera=self._name,
            sequence=sequence,
            captured_at=self._clock.utc(),
            device_time_ns=device_time_ns,
            y_origin_mm=self._places.y_origin_mm(sequence, chunks),
            trigger=trigger,
            chunks=chunks,
            first_sequence=self._count.first,
        )

    def _payload(self, buffer: Any) -> Payload:
        """Where the picture lies in a buffer: all of it, or the first of its parts that is a picture."""
        kinds = gentl.PAYLOADTYPE_INFO_IDS
        if buffer.payload_type == kinds.PAYLOAD_TYPE_MULTI_PART:
            pictures = [part for part in buffer.parts if part.data_format in FORMATS]
            if not pictures:
                raise self._refused("PixelFormat", UNDERSTOOD, found="multi-part without a picture")
            part = pictures[0]
            return Payload(
                data=buffer.raw_buffer,
                offset_bytes=part.data_offset,
                width_px=part.width,
                height_px=_lines(lambda: part.height, lambda: part.delivered_image_height),
                row_padding_bytes=_known(lambda: part.x_padding) or 0,
                format=FORMATS[part.data_format],
            )
        if buffer.payload_type not in (kinds.PAYLOAD_TYPE_IMAGE, kinds.PAYLOAD_TYPE_CHUNK_DATA):
            raise self._refused("payload type", "image", found=buffer.payload_type)
        nodes = self._acquirer.remote_device.node_map
        lines = _lines(lambda: buffer.height, lambda: buffer.delivered_image_height)
        if lines and _scans_areas(nodes) and lines < nodes.Height.value:
            # A line scan may end early; half a part, given as if it were whole, would be judged.
            raise PayloadTooShort(f"{lines} of {nodes.Height.value} lines came")
        # libaravis 0.8.26 calls a picture whole after a packet of rubbish; what did not come is an earlier one's.
        filled = _known(lambda: buffer.size_filled)
        data = memoryview(buffer.raw_buffer)[:filled]
        if buffer.payload_type == kinds.PAYLOAD_TYPE_CHUNK_DATA and _known(lambda: buffer.tl_type) == "GEV":
            data = _first_chunk(data)
        return Payload(
            data=data,
            offset_bytes=0,
            width_px=_known(lambda: buffer.width) or nodes.Width.value,
            height_px=lines or nodes.Height.value,
            row_padding_bytes=_known(lambda: buffer.padding_x) or 0,
            format=self._format(_known(lambda: buffer.pixel_format) or nodes.PixelFormat.get_int_value()),
        )

    def _format(self, code: int) -> PixelFormat:
        try:
            return FORMATS[code]
        except KeyError:
            raise self._refused("PixelFormat", UNDERSTOOD, found=f"0x{code:08X}") from None

    def _count_incomplete(self) -> None:
        self._incomplete += 1

    def _refused(self, setting: str, value: object, *, found: object) -> SettingRefused:
        return refused(self._name, setting, value, found=found)

    def _lost(self, error: Exception) -> CameraLost:
        reason = _words(error)
        return CameraLost(
            f"Camera {self._name} was lost: {reason}",
            action="Check power and cable; a lane opens it again by itself.",
            camera=self._name,
            reason=reason,
        )


_WRAPPED = re.compile(r"\(Message from the source: (.+)\) \(ID: -?\d+\)", re.DOTALL)


def _words(error: BaseException) -> str:
    """What a producer says itself, without what genicam puts around it."""
    said = _WRAPPED.search(str(error))
    return said.group(1) if said else str(error)


@contextmanager
def connected(camera: str, settings: GenicamSettings) -> Iterator[Any]:
    """A harvesters ImageAcquirer for the device, not started. The receiver destroys it."""
    path = producer_file(settings.producer)
    with _producers.harvester(path) as harvester:
        info = _only_match(camera, settings, harvester.device_info_list)
        try:
            # In a thread of its own: made in the main one, an acquirer takes Ctrl-C away from the program.
            with ThreadPoolExecutor(1) as elsewhere:
                acquirer = elsewhere.submit(
                    harvester.create,
                    info,
                    config=ParameterSet({ParameterKey.ENABLE_AUTO_CHUNK_DATA_UPDATE: False}),
                ).result()
        except (gentl.ResourceInUseException, gentl.AccessDeniedException) as error:
            raise CameraInUse(
                f"Camera {camera}: another program or lane has opened {_serial(info)}.",
                action="Close the vendor's viewer or the other lane; a lane opens it again by itself.",
                camera=camera,
                wanted=_serial(info),
            ) from error
        yield acquirer


def _only_match(camera: str, settings: GenicamSettings, there: Sequence[Any]) -> Any:
    """The one device that the settings ask for. Raises CameraNotFound where there is none, or several."""
    wanted = settings.serial or settings.device or "*"
    if settings.serial is not None:
        matching = [info for info in there if _serial(info) == settings.serial]
    elif settings.device is not None:
        matching = [info for info in there if settings.device in (_serial(info), _user_name(info), info.id_)]
        if not matching:
            serials = _announced_as(settings.device)
            matching = [info for info in there if _serial(info) in serials]
    else:
        matching = list(there)
    if len(matching) == 1:
        return matching[0]
    found = ", ".join(map(_serial, matching or there)) or "-"
    raise CameraNotFound(
        f"Camera {camera}: wanted exactly one device {wanted}, found {found}.",
        action="Check power, cable and network, and that the station's settings name exactly one.",
        camera=camera,
        wanted=wanted,
        found=found,
    )


def _announced_as(device: str) -> set[str]:
    """Serial numbers of the GigE Vision devices with that user-defined name, MAC or IP address."""
    with suppress(ValueError):
        device = normal_mac(device)
    return {heard.serial for heard in discover() if device in (heard.user_name, heard.mac, heard.address)}


class _Producers:
    """The producers this process has loaded. A second Harvester on one file is told of no device, so all
    cameras of a producer share one, and the last to leave unloads it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._loaded: dict[Path, tuple[Any, int]] = {}

    @contextmanager
    def harvester(self, path: Path) -> Iterator[Any]:
        with self._lock:
            harvester, users = self._loaded.get(path, (None, 0))
            # Never updated while a camera runs: that would make it invalid.
            harvester = harvester or _harvester(path)
            self._loaded[path] = harvester, users + 1
        try:
            yield harvester
        finally:
            with self._lock:
                _, users = self._loaded[path]
                self._loaded[path] = harvester, users - 1
                if users == 1:
                    del self._loaded[path]
                    harvester.reset()


_producers = _Producers()


def _harvester(path: Path) -> Any:
    """A Harvester that has looked for devices. Raises ProducerMissing where it would only log a failure."""
    complaints = _Complaints()
    harvester = Harvester(config=ParameterSet({ParameterKey.LOGGER: complaints.logger}))
    try:
        harvester.add_file(str(path), check_existence=True, check_validity=True)
        harvester.update()
    except (OSError, *_VENDOR_ERRORS) as error:
        harvester.reset()
        raise producer_fails(path, str(error)) from error
    if complaints.last and not harvester.device_info_list:
        harvester.reset()
        raise producer_fails(path, complaints.last)
    return harvester


class _Complaints(logging.Handler):
    """Keeps the last exception that harvesters logged instead of raising, and its traces off the terminal."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.last = ""
        self.logger = logging.Logger("harvesters", logging.WARNING)
        self.logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1] is not None:
            self.last = str(record.exc_info[1])


class _Counting(Callback):  # type: ignore[misc]  # harvesters has no types
    def __init__(self, count: Callable[[], None]) -> None:
        self._count = count

    def emit(self, context: object = None) -> None:
        self._count()


def _kill_streams(acquirer: Any) -> None:
    for stream in acquirer.data_streams:
        if stream.is_grabbing():
            stream.stop_acquisition(gentl.ACQ_STOP_FLAGS_LIST.ACQ_STOP_FLAGS_KILL)


class _Nodes:
    """A node map of genicam's as `cameras.features.Nodes`."""

    def __init__(self, nodes: Any) -> None:
        self._nodes = nodes

    def has(self, name: str) -> bool:
        there: bool = self._nodes.has_node(name)
        return there and self._nodes.get_node(name).get_access_mode() != genapi.EAccessMode.NI

    def read(self, name: str) -> Value:
        found: Value = self._asked(name, lambda node: node.value)
        return found

    def write(self, name: str, value: Value) -> None:
        self._asked(name, lambda node: setattr(node, "value", value))

    def execute(self, name: str) -> None:
        self._asked(name, lambda node: node.execute())

    def entries(self, name: str) -> tuple[str, ...]:
        try:
            return tuple(self._asked(name, _entries))
        except NodeRefused:
            return ()

    def offers(self, name: str) -> str:
        try:
            return str(self._asked(name, _offers))
        except NodeRefused:
            return ""

    def whole_numbers(self, name: str) -> range | None:
        try:
            found: range | None = self._asked(name, _whole_numbers)
        except NodeRefused:
            return None
        return found

    def _asked(self, name: str, ask: Callable[[Any], Any]) -> Any:
        if not self._nodes.has_node(name):
            raise NodeRefused(f"there is no {name}")
        try:
            return ask(self._nodes.get_node(name))
        except (genapi.GenericException, AttributeError, TypeError) as error:
            # The last two: the device has something else of that name than the standard says.
            raise NodeRefused(str(error)) from error


def _entries(node: Any) -> list[str]:
    absent = (genapi.EAccessMode.NI, genapi.EAccessMode.NA)
    return [entry.symbolic for entry in node.entries if entry.get_access_mode() not in absent]


def _offers(node: Any) -> str:
    if hasattr(node, "entries"):
        return ", ".join(_entries(node))
    if not hasattr(node, "min"):
        return ""
    taken = _whole_numbers(node)
    lowest = f"{node.min}, {node.min + taken.step}" if taken is not None and taken.step > 1 else f"{node.min}"
    return f"{lowest} … {node.max}"


def _whole_numbers(node: Any) -> range | None:
    """Only numbers that need not be whole have a `has_inc`."""
    return None if hasattr(node, "has_inc") else range(node.min, node.max + 1, max(1, node.inc))


def _chunks_of(acquirer: Any, buffer: Any, names: tuple[str, ...]) -> dict[str, int | float]:
    """What came with the frame, of these names; a name the device left out of it is left out. Raises genapi's
    GenericException where nothing of it can be read."""
    if not names:
        return {}
    # Attached anew for each frame: harvesters would take every frame for as long as the first, and read the
    # values of a line-scan image cut short out of its pixels.
    if buffer.tl_type in ("GEV", "U3V"):
        size = _known(lambda: buffer.delivered_chunk_payload_size)
        size = _known(lambda: buffer.size_filled) if size is None else size
        acquirer._chunk_adapter.attach_buffer(
            buffer.raw_buffer, len(buffer.raw_buffer) if size is None else size
        )
    else:
        acquirer._chunk_adapter.attach_buffer(buffer.raw_buffer, buffer.chunk_data_info_list)
    nodes = _Nodes(acquirer.remote_device.node_map)
    found = values_of(nodes, (f"Chunk{name}" for name in names))
    return {
        name.removeprefix("Chunk"): value for name, value in found.items() if isinstance(value, int | float)
    }


def _first_chunk(data: memoryview) -> memoryview:
    """The image of a GigE Vision payload of nothing but chunks, each of which ends with its id and its length. Of one
    cut short the chunks behind it would be taken for lines. Raises PayloadTooShort where they do not add up."""
    at = len(data)
    while at >= _CHUNK_END_BYTES:
        length = int.from_bytes(data[at - 4 : at])
        at -= _CHUNK_END_BYTES + length
        if at == 0:
            return data[:length]
    raise PayloadTooShort("its chunks do not add up")


def _known(read: Callable[[], Any]) -> Any:
    """What a producer says, or None where it says that it does not know."""
    try:
        return read()
    except gentl.GenericException:
        return None


def _lines(height: Callable[[], int], delivered: Callable[[], int]) -> int:
    """Lines that are there. A line-scan image cut short has fewer than its height; the rest is an earlier
    frame's. Either may be missing or 0: some devices send a wrong height in the trailer."""
    known = [lines for lines in (_known(height), _known(delivered)) if lines]
    return min(known, default=0)


def _scans_areas(nodes: Any) -> bool:
    return bool(nodes.has_node("DeviceScanType")) and nodes.DeviceScanType.value == "Areascan"


def _user_name(info: Any) -> str:
    return str(_known(lambda: info.user_defined_name) or "")


def _serial(info: Any) -> str:
    return str(_known(lambda: info.serial_number) or info.id_)


def _print_devices(path: Path) -> None:
    harvester = _harvester(path)
    infos = harvester.device_info_list
    heard = {device.serial: device for device in discover()} if any(map(_is_gige, infos)) else {}
    devices = [asdict(_described(info, heard.get(_serial(info)))) for info in infos]
    harvester.reset()
    sys.stdout.write(f"\n{_DEVICES}{json.dumps(devices)}\n")


def _is_gige(info: Any) -> bool:
    return bool(_known(lambda: info.tl_type) == "GEV")


def _described(info: Any, heard: Announced | None) -> DeviceInfo:
    return DeviceInfo(
        serial=_serial(info),
        vendor=str(_known(lambda: info.vendor) or ""),
        model=str(_known(lambda: info.model) or ""),
        name=_user_name(info) or (heard.user_name if heard else "") or str(info.id_),
        transport=str(_known(lambda: info.tl_type) or ""),
        address=heard.address if heard else "",
        mac=heard.mac if heard else "",
    )


if __name__ == "__main__":
    try:
        _print_devices(Path(sys.argv[1]))
    except ProducerMissing as error:
        sys.exit(error.facts["reason"])  # type: ignore[arg-type]  # a string, which lands on stderr
