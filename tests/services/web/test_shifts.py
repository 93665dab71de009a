from __future__ import annotations

from datetime import UTC, datetime

from inspection.types import Verdict
from services.web.shifts import ShiftCounts
from tests.builders import an_inspection
from traceability.samples import Shifts, shift_at


def test_a_shift_counts_its_own_lane_and_nothing_simulated(station):
    now = datetime.now(UTC)
    station.store.record(
        [
            an_inspection(lane="parts", verdict=Verdict.REJECT, finished_at=now),
            an_inspection(lane="parts", finished_at=now, simulated=True),
            an_inspection(lane="strip", finished_at=now),
            an_inspection(lane="parts", finished_at=now, station="another"),
        ]
    )
    begun, counts = ShiftCounts(station.store, "demo", Shifts()).of_lane("parts")
    assert begun == shift_at(now, Shifts()).since
    assert counts.units[Verdict.REJECT] == sum(counts.units.values()) == 1


def test_many_screens_share_one_reading(station):
    shift_counts = ShiftCounts(station.store, "demo", Shifts())
    assert shift_counts.of_lane("parts")[1] is shift_counts.of_lane("parts")[1]
