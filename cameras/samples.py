"""A probe whose samples come over the network, as a camera whose frames are stretches of its waveform.

Datagrams (UDP): `LYS1`, samples a second (uint32), number of the first sample since the device was switched on
(uint64), then 1 to 700 samples (int16), all of them low byte first. A front end that speaks otherwise needs a program
of some lines that sends these.
"""

from __future__ import annotations

import logging
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from threading import Event
from types import TracebackType
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from cameras.counting import MOST_LOST, CountRestarted
from cameras.errors import CameraLost, CameraSilent, SettingRefused
from cameras.pacing import Clock, SystemClock
from cameras.settings import SampleStreamSettings
from inspection.types import Frame

logger = logging.getLogger(__name__)

HEADER: Final = struct.Struct("<4sIQ")
MAGIC: Final = b"LYS1"
MOST_SAMPLES: Final = 700
"""So that a datagram fits into an Ethernet frame whole."""

_LOOK_S: Final = 0.1
_FRAMES_TO_WAIT: Final = 3
"""The first may begin one frame late, as it must begin at its own number, and lasts one itself."""
_RECEIVES_BYTES: Final = 1 << 22
"""Asked of the system: 10 s of 100 000 samples a second, while the lane is busy."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Datagram:
    sample_hz: int
    first: int
    samples: NDArray[np.int16]

    def to_bytes(self) -> bytes:
        return HEADER.pack(MAGIC, self.sample_hz, self.first) + self.samples.astype("<i2").tobytes()

    @staticmethod
    def of(data: bytes) -> Datagram | None:
        """None for what is no datagram of samples."""
        size = len(data) - HEADER.size
        if not 2 <= size <= 2 * MOST_SAMPLES or size % 2 or not data.startswith(MAGIC):
            return None
        _, sample_hz, first = HEADER.unpack_from(data)
        return Datagram(
            sample_hz=sample_hz,
            first=first,
            samples=np.frombuffer(data, "<i2", offset=HEADER.size).astype(np.int16),
        )


@dataclass(slots=True)
class _Open:
    """A frame that is being put together."""

    samples: NDArray[np.int16]
    has: NDArray[np.bool_]
    began_at: datetime


@dataclass(slots=True)
class _Stretches:
    """Samples as they come, in any order within two frames, to whole frames by their number.

    The first frame is the first that can be whole. One of which a sample is missing once the frame after the next, or
    a later one, has begun is never given: its number is a hole. Where the numbers begin anew, so do the frames.

    given_up  since the last whole one
    """

    size: int
    open: dict[int, _Open] = field(default_factory=dict)
    next: int | None = None
    given_up: int = 0

    def take(self, datagram: Datagram, at: datetime) -> Iterator[tuple[int, _Open]]:
        first, last = datagram.first, datagram.first + len(datagram.samples)
        if self.next is not None and last <= (self.next - 1) * self.size:
            logger.warning("Samples begin anew at %s, frame %s was due", first, self.next)
            self.open.clear()
            self.next = None
        if self.next is None:
            self.next = -(-first // self.size)
        if first // self.size - self.next > MOST_LOST:
            raise CountRestarted(f"its samples leapt to {first}, where frame {self.next} was due")
        for frame in range(max(first // self.size, self.next), (last - 1) // self.size + 1):
            begins = frame * self.size
            made = self.open.setdefault(
                frame, _Open(np.zeros(self.size, np.int16), np.zeros(self.size, np.bool_), at)
            )
            left, right = max(first, begins), min(last, begins + self.size)
            made.samples[left - begins : right - begins] = datagram.samples[left - first : right - first]
            made.has[left - begins : right - begins] = True
        while self.open:
            lowest = min(self.open)
            is_whole = bool(self.open[lowest].has.all())
            # After a break the next ones may never begin at all.
            if not is_whole and max(self.open) < lowest + 2:
                break
            done = self.open.pop(lowest)
            self.next = lowest + 1
            self.given_up = 0 if is_whole else self.given_up + 1
            if is_whole:
                yield lowest, done


class SampleStream:
    """Frames of `samples_per_frame` samples each, one row of bytes, low byte first, as a `waveform` recipe reads them.

    `sequence` is the number of the stretch since the device was switched on, so a lost datagram is a hole in it. What
    comes from elsewhere than `sender`, or is no datagram of samples, is left alone. Entering raises SettingRefused
    where the address cannot be listened on; `frames` CameraSilent, CameraLost where the samples leap by more frames
    than can have been, and SettingRefused for another sample rate.
    """

    def __init__(self, name: str, settings: SampleStreamSettings, *, clock: Clock | None = None) -> None:
        self._name = name
        self._settings = settings
        self._clock = clock or SystemClock()
        self._left = Event()
        self._left.set()

    def __enter__(self) -> Self:
        settings = self._settings
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVES_BYTES)
            self._socket.bind((settings.address, settings.port))
        except OSError as error:
            self._socket.close()
            raise SettingRefused(
                f"Camera {self._name}: nothing can listen on {settings.address}, port {settings.port}: "
                f"{error.strerror}.",
                action="End the other program there, or give another port or an address of this computer.",
                camera=self._name,
                setting="port",
                value=f"{settings.address}:{settings.port}",
                found=error.strerror or str(error),
            ) from error
        self._socket.settimeout(_LOOK_S)
        self._left = Event()
        self._given = self._receive(self._socket, self._left)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._left.set()
        self._socket.close()

    def frames(self) -> Iterator[Frame]:
        # Not `yield from`: that would end the receiving when a receiver stops half-way, and it may come back.
        for frame in self._given:  # noqa: UP028
            yield frame

    def _receive(self, listening: socket.socket, left: Event) -> Iterator[Frame]:
        stretches = _Stretches(self._settings.samples_per_frame)
        frame_s = self._settings.samples_per_frame / self._settings.sample_hz
        silent_s = max(self._settings.silent_after_s, _FRAMES_TO_WAIT * frame_s)
        last_s = self._clock.monotonic_s()
        while not left.is_set():
            datagram = self._next(listening)
            if datagram is not None:
                for sequence, made in self._made(stretches, datagram):
                    yield self._frame(sequence, made)
                    if left.is_set():
                        return
                    last_s = self._clock.monotonic_s()
            # Also while datagrams come: they may be of frames of which none gets whole.
            if self._clock.monotonic_s() - last_s > silent_s:
                raise CameraSilent(
                    f"Camera {self._name} sent no whole frame for {silent_s:g} s.",
                    action="Check power, cable and trigger; a lane opens it again by itself.",
                    camera=self._name,
                    timeout_s=silent_s,
                    incomplete=stretches.given_up + len(stretches.open),
                )

    def _made(self, stretches: _Stretches, datagram: Datagram) -> Iterator[tuple[int, _Open]]:
        try:
            yield from stretches.take(datagram, self._clock.utc())
        except CountRestarted as error:
            raise CameraLost(
                f"Camera {self._name} was lost: {error}.",
                action="Check power and network cable of the camera; a lane opens it again by itself.",
                camera=self._name,
                reason=str(error),
            ) from error

    def _next(self, listening: socket.socket) -> Datagram | None:
        """None where nothing came for a moment, or something else."""
        try:
            data, (sender, _) = listening.recvfrom(HEADER.size + 2 * MOST_SAMPLES + 1)
        except (TimeoutError, OSError):
            # Closed from another thread, too: then the camera was left.
            return None
        datagram = Datagram.of(data)
        if datagram is None or self._settings.sender not in (None, sender):
            return None
        if datagram.sample_hz != self._settings.sample_hz:
            raise SettingRefused(
                f"Camera {self._name} sends {datagram.sample_hz} samples a second, "
                f"the station expects {self._settings.sample_hz}.",
                action="Set the front end, or sample_hz of the lane's camera and of its recipe.",
                camera=self._name,
                setting="sample_hz",
                value=self._settings.sample_hz,
                found=datagram.sample_hz,
            )
        return datagram

    def _frame(self, sequence: int, made: _Open) -> Frame:
        pixels = np.frombuffer(made.samples.astype("<i2").tobytes(), np.uint8)[None]
        mm_per_frame = self._settings.mm_per_sample * self._settings.samples_per_frame
        return Frame(
            pixels=pixels,
            camera=self._name,
            sequence=sequence,
            captured_at=made.began_at,
            y_origin_mm=sequence * mm_per_frame,
        )
