from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspection.types import Verdict
from tests.builders import NOON, a_defect, a_picture, a_unit, an_inspection
from traceability.errors import SubgroupUnknown, TooManySubgroups
from traceability.merit import counted
from traceability.rare_events import rare_events
from traceability.samples import (
    Shifts,
    Stratum,
    Window,
    _hours,
    _shifts,
    count_samples,
    pareto,
    units_of_subgroup,
    window_of,
)
from traceability.store import FILES_LANE, FILES_STATION, TraceStore

BERLIN = Shifts(time_zone=ZoneInfo("Europe/Berlin"))
SHANGHAI = Shifts(time_zone=ZoneInfo("Asia/Shanghai"))
KOLKATA = Shifts(time_zone=ZoneInfo("Asia/Kolkata"))


def local(shifts: Shifts, *moment: int) -> datetime:
    return datetime(*moment, tzinfo=shifts.time_zone).astimezone(UTC)  # type: ignore[misc, arg-type]


def test_a_subgroup_counts_rejects_among_judged_units_and_tells_the_others_beside(store: TraceStore):
    verdicts = (
        [Verdict.ACCEPT] * 5 + [Verdict.REVIEW] * 2 + [Verdict.REJECT] * 3 + [Verdict.NOT_INSPECTED] * 4
    )
    store.record(
        [an_inspection(verdict=verdict, simulated=verdict == Verdict.REVIEW) for verdict in verdicts]
    )
    (sample,) = count_samples(store, by="hour", since=NOON, until=NOON + timedelta(hours=1))
    assert (sample.count, sample.opportunity) == (3, 10)
    assert (sample.review, sample.not_inspected, sample.simulated) == (2, 4, 2)


def test_a_night_shift_goes_on_past_midnight(store: TraceStore):
    before, after = local(SHANGHAI, 2026, 11, 20, 23, 59), local(SHANGHAI, 2026, 11, 21, 5, 59)
    morning = local(SHANGHAI, 2026, 11, 21, 6)
    store.record([an_inspection(finished_at=moment) for moment in (before, after, morning)])
    night, day = count_samples(
        store, by="shift", since=before, until=morning + timedelta(hours=1), shifts=SHANGHAI
    )
    assert (night.label, night.opportunity) == ("2026-11-20 22:00–06:00", 2)
    assert (day.label, day.opportunity) == ("2026-11-21 06:00–14:00", 1)


def test_the_night_the_clock_goes_back_has_nine_hours(store: TraceStore):
    start = local(BERLIN, 2026, 10, 24, 22)
    store.record([an_inspection(finished_at=start + timedelta(hours=hour)) for hour in range(10)])
    night, morning = count_samples(
        store, by="shift", since=start, until=start + timedelta(hours=10), shifts=BERLIN
    )
    assert (night.opportunity, morning.opportunity) == (9, 1)


def test_the_hour_that_comes_twice_in_autumn_is_two_subgroups(store: TraceStore):
    start = local(BERLIN, 2026, 10, 25, 2)
    store.record([an_inspection(finished_at=start + timedelta(hours=hour)) for hour in range(3)])
    found = count_samples(store, by="hour", since=start, until=start + timedelta(hours=3), shifts=BERLIN)
    assert [sample.label[-5:] for sample in found] == ["02:00", "02:00", "03:00"]
    assert len({sample.key for sample in found}) == 3


def test_hours_are_those_of_the_plants_clock(store: TraceStore):
    moment = local(KOLKATA, 2026, 11, 20, 8, 10)
    store.record([an_inspection(finished_at=moment)])
    (sample,) = count_samples(
        store, by="hour", since=moment, until=moment + timedelta(minutes=1), shifts=KOLKATA
    )
    assert sample.label == "2026-11-20 08:00"
    assert sample.at == local(KOLKATA, 2026, 11, 20, 8)


def test_the_subgroup_that_since_falls_into_is_counted_whole(store: TraceStore):
    store.record([an_inspection(finished_at=NOON), an_inspection(finished_at=NOON + timedelta(minutes=59))])
    (sample,) = count_samples(
        store,
        by="hour",
        since=NOON + timedelta(minutes=30),
        until=NOON + timedelta(hours=1),
        shifts=SHANGHAI,
    )
    assert sample.opportunity == 2


def test_hours_in_which_nothing_ran_are_left_out(store: TraceStore):
    store.record([an_inspection(finished_at=NOON), an_inspection(finished_at=NOON + timedelta(hours=5))])
    found = count_samples(store, by="hour", since=NOON, until=NOON + timedelta(hours=6), shifts=SHANGHAI)
    assert [sample.at for sample in found] == [NOON, NOON + timedelta(hours=5)]


def test_samples_may_be_of_one_station_one_lane_and_of_what_was_really_seen(store: TraceStore):
    store.record(
        [
            an_inspection(lane="strip"),
            an_inspection(lane="part"),
            an_inspection(station="other"),
            an_inspection(simulated=True),
        ]
    )

    def units(*, station: str | None = None, lane: str | None = None, simulated: bool | None = None) -> int:
        (sample,) = count_samples(
            store,
            by="hour",
            since=NOON,
            until=NOON + timedelta(hours=1),
            station=station,
            lane=lane,
            simulated=simulated,
        )
        return sample.opportunity

    assert units() == 4
    assert units(lane="part") == 1
    assert units(station="demo") == 3
    assert units(simulated=False) == 3
    assert units(simulated=True) == 1


def test_nothing_seen_makes_no_samples(store: TraceStore):
    assert count_samples(store, by="shift", since=NOON, until=NOON + timedelta(days=9)) == ()
    assert count_samples(store, by="hour", since=NOON, until=NOON) == ()


def test_a_time_too_long_for_one_chart_is_refused(store: TraceStore):
    with pytest.raises(TooManySubgroups):
        count_samples(store, by="hour", since=NOON - timedelta(days=200), until=NOON)


def test_the_key_of_a_subgroup_leads_back_to_its_units_the_withheld_first(store: TraceStore):
    accepted = an_inspection(pictures=(a_picture(),))
    rejected = an_inspection(
        unit=a_unit("C-1"), verdict=Verdict.REJECT, defects=(a_defect(), a_defect(kind="pit"))
    )
    store.record([accepted, rejected, an_inspection(finished_at=NOON + timedelta(hours=1))])
    first, _ = count_samples(store, by="hour", since=NOON, until=NOON + timedelta(hours=2))
    units = units_of_subgroup(store, first.key)
    assert [unit.id for unit in units] == [rejected.id, accepted.id]
    assert [(unit.defects, unit.picture) for unit in units] == [(2, None), (0, "ab" * 32)]
    assert units[0].unit == a_unit("C-1")
    assert units_of_subgroup(store, first.key, limit=1) == units[:1]
    assert units_of_subgroup(store, first.key, lane="elsewhere") == ()


@pytest.mark.parametrize(
    "key",
    [
        "",
        "tomorrow",
        "20261120T120000Z",
        "20261320T120000Z-20261320T130000Z",
        "٢٠٢٦١١٢٠T120000Z-20261120T130000Z",
        "20261120T120000Z-20261120T120000Z",
        "20261120T130000Z-20261120T120000Z",
    ],
)
def test_a_key_that_names_no_subgroup_is_refused(key: str):
    with pytest.raises(SubgroupUnknown):
        window_of(key)


moments = st.datetimes(datetime(1970, 1, 2), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(moments, st.timedeltas(timedelta(seconds=1), timedelta(days=400)))
def test_a_window_can_be_read_back_from_its_key_and_stands_in_an_address_as_it_is(
    since: datetime, length: timedelta
):
    since = since.replace(microsecond=0)
    window = Window(since=since, until=since + timedelta(seconds=length // timedelta(seconds=1)))
    assert window_of(window.key) == window
    assert window.key.replace("-", "").isalnum()


@given(moments, st.sampled_from([BERLIN, SHANGHAI, KOLKATA]), st.sampled_from(["hour", "shift"]))
def test_every_moment_is_in_exactly_one_subgroup(moment: datetime, shifts: Shifts, by: str):
    windows = list((_hours if by == "hour" else _shifts)(moment, moment + timedelta(days=2), shifts))
    assert windows[0].since <= moment < windows[0].until
    assert all(one.until == following.since for one, following in pairwise(windows))
    assert windows[-1].since < moment + timedelta(days=2) <= windows[-1].until


def test_shifts_may_be_two(store: TraceStore):
    two = Shifts(starts=(time(7), time(19)), time_zone=UTC)
    store.record([an_inspection(finished_at=NOON)])
    (sample,) = count_samples(store, by="shift", since=NOON, until=NOON + timedelta(hours=1), shifts=two)
    assert sample.label == "2026-11-20 07:00–19:00"


def test_a_pareto_counts_defects_and_the_units_that_have_them(store: TraceStore):
    store.record(
        [
            an_inspection(defects=(a_defect(), a_defect(), a_defect(kind="pit"))),
            an_inspection(defects=(a_defect(),)),
            an_inspection(),
            an_inspection(defects=(a_defect(kind="crack"),), finished_at=NOON + timedelta(hours=1)),
        ]
    )
    scratch, pit = pareto(store, since=NOON, until=NOON + timedelta(hours=1))
    assert (scratch.kind, scratch.defects, scratch.units) == ("scratch", 3, 2)
    assert (pit.kind, pit.defects, pit.units, pit.cumulative_share) == ("pit", 1, 1, 1)
    assert len(pareto(store, since=NOON)) == 3
    assert pareto(store, since=NOON, lane="elsewhere") == ()


@pytest.mark.parametrize(
    ("asked", "units"),
    [
        ({}, 1),
        ({"lane": FILES_LANE}, 2),
        ({"station": FILES_STATION}, 2),
        ({"station": "demo"}, 1),
    ],
)
def test_what_was_inspected_from_files_is_counted_only_where_it_is_asked_for(
    store: TraceStore, asked: dict[str, str], units: int
):
    # Across the border of a quarter of an hour: from the sums, and from the records themselves.
    moments = (NOON, NOON + timedelta(minutes=20))
    found = (a_defect(),)
    for at in moments:
        store.record([an_inspection(verdict=Verdict.REJECT, defects=found, finished_at=at)])
        store.record(
            [
                an_inspection(
                    station=FILES_STATION,
                    lane=FILES_LANE,
                    verdict=Verdict.REJECT,
                    defects=found,
                    finished_at=at,
                )
                for _ in range(2)
            ]
        )
    window = {"since": NOON, "until": NOON + timedelta(minutes=21)}
    (sample,) = count_samples(store, by="hour", **window, **asked)
    assert (sample.count, sample.opportunity) == (2 * units, 2 * units)
    assert len(units_of_subgroup(store, sample.key, **asked)) == 2 * units
    (bar,) = pareto(store, **window, **asked)
    assert (bar.defects, bar.units) == (2 * units, 2 * units)
    (of_camera,) = pareto(store, **window, **asked, stratum=Stratum(camera="top"))
    assert of_camera.defects == 2 * units
    assert len(rare_events(store, **window, **asked)) == 2 * units - 1
    assert sum(step.judged for step in counted(store, **window, **asked).steps) == 2 * units
