"""What lanes measured on golden parts makes gauge studies, and what was measured on other parts does not."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from inspection.tally import IN_SETUP
from inspection.types import Verdict
from tests.builders import NOON, a_measurement, a_unit, an_inspection
from traceability import gauge_studies
from traceability.errors import ParameterOutOfRange, StudyIncomplete, TooFewValues
from traceability.gauge_studies import result_of
from traceability.golden_parts import golden_readings, golden_values
from traceability.samples import Shifts
from traceability.store import TraceStore

PARTS = [a_unit(f"86.999.1/GOLD-{number}") for number in range(3)]
SHIFTS = Shifts(starts=(time(6), time(14), time(22)), time_zone=ZoneInfo("UTC"))


def _shown(store, part, lane, values, *, begin=NOON, **given):
    store.record(
        [
            an_inspection(
                unit=part,
                lane=lane,
                measurements=(a_measurement(name="width", value=value),),
                finished_at=begin + timedelta(minutes=number),
                **given,
            )
            for number, value in enumerate(values)
        ]
    )


def _readings(store, kind, parts, **asked):
    since: datetime = asked.pop("since", NOON - timedelta(days=2))
    values = golden_values(store, "width", parts, since=since, **asked)
    return golden_readings(kind, parts, values, shifts=SHIFTS)


def test_lanes_are_compared_by_as_many_of_the_newest_values_as_every_cell_has(store: TraceStore):
    for number, part in enumerate(PARTS):
        _shown(store, part, "left", [10.0 + number, 10.1 + number, 10.2 + number])
        _shown(store, part, "right", [10.3 + number, 10.4 + number])
    _shown(store, a_unit("86.999.1/OTHER"), "left", [99.0])
    found = _readings(store, "crossed", PARTS)
    cells = {}
    for part, place, value in zip(found["part"], found["operator"], found["value"], strict=True):
        cells.setdefault((part, place), []).append(value)
    assert cells[str(PARTS[0]), "demo/left"] == [10.1, 10.2]
    assert cells[str(PARTS[2]), "demo/right"] == [12.3, 12.4]
    assert len(cells) == 6
    study = gauge_studies.record(
        store, kind="crossed", characteristic="width", model="", readings=found, at=NOON, by=None
    )
    assert result_of(study).result.ndc >= 5


def test_a_part_that_one_lane_has_not_seen_twice_is_a_missing_cell(store: TraceStore):
    for part in PARTS:
        _shown(store, part, "left", [10.0, 10.1])
    _shown(store, PARTS[0], "right", [10.0, 10.1])
    with pytest.raises(StudyIncomplete, match="GOLD-1, demo/right has 0"):
        _readings(store, "crossed", PARTS)
    assert set(_readings(store, "crossed", PARTS, lane="left")["operator"]) == {"demo/left"}


def test_values_of_setup_count_and_those_that_prove_nothing_do_not(store: TraceStore):
    withheld = {"verdict": Verdict.NOT_INSPECTED, "frames_inspected": 0, "frames_failed": 1}
    _shown(store, PARTS[0], "left", [10.0, 10.1], failures={IN_SETUP: 1}, **withheld)
    _shown(
        store, PARTS[0], "left", [55.0], begin=NOON + timedelta(hours=1), failures={"INS-DARK": 1}, **withheld
    )
    assert _readings(store, "type_one", PARTS[:1]) == {"value": [10.0, 10.1]}


def test_stability_goes_by_shift(store: TraceStore):
    for shift, values in enumerate(([10.0, 10.1, 10.2], [10.3], [10.4, 10.5])):
        _shown(store, PARTS[0], "left", values, begin=NOON + timedelta(hours=8 * shift))
    found = _readings(store, "stability", PARTS[:1])
    assert found == {
        "part": ["2026-11-20 06:00"] * 2 + ["2026-11-20 22:00"] * 2,
        "value": [10.1, 10.2, 10.4, 10.5],
    }


def test_what_no_study_follows_from_is_refused(store: TraceStore):
    with pytest.raises(TooFewValues):
        _readings(store, "bias", PARTS[:1])
    with pytest.raises(ParameterOutOfRange):
        _readings(store, "bias", PARTS)
    _shown(store, PARTS[0], "left", [10.0, 10.1])
    with pytest.raises(TooFewValues):
        _readings(store, "stability", PARTS[:1])
