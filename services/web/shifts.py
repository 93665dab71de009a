"""What the shift at hand adds up to, read from the records at most once a second however many screens ask."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta

from traceability.samples import Shifts
from traceability.store import Counts, TraceStore

READ_EVERY_S = 1.0


def shift_begun(plan: Shifts, at: datetime) -> datetime:
    """When the shift that `at` falls into began; aware UTC."""
    today = at.astimezone(plan.time_zone).date()
    begun = (
        # Through local time, whose offset is not the same every day of the year.
        datetime.combine(day, start, plan.time_zone).astimezone(UTC)
        for day in (today - timedelta(days=1), today)
        for start in plan.starts
    )
    return max(start for start in begun if start <= at)


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
                begun = shift_begun(self._plan, datetime.now(UTC))
                counts = self._store.counts(since=begun, station=self._station, lane=lane, simulated=False)
                self._read[lane] = (time.monotonic(), begun, counts)
        return begun, counts
