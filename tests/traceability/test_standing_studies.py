"""Golden parts that are shown again and again have their study made without anybody who makes it."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import uuid4

import pytest

from tests.builders import NOON, a_measurement, a_unit, an_inspection
from traceability import gauge_studies
from traceability.accounts import Accounts, Person, Role
from traceability.changes import record_change
from traceability.errors import ParameterOutOfRange, StandingStudyUnknown, StudyIncomplete
from traceability.gauge_studies import result_of
from traceability.standing_studies import StandingStudy, end, make_if_due, order, progress, standing
from traceability.store import TraceStore

PARTS = [a_unit(f"86.999.1/GOLD-{number}") for number in range(3)]
HOUR = timedelta(hours=1)


def _shown(store, values, *, part=PARTS[0], lane="left", begin=NOON, **given):
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


@pytest.fixture
def engineer(store: TraceStore) -> Person:
    return Accounts(store).add(
        name="wang", title="王", role=Role.ENGINEER, password_hash=None, by=None, at=NOON
    )


def _ordered(store, by, *, at=NOON, **given) -> StandingStudy:
    said = {
        "kind": "bias",
        "parts": PARTS[:1],
        "lane": "left",
        "reference": 10.0,
        "tolerance": None,
        "runs": 6,
        "why": "each shift shows the master",
    }
    return order(store, characteristic="width", station="demo", by=by, at=at, **(said | given))


def _made(store, one, at: datetime):
    return make_if_due(store, one, at=at)


SIX = [10.0, 10.1, 9.9, 10.2, 10.0, 9.8]


def test_a_study_is_made_of_each_so_many_new_runs_and_of_no_run_twice(store: TraceStore, engineer):
    one = _ordered(store, engineer)
    _shown(store, SIX[:5])
    assert _made(store, one, NOON + HOUR) is None
    assert len(progress(store, one, at=NOON + HOUR).values) == 5
    _shown(store, SIX[5:], begin=NOON + HOUR)
    first = _made(store, one, NOON + 2 * HOUR)
    assert first is not None
    assert first.readings["value"] == SIX
    assert _made(store, one, NOON + 3 * HOUR) is None
    _shown(store, [11.0 + value for value in SIX], begin=NOON + 3 * HOUR)
    second = _made(store, one, NOON + 4 * HOUR)
    assert second is not None
    assert min(second.readings["value"]) > 20
    assert [each.id for each in gauge_studies.studies(store)] == [second.id, first.id]


def test_no_run_is_taken_twice_however_many_other_studies_came_between(store: TraceStore, engineer):
    one = _ordered(store, engineer)
    _shown(store, SIX)
    assert _made(store, one, NOON + HOUR) is not None
    for _ in range(200):
        gauge_studies.record(
            store,
            kind="audit",
            characteristic="width",
            model="",
            readings={"audited": 50, "escapes": 0},
            at=NOON + 2 * HOUR,
            by=None,
        )
    assert _made(store, one, NOON + 3 * HOUR) is None


def test_a_study_that_nobody_made_is_the_systems_own_in_the_audit_too(store: TraceStore, engineer):
    one = _ordered(store, engineer)
    _shown(store, SIX)
    made = _made(store, one, NOON + HOUR)
    assert made is not None
    assert made.person is None
    (newest,) = Accounts(store).audit(limit=1)
    assert (newest.action, newest.subject, newest.person) == ("study.recorded", f"study:{made.id}", None)


def test_runs_before_the_lens_was_changed_are_of_another_gauge(store: TraceStore, engineer):
    one = _ordered(store, engineer)
    _shown(store, SIX)
    record_change(
        store,
        part="lens",
        station="demo",
        lane="left",
        at=NOON + timedelta(minutes=4),
        what="50 mm",
        by=engineer,
        said_at=NOON + HOUR,
    )
    assert [value.value for value in progress(store, one, at=NOON + HOUR).values] == SIX[4:]
    assert _made(store, one, NOON + HOUR) is None


def test_a_study_of_simulated_runs_is_marked_as_simulated(store: TraceStore, engineer):
    one = _ordered(store, engineer)
    _shown(store, SIX, simulated=True)
    made = _made(store, one, NOON + HOUR)
    assert made is not None
    assert made.simulated


def test_where_a_lane_has_not_seen_a_part_the_study_stays_due_and_says_which(store: TraceStore, engineer):
    one = _ordered(store, engineer, kind="crossed", parts=PARTS[:2], lane=None, reference=None)
    for lane in ("left", "right"):
        _shown(store, [10.0, 10.1, 10.2], lane=lane)
    _shown(store, [12.0, 12.1], part=PARTS[1])
    with pytest.raises(StudyIncomplete, match="GOLD-1, demo/right has 0"):
        _made(store, one, NOON + HOUR)
    refused = progress(store, one, at=NOON + HOUR).refused
    assert isinstance(refused, StudyIncomplete)
    _shown(store, [12.0, 12.2], part=PARTS[1], lane="right", begin=NOON + HOUR)
    assert progress(store, one, at=NOON + 2 * HOUR).refused is None
    made = _made(store, one, NOON + 2 * HOUR)
    assert made is not None
    assert result_of(made).result.ndc >= 5


def test_an_order_takes_the_place_of_the_one_before_and_an_ended_one_stands_no_more(
    store: TraceStore, engineer
):
    _ordered(store, engineer)
    newer = _ordered(store, engineer, at=NOON + HOUR, runs=8)
    other = _ordered(store, engineer, lane=None)
    assert {one.id for one in standing(store)} == {newer.id, other.id}
    assert standing(store, station="elsewhere") == ()
    end(store, newer.id, why="the master was lost", by=engineer, at=NOON + 2 * HOUR)
    assert [one.id for one in standing(store)] == [other.id]
    for id in (newer.id, uuid4()):
        with pytest.raises(StandingStudyUnknown):
            end(store, id, why="again", by=engineer, at=NOON + 2 * HOUR)


@pytest.mark.parametrize(
    "wrong",
    [
        {"parts": []},
        {"parts": PARTS},
        {"runs": 3},
        {"reference": None},
        {"kind": "type_one", "tolerance": None},
        {"why": " "},
    ],
)
def test_what_no_study_could_follow_from_is_not_ordered(store, engineer: TraceStore, wrong):
    with pytest.raises(ParameterOutOfRange):
        _ordered(store, engineer, **wrong)
    assert standing(store) == ()
