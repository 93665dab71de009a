"""Time, as cameras see it: a clock that tests can turn, and exposures at a fixed rate."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Protocol


class Clock(Protocol):
    def monotonic_s(self) -> float: ...

    def utc(self) -> datetime: ...

    def wait(self, seconds: float, *, unless: Event) -> None:
        """Let this time pass, or return at once when `unless` is set."""
        ...


class SystemClock:
    def monotonic_s(self) -> float:
        return time.monotonic()

    def utc(self) -> datetime:
        return datetime.now(UTC)

    def wait(self, seconds: float, *, unless: Event) -> None:
        unless.wait(seconds)


class Exposures:
    """Exposures at a fixed rate from the moment this is made, held in a few buffers for a busy receiver.

    Each deadline is counted from the start, so that no error adds up. When more than `buffers` exposures
    wait, the oldest are gone: their indices are never given, as with a real camera.
    """

    def __init__(self, *, frames_per_s: float, buffers: int, clock: Clock, left: Event) -> None:
        self._frames_per_s = frames_per_s
        self._buffers = buffers
        self._clock = clock
        self._left = left
        self._started_s = clock.monotonic_s()
        self._started_at = clock.utc()
        self._next = 0

    def next(self) -> tuple[int, datetime] | None:
        """Index from 0 and time of the next exposure, waiting for it; None once the camera is left."""
        newest = int((self._clock.monotonic_s() - self._started_s) * self._frames_per_s)
        index = max(self._next, newest - self._buffers + 1)
        due_s = index / self._frames_per_s
        while (ahead_s := self._started_s + due_s - self._clock.monotonic_s()) > 0:
            self._clock.wait(ahead_s, unless=self._left)
            if self._left.is_set():
                return None
        if self._left.is_set():
            return None
        self._next = index + 1
        return index, self._started_at + timedelta(seconds=due_s)
