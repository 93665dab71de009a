"""What the shift at hand adds up to, read from the records at most once a second however many screens ask."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime

from traceability.samples import Shifts, shift_at
from traceability.store import Counts, TraceStore

READ_EVERY_S = 1.0


class ShiftCounts:
    """One station's counts since its shift began, lane by lane. What is simulated does not count."""

    def __init__(self, store: TraceStore, station: str, plan: Shifts) -> None:
        self._store = store
        self._station = station
        self._plan = plan
        self._lock = threading.Lock()
        self._read: dict[str, tuple[float, datetime, Counts]] = {}

    def of_lane(self, lane: str) -> tuple[datetime, Counts]:
        """When the shift began, and what was finished on this lane since."""
        with self._lock:
            read_at, begun, counts = self._read.get(lane, (float("-inf"), None, None))
            if begun is None or counts is None or time.monotonic() - read_at > READ_EVERY_S:
                begun = shift_at(datetime.now(UTC), self._plan).since
                counts = self._store.counts(since=begun, station=self._station, lane=lane, simulated=False)
                self._read[lane] = (time.monotonic(), begun, counts)
        return begun, counts
