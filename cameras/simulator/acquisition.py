"""From the line's clock to blocks on the wire: when the device exposes, what it saw, what it sends."""

from __future__ import annotations

import logging
import struct
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, replace
from queue import Empty, Queue
from threading import Event, Lock, Thread
from typing import Any

import cv2
import numpy as np

from cameras.simulator.clock import NS_PER_S, PART_PITCH_COUNTS, EdgeCounter, LineClock, lines_at
from cameras.simulator.faults import OF_SEVERAL, ON_THE_WIRE, Fault, FaultPlan, Kind
from cameras.simulator.features import CHUNKS, IMAGE_CHUNK_ID, LINE_TRIGGER
from cameras.simulator.pixels import PIXEL_FORMATS, PixelFormat
from cameras.simulator.protocol import (
    BLOCK_ID_MAX,
    PAYLOAD_IMAGE,
    PAYLOAD_WITH_CHUNKS,
    Leader,
    Trailer,
    pack_chunk_end,
    pack_leader,
    pack_trailer,
)
from cameras.simulator.registers import Registers
from cameras.simulator.scene import NothingToSee, Scene, View
from cameras.simulator.stream import Block, Pace, StreamChannel, packet_count
from inspection.types import Image

logger = logging.getLogger(__name__)

_FORMATS = {form.code: form for form in PIXEL_FORMATS}

_BEHIND_MAX = 64
"""Exposures that may wait to be sent; the device has no memory for more."""

_POLL_S = 0.1
NOMINAL_EXPOSURE_US = 1000.0
"""At this exposure time and no gain, the picture is as bright as the scene."""


class Account:
    """What the device did, by name. Several threads count."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._counts: Counter[str] = Counter()

    def add(self, name: str, count: int = 1) -> None:
        with self._lock:
            self._counts[name] += count

    def counts(self) -> Counter[str]:
        with self._lock:
            return Counter(self._counts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What is fixed from a start to its stop."""

    width_px: int
    height_px: int
    offset_x_px: int
    offset_y_px: int
    pixel_format: PixelFormat
    has_chunks: bool
    chunks: tuple[str, ...]
    pictures: int | None
    is_triggered: bool
    trigger_source: str

    @property
    def waits_for_command(self) -> bool:
        return self.is_triggered and self.trigger_source != LINE_TRIGGER

    @property
    def payload_bytes(self) -> int:
        chunks = sum(chunk.length + 8 for chunk in CHUNKS if chunk.name in self.chunks)
        picture = self.width_px * self.height_px * self.pixel_format.bits_per_px // 8
        return picture + (8 + chunks if self.has_chunks else 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """`index` of what is to be seen; `encoder` and `began_ns` when it began, on the line's clock.

    longer_ns  by so much it outlasts the exposure time that is set
    """

    index: int
    began_ns: int
    encoder: int
    trigger: int | None = None
    is_overrun: bool = False
    longer_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Start:
    setup: Setup
    stop: Event
    triggers: Queue[Exposure]


def setup_of(registers: Registers) -> Setup:
    mode = registers.choice("AcquisitionMode")
    pictures = {"SingleFrame": 1, "MultiFrame": registers.integer("AcquisitionFrameCount")}
    return Setup(
        width_px=registers.integer("Width"),
        height_px=registers.integer("Height"),
        offset_x_px=registers.integer("OffsetX"),
        offset_y_px=registers.integer("OffsetY"),
        pixel_format=_FORMATS[registers.integer("PixelFormat")],
        has_chunks=bool(registers.integer("ChunkModeActive")),
        chunks=tuple(
            chunk.name for index, chunk in enumerate(CHUNKS) if registers.integer("ChunkEnable", index=index)
        ),
        pictures=pictures.get(mode),
        is_triggered=registers.choice("TriggerMode") == "On",
        trigger_source=registers.choice("TriggerSource"),
    )


class Acquisition:
    """A thread that exposes and sends, from `start` to `stop`.

    counter      counts the edges of Line1
    happen       does what a fault does to the device as a whole
    device_time  a time of the line's clock, in the device's own ticks
    report       told of events: name, block id or 0, time of the line's clock
    truth        told of every exposure, trigger without one, and what was sent
    """

    def __init__(
        self,
        *,
        registers: Registers,
        stream: StreamChannel,
        clock: LineClock,
        counter: EdgeCounter,
        scene: Scene,
        plan: FaultPlan,
        account: Account,
        first_block_id: int,
        happen: Callable[[Fault], None],
        is_cut_off: Callable[[], bool],
        device_time: Callable[[int], int],
        truth: Callable[[dict[str, Any]], None],
        report: Callable[[str, int, int], None],
    ) -> None:
        self._registers = registers
        self._stream = stream
        self._clock = clock
        self._counter = counter
        self._scene = scene
        self._plan = plan
        self._account = account
        self._first_block_id = first_block_id
        self._happen = happen
        self._is_cut_off = is_cut_off
        self._device_time = device_time
        self._truth = truth
        self._report = report
        self._exposures = 0
        self._blocks = 0
        self._lock = Lock()
        self._waiting: Queue[Exposure] | None = None
        self._waits_for = ""
        self._busy_until_ns = 0
        self._long_until_ns = 0
        self._stop = Event()
        self._stop.set()
        self._starts: Queue[_Start | None] = Queue()
        self._thread = Thread(target=self._run, name="simulated camera acquires", daemon=True)
        self._thread.start()

    @property
    def is_on(self) -> bool:
        return not self._stop.is_set()

    def start(self) -> None:
        if self.is_on:
            return
        setup = setup_of(self._registers)
        self._stop = Event()
        triggers: Queue[Exposure] = Queue()
        with self._lock:
            self._waiting = triggers if setup.waits_for_command else None
            self._waits_for = setup.trigger_source
        self._starts.put(_Start(setup=setup, stop=self._stop, triggers=triggers))

    def stop(self) -> None:
        self._stop.set()

    def close(self) -> None:
        self._stop.set()
        self._starts.put(None)
        self._thread.join()

    def trigger(self, source: str) -> None:
        """One by a command, now. Missed while another is exposed, and where none from there is waited for."""
        now_ns = self._clock.now_ns()
        number = self._account.counts()["triggers"]
        self._account.add("triggers")
        with self._lock:
            is_busy = now_ns < max(self._busy_until_ns, self._long_until_ns)
            if self._waiting is not None and self._waits_for == source and not is_busy:
                self._busy_until_ns = now_ns + self._exposure_ns()
                encoder = self._clock.encoder(now_ns)
                self._waiting.put(Exposure(index=number, began_ns=now_ns, encoder=encoder, trigger=number))
                return
        self._miss(number)

    def _run(self) -> None:
        while (start := self._starts.get()) is not None:
            self._blocks = 0
            try:
                self._acquire(start)
            except Exception:
                # A mistake of ours must not leave a device that answers and never sends.
                logger.exception("the simulated camera stopped sending")
            finally:
                start.stop.set()

    def _acquire(self, start: _Start) -> None:
        with closing(self._exposed(start)) as exposures:
            for exposure in exposures:
                self._one(start.setup, exposure, start.stop)
                wanted = start.setup.pictures
                if start.stop.is_set() or (wanted is not None and self._blocks >= wanted):
                    return

    # --- when --------------------------------------------------------------------------------------

    def _exposed(self, start: _Start) -> Generator[Exposure]:
        setup, stop = start.setup, start.stop
        if setup.waits_for_command:
            return self._commanded(stop, start.triggers)
        if setup.is_triggered:
            return self._parts(stop)
        return self._strip(setup, stop) if self._scene.is_line_scan else self._free(stop)

    def _free(self, stop: Event) -> Generator[Exposure]:
        began_ns = self._clock.now_ns()
        while self._clock.wait_until(began_ns + self._exposure_ns(), unless=stop):
            yield Exposure(index=self._exposures, began_ns=began_ns, encoder=self._clock.encoder(began_ns))
            period_ns = self._period_ns()
            # A device that is asked for more than it can do is slower, not ever further behind.
            began_ns = max(began_ns + max(period_ns, self._exposure_ns()), self._clock.now_ns() - period_ns)

    def _strip(self, setup: Setup, stop: Event) -> Generator[Exposure]:
        lines = setup.height_px
        stretch = self._clock.encoder() // lines + 1
        while self._clock.wait_until(done_ns := self._clock.when((stretch + 1) * lines), unless=stop):
            began_ns = self._clock.when(stretch * lines)
            yield Exposure(
                index=stretch,
                began_ns=began_ns,
                encoder=stretch * lines,
                is_overrun=self._clock.now_ns() - done_ns > _BEHIND_MAX * (done_ns - began_ns),
            )
            stretch += 1

    def _parts(self, stop: Event) -> Generator[Exposure]:
        part = self._clock.part_after(self._clock.encoder())
        self._busy_until_ns = self._long_until_ns = 0
        while self._clock.wait_until(began_ns := self._clock.when(part * PART_PITCH_COUNTS), unless=stop):
            self._account.add("triggers")
            period_ns = self._clock.when((part + 1) * PART_PITCH_COUNTS) - began_ns
            if began_ns < max(self._busy_until_ns, self._long_until_ns):
                self._miss(part, fault=Kind.LONG if began_ns >= self._busy_until_ns else None)
            else:
                done_ns = began_ns + self._exposure_ns()
                self._busy_until_ns = done_ns
                if not self._clock.wait_until(done_ns, unless=stop):
                    self._miss(part)
                    return
                yield Exposure(
                    index=part,
                    began_ns=began_ns,
                    encoder=part * PART_PITCH_COUNTS,
                    trigger=part,
                    is_overrun=self._clock.now_ns() - done_ns > _BEHIND_MAX * period_ns,
                )
            part += 1

    def _commanded(self, stop: Event, triggers: Queue[Exposure]) -> Generator[Exposure]:
        try:
            while not stop.is_set():
                try:
                    exposure = triggers.get(timeout=_POLL_S)
                except Empty:
                    continue
                if not self._clock.wait_until(exposure.began_ns + self._exposure_ns(), unless=stop):
                    self._miss(exposure.trigger)
                    break
                yield exposure
        finally:
            with self._lock:
                if self._waiting is triggers:
                    self._waiting = None
            while not triggers.empty():
                self._miss(triggers.get().trigger)

    def _exposure_ns(self) -> int:
        return int(self._registers.number("ExposureTime") * 1000)

    def _period_ns(self) -> int:
        return int(NS_PER_S / self._registers.number("AcquisitionFrameRate"))

    def _miss(self, trigger: int | None, *, fault: Kind | None = None) -> None:
        self._account.add("triggers_missed")
        self._report("FrameTriggerMissed", 0, self._clock.now_ns())
        self._truth({"trigger": trigger, "missed": True, "fault": fault})

    # --- what --------------------------------------------------------------------------------------

    def _one(self, setup: Setup, exposure: Exposure, stop: Event) -> None:
        number = self._exposures
        self._exposures += 1
        fault = self._plan.of(number, is_triggered=exposure.trigger is not None)
        if fault is not None and fault.kind not in ON_THE_WIRE:
            self._account.add(f"fault_{fault.kind}")
            self._happen(fault)
        if fault is not None and fault.kind is Kind.MISSED:
            self._miss(exposure.trigger, fault=Kind.MISSED)
            return
        if fault is not None and fault.kind is Kind.LONG:
            exposure = replace(exposure, longer_ns=self._period_ns())
            with self._lock:
                self._long_until_ns = exposure.began_ns + self._exposure_ns() + exposure.longer_ns
        self._send(setup, exposure, number, fault, stop)
        if fault is not None and fault.kind is Kind.DOUBLE:
            # The signal bounced: to the device that is another trigger.
            self._counter.bounce()
            self._send(setup, exposure, number, fault, stop)

    def _send(self, setup: Setup, exposure: Exposure, number: int, fault: Fault | None, stop: Event) -> None:
        self._blocks += 1
        self._account.add("blocks")
        block_id = (self._first_block_id + self._blocks - 2) % BLOCK_ID_MAX + 1
        timestamp = self._device_time(exposure.began_ns)
        if fault is not None and fault.kind in OF_SEVERAL and self._packets(setup) < 2:
            fault = None
        said: dict[str, Any] = {
            "exposure": number,
            "block_id": block_id,
            "trigger": exposure.trigger,
            "encoder": exposure.encoder,
            "timestamp_ns": timestamp,
            "fault": None if fault is None else str(fault.kind),
        }
        self._report("ExposureEnd", block_id, exposure.began_ns + self._exposure_ns() + exposure.longer_ns)
        view = None if exposure.is_overrun or stop.is_set() else self._view(setup, exposure)
        sent = False
        if view is not None and not self._is_cut_off():
            block = self._block(setup, exposure, view, block_id, timestamp, fault)
            pace = Pace(
                delay_ns=self._registers.integer("GevSCPD"),
                bytes_per_s=self._registers.integer("DeviceLinkThroughputLimit"),
            )
            sent = self._stream.send(block, pace=pace, fault=fault, unless=stop)
            if sent and fault is not None and fault.kind in ON_THE_WIRE:
                self._account.add(f"fault_{fault.kind}")
        self._account.add("sent" if sent else "overrun" if exposure.is_overrun else "unsent")
        if not sent and fault is not None and fault.kind in ON_THE_WIRE:
            # It was drawn for this picture and did not happen to it.
            said["fault"] = None
        if view is not None:
            said |= {"file": view.file, "defects": _defects(view, setup)}
        self._truth(said | {"sent": sent})

    def _packets(self, setup: Setup) -> int:
        return packet_count(setup.payload_bytes, self._registers.integer("GevSCPSPacketSize"))

    def _view(self, setup: Setup, exposure: Exposure) -> View | None:
        try:
            return self._scene.look(exposure.index, setup.height_px)
        except NothingToSee as error:
            logger.warning("block without a picture: %s", error)
            return None

    def _block(
        self,
        setup: Setup,
        exposure: Exposure,
        view: View,
        block_id: int,
        timestamp: int,
        fault: Fault | None,
    ) -> Block:
        pixels = setup.pixel_format.pack(self._lit(_cut(view.pixels, setup), exposure))
        ends_early = fault is not None and fault.kind is Kind.SIZE
        payload: tuple[memoryview, ...] = (pixels.reshape(-1).data,)
        payload_type = PAYLOAD_IMAGE
        if setup.has_chunks:
            payload_type |= PAYLOAD_WITH_CHUNKS
            payload += (memoryview(self._chunks(setup, exposure, timestamp, pixels.nbytes)),)
        leader = Leader(
            payload_type=payload_type,
            timestamp=timestamp,
            pixel_format=setup.pixel_format.code,
            width_px=setup.width_px,
            height_px=setup.height_px,
            offset_x_px=setup.offset_x_px,
            offset_y_px=setup.offset_y_px,
        )
        trailer = Trailer(
            payload_type=payload_type,
            height_px=setup.height_px // 2 if ends_early else setup.height_px,
            chunk_bytes=setup.payload_bytes if setup.has_chunks else None,
        )
        return Block(
            block_id=block_id,
            leader=pack_leader(leader),
            payload=payload,
            trailer=pack_trailer(trailer),
            packet_size=self._registers.integer("GevSCPSPacketSize"),
            ends_early=ends_early,
        )

    def _chunks(self, setup: Setup, exposure: Exposure, timestamp: int, image_bytes: int) -> bytes:
        values = {
            "FrameID": struct.pack(">Q", self._blocks),
            "Timestamp": struct.pack(">Q", timestamp),
            "ExposureTime": struct.pack(">d", self._exposure_us(exposure)),
            "EncoderValue": struct.pack(">Q", exposure.encoder),
            "LineStatusAll": struct.pack(">I", lines_at(exposure.encoder)),
            "CounterValue": struct.pack(">Q", self._counter.count(exposure.encoder)),
        }
        parts = [pack_chunk_end(IMAGE_CHUNK_ID, length=image_bytes)]
        for chunk in CHUNKS:
            if chunk.name in setup.chunks:
                parts += [values[chunk.name], pack_chunk_end(chunk.chunk_id, length=chunk.length)]
        return b"".join(parts)

    def _exposure_us(self, exposure: Exposure) -> float:
        return self._registers.number("ExposureTime") + exposure.longer_ns / 1000

    def _lit(self, pixels: Image, exposure: Exposure) -> Image:
        """As bright as exposure time and gain make it."""
        brightness = self._exposure_us(exposure) / NOMINAL_EXPOSURE_US
        brightness *= 10 ** (self._registers.number("Gain") / 20)
        if brightness == 1:
            return pixels
        table = np.clip(np.rint(np.arange(256) * brightness), 0, 255).astype(np.uint8)
        return np.asarray(cv2.LUT(pixels, table), np.uint8)


def _cut(pixels: Image, setup: Setup) -> Image:
    top = min(setup.offset_y_px, len(pixels) - setup.height_px)
    left = setup.offset_x_px
    return np.ascontiguousarray(
        pixels[top : top + setup.height_px, left : left + setup.width_px], dtype=np.uint8
    )


def _defects(view: View, setup: Setup) -> list[dict[str, Any]]:
    """What can be seen of the defects, in the picture's own pixels."""
    top = min(setup.offset_y_px, len(view.pixels) - setup.height_px)
    said = []
    for defect in view.defects:
        x1, y1 = max(defect.box_px.x1 - setup.offset_x_px, 0), max(defect.box_px.y1 - top, 0)
        x2 = min(defect.box_px.x2 - setup.offset_x_px, setup.width_px)
        y2 = min(defect.box_px.y2 - top, setup.height_px)
        if x1 < x2 and y1 < y2:
            said.append({"kind": defect.kind, "box_px": [x1, y1, x2, y2]})
    return said
