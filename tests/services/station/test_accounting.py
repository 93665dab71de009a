"""Each kind of gap between engine, service and records is planted once, and seen."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, select, update

from inspection.tally import UNACCOUNTED
from inspection.types import Verdict
from services.live import LiveState
from services.station.account import Delivered, LaneAccount
from services.station.accounting import (
    AWAY,
    AWAY_S,
    GAP,
    LATE,
    LATE_S,
    MISTAKEN,
    MISTAKEN_S,
    OVERLOAD,
    OVERLOAD_S,
    RECORDS_GAP,
    STARTS_S,
    UNIT_GAP,
    Accounting,
)
from services.station.link import Backlog, Hello
from services.station.messages import FramesUntold
from services.station.recipes import Wishes
from services.station.records import Records
from services.text import LANGUAGES
from services.web.pages import explained
from station_config import Title
from tests.builders import NOON, an_inspection, an_inspection_begun
from tests.services.station.test_records import a_frame
from traceability import tables
from traceability.database import open_engine, writing
from traceability.errors import DatabaseUnreachable, DiskFull
from traceability.images import ImageStore
from traceability.retention import Rules
from traceability.store import TraceStore


class Station:
    """A service whose clock the test turns, and an engine's messages as the test says them."""

    def __init__(self, folder, *, store=TraceStore) -> None:
        self.database = f"sqlite:///{folder / 'lynceus.db'}"
        self.store = store.open(self.database)
        self.images = ImageStore(folder / "pictures")
        self.logs = folder / "engine"
        self.now = NOON
        self.serves()

    def serves(self) -> None:
        """A service begins; what one before it had in memory is gone."""
        self.live = LiveState()
        self.accounting = Accounting(
            self.store,
            "demo",
            alarmed=self.live.alarms,
            monotonic_s=lambda: self.now.timestamp(),
            now=lambda: self.now,
        )
        self.records = Records(
            store=self.store,
            images=self.images,
            live=self.live,
            accounting=self.accounting,
            wishes=Wishes(),
            retention=Rules(max_bytes=10**9),
            first=lambda _: None,
            engine_logs=self.logs,
        )
        self.accounting.engine_says(())

    def passes(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def says(self, account: LaneAccount) -> None:
        self.records.stands(Backlog(waiting=0, given_up=0, accounts=(account,)))

    def unit(self, *, frames: int = 3, told: int = 3, **overrides):
        """A unit of so many frames, of which the service is told so many, as it is on record."""
        begun = an_inspection_begun()
        inspection = an_inspection(
            **{"id": begun.id, "frames_inspected": frames, "finished_at": self.now, **overrides}
        )
        self.records.commit([begun, *(a_frame(begun, sequence=n) for n in range(told)), inspection])
        return self.store.inspection(begun.id)

    @property
    def alarms(self) -> dict:
        lane = self.live.of_lane("strip")
        return {} if lane is None else {alarm.code: alarm for alarm in lane.alarms}

    def metric(self, line: str) -> bool:
        return line in self.live.exposition(self.now).decode().splitlines()


@pytest.fixture
def station(tmp_path):
    made = Station(tmp_path)
    yield made
    made.store.close()


ACCOUNT = LaneAccount(lane="strip")
ONE_UNIT = ACCOUNT.with_unit(an_inspection(frames_inspected=3))


def told_of(account: LaneAccount, results: int) -> LaneAccount:
    return replace(account, results=results, inspected=results, exposures=results, frames=results)


def test_a_station_all_of_whose_counts_agree_accepts_and_has_no_alarm(station):
    unit = station.unit()
    station.says(told_of(ONE_UNIT, 3))
    station.accounting.audit()
    assert unit.verdict is Verdict.ACCEPT
    assert station.alarms == {}
    (balance,) = station.accounting.balances()
    assert balance.is_balanced
    assert balance.books.recorded.triggers == balance.delivered.triggers == balance.account.triggers == 3


@pytest.mark.parametrize(("told", "verdict"), [(2, Verdict.ACCEPT), (4, Verdict.ACCEPT), (2, Verdict.REJECT)])
def test_a_unit_whose_record_has_frames_that_nobody_told_of_is_not_accepted(station, told, verdict):
    unit = station.unit(frames=3, told=told, verdict=verdict)
    assert unit.verdict is max(verdict, Verdict.NOT_INSPECTED)
    assert unit.failures == {UNACCOUNTED: 1}
    assert abs(unit.unaccounted) == 1
    station.accounting.audit()
    assert station.alarms[UNIT_GAP].withholds
    assert station.alarms[UNIT_GAP].facts["units"] == str(unit.unit)
    assert station.metric('alarm{code="SVC-UNIT-UNACCOUNTED",lane="strip"} 1.0')
    assert station.metric('account_gap{lane="strip"} 1.0')


@pytest.mark.parametrize(
    ("inspected", "failed", "told", "recorded"),
    [(0, 3, 1, (0, 1)), (1, 2, 1, (0, 1)), (2, 1, 1, (0, 1)), (3, 1, 2, (1, 1)), (0, 3, 5, (2, 3))],
)
def test_a_unit_whose_frames_failed_and_were_not_all_told_is_recorded_and_counts_below_none(
    station, inspected, failed, told, recorded
):
    unit = station.unit(
        frames=inspected,
        frames_failed=failed,
        told=told,
        triggers=inspected + failed,
        verdict=Verdict.NOT_INSPECTED,
        failures={"INS-TOO-DARK": failed},
    )
    assert (unit.frames_inspected, unit.frames_failed) == recorded
    assert unit.unaccounted == inspected + failed - told
    assert unit.failures[UNACCOUNTED] == abs(unit.unaccounted)
    assert unit.verdict is Verdict.NOT_INSPECTED


@given(inspected=st.integers(0, 50), failed=st.integers(0, 50), told=st.integers(0, 120))
def test_whatever_nobody_told_of_is_taken_from_a_record_and_no_count_falls_below_none(
    inspected, failed, told
):
    accounting = Accounting(None, "demo", alarmed=lambda *_: None)
    begun = an_inspection_begun()
    accounting.begun(begun.id)
    accounting.told(FramesUntold(inspection_id=begun.id, lane="strip", count=told))
    closed = an_inspection(
        id=begun.id, frames_inspected=inspected, frames_failed=failed, triggers=inspected + failed
    )
    settled = accounting.settle(closed)
    assert min(settled.frames_inspected, settled.frames_failed) >= 0
    assert settled.frames_inspected + settled.frames_failed == told
    assert settled.triggers == inspected + failed
    assert (settled.verdict is Verdict.ACCEPT) == (told == inspected + failed)


def test_results_given_up_under_load_are_counted_and_their_unit_is_accepted(station):
    begun = an_inspection_begun()
    inspection = an_inspection(id=begun.id, frames_inspected=40)
    untold = FramesUntold(inspection_id=begun.id, lane="strip", count=39)
    station.records.commit([begun, a_frame(begun), untold, inspection])
    assert station.store.inspection(begun.id).verdict is Verdict.ACCEPT


def test_a_service_that_was_killed_in_mid_unit_does_not_take_what_its_forerunner_saw_for_a_gap(station):
    begun = an_inspection_begun()
    station.records.commit([begun, a_frame(begun), a_frame(begun, sequence=1)])
    station.serves()
    station.records.greet(Hello({begun.id: 2}, {"strip": Delivered(results=2)}))
    inspection = an_inspection(id=begun.id, frames_inspected=3)
    station.records.commit([a_frame(begun, sequence=2), inspection])
    station.says(told_of(ONE_UNIT, 3))
    assert station.store.inspection(begun.id).verdict is Verdict.ACCEPT
    assert station.alarms == {}


def test_a_service_that_was_killed_and_lost_a_frame_withholds_the_unit(station):
    begun = an_inspection_begun()
    station.records.commit([begun, a_frame(begun)])
    station.serves()
    station.records.greet(Hello({begun.id: 1}, {"strip": Delivered(results=1)}))
    station.records.commit([a_frame(begun, sequence=2), an_inspection(id=begun.id, frames_inspected=3)])
    assert station.store.inspection(begun.id).verdict is Verdict.NOT_INSPECTED


def test_a_gap_in_the_engines_own_account_withholds_the_next_unit_and_no_other(station, caplog):
    assert station.unit().verdict is Verdict.ACCEPT
    station.says(replace(told_of(ONE_UNIT, 3), gap=2))
    assert station.alarms[GAP].withholds
    assert station.alarms[GAP].facts["count"] == 2
    assert "SVC-ACCOUNT-GAP" in caplog.text
    withheld, after = station.unit(), station.unit()
    assert (withheld.verdict, withheld.unaccounted) == (Verdict.NOT_INSPECTED, 2)
    assert after.verdict is Verdict.ACCEPT
    # It stands until the shift is over.
    station.says(replace(told_of(ONE_UNIT, 3), gap=2, units=3))
    station.accounting.audit()
    assert {GAP, UNIT_GAP} <= set(station.alarms)
    station.passes(8 * 3600)
    station.says(replace(ACCOUNT, units=3))
    station.records.greet(Hello({}, {}))
    station.accounting.audit()
    assert station.alarms == {}


def test_a_gap_of_the_engines_account_stands_until_the_shift_is_over_and_no_longer(station):
    station.unit()
    station.says(replace(told_of(ONE_UNIT, 3), gap=2))
    station.unit()
    account = replace(told_of(ONE_UNIT.with_unit(an_inspection(frames_inspected=3)), 6), gap=2)
    station.passes(3600)
    station.says(account)
    station.accounting.audit()
    assert GAP in station.alarms
    station.passes(8 * 3600)
    # The engine runs on, and says the same sum of all its time.
    station.says(account)
    station.accounting.audit()
    station.says(account)
    assert station.alarms == {}
    assert station.metric('account_gap{lane="strip"} 0.0')
    (balance,) = station.accounting.balances()
    assert balance.is_balanced
    # What comes to it in this shift is this shift's.
    station.says(replace(account, gap=5))
    assert station.alarms[GAP].facts["count"] == 3
    assert station.unit().unaccounted == 3


def test_a_gap_that_still_waits_for_a_unit_when_the_shift_is_over_is_the_next_shifts(station):
    station.says(replace(ACCOUNT, gap=2))
    station.passes(8 * 3600)
    station.accounting.audit()
    assert station.alarms[GAP].facts["count"] == 2
    assert station.unit().unaccounted == 2
    station.accounting.audit()
    assert GAP in station.alarms
    station.passes(8 * 3600)
    station.accounting.audit()
    assert station.alarms == {}


def test_a_gap_whose_engine_is_gone_is_taken_off_the_page_when_the_shift_is_over(station):
    station.says(replace(ACCOUNT, gap=2))
    station.records.greet(Hello({}, {}))
    station.accounting.audit()
    assert set(station.alarms) == {GAP}
    station.passes(8 * 3600)
    station.accounting.audit()
    assert station.alarms == {}


def test_more_units_on_record_than_the_engine_closed_is_a_gap(station):
    station.unit()
    station.says(ACCOUNT)
    assert GAP in station.alarms


def test_units_whose_exposures_changed_on_the_way_are_a_gap(station):
    station.unit()
    station.says(replace(told_of(ONE_UNIT, 3), triggers=5))
    assert station.alarms[GAP].facts["count"] == 2


def test_a_unit_that_the_engine_closed_and_nobody_recorded_is_missed(station):
    station.unit()
    account = replace(told_of(ONE_UNIT, 3), units=2)
    station.says(account)
    station.passes(LATE_S / 2)
    station.says(account)
    assert station.alarms == {}
    station.passes(LATE_S)
    station.says(account)
    assert station.alarms[LATE].facts["count"] == 1
    station.unit()
    station.says(replace(account, triggers=6, results=6))
    assert station.alarms == {}


def remove(station, unit) -> None:
    engine = open_engine(station.database)
    with writing(engine) as connection:
        connection.execute(delete(tables.inspection).where(tables.inspection.c.id == unit.id))
    engine.dispose()


def test_a_record_that_is_removed_is_missed_and_the_next_unit_is_withheld(station):
    gone = station.unit(models=())
    station.accounting.audit()
    assert station.alarms == {}
    remove(station, gone)
    station.accounting.audit()
    assert station.alarms[RECORDS_GAP].facts["count"] == 3
    assert station.unit().verdict is Verdict.NOT_INSPECTED
    assert station.unit().verdict is Verdict.ACCEPT
    # A service that starts anew finds it all the same.
    station.serves()
    station.accounting.audit()
    assert RECORDS_GAP in station.alarms


def test_a_removed_record_withholds_the_next_unit_though_an_engine_comes_again_before_it(station):
    gone = station.unit(models=())
    remove(station, gone)
    station.accounting.audit()
    station.records.greet(Hello({}, {"strip": Delivered(units=1, triggers=3, results=3)}))
    station.accounting.audit()
    withheld, after = station.unit(), station.unit()
    assert (withheld.verdict, withheld.unaccounted) == (Verdict.NOT_INSPECTED, 3)
    assert after.verdict is Verdict.ACCEPT


class IsBusy(TraceStore):
    """A database that does not take the next records, once."""

    is_busy = False

    def record(self, inspections):
        if self.is_busy and inspections:
            self.is_busy = False
            raise DatabaseUnreachable("locked", action="Wait.")
        return super().record(inspections)


def test_a_removed_record_withholds_the_next_unit_though_it_could_not_be_recorded_at_once(tmp_path):
    station = Station(tmp_path, store=IsBusy)
    gone = station.unit(models=())
    remove(station, gone)
    station.accounting.audit()
    before = {"strip": Delivered(units=1, triggers=3, results=3)}
    begun = an_inspection_begun()
    inspection = an_inspection(id=begun.id, frames_inspected=3, finished_at=station.now)
    batch = [begun, *(a_frame(begun, sequence=n) for n in range(3)), inspection]
    station.store.is_busy = True
    with pytest.raises(DatabaseUnreachable):
        station.records.commit(batch)
    # The engine keeps what was not taken, comes again and brings it again.
    station.records.greet(Hello({begun.id: 0}, before))
    station.records.commit(batch)
    station.says(told_of(ONE_UNIT.with_unit(inspection), 6))
    assert station.store.inspection(begun.id).verdict is Verdict.NOT_INSPECTED
    # On record now: it withholds no other, whether the engine comes again or not.
    station.records.greet(Hello({}, {"strip": Delivered(units=2, triggers=6, results=6)}))
    assert station.unit().verdict is Verdict.ACCEPT
    station.store.close()


def test_a_withheld_unit_whose_taking_the_engine_did_not_hear_of_comes_again_and_is_the_same(station):
    remove(station, station.unit(models=()))
    station.accounting.audit()
    begun = an_inspection_begun()
    inspection = an_inspection(id=begun.id, frames_inspected=3, finished_at=station.now)
    batch = [begun, *(a_frame(begun, sequence=n) for n in range(3)), inspection]
    station.records.commit(batch)
    station.records.greet(Hello({begun.id: 0}, {"strip": Delivered(units=1, triggers=3, results=3)}))
    station.records.commit(batch)
    assert station.store.inspection(begun.id).unaccounted == 3
    engine = open_engine(station.database)
    with writing(engine) as connection:
        assert connection.execute(select(tables.contradiction)).all() == []
    engine.dispose()
    assert station.unit().verdict is Verdict.ACCEPT


def test_a_record_whose_frames_are_altered_is_seen(station):
    altered = station.unit(frames_lost=1, told=3, verdict=Verdict.NOT_INSPECTED)
    engine = open_engine(station.database)
    with writing(engine) as connection:
        connection.execute(
            update(tables.inspection)
            .where(tables.inspection.c.id == altered.id)
            .values(frames_lost=0, triggers=3, verdict=Verdict.ACCEPT)
        )
    engine.dispose()
    station.accounting.audit()
    assert set(station.alarms) == {RECORDS_GAP}


def test_an_engine_that_was_killed_leaves_no_gap(station):
    begun = an_inspection_begun()
    station.records.commit([begun, a_frame(begun)])
    station.says(replace(ACCOUNT, exposures=2, frames=2, results=1))
    station.records.greet(Hello({}, {}))
    station.says(ACCOUNT)
    station.accounting.audit()
    assert station.store.inspection(begun.id).verdict is Verdict.NOT_INSPECTED
    assert station.alarms == {}


def test_a_lane_that_drops_frames_says_which_step_is_slow_until_a_minute_after_the_last(station):
    slow = replace(ACCOUNT, dropped=4, passed_over=4, step_ms={"wait": 400.0, "check": 2.0, "detect": 81.6})
    station.says(slow)
    assert station.alarms[OVERLOAD].facts | {"lane": ""} == {
        "lane": "",
        "count": 4,
        "step": "detect",
        "step_ms": "82",
    }
    assert not station.alarms[OVERLOAD].withholds
    station.passes(OVERLOAD_S + 1)
    station.says(slow)
    assert station.alarms == {}


def test_a_program_that_fails_on_frames_is_an_alarm_until_a_minute_after_the_last(station):
    failing = replace(ACCOUNT, mistakes=3)
    station.says(failing)
    assert station.alarms[MISTAKEN].facts == {"lane": "strip", "count": 3}
    assert not station.alarms[MISTAKEN].withholds
    station.passes(MISTAKEN_S - 1)
    station.says(replace(failing, mistakes=4))
    station.passes(MISTAKEN_S - 1)
    station.says(replace(failing, mistakes=4))
    assert station.alarms[MISTAKEN].facts["count"] == 4
    station.passes(2)
    station.says(replace(failing, mistakes=4))
    assert station.alarms == {}
    # Another engine begins its account anew.
    station.accounting.greet(Hello(in_hand={}, delivered={}))
    station.says(replace(ACCOUNT, mistakes=1))
    assert station.alarms[MISTAKEN].facts["count"] == 1


def test_an_engine_that_is_away_is_an_alarm_on_every_lane_until_it_is_back(station):
    station.says(ACCOUNT)
    station.records.gone()
    station.accounting.look_for_engine()
    assert station.alarms == {}, "a station that is stopped ends its engine first"
    station.passes(AWAY_S)
    station.accounting.look_for_engine()
    assert not station.alarms[AWAY].withholds
    (shown,) = station.live.board.shown(station.now)
    assert (shown.alarm.code, shown.alarm.lane, shown.state) == (AWAY, "strip", "unacknowledged")
    assert station.metric('alarm{code="SVC-ENGINE-AWAY",lane="strip"} 1.0')
    station.records.greet(Hello({}, {}))
    station.says(ACCOUNT)
    station.accounting.look_for_engine()
    assert station.alarms == {}
    assert [one.state for one in station.live.board.shown(station.now)] == ["returned"]


def test_an_engine_whose_records_cannot_be_stored_comes_again_and_again_and_is_away_all_the_time(
    station, monkeypatch
):
    station.says(ACCOUNT)

    def full(inspections):
        """A disk that can be read, so that the engine is greeted, and takes nothing."""
        if inspections:
            raise DiskFull("The disk is full.", action="Free it.")

    monkeypatch.setattr(station.store, "record", full)
    for _ in range(4):
        station.records.greet(Hello({}, {}))
        with pytest.raises(DiskFull):
            station.records.commit([an_inspection()])
        station.records.gone()
        station.passes(AWAY_S / 4)
        station.accounting.look_for_engine()
    station.passes(AWAY_S / 4)
    station.accounting.look_for_engine()
    assert set(station.alarms) == {AWAY}


def test_a_service_to_which_no_engine_ever_came_says_so_of_every_lane_of_its_station(station):
    told = {}
    accounting = Accounting(
        station.store,
        "demo",
        lanes=["strip", "parts"],
        alarmed=lambda lane, alarms, _: told.update({lane: [alarm.code for alarm in alarms]}),
        monotonic_s=lambda: station.now.timestamp(),
        now=lambda: station.now,
    )
    station.passes(STARTS_S - 1)
    accounting.look_for_engine()
    assert told == {}, "both may be starting"
    station.passes(1)
    accounting.look_for_engine()
    assert told == {"parts": [AWAY], "strip": [AWAY]}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_alarm_says_what_happened_and_what_to_do(station, language):
    station.unit(told=2)
    station.says(replace(ACCOUNT, gap=1, dropped=1, step_ms={"detect": 9.0}, units=4))
    station.passes(LATE_S + 1)
    station.says(replace(ACCOUNT, gap=1, dropped=2, mistakes=1, step_ms={"detect": 9.0}, units=4))
    engine = open_engine(station.database)
    with writing(engine) as connection:
        connection.execute(delete(tables.rollup_units))
    engine.dispose()
    station.records.gone()
    station.passes(AWAY_S)
    station.accounting.audit()
    assert set(station.alarms) == {GAP, UNIT_GAP, RECORDS_GAP, LATE, OVERLOAD, MISTAKEN, AWAY}
    for alarm in station.alarms.values():
        said = explained(alarm, language, {"strip": Title(en="Strip", zh="带钢")})
        assert said.code == alarm.code
        assert {"en": "Strip", "zh": "带钢"}[language] in said.what
        assert said.action
