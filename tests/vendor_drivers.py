"""Drivers as a camera's own process runs them: well-behaved ones, and one that does what vendors' libraries do."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np

from cameras.drawn import drawn_strip
from cameras.errors import CameraSilent, SettingRefused
from cameras.pacing import Clock
from cameras.replay import ReplayCamera
from cameras.settings import DrawnStripSettings, ReplaySettings
from inspection.protocols import Camera
from inspection.types import Frame

LARGEST_DRAWN = 800 * 400 * 3


class Sized:
    """A camera of ours, as a driver that knows the size of its frames."""

    def __init__(self, camera: Camera, frame_bytes: int) -> None:
        self._camera = camera
        self.frame_bytes = frame_bytes

    def __enter__(self) -> Sized:
        self._camera.__enter__()
        return self

    def __exit__(self, *args: Any) -> None:
        self._camera.__exit__(*args)

    def frames(self) -> Iterator[Frame]:
        return self._camera.frames()


def strip(clock: Clock) -> Sized:
    return Sized(drawn_strip("top", DrawnStripSettings(seed=5, frames_per_s=20), clock=clock), LARGEST_DRAWN)


def replay(folder: Path, clock: Clock) -> Sized:
    settings = ReplaySettings(folder=folder, repeat=True, pace="recorded")
    return Sized(ReplayCamera("top", settings, clock=clock), LARGEST_DRAWN)


def nothing() -> None:
    pass


@dataclass(kw_only=True)
class VendorCamera:
    """Gives frames of these sequences, all pixels the sequence modulo 256, then does `then`, then waits to be left.

    Frames, and what is done, may be given as functions of a module: this is built in the camera's process.
    """

    clock: Clock
    sequences: range = range(3)
    then: Callable[[], object] = nothing
    entering: Callable[[], object] = nothing
    leaving: Callable[[], object] = nothing
    side_px: int = 16
    frame_bytes: int = 16 * 16
    ends: bool = False
    left: Event = field(default_factory=Event)

    def __enter__(self) -> VendorCamera:
        self.entering()
        return self

    def __exit__(self, *_: object) -> None:
        self.left.set()
        self.leaving()

    def frames(self) -> Iterator[Frame]:
        for sequence in self.sequences:
            self.clock.monotonic_s()
            yield a_frame(sequence, side_px=self.side_px)
        for frame in self.then() or ():
            self.clock.monotonic_s()
            yield frame
        while not self.ends and not self.left.is_set():
            self.clock.wait(0.01, unless=self.left)


def a_frame(sequence: int, *, side_px: int = 16) -> Frame:
    pixels = np.full((side_px, side_px), sequence % 256, np.uint8)
    pixels.setflags(write=False)
    return Frame(pixels=pixels, camera="top", sequence=sequence, captured_at=datetime.now(UTC))


def vendor(**behaviour: Any) -> Callable[[Clock], VendorCamera]:
    return partial(_vendor, behaviour)


def _vendor(behaviour: dict[str, Any], clock: Clock) -> VendorCamera:
    return VendorCamera(clock=clock, **behaviour)


@contextmanager
def room_for_descriptors(more: int) -> Iterator[None]:
    """So many files can be opened, and no more."""
    lowest_free = os.dup(0)
    os.close(lowest_free)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free + more, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


# --- what vendors' libraries do ------------------------------------------------------------------------------


def crashes() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def is_killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def is_stopped() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def hangs() -> None:
    time.sleep(3600)


def hangs_and_holds_python() -> None:
    ctypes.PyDLL(None).sleep(3600)


def makes_a_mistake() -> None:
    raise ZeroDivisionError("by the vendor's zero")


def is_silent() -> None:
    raise CameraSilent(
        "Camera top sent nothing.", action="Look at it.", camera="top", timeout_s=2.5, incomplete=3
    )


def refuses() -> None:
    raise SettingRefused(
        "Camera top does not take it.",
        action="Change it.",
        camera="top",
        setting="width_px",
        value=640,
        found=320,
    )


def leaks() -> Iterator[Frame]:
    kept = []
    for sequence in range(3, 1000):
        kept.append(np.ones(1 << 20, np.uint8))
        time.sleep(0.002)
        yield a_frame(sequence)


def says(made: Path) -> None:
    made.touch()


def says_and_waits(made: Path, go_on: Path) -> Iterator[Frame]:
    """Says that all so far was made, and goes on with three more frames when told."""
    made.touch()
    while not go_on.exists():
        time.sleep(0.01)
    yield from (a_frame(sequence) for sequence in range(50, 53))
