"""What the shift at hand adds up to, read from the records at most once a second however many screens ask."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime

from traceability.samples import Shifts, refused_for, shift_at
from traceability.store import Counts, TraceStore

READ_EVERY_S = 1.0

TOP_EVERY_S = 10.0
"""What units are refused for most is read from their defects, not from sums, and changes slowly."""
TOP = 3


class ShiftCounts:
    """One station's counts since its shift began, lane by lane. What is simulated does not count."""

    def __init__(self, store: TraceStore, station: str, plan: Shifts) -> None:
        self._store = store
        self._station = station
        self._plan = plan
        self._lock = threading.Lock()
        self._read: dict[str, tuple[float, datetime, Counts]] = {}
        self._top: dict[str, tuple[float, datetime, tuple[tuple[str, int], ...]]] = {}

    def of_lane(self, lane: str) -> tuple[datetime, Counts]:
        """When the shift began, and what was finished on this lane since."""
        with self._lock:
            read_at, begun, counts = self._read.get(lane, (float("-inf"), None, None))
            if begun is None or counts is None or time.monotonic() - read_at > READ_EVERY_S:
                begun = shift_at(datetime.now(UTC), self._plan).since
                counts = self._store.counts(since=begun, station=self._station, lane=lane, simulated=False)
                self._read[lane] = (time.monotonic(), begun, counts)
        return begun, counts

    def refused_for(self, lane: str, *, since: datetime) -> tuple[tuple[str, int], ...]:
        """The kinds of defects for which most units of the shift were refused, and how many; at most TOP."""
        with self._lock:
            read_at, of_shift, top = self._top.get(lane, (float("-inf"), since, ()))
            if time.monotonic() - read_at > TOP_EVERY_S or of_shift != since:
                top = refused_for(self._store, since=since, station=self._station, lane=lane, most=TOP)
                self._top[lane] = (time.monotonic(), since, top)
        return top
