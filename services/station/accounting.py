"""The station's accounting: what engine, service and database each counted, compared all the time.

`docs/accounting.md` has the equation, who counts each term, and what follows from a gap. In short: one that can be told
to be a unit's is recorded with that unit, one that cannot with the unit that is closed next on the lane; neither is
accepted, and an alarm stands until the shift is over.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from inspection.tally import UNACCOUNTED
from inspection.types import Inspection, Verdict
from services.station.account import Delivered, LaneAccount
from services.station.link import Hello
from services.station.messages import Alarm, FrameSeen, FramesUntold
from traceability.books import Books, Sums
from traceability.rollups import QUARTER, quarter_of
from traceability.samples import Shifts, shift_at
from traceability.store import TraceStore

logger = logging.getLogger(__name__)

LATE_S: Final = 10.0
"""A unit that the engine has closed is on record within a second; so long without it is an alarm."""

OVERLOAD_S: Final = 60.0
"""So long after the last frame was dropped a lane still counts as too slow."""

MISTAKEN_S: Final = 60.0
"""So long after our own code threw on a lane's frame somebody still is to look at it."""

AWAY_S: Final = 2.0
"""So long without an engine is an alarm. A station that is stopped ends its engine first, and its service at once
after it: that is none."""

STARTS_S: Final = 30.0
"""So long a service that begins gives the engine to come, which may be starting like itself."""

NAMED: Final = 3
"""Of units with a gap so many are named; the others are found by their counts."""

GAP = "SVC-ACCOUNT-GAP"
UNIT_GAP = "SVC-UNIT-UNACCOUNTED"
RECORDS_GAP = "SVC-RECORDS-ALTERED"
LATE = "SVC-RECORDS-LATE"
OVERLOAD = "SVC-LANE-OVERLOAD"
MISTAKEN = "SVC-LANE-MISTAKEN"
AWAY = "SVC-ENGINE-AWAY"


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneBalance:
    """How a lane's counts stand to each other.

    account    the engine's, since it started
    delivered  what this service and those before it took from that engine
    books      of this shift: what was handed over to be recorded, and what the records say
    unaccounted  exposures of the shift's units that nobody can say anything about
    """

    lane: str
    shift_since: datetime
    account: LaneAccount
    delivered: Delivered
    books: Books
    unaccounted: int
    alarms: tuple[Alarm, ...]

    @property
    def is_balanced(self) -> bool:
        return not any(alarm.withholds for alarm in self.alarms)


@dataclass(slots=True)
class _Lane:
    account: LaneAccount
    delivered: Delivered = field(default_factory=Delivered)
    books: Books = field(default_factory=lambda: Books(handed_over=Sums(), recorded=Sums()))
    unaccounted: int = 0
    units_with_gaps: tuple[str, ...] = ()
    # What was charged to a unit by now, and what still waits for one, by the account of the engine that is here.
    charged: int = 0
    to_charge: int = 0
    # What of that was charged before this shift began.
    charged_before: int = 0
    # The same by the books, which know nothing of engines, and what was charged to units of the batch in hand: that is
    # on record only once the batch is.
    books_charged: int = 0
    books_to_charge: int = 0
    books_in_batch: int = 0
    # What the engine had closed when it was last not all here, and since when.
    target: int = 0
    target_s: float = 0.0
    dropped: int = 0
    dropped_s: float | None = None
    mistakes: int = 0
    mistakes_s: float | None = None
    alarms: dict[str, Alarm] = field(default_factory=dict)

    @property
    def charged_in_shift(self) -> int:
        return self.charged - self.charged_before


class Accounting:
    """One station's. Fed by the service's engine thread and by a clock, read by pages; safe to use from all of them.

    lanes    of the station: without an engine each of them is blind, also one that was never heard of
    alarmed  told a lane's alarms when they change, and the size of its gap
    """

    def __init__(
        self,
        store: TraceStore,
        station: str,
        *,
        lanes: Iterable[str] = (),
        alarmed: Callable[[str, tuple[Alarm, ...], int], None],
        monotonic_s: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        plan: Shifts | None = None,
    ) -> None:
        self._store = store
        self.station = station
        self._own_lanes = frozenset(lanes)
        self._alarmed = alarmed
        self._monotonic_s = monotonic_s
        self._now = now
        self._plan = plan or Shifts()
        self._lock = threading.RLock()
        self._lanes: dict[str, _Lane] = {}
        self._told: dict[UUID, int] = {}
        self._shift_since = shift_at(now(), self._plan).since
        # None while an engine is here.
        self._engine_due_s: float | None = monotonic_s() + STARTS_S

    # --- by the service's engine thread

    def greet(self, hello: Hello) -> None:
        """An engine has come, or has come again: what was taken from it before counts."""
        with self._lock:
            self._told = dict(hello.in_hand)
            for name in self._lanes.keys() | hello.delivered.keys():
                lane = self._lane(name)
                lane.delivered = hello.delivered.get(name, Delivered())
                lane.account = LaneAccount(lane=name)
                lane.charged = lane.charged_before = lane.to_charge = lane.target = 0
                lane.dropped = lane.mistakes = 0
                # What was not acknowledged comes again, and its unit is to be recorded as it would have been before.
                lane.books_to_charge += lane.books_in_batch
                lane.books_in_batch = 0

    def begun(self, inspection_id: UUID) -> None:
        with self._lock:
            self._told.setdefault(inspection_id, 0)

    def told(self, message: FrameSeen | FramesUntold) -> None:
        """One frame, or so many of which only the number came."""
        count = message.count if isinstance(message, FramesUntold) else 1
        with self._lock:
            lane = self._lane(message.lane)
            lane.delivered = lane.delivered.with_results(count)
            self._told[message.inspection_id] = self._told.get(message.inspection_id, 0) + count

    def settle(self, inspection: Inspection) -> Inspection:
        """The inspection as it is to be recorded: as it came, or not accepted, where its frames are not those that
        this service was told of, or a gap waits for a unit."""
        with self._lock:
            lane = self._lane(inspection.lane)
            lane.delivered = lane.delivered.with_unit(inspection)
            told = self._told.pop(inspection.id, None)
            judged = inspection.frames_inspected + inspection.frames_failed
            differs = 0 if told is None else told - judged
            waiting = lane.to_charge + lane.books_to_charge
            lane.books_in_batch += lane.books_to_charge
            lane.to_charge = lane.books_to_charge = 0
        if not differs and not waiting:
            return inspection
        logger.error(
            "Unit %s: told of %s frames, its record has %s; %s more of its lane have no unit: not accepted",
            inspection.unit,
            told,
            judged,
            waiting,
        )
        failures = dict(inspection.failures)
        failures[UNACCOUNTED] = failures.get(UNACCOUNTED, 0) + abs(differs) + waiting
        # What nobody told of is not inspected; where there is less of that than is missing, it did not fail either.
        inspected = max(0, inspection.frames_inspected + differs)
        return replace(
            inspection,
            verdict=Verdict.worst([inspection.verdict, Verdict.NOT_INSPECTED]),
            grade=None,
            frames_inspected=inspected,
            frames_failed=judged + differs - inspected,
            # What waits for a unit was due to somebody.
            triggers=inspection.triggers + waiting,
            failures=failures,
        )

    def gone(self) -> None:
        """Its connection ended."""
        with self._lock:
            if self._engine_due_s is None:
                self._engine_due_s = self._monotonic_s() + AWAY_S

    def engine_says(self, accounts: Sequence[LaneAccount]) -> None:
        """The lanes' accounts, after all that came before them was taken."""
        with self._lock:
            # Not as it says hello: one whose records cannot be stored says that twice a second, and is away.
            self._engine_due_s = None
            for lane in self._lanes.values():
                lane.books_in_batch = 0
            for account in accounts:
                lane = self._lane(account.lane)
                lane.account = account
                gap = account.gap + _surplus(account, lane.delivered)
                if gap > lane.charged:
                    lane.to_charge += gap - lane.charged
                    lane.charged = gap
                self._watch_lateness(lane)
                self._watch_frames(lane)
                self._tell(account.lane)

    # --- by a clock

    def look_for_engine(self) -> None:
        """Raise the alarm of one that is away, and clear that of one that is back. Asks no database."""
        with self._lock:
            names = self._lanes.keys() | (self._own_lanes if self._is_away() else frozenset())
            for name in sorted(names):
                self._lane(name)
                self._tell(name)

    def audit(self) -> None:
        """Compare the records of this shift with what was handed over. Raises DatabaseUnreachable."""
        now = self._now()
        since = shift_at(now, self._plan).since
        until = quarter_of(now) + QUARTER
        books = self._store.books(station=self.station, since=quarter_of(since), until=until)
        gaps = self._store.with_gaps(station=self.station, since=since)
        with self._lock:
            is_new_shift = since != self._shift_since
            if is_new_shift:
                self._shift_since = since
                for lane in self._lanes.values():
                    lane.books_charged = 0
                    # What still waits for a unit will be with one of this shift.
                    lane.charged_before = lane.charged - lane.to_charge
            for name in self._lanes.keys() | books.keys() | {one.lane for one in gaps}:
                lane = self._lane(name)
                lane.books = books.get(name, Books(handed_over=Sums(), recorded=Sums()))
                if lane.books.gap > lane.books_charged:
                    lane.books_to_charge += lane.books.gap - lane.books_charged
                    lane.books_charged = lane.books.gap
                own = [one for one in gaps if one.lane == name]
                lane.unaccounted = sum(one.unaccounted for one in own)
                lane.units_with_gaps = tuple(str(one.unit) for one in own[-NAMED:])
                self._tell(name, is_new_shift=is_new_shift)

    # --- by pages

    def balances(self) -> tuple[LaneBalance, ...]:
        """Every lane that was heard of, or has no engine, by name."""
        with self._lock:
            return tuple(
                LaneBalance(
                    lane=name,
                    shift_since=self._shift_since,
                    account=lane.account,
                    delivered=lane.delivered,
                    books=lane.books,
                    unaccounted=lane.unaccounted,
                    alarms=tuple(lane.alarms[code] for code in sorted(lane.alarms)),
                )
                for name, lane in sorted(self._lanes.items())
            )

    # ---

    def _lane(self, name: str) -> _Lane:
        if name not in self._lanes:
            self._lanes[name] = _Lane(account=LaneAccount(lane=name))
        return self._lanes[name]

    def _is_away(self) -> bool:
        return self._engine_due_s is not None and self._monotonic_s() >= self._engine_due_s

    def _watch_lateness(self, lane: _Lane) -> None:
        if lane.delivered.units >= lane.target:
            lane.target, lane.target_s = lane.account.units, self._monotonic_s()

    def _watch_frames(self, lane: _Lane) -> None:
        if lane.account.dropped > lane.dropped:
            lane.dropped, lane.dropped_s = lane.account.dropped, self._monotonic_s()
        if lane.account.mistakes > lane.mistakes:
            lane.mistakes, lane.mistakes_s = lane.account.mistakes, self._monotonic_s()

    def _tell(self, name: str, *, is_new_shift: bool = False) -> None:
        """Raise and clear alarms as things stand, and say so where that changes anything."""
        lane = self._lanes[name]
        standing = {alarm.code: alarm for alarm in self._alarms_of(name, lane)}
        # Its cause has been charged to a unit, or will be; it stands until the shift is over.
        if GAP in lane.alarms and not is_new_shift:
            standing.setdefault(GAP, lane.alarms[GAP])
        standing = {
            code: replace(alarm, since=lane.alarms[code].since) if code in lane.alarms else alarm
            for code, alarm in standing.items()
        }
        if standing == lane.alarms:
            return
        for code in standing.keys() - lane.alarms.keys():
            logger.error("Alarm %s on lane %s: %s", code, name, dict(standing[code].facts))
        for code in lane.alarms.keys() - standing.keys():
            logger.info("Alarm %s on lane %s is over", code, name)
        lane.alarms = standing
        gap = lane.charged_in_shift + lane.books.gap + lane.unaccounted
        self._alarmed(name, tuple(standing[code] for code in sorted(standing)), gap)

    def _alarms_of(self, name: str, lane: _Lane) -> list[Alarm]:
        def alarm(code: str, *, withholds: bool = True, **facts: object) -> Alarm:
            return Alarm(
                code=code, lane=name, since=self._now(), withholds=withholds, facts={"lane": name} | facts
            )

        found: list[Alarm] = []
        if lane.charged_in_shift:
            found.append(alarm(GAP, count=lane.charged_in_shift))
        if lane.unaccounted:
            units = ", ".join(lane.units_with_gaps)
            found.append(alarm(UNIT_GAP, count=lane.unaccounted, units=units))
        if lane.books.gap:
            found.append(alarm(RECORDS_GAP, count=lane.books.gap))
        now_s = self._monotonic_s()
        if lane.delivered.units < lane.target and now_s - lane.target_s > LATE_S:
            found.append(alarm(LATE, withholds=False, count=lane.account.units - lane.delivered.units))
        if lane.dropped_s is not None and now_s - lane.dropped_s <= OVERLOAD_S:
            step = lane.account.slowest_step or "-"
            spent = f"{lane.account.step_ms.get(step, 0.0):.0f}"
            found.append(
                alarm(OVERLOAD, withholds=False, count=lane.account.dropped, step=step, step_ms=spent)
            )
        if lane.mistakes_s is not None and now_s - lane.mistakes_s <= MISTAKEN_S:
            found.append(alarm(MISTAKEN, withholds=False, count=lane.account.mistakes))
        if self._is_away():
            found.append(alarm(AWAY, withholds=False))
        return found


def _surplus(account: LaneAccount, delivered: Delivered) -> int:
    """By how much more was delivered than the engine counted, or, with all its units here, less."""
    surplus = max(0, delivered.units - account.units) + max(0, delivered.results - account.results)
    if delivered.units == account.units:
        surplus += abs(delivered.triggers - account.triggers)
        surplus += max(0, account.results - account.in_hand_results - delivered.results)
    return surplus
