from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, update
from sqlalchemy.exc import DBAPIError, StatementError
from uuid_utils.compat import uuid7

from inspection.identity import IdentifierCode
from inspection.types import Box, Piece, Verdict
from tests.builders import (
    NOON,
    a_defect,
    a_measurement,
    a_picture,
    a_strip_map,
    a_unit,
    an_inspection,
    an_inspection_begun,
)
from tests.databases import ENGINES, a_database
from tests.drawn_coil import LINKS, UNITS
from traceability import samples, tables
from traceability.database import writing
from traceability.errors import UnitUnknown
from traceability.genealogy.recording import record as record_genealogy
from traceability.identifiers import parse
from traceability.statements import statement
from traceability.store import TraceStore


def test_an_inspection_comes_back_as_it_was_recorded(store: TraceStore):
    given = an_inspection(
        verdict=Verdict.REJECT,
        defects=(
            a_defect(),
            a_defect(kind="pitted_surface", box_mm=None),
            a_defect(mask_area_mm2=3.5, outline_px=((10.5, 20.5), (14.5, 20.5), (14.5, 119.5))),
            a_defect(
                edge_near_mm=-1.5, edge_far_mm=8.25, pieces=(Piece(sequence=42, box_px=Box(10, 0, 15, 30)),)
            ),
        ),
        strip=a_strip_map(),
        measurements=(a_measurement(), a_measurement(name="camber", uncertainty=None)),
        pictures=(a_picture(),),
        frames_failed=1,
        frames_lost=2,
        failures={"MOD-FAILED": 1},
        grade="B",
    )
    assert store.record([given]) == 1
    assert store.inspection(given.id) == given


def test_recording_twice_changes_nothing(store: TraceStore):
    given = [an_inspection(defects=(a_defect(),)) for _ in range(3)]
    assert store.record(given) == 3
    before = store.latest()
    assert store.record([*given, given[0]]) == 0
    assert store.latest() == before


def test_one_batch_may_hold_the_same_inspection_twice(store: TraceStore):
    given = an_inspection(defects=(a_defect(),))
    assert store.record([given, given]) == 1
    assert store.inspection(given.id) == given


def test_of_two_that_differ_in_one_batch_the_first_is_kept_and_the_other_beside_it(store: TraceStore):
    first = an_inspection(verdict=Verdict.REJECT)
    second = replace(first, verdict=Verdict.ACCEPT)
    assert store.record([first, second]) == 1
    assert store.inspection(first.id) == first
    with store.reading() as connection:
        (kept,) = connection.execute(select(tables.contradiction.c.said)).scalars()
    assert kept == statement(second)


def test_a_unit_is_known_by_its_code_and_its_inspections_are_told_oldest_first(store: TraceStore):
    second = an_inspection(finished_at=NOON + timedelta(hours=1))
    first = an_inspection(finished_at=NOON)
    store.record([second, first, an_inspection(unit=a_unit("another-coil"))])
    assert store.inspections_of(a_unit()) == (first, second)


def test_a_unit_nobody_saw_is_unknown(store: TraceStore):
    with pytest.raises(UnitUnknown):
        store.inspections_of(a_unit("never-seen"))


def test_a_unit_that_nobody_inspected_is_known_by_its_kin_and_has_no_inspections(store: TraceStore):
    record_genealogy(store, units=UNITS, links=LINKS)
    assert store.inspections_of(parse("STRIP-A1")) == ()


def test_a_unit_in_hand_is_known_until_it_is_finished(store: TraceStore):
    begun = an_inspection_begun()
    store.begin([begun])
    store.begin([begun])
    assert store.begun() == (begun,)
    store.record([an_inspection(id=begun.id)])
    assert store.begun() == ()


def test_a_late_word_of_a_finished_unit_does_not_put_it_in_hand_again(store: TraceStore):
    begun = an_inspection_begun()
    store.record([an_inspection(id=begun.id)])
    store.begin([begun])
    assert store.begun() == ()


def test_a_unit_is_found_by_any_of_its_codes(store: TraceStore):
    # Joining two codes is not yet a function of the store; what it reads already follows the unit.
    store.record([an_inspection(unit=a_unit("C-1")), an_inspection(unit=a_unit("86.1/1"))])
    with writing(store._engine) as connection:
        first = (
            select(tables.identifier.c.unit_id).where(tables.identifier.c.canon == "C-1").scalar_subquery()
        )
        connection.execute(update(tables.identifier).values(unit_id=first))
    assert store.inspections_of(a_unit("C-1")) == store.inspections_of(a_unit("86.1/1"))
    assert len(store.inspections_of(a_unit("C-1"))) == 2


def test_the_spelling_that_was_read_is_kept_beside_the_code(store: TraceStore):
    read = IdentifierCode(scheme="handle", raw=" 86.ABC.1/7\r\n", canon="86.abc.1/7")
    store.record([an_inspection(unit=read)])
    (found,) = store.inspections_of(parse("86.Abc.1/7"))
    assert found.unit.raw == " 86.ABC.1/7\r\n"


def test_times_come_back_in_utc_wherever_they_were_taken(store: TraceStore):
    shanghai = timezone(timedelta(hours=8))
    given_ = an_inspection(finished_at=datetime(2026, 11, 20, 20, 0, 0, 123456, tzinfo=shanghai))
    store.record([given_])
    (found,) = store.latest()
    assert found.finished_at == given_.finished_at
    assert found.finished_at.tzinfo is UTC


def test_a_time_without_a_zone_is_a_mistake_of_the_caller(store: TraceStore):
    with pytest.raises(StatementError, match="no time zone"):
        store.record([replace(an_inspection(), finished_at=datetime(2026, 11, 20))])  # noqa: DTZ001
    assert store.latest() == ()


def test_a_batch_is_kept_whole_or_not_at_all(store: TraceStore):
    broken = replace(an_inspection(), lane=None)  # type: ignore[arg-type]
    with pytest.raises(DBAPIError):
        store.record([an_inspection(), broken])
    assert store.latest() == ()
    assert store.find("86") == ()


def test_the_latest_are_told_newest_first_and_may_be_chosen(store: TraceStore):
    older = an_inspection(finished_at=NOON, verdict=Verdict.REJECT, lane="part")
    newer = an_inspection(finished_at=NOON + timedelta(seconds=1))
    made_up = an_inspection(finished_at=NOON + timedelta(seconds=2), simulated=True, station="other")
    store.record([newer, made_up, older])
    assert store.latest() == (made_up, newer, older)
    assert store.latest(limit=1) == (made_up,)
    assert store.latest(verdicts=[Verdict.REJECT, Verdict.REVIEW]) == (older,)
    assert store.latest(verdicts=[]) == ()
    assert store.latest(lane="part") == (older,)
    assert store.latest(station="other") == (made_up,)
    assert store.latest(simulated=False) == (newer, older)


def test_nothing_is_counted_where_nothing_was_seen(store: TraceStore):
    counts = store.counts(since=NOON)
    assert counts.units == dict.fromkeys(Verdict, 0)
    assert (counts.triggers, counts.unaccounted, counts.in_hand) == (0, 0, 0)


def test_a_window_holds_its_beginning_and_not_its_end(store: TraceStore):
    store.record([an_inspection(finished_at=NOON), an_inspection(finished_at=NOON + timedelta(hours=1))])
    counts = store.counts(since=NOON, until=NOON + timedelta(hours=1))
    assert counts.units[Verdict.ACCEPT] == 1
    assert store.counts(since=NOON).units[Verdict.ACCEPT] == 2


def test_units_in_hand_are_counted_for_their_lane_and_are_never_simulated(store: TraceStore):
    store.begin([an_inspection_begun(lane="strip"), an_inspection_begun(lane="part")])
    assert store.counts(since=NOON).in_hand == 2
    assert store.counts(since=NOON, lane="part").in_hand == 1
    assert store.counts(since=NOON, station="elsewhere").in_hand == 0
    assert store.counts(since=NOON, simulated=True).in_hand == 0


def test_an_exposure_that_no_count_explains_shows_as_unaccounted(store: TraceStore):
    store.record([an_inspection(frames_inspected=38, frames_failed=1, frames_lost=1)])
    assert store.counts(since=NOON).unaccounted == 0
    store.record([an_inspection(triggers=40, frames_inspected=38, frames_failed=1)])
    assert store.counts(since=NOON).unaccounted == 1


def test_a_frame_too_many_in_one_unit_does_not_hide_one_too_few_in_another(store: TraceStore):
    store.record([an_inspection(triggers=41), an_inspection(triggers=39)])
    counts = store.counts(since=NOON)
    assert (counts.triggers, counts.unaccounted) == (80, 2)


def test_codes_are_found_by_any_part_of_them_those_that_begin_with_it_first(store: TraceStore):
    codes = ["86.999.1/COIL-1", "COIL-9", "coil-2", "86.999.1/PART-1"]
    store.record([an_inspection(unit=a_unit(code)) for code in codes])
    assert [str(code) for code in store.find("Coil")] == ["COIL-9", "coil-2", "86.999.1/COIL-1"]
    assert [str(code) for code in store.find("Coil", limit=1)] == ["COIL-9"]
    assert store.find("nothing-like-it") == ()
    assert store.find("") == ()
    assert store.find("COIL\x00") == ()


def test_signs_that_stand_for_any_letter_elsewhere_stand_for_themselves(store: TraceStore):
    store.record(
        [an_inspection(unit=a_unit(code)) for code in ("86.1/A_1", "86.1/AB1", "86.1/50%", "86.1/A\\")]
    )
    assert [str(code) for code in store.find("A_")] == ["86.1/A_1"]
    assert [str(code) for code in store.find("%")] == ["86.1/50%"]
    assert [str(code) for code in store.find("\\")] == ["86.1/A\\"]


def test_two_writers_of_the_same_units_at_once_leave_one_of_each(store: TraceStore):
    units = [a_unit(f"86.1/{number}") for number in range(40)]
    batches = [[an_inspection(unit=unit) for unit in order] for order in (units, units[::-1]) * 4]
    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(store.record, batches)) == 8 * 40
    with store.reading() as connection:
        assert connection.execute(select(func.count()).select_from(tables.identifier)).scalar_one() == 40
        assert connection.execute(select(func.count()).select_from(tables.unit)).scalar_one() == 40


seen = st.tuples(
    st.sampled_from(list(Verdict)),
    st.integers(0, 50),
    st.integers(0, 5),
    st.integers(0, 5),
    st.integers(0, 72 * 60),
    st.booleans(),
    st.lists(st.sampled_from(["scratch", "pit", "patch"]), max_size=3),
)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[TraceStore, TraceStore]]:
    """The same store on both engines."""
    with ExitStack() as held:
        folder = tmp_path_factory.mktemp("both")
        urls = [held.enter_context(a_database(engine, folder)) for engine in ENGINES]
        first, second = (held.enter_context(TraceStore.open(url)) for url in urls)
        yield first, second


@settings(max_examples=25, deadline=None)
@given(st.lists(seen, max_size=12), st.sampled_from(["hour", "shift"]))
def test_both_engines_give_the_same_answers_and_the_counts_balance(
    both: tuple[TraceStore, TraceStore], what: list[tuple[Any, ...]], by: samples.By
):
    station = f"s{uuid7().hex}"  # what earlier examples recorded is not this one's business
    inspections = [
        an_inspection(
            station=station,
            unit=a_unit(f"86.1/{minute % 7}"),
            verdict=verdict,
            frames_inspected=inspected,
            frames_failed=failed,
            frames_lost=lost,
            finished_at=NOON + timedelta(minutes=minute),
            simulated=simulated,
            defects=tuple(a_defect(kind=kind) for kind in kinds),
        )
        for verdict, inspected, failed, lost, minute, simulated, kinds in what
    ]

    def answers(store: TraceStore) -> list[object]:
        window = {"since": NOON, "until": NOON + timedelta(days=4), "station": station}
        subgroups = samples.count_samples(store, by=by, **window)
        counts = store.counts(**window)
        assert counts.unaccounted == 0
        assert sum(counts.units.values()) == len(inspections)
        assert sum(one.opportunity + one.not_inspected for one in subgroups) == len(inspections)
        assert sum(one.count for one in subgroups) == counts.units[Verdict.REJECT]
        return [
            store.record(inspections),
            store.latest(station=station, limit=100),
            counts,
            subgroups,
            samples.pareto(store, **window),
            [samples.units_of_subgroup(store, one.key, station=station) for one in subgroups],
            store.find("86.1/"),
        ]

    for store in both:
        assert store.record(inspections) == len(inspections)
    assert answers(both[0]) == answers(both[1])
