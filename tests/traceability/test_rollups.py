from __future__ import annotations

import importlib.util
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Column, MetaData, Table, delete, func, select
from uuid_utils.compat import uuid7

from inspection.tally import IN_CHALLENGE, IN_SETUP, UNPROVEN
from inspection.types import Box, Verdict
from tests.builders import NOON, a_defect, a_measurement, a_unit, an_inspection
from traceability import merit, rollups, tables
from traceability.factors import places
from traceability.rollups import QUARTER, quarter_of, whole_quarters
from traceability.samples import Stratum, count_samples, hourly_means, kinds_seen, pareto, stages_seen
from traceability.store import TraceStore

MOMENTS = st.integers(0, 4_000_000_000_000_000).map(
    lambda us: datetime(1990, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)
)


@given(MOMENTS)
def test_a_quarter_begins_on_the_clock_and_holds_its_moment(moment):
    begun = quarter_of(moment)
    assert (begun.minute % 15, begun.second, begun.microsecond) == (0, 0, 0)
    assert begun <= moment < begun + QUARTER


@given(MOMENTS, st.timedeltas(timedelta(0), timedelta(days=2)))
def test_whole_quarters_lie_within_and_leave_less_than_one_on_either_side(since, length):
    until = since + length
    first, last = whole_quarters(since, until)
    if first == last:
        assert length < 2 * QUARTER
        return
    assert since <= first < last <= until
    assert first - since < QUARTER
    assert until - last < QUARTER
    assert quarter_of(first) == first
    assert quarter_of(last) == last


def _some(count: int = 60):
    """Units on two lanes over three hours, at odd seconds, of every verdict, some with defects."""
    verdicts = list(Verdict)
    return [
        an_inspection(
            lane="strip" if number % 3 else "parts",
            simulated=number % 5 == 0,
            verdict=verdicts[number % 4],
            defects=tuple(
                a_defect(kind=kind) for kind in ("scratch", "scratch", "pits", "scale")[: number % 4]
            ),
            frames_inspected=number % 7,
            frames_lost=number % 2,
            measurements=(a_measurement(value=float(number)),),
            finished_at=NOON + timedelta(seconds=173 * number),
        )
        for number in range(count)
    ]


def _plain_counts(inspections, since, until):
    """What `counts` answers, from the records one by one."""
    seen = [one for one in inspections if since <= one.finished_at < until]
    return (
        {verdict: sum(one.verdict is verdict for one in seen) for verdict in Verdict},
        sum(one.triggers for one in seen),
        sum(one.frames_lost for one in seen),
    )


@pytest.mark.parametrize(
    ("begins_s", "ends_s"), [(0, 10800), (1, 10799), (0, 899), (450, 1350), (899, 901), (900, 1800), (7, 8)]
)
def test_any_stretch_of_time_is_counted_as_the_records_say(store: TraceStore, begins_s, ends_s):
    inspections = _some()
    store.record(inspections)
    since, until = NOON + timedelta(seconds=begins_s), NOON + timedelta(seconds=ends_s)
    counts = store.counts(since=since, until=until)
    assert (counts.units, counts.triggers, counts.frames_lost) == _plain_counts(inspections, since, until)
    seen = [one for one in inspections if since <= one.finished_at < until]
    assert {bar.kind: (bar.defects, bar.units) for bar in pareto(store, since=since, until=until)} == {
        kind: (
            sum(defect.kind == kind for one in seen for defect in one.defects),
            sum(any(defect.kind == kind for defect in one.defects) for one in seen),
        )
        for kind in {defect.kind for one in seen for defect in one.defects}
    }


def test_the_subgroup_in_progress_is_counted_up_to_its_moment(store: TraceStore):
    inspections = _some()
    store.record(inspections)
    until = NOON + timedelta(hours=1, minutes=20, seconds=31)
    samples = count_samples(store, by="hour", since=NOON, until=until)
    seen = [one for one in inspections if one.finished_at < until]
    assert sum(sample.count for sample in samples) == sum(one.verdict is Verdict.REJECT for one in seen)
    assert sum(sample.simulated for sample in samples) == sum(one.simulated for one in seen)
    assert sum(sample.not_inspected for sample in samples) == sum(
        one.verdict is Verdict.NOT_INSPECTED for one in seen
    )


@pytest.mark.parametrize("by", ["hour", "shift"])
def test_every_chart_counts_its_last_subgroup_up_to_the_moment_asked_for(store: TraceStore, by):
    """A unit whose quarter of an hour, hour or shift goes on beyond it is counted where it was finished before it."""
    inspections = _some()
    store.record(inspections)
    until = NOON + timedelta(hours=1, minutes=20, seconds=31)
    (stage,) = stages_seen(store, since=NOON, lane="strip")
    judged = [
        one
        for one in inspections
        if one.lane == "strip" and one.verdict is not Verdict.NOT_INSPECTED and one.finished_at < until
    ]
    refused = sum(one.verdict is Verdict.REJECT for one in judged)
    scratched = [one for one in judged if any(defect.kind == "scratch" for defect in one.defects)]
    scratches = sum(defect.kind == "scratch" for one in judged for defect in one.defects)
    defects = sum(len(one.defects) for one in judged)
    for counting, asked, expected in (
        ("units", {}, refused),
        ("units", {"stage": stage}, refused),
        ("units", {"kind": "scratch"}, len(scratched)),
        ("units", {"kind": "scratch", "stage": stage}, len(scratched)),
        ("units", {"kind": "scratch", "camera": a_defect().camera}, len(scratched)),
        ("defects", {}, defects),
        ("defects", {"kind": "scratch"}, scratches),
        ("defects", {"stage": stage}, defects),
    ):
        samples = count_samples(
            store,
            by=by,
            since=NOON,
            until=until,
            lane="strip",
            stratum=Stratum(**asked),
            counting=counting,
        )
        counted = sum(one.count for one in samples), sum(one.opportunity for one in samples)
        assert counted == (expected, len(judged)), (counting, asked)


def test_a_recipe_that_came_after_the_moment_asked_for_is_not_what_its_hour_was_judged_under(
    store: TraceStore,
):
    before, after = (
        an_inspection(recipe=replace(an_inspection().recipe, revision=revision)) for revision in (1, 2)
    )
    store.record([replace(before, finished_at=NOON + timedelta(minutes=1))])
    store.record(
        [
            replace(after, id=uuid7(), finished_at=NOON + timedelta(minutes=minute))
            for minute in (2, 3, 40, 41)
        ]
    )

    def stages(until_minute: float) -> list[str]:
        until = NOON + timedelta(minutes=until_minute)
        return [one.stage for one in count_samples(store, by="hour", since=NOON, until=until, lane="strip")]

    (first,), (second,) = stages(1.5), stages(50)
    assert first != second


def test_what_is_delivered_twice_is_counted_once(store: TraceStore):
    inspections = _some(20)
    store.record(inspections)
    store.record([*inspections, *inspections])
    assert store.counts(since=NOON).units == _plain_counts(inspections, NOON, NOON + timedelta(1))[0]


def test_what_could_not_be_recorded_is_not_counted(store: TraceStore):
    good, unkeepable = an_inspection(), an_inspection(defects=(a_defect(score=float("nan")),))
    broken = an_inspection(station=None)
    with pytest.raises(Exception, match=r"(?i)null"):
        store.record([good, unkeepable, broken])
    assert sum(store.counts(since=NOON).units.values()) == 0
    with store.reading() as connection:
        assert connection.execute(select(func.count()).select_from(tables.rollup_units)).scalar_one() == 0


def test_what_was_on_record_before_there_were_sums_is_counted_by_the_upgrade(store: TraceStore):
    store.record(_some())
    with store.writing() as connection:
        grown = set(connection.execute(select(tables.rollup_units)).all())
        by_kind = _defects_by_kind(connection, tables.rollup_defects)
        connection.execute(delete(tables.rollup_units))
        # The migration knows its own tables, as they were when it was written.
        columns = [
            Column(column.name, column.type, primary_key=column.primary_key)
            for column in tables.rollup_defects.c
            if column.name != "verdict"
        ]
        Table("defects_of_0011", MetaData(), *columns).create(connection)
        units, defects = (
            Table(name, MetaData(), autoload_with=connection) for name in ("rollup_units", "defects_of_0011")
        )
        _upgrade("0011_rollups.py").count_what_is_there(connection, units, defects)
        counted = set(connection.execute(select(tables.rollup_units)).all())
        assert _defects_by_kind(connection, defects) == by_kind
    assert counted == grown


def _defects_by_kind(connection, table):
    sums = select(table.c.kind, func.sum(table.c.defects), func.sum(table.c.units)).group_by(table.c.kind)
    return {kind: (int(defects), int(units)) for kind, defects, units in connection.execute(sums)}


SHOWN = (
    {IN_SETUP: 3},
    {IN_CHALLENGE: 3, "INS-DARK": 1},
)


@pytest.mark.parametrize("failures", SHOWN)
def test_defects_of_units_shown_in_setup_or_known_to_be_bad_are_in_no_pareto_rate_or_map(
    store: TraceStore, failures
):
    """Nor in kinds, yields and charts; a unit withheld in production, or judged in part, has its defects counted."""
    scratched = {"defects": (a_defect(box_mm=Box(0, 0, 1, 1)),), "verdict": Verdict.NOT_INSPECTED}
    shown = [
        an_inspection(
            unit=a_unit("C-1"),
            failures=failures,
            frames_inspected=0,
            frames_failed=sum(failures.values()),
            finished_at=NOON + timedelta(minutes=minute),
            **{**scratched, "defects": (a_defect(kind="pits", box_mm=Box(0, 0, 1, 1)),)},
        )
        for minute in (1, 20, 59)
    ]
    real = [
        an_inspection(
            unit=a_unit("C-2"), failures={UNPROVEN: 1}, frames_inspected=0, frames_failed=1, **scratched
        ),
        an_inspection(
            unit=a_unit("C-3"), failures=failures, frames_inspected=1, frames_failed=4, **scratched
        ),
        an_inspection(unit=a_unit("C-1"), finished_at=NOON + timedelta(hours=1)),
    ]
    store.record([*shown, *real])
    since, until = NOON, NOON + timedelta(minutes=75)
    for weigh in ("count", "area"):
        assert pareto(store, since=since + timedelta(seconds=1), until=until, weigh=weigh) == ()
        bars = pareto(store, since=since, until=until, weigh=weigh)
        assert [(bar.kind, bar.defects, bar.units) for bar in bars] == [("scratch", 2, 2)]
    assert kinds_seen(store, since=since) == ("scratch",)
    assert {place.kind for place in places(store, since=since)} == {"scratch"}
    (step,) = merit.counted(store, since=since, until=until).steps
    assert (step.units, step.first_passes[Verdict.ACCEPT], step.defects) == (3, 1, 0)


def test_what_was_counted_of_setup_before_is_taken_out_by_the_upgrade(store: TraceStore):
    store.record(_some())
    store.record(
        [
            an_inspection(
                verdict=Verdict.NOT_INSPECTED,
                defects=(a_defect(kind="pits"),),
                failures=failures,
                frames_inspected=0,
                frames_failed=4,
            )
            for failures in SHOWN
        ]
    )
    with store.writing() as connection:
        grown = set(connection.execute(select(tables.rollup_defects)).all())
        connection.execute(delete(tables.rollup_defects))
        own = Table("rollup_defects", MetaData(), autoload_with=connection)
        _upgrade("0027_defects_of_production.py").count_what_is_there(connection, own)
        counted = set(connection.execute(select(tables.rollup_defects)).all())
    assert counted == grown


def test_defects_are_counted_on_units_that_were_judged(store: TraceStore):
    inspections = _some()
    store.record(inspections)
    until = NOON + timedelta(hours=3)

    def counted(**stratum):
        chosen = Stratum(**stratum)
        samples = count_samples(
            store, by="hour", since=NOON, until=until, lane="strip", stratum=chosen, counting="defects"
        )
        return sum(sample.count for sample in samples), sum(sample.opportunity for sample in samples)

    judged = [
        one
        for one in inspections
        if one.lane == "strip" and one.verdict is not Verdict.NOT_INSPECTED and one.finished_at < until
    ]
    (stage,) = stages_seen(store, since=NOON, lane="strip")
    for kinds, asked in (
        (("scratch", "pits", "scale"), {}),
        (("scratch", "pits", "scale"), {"stage": stage}),
        (("scratch",), {"kind": "scratch"}),
        (("scratch",), {"kind": "scratch", "camera": a_defect().camera}),
    ):
        expected = sum(defect.kind in kinds for one in judged for defect in one.defects)
        assert counted(**asked) == (expected, len(judged)), asked


def test_stages_and_measurements_on_record_before_there_were_sums_of_them_are_counted_by_the_upgrade(
    store: TraceStore,
):
    store.record(_some())
    rollup = (tables.rollup_stages, tables.rollup_measurements)
    with store.writing() as connection:
        grown = [set(connection.execute(select(table)).all()) for table in rollup]
        assert all(grown)
        for table in rollup:
            connection.execute(delete(table))
        own = MetaData()
        stages, measurements = (Table(table.name, own, autoload_with=connection) for table in rollup)
        upgrade = _upgrade("0019_charts.py")
        upgrade.count_what_is_there(connection, stages)
        upgrade.sum_what_was_measured(connection, measurements)
        counted = [set(connection.execute(select(table)).all()) for table in rollup]
    assert counted == grown


@pytest.mark.parametrize("hours", [3, 1.34])
def test_hourly_means_are_those_of_the_records_that_were_inspected(store: TraceStore, hours):
    inspections = _some()
    store.record(inspections)
    until = NOON + timedelta(hours=hours)
    (means,) = hourly_means(store, since=NOON, until=until, lane="strip").values()
    for one in means:
        seen = [
            value.value
            for each in inspections
            if one.window.since <= each.finished_at < min(one.window.until, until)
            and each.lane == "strip"
            and each.verdict is not Verdict.NOT_INSPECTED
            for value in each.measurements
        ]
        assert (one.values, one.mean) == (len(seen), pytest.approx(sum(seen) / len(seen)))


def test_a_stratum_holds_its_own_units_only(store: TraceStore):
    inspections = _some()
    store.record(inspections)
    until = NOON + timedelta(hours=3)

    def counted(lane=None, **stratum):
        samples = count_samples(
            store, by="hour", since=NOON, until=until, lane=lane, stratum=Stratum(**stratum)
        )
        return [sample.count for sample in samples], [sample.opportunity for sample in samples]

    everything = counted(lane="strip")
    (stage,) = stages_seen(store, since=NOON, lane="strip")
    assert counted(lane="strip", stage=stage) == everything
    assert counted(lane="strip", stage="another") == ([], [])
    judged = [one for one in inspections if one.verdict is not Verdict.NOT_INSPECTED]
    assert sum(counted(kind="pits")[1]) == len([one for one in judged if one.finished_at < until])
    assert sum(counted(kind="pits")[0]) <= sum(
        any(defect.kind == "pits" for defect in one.defects) for one in inspections
    )
    assert kinds_seen(store, since=NOON) == ("pits", "scratch")


def _upgrade(file):
    path = Path(rollups.__file__).parent / "migrations" / "versions" / file
    spec = importlib.util.spec_from_file_location("upgrade_to_rollups", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_sums_are_kept_in_quarters_of_an_hour(store: TraceStore):
    store.record([an_inspection(finished_at=NOON + timedelta(minutes=minute)) for minute in (0, 14, 15, 59)])
    with store.reading() as connection:
        rows = connection.execute(
            select(tables.rollup_units.c.quarter, tables.rollup_units.c.units).order_by(
                tables.rollup_units.c.quarter
            )
        ).all()
    assert [(quarter - NOON, units) for quarter, units in rows] == [
        (timedelta(0), 2),
        (rollups.QUARTER, 1),
        (timedelta(minutes=45), 1),
    ]
