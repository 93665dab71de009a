"""The line's clock: where the strip is, when a part passes the light barrier. All of the line's time is here."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from threading import Event, Lock

NS_PER_S = 1_000_000_000
PART_PITCH_COUNTS = 1000
"""Encoder counts from one part to the next."""


def lines_at(encoder: int) -> int:
    """The device's inputs at a count: bit 0 is Line1, the light barrier, which a part covers for half a pitch."""
    return int(encoder % PART_PITCH_COUNTS < PART_PITCH_COUNTS // 2)


class LineClock:
    """One line, which starts when this is made and runs at a steady speed until it is given another.

    A device asks it for the encoder, and for the moment at which the encoder will reach a count; a part
    passes whenever the encoder has gone on by PART_PITCH_COUNTS. Times are nanoseconds since the start.

    counts_per_s  the speed, greater than 0
    """

    def __init__(self, *, counts_per_s: float, monotonic_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._monotonic_ns = monotonic_ns
        self._lock = Lock()
        self._begin_ns = monotonic_ns()
        self._since_ns = 0
        self._since_counts = 0.0
        self._counts_per_s = counts_per_s

    def now_ns(self) -> int:
        return self._monotonic_ns() - self._begin_ns

    def run_at(self, counts_per_s: float) -> None:
        """Another speed from now on; the encoder goes on from where it is."""
        with self._lock:
            now_ns = self.now_ns()
            self._since_counts += (now_ns - self._since_ns) * self._counts_per_s / NS_PER_S
            self._since_ns = now_ns
            self._counts_per_s = counts_per_s

    def encoder(self, at_ns: int | None = None) -> int:
        """Counts at a time, now if none is said."""
        with self._lock:
            since_ns = (self.now_ns() if at_ns is None else at_ns) - self._since_ns
            return math.floor(self._since_counts + since_ns * self._counts_per_s / NS_PER_S)

    def when(self, counts: int) -> int:
        """When the encoder reaches, or reached, these counts at the present speed."""
        with self._lock:
            return self._since_ns + math.ceil((counts - self._since_counts) * NS_PER_S / self._counts_per_s)

    def part_after(self, counts: int) -> int:
        """The first part that passes after the encoder has these counts; part k passes at k pitches."""
        return counts // PART_PITCH_COUNTS + 1

    def parts_until(self, counts: int) -> int:
        """How many parts have passed when the encoder has these counts."""
        return counts // PART_PITCH_COUNTS

    def wait_until(self, at_ns: int, *, unless: Event) -> bool:
        """Let the time come; false, at once, when `unless` is set."""
        while (ahead_ns := at_ns - self.now_ns()) > 0:
            if unless.wait(ahead_ns / NS_PER_S):
                return False
        return not unless.is_set()


class EdgeCounter:
    """Counts the rising edges of Line1 while it is switched on: parts at the light barrier, whether anything was
    exposed for them or not, and bounces of the signal. Several threads ask it."""

    def __init__(self, clock: LineClock) -> None:
        self._clock = clock
        self._lock = Lock()
        self._counted = 0
        self._since_parts: int | None = None

    def switch(self, *, is_on: bool) -> None:
        """On from now, or off; what was counted stays."""
        with self._lock:
            now_parts = self._parts(None)
            if is_on and self._since_parts is None:
                self._since_parts = now_parts
            elif not is_on and self._since_parts is not None:
                self._counted += now_parts - self._since_parts
                self._since_parts = None

    def reset(self) -> None:
        with self._lock:
            self._counted = 0
            if self._since_parts is not None:
                self._since_parts = self._parts(None)

    def bounce(self) -> None:
        """One edge more, for which no part passed."""
        with self._lock:
            self._counted += self._since_parts is not None

    def count(self, encoder: int | None = None) -> int:
        """Edges until the encoder had this value, now if none is said."""
        with self._lock:
            if self._since_parts is None:
                return self._counted
            return self._counted + max(0, self._parts(encoder) - self._since_parts)

    def _parts(self, encoder: int | None) -> int:
        return self._clock.parts_until(self._clock.encoder() if encoder is None else encoder)
