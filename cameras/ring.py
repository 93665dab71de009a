"""Frames handed from one process to another through memory that both have. Linux only: memfd and eventfd."""

from __future__ import annotations

import mmap
import os
import pickle
import struct
import time
from contextlib import ExitStack, suppress
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import Any, Final, Self

import numpy as np

from inspection.types import Frame

_PAGE: Final = mmap.PAGESIZE

_GEOMETRY: Final = struct.Struct("@QQ")
"""Slots and bytes of one, at the start of the first page."""

_BEAT: Final = struct.Struct("@q")
_BEAT_AT: Final = 64
_MISSED: Final = struct.Struct("@Q")
_MISSED_AT: Final = 128
# Native order: `struct` stores these as one word, where other orders are stored byte by byte.

_SIZES: Final = struct.Struct("@QQ")
"""Of what is in a slot: bytes that describe the frame, bytes of its pixels."""

_DESCRIPTION_BYTES: Final = _PAGE
"""A slot's room for all of a frame but its pixels, which take about 400 bytes."""


class MemoryShort(Exception):
    """The memory asked for is not free. Has `needed_bytes` and `available_bytes`."""

    def __init__(self, needed_bytes: int, available_bytes: int) -> None:
        super().__init__(f"{needed_bytes} bytes of memory needed, {available_bytes} free")
        self.needed_bytes = needed_bytes
        self.available_bytes = available_bytes


class FrameTooLarge(Exception):
    """A frame has more bytes than the slots were made for."""


class Ring:
    """Slots for frames. One process writes, another reads; neither ever waits for the other.

    A slot belongs to whoever has taken its number from one of two semaphores of the kernel, so no frame is
    overwritten while it is read, or read before it is whole, on any processor and whichever side is killed in
    between. A frame that finds no free slot is counted in `missed`, and never written. The memory has no name:
    it is gone when both sides are, however they end. It is not taken from /dev/shm, whose size does not matter.

    Made by the reader and passed to the writer when that is spawned; each closes its own. Making it raises OSError.
    """

    def __init__(self) -> None:
        # Of a semaphore, not of a counter, one is taken at a time.
        flags = os.EFD_SEMAPHORE | os.EFD_NONBLOCK | os.EFD_CLOEXEC
        with ExitStack() as making:
            self._memory = os.memfd_create("lynceus-frames")
            making.callback(os.close, self._memory)
            os.ftruncate(self._memory, _PAGE)
            self._filled = os.eventfd(0, flags)
            making.callback(os.close, self._filled)
            self._free = os.eventfd(0, flags)
            making.pop_all()
        self._map()

    def __getstate__(self) -> tuple[Any, ...]:
        return DupFd(self._memory), DupFd(self._filled), DupFd(self._free)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self._memory, self._filled, self._free = (passed.detach() for passed in state)
        self._map()

    def _map(self) -> None:
        self._head = mmap.mmap(self._memory, _PAGE)
        self._slots: mmap.mmap | None = None
        self._put = 0
        self._taken = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._head.close()
        if self._slots is not None:
            self._slots.close()
        for descriptor in (self._memory, self._filled, self._free):
            os.close(descriptor)

    # --- the writer's

    def reserve(self, slots: int, frame_bytes: int) -> None:
        """Take the memory, before anything else is written. Raises MemoryShort."""
        slot_bytes = _DESCRIPTION_BYTES + -(-frame_bytes // _PAGE) * _PAGE
        needed = slots * slot_bytes
        available = _available_bytes()
        if needed > available:
            raise MemoryShort(needed, available)
        try:
            # Taken now: a page that cannot be had when it is first written would end the process.
            os.posix_fallocate(self._memory, _PAGE, needed)
        except OSError as error:
            raise MemoryShort(needed, available) from error
        _GEOMETRY.pack_into(self._head, 0, slots, slot_bytes)
        os.eventfd_write(self._free, slots)

    def put(self, frame: Frame) -> bool:
        """Copy a frame into a free slot; False, and one more in `missed`, where there is none. Raises FrameTooLarge."""
        outside: list[pickle.PickleBuffer] = []
        description = pickle.dumps(frame, protocol=5, buffer_callback=outside.append)
        pixels = np.frombuffer(outside[0].raw(), np.uint8)
        slots, slot_bytes = self._geometry()
        if (
            pixels.nbytes > slot_bytes - _DESCRIPTION_BYTES
            or len(description) > _DESCRIPTION_BYTES - _SIZES.size
        ):
            raise FrameTooLarge(f"{pixels.nbytes} bytes, {slot_bytes - _DESCRIPTION_BYTES} expected")
        if not _take_one(self._free):
            _MISSED.pack_into(self._head, _MISSED_AT, self.missed + 1)
            return False
        memory, at = self._slots_from(slots, slot_bytes), self._put % slots * slot_bytes
        _SIZES.pack_into(memory, at, len(description), pixels.nbytes)
        memory[at + _SIZES.size : at + _SIZES.size + len(description)] = description
        np.copyto(_bytes(memory, at + _DESCRIPTION_BYTES, pixels.nbytes), pixels)
        self._put += 1
        os.eventfd_write(self._filled, 1)
        return True

    def beat(self) -> None:
        """Say that the writer is alive."""
        _BEAT.pack_into(self._head, _BEAT_AT, time.monotonic_ns())

    # --- the reader's

    def fileno(self) -> int:
        """What is readable while a frame is there."""
        return self._filled

    def take(self) -> Frame | None:
        """The next frame, its pixels copied out, read-only and the caller's own; None where none is there."""
        if not _take_one(self._filled):
            return None
        slots, slot_bytes = self._geometry()
        memory, at = self._slots_from(slots, slot_bytes), self._taken % slots * slot_bytes
        description_bytes, pixels_bytes = _SIZES.unpack_from(memory, at)
        description = memory[at + _SIZES.size : at + _SIZES.size + description_bytes]
        pixels = np.empty(pixels_bytes, np.uint8)
        np.copyto(pixels, _bytes(memory, at + _DESCRIPTION_BYTES, pixels_bytes))
        pixels.setflags(write=False)
        self._taken += 1
        os.eventfd_write(self._free, 1)
        frame: Frame = pickle.loads(description, buffers=[pixels])  # noqa: S301 - our own process wrote it
        return frame

    @property
    def missed(self) -> int:
        """Frames that found no free slot, since the start."""
        missed: int = _MISSED.unpack_from(self._head, _MISSED_AT)[0]
        return missed

    @property
    def beaten_s(self) -> float:
        """When the writer last said that it is alive, on this computer's monotonic clock."""
        return float(_BEAT.unpack_from(self._head, _BEAT_AT)[0]) / 1e9

    # ---

    def _geometry(self) -> tuple[int, int]:
        slots, slot_bytes = _GEOMETRY.unpack_from(self._head, 0)
        return slots, slot_bytes

    def _slots_from(self, slots: int, slot_bytes: int) -> mmap.mmap:
        if self._slots is None:
            self._slots = mmap.mmap(self._memory, slots * slot_bytes, offset=_PAGE)
        return self._slots


def _bytes(memory: mmap.mmap, at: int, count: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.frombuffer(memory, np.uint8, count=count, offset=at)


def _take_one(semaphore: int) -> bool:
    with suppress(BlockingIOError):
        os.eventfd_read(semaphore)
        return True
    return False


def _available_bytes() -> int:
    """Memory that can be taken without pushing other programs out (`MemAvailable`, proc(5))."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0
