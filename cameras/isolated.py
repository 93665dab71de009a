"""A camera in a process of its own: a vendor's library that crashes, hangs or leaks takes nothing else with it."""

from __future__ import annotations

import logging
import math
import multiprocessing
import os
import select
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Final, Literal, Protocol, Self

import cv2

from cameras.errors import CameraLost, MemoryTooSmall
from cameras.pacing import Clock, SystemClock
from cameras.ring import FrameTooLarge, MemoryShort, Ring
from inspection.errors import InspectionError
from inspection.protocols import Camera
from inspection.types import Frame

logger = logging.getLogger(__name__)

_LOOK_S: Final = 0.25
"""How often a waiting receiver looks whether the other process is still alive. Its end is told at once."""

_ALARM_S: Final = 5.0
"""Of a process that stands still and has nobody left to kill it: this much later it kills itself."""

_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


class Driver(Camera, Protocol):
    """A camera that knows, once entered, how much memory its frames take."""

    @property
    def frame_bytes(self) -> int:
        """The most that the pixels of one frame can have, as the device is set up now."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a camera's process may take before it is given up.

    start_s       from being started to a running device: importing and looking take 2 s, or 16 on a busy computer
    still_s       without a sign of life from the loop that looks for frames
    stop_s        to stop the device and let it go; then it is killed
    growth_bytes  of its own memory, from when every slot had been used
    """

    start_s: float = 60.0
    still_s: float = 5.0
    stop_s: float = 1.0
    growth_bytes: int = 512 * 1024 * 1024


class IsolatedCamera:
    """A driver's camera, run in a process that this one starts, watches and ends. `frames` and its errors are the
    driver's own.

    A frame for which the receiver left no slot free is lost, as a hole in `sequence`. Entering also raises
    MemoryTooSmall and CameraLost, and `frames` CameraLost when the process ends by itself, stands still or grows.
    Leaving takes `stop_s` at most, from whichever thread, and ends `frames`. The process ends with this one too.

    driver   makes the camera, in its own process, on the clock given: must be picklable, as a function of a module
    buffers  frames held for a busy receiver
    """

    def __init__(
        self, name: str, driver: Callable[[Clock], Driver], *, buffers: int, bounds: Bounds | None = None
    ) -> None:
        self._name = name
        self._driver = driver
        self._buffers = buffers
        self._bounds = bounds or Bounds()
        self._lock = Lock()
        self._left = Event()
        self._left.set()
        self._open = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._start()
        except OSError as error:
            raise self._lost(f"its process cannot be started: {error}") from error
        self._left.clear()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._left.set()
        with self._lock:
            self._open.close()

    def frames(self) -> Iterator[Frame]:
        while (frame := self._next()) is not None:
            yield frame

    def _start(self) -> None:
        with ExitStack() as opening:
            self._ring = opening.enter_context(Ring())
            opening.callback(self._say_what_was_missed)
            context = multiprocessing.get_context("spawn")
            self._words, theirs = context.Pipe()
            opening.enter_context(self._words)
            # A daemon: ended with this process even if nobody leaves the camera.
            self._process = context.Process(
                target=_run,
                args=(self._name, self._driver, self._buffers, self._bounds, self._ring, theirs),
                name=f"camera {self._name}",
                daemon=True,
            )
            with theirs:
                self._process.start()
            opening.callback(self._end)
            self._ending: InspectionError | Literal["ended"] | None = None
            self._await_start()
            self._waiting = select.poll()
            for descriptor in (self._ring.fileno(), self._words.fileno(), self._process.sentinel):
                self._waiting.register(descriptor, select.POLLIN)
            self._open = opening.pop_all()

    def _next(self) -> Frame | None:
        asked_s = time.monotonic()
        while True:
            with self._lock:
                if self._left.is_set():
                    return None
                frame = self._ring.take()
                if frame is None and self._has_ended(asked_s):
                    # What was written before the end is whole, and was written by now.
                    frame = self._ring.take()
                    if frame is None and isinstance(self._ending, InspectionError):
                        raise self._ending
                    return frame
            if frame is not None:
                return frame
            self._waiting.poll(_LOOK_S * 1000)

    def _has_ended(self, asked_s: float) -> bool:
        """Whether the driver has said how it ended, or its process has: known as `_ending` from then on."""
        if self._ending is not None:
            return True
        if self._words.poll():
            with suppress(EOFError, OSError):
                self._ending = self._words.recv()
                return True
        if not self._process.is_alive():
            self._ending = self._lost(_how_it_ended(self._process))
            return True
        # Counted from here, so that a receiver that was away itself does not take it for a standstill.
        if time.monotonic() - max(asked_s, self._ring.beaten_s) > self._bounds.still_s:
            self._process.kill()
            self._ending = self._lost(f"its process stood still for {self._bounds.still_s:g} s and was ended")
            return True
        return False

    def _await_start(self) -> None:
        if not wait([self._words, self._process.sentinel], self._bounds.start_s):
            self._process.kill()
            raise self._lost(f"it did not start within {self._bounds.start_s:g} s")
        try:
            word = self._words.recv()
        except (EOFError, OSError):
            self._process.join(self._bounds.stop_s)
            raise self._lost(_how_it_ended(self._process)) from None
        if isinstance(word, InspectionError):
            raise word

    def _end(self) -> None:
        with suppress(OSError):
            self._words.send("leave")
        self._process.join(self._bounds.stop_s)
        if self._process.is_alive():
            logger.warning(
                "camera %s: did not stop within %g s; its process is ended", self._name, self._bounds.stop_s
            )
            self._process.kill()
            # Not for ever: nothing ends a process that a kernel's driver holds.
            self._process.join(self._bounds.stop_s)
        with suppress(ValueError):
            self._process.close()

    def _say_what_was_missed(self) -> None:
        if self._ring.missed:
            logger.warning("camera %s: %d frames found the lane too slow", self._name, self._ring.missed)

    def _lost(self, reason: str) -> CameraLost:
        return _lost(self._name, reason)


def _lost(camera: str, reason: str) -> CameraLost:
    return CameraLost(
        f"Camera {camera} was lost: {reason}.",
        action="Check power and cable; a lane opens it again by itself.",
        camera=camera,
        reason=reason,
    )


def _how_it_ended(process: SpawnProcess) -> str:
    status = process.exitcode
    if status is None or status >= 0:
        return f"its process ended with status {status}"
    names = {number.value: number.name for number in signal.Signals}
    return f"its process was ended by {names.get(-status, f'signal {-status}')}"


# --- in the camera's process -------------------------------------------------------------------------------


class _Beating(SystemClock):
    """A driver looks at its clock whenever it looks for a frame: each look is its loop's sign of life."""

    def __init__(self, ring: Ring, bounds: Bounds) -> None:
        self._ring = ring
        self._alarm_s = bounds.still_s + _ALARM_S
        self._set_again_s = math.inf
        # The kernel's, and not a thread's: a library that hangs may hold the interpreter.
        signal.setitimer(signal.ITIMER_REAL, bounds.start_s + _ALARM_S)

    def runs(self) -> None:
        """From now on frames are looked for."""
        self._set_again_s = 0.0
        self.monotonic_s()

    def monotonic_s(self) -> float:
        now_s = super().monotonic_s()
        self._ring.beat()
        if now_s > self._set_again_s:
            self._set_again_s = now_s + 1
            signal.setitimer(signal.ITIMER_REAL, self._alarm_s)
        return now_s

    def wait(self, seconds: float, *, unless: Event) -> None:
        until_s = self.monotonic_s() + seconds
        while (left_s := until_s - self.monotonic_s()) > 0 and not unless.is_set():
            super().wait(min(left_s, 1.0), unless=unless)


def _run(
    name: str,
    driver: Callable[[Clock], Driver],
    buffers: int,
    bounds: Bounds,
    ring: Ring,
    words: Connection,
) -> None:
    """Main of the process. Says "started", then how the frames ended; ends when told to, or when nobody is there."""
    # Ctrl-C reaches the whole group; who started this process decides when it ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # One process per camera is the parallelism; OpenCV's own would only fight the lanes for the cores.
    cv2.setNumThreads(1)
    clock = _Beating(ring, bounds)
    try:
        with driver(clock) as camera:
            _reserve(name, ring, buffers, camera.frame_bytes)
            clock.runs()
            _say(words, "started")
            grabbing = Thread(
                target=_grab, args=(name, camera, ring, words, buffers, bounds), name="frames", daemon=True
            )
            grabbing.start()
            with suppress(EOFError, OSError):
                words.recv()
    except InspectionError as error:
        _say(words, error)
    # Without Python's own end: what libraries have registered for it has been seen to hang.
    os._exit(0)


def _reserve(name: str, ring: Ring, buffers: int, frame_bytes: int) -> None:
    try:
        ring.reserve(buffers, frame_bytes)
    except MemoryShort as error:
        needed_mb, available_mb = -(-error.needed_bytes // 10**6), error.available_bytes // 10**6
        raise MemoryTooSmall(
            f"Camera {name} needs {needed_mb} MB for {buffers} frames of {frame_bytes} bytes;"
            f" {available_mb} MB are free.",
            action="Set fewer buffers or a smaller picture, or add memory.",
            camera=name,
            buffers=buffers,
            frame_bytes=frame_bytes,
            needed_mb=needed_mb,
            available_mb=available_mb,
        ) from error


def _grab(name: str, camera: Camera, ring: Ring, words: Connection, buffers: int, bounds: Bounds) -> None:
    """Frames into the ring until they end, and how they did. Said before the device is let go, which takes a
    library seconds once the link is lost."""
    word: InspectionError | Literal["ended"] = "ended"
    growth = _Growth(buffers)
    was_missed = False
    try:
        for frame in camera.frames():
            was_missed = not ring.put(frame)
            if (grown_bytes := growth.after_a_frame()) > bounds.growth_bytes:
                raise _lost(name, f"its process grew by {grown_bytes // 10**6} MB")
        if was_missed:
            raise _lost(name, "the lane was too slow for its last frames")
    except InspectionError as error:
        word = error
    except FrameTooLarge as error:
        word = _lost(name, f"a frame is larger than the device was set up for: {error}")
    except Exception as error:
        logger.exception("camera %s: a mistake of the program", name)
        word = _lost(name, f"{type(error).__name__}: {error}")
    _say(words, word)


class _Growth:
    """How much this process has grown since it had used every slot: its own memory, without what it shares."""

    def __init__(self, slots: int) -> None:
        self._frames_until_known = slots
        self._before_bytes = 0

    def after_a_frame(self) -> int:
        if self._frames_until_known > 0:
            self._frames_until_known -= 1
            self._before_bytes = _own_bytes()
        return _own_bytes() - self._before_bytes


def _own_bytes() -> int:
    _, resident, shared, *_ = (int(pages) for pages in Path("/proc/self/statm").read_text().split())
    return (resident - shared) * _PAGE_BYTES


def _say(words: Connection, word: object) -> None:
    # Nobody is there to be told: the process ends all the same.
    with suppress(OSError):
        words.send(word)
