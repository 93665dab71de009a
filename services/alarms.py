"""Alarms as people answer them: raised, acknowledged, back to normal, shelved for a time (ISA-18.2).

What stands is known by who watches it: the accounting, and the lanes for their cameras. This board keeps what people
did about it. It lives as long as the service: after a restart whatever still stands asks again. That an alarm was
raised, and that it was over, is in the audit beside what people did: there other programs are told of it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from services.station.messages import Alarm
from traceability.accounts import note
from traceability.store import TraceStore
from traceability.told import AlarmAct, alarm_subject, alarms_left_standing

logger = logging.getLogger(__name__)


State = Literal["unacknowledged", "acknowledged", "returned", "shelved"]
"""returned: over by itself, and nobody has acknowledged it yet."""

LONGEST_SHELVED: Final = timedelta(hours=8)
"""A shift: who comes next sees it again."""

NOTED_EVERY_S: Final = 1.0
"""One that comes and goes faster is one entry: a cable that hangs by a thread does not fill the audit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """An alarm and how it stands with people.

    by     the name of who acknowledged or shelved it
    until  when a shelved one asks again
    """

    alarm: Alarm
    state: State
    by: str | None = None
    until: datetime | None = None

    @property
    def asks(self) -> bool:
        """Whether somebody has yet to answer."""
        return self.state in ("unacknowledged", "returned")


class AlarmBoard:
    """One station's. One alarm per lane and code; safe to use from all threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shown: dict[tuple[str, str], Shown] = {}

    def sees(self, lane: str, standing: Sequence[Alarm]) -> None:
        """All that stands on a lane at this moment."""
        with self._lock:
            now = {alarm.code: alarm for alarm in standing}
            for (of_lane, code), shown in [*self._shown.items()]:
                if of_lane != lane or code in now:
                    continue
                if shown.asks:
                    self._shown[lane, code] = replace(shown, state="returned")
                else:
                    del self._shown[lane, code]
            for code, alarm in now.items():
                before = self._shown.get((lane, code))
                if before is None or before.state == "returned":
                    self._shown[lane, code] = Shown(alarm=alarm, state="unacknowledged")
                else:
                    # Since when it stands is what was said first; what it is about may have grown.
                    self._shown[lane, code] = replace(before, alarm=replace(alarm, since=before.alarm.since))

    def acknowledge(self, lane: str, code: str, *, by: str) -> bool:
        """Somebody has seen it. One that is over is gone with that. Whether there was one."""
        with self._lock:
            shown = self._shown.get((lane, code))
            if shown is None:
                return False
            if shown.state == "returned":
                del self._shown[lane, code]
            else:
                self._shown[lane, code] = replace(shown, state="acknowledged", by=by, until=None)
            return True

    def shelve(self, lane: str, code: str, *, by: str, until: datetime) -> bool:
        """Out of the way until then. Whether there was one that stands: what is over has nothing to come back for."""
        with self._lock:
            shown = self._shown.get((lane, code))
            if shown is None or shown.state == "returned":
                return False
            self._shown[lane, code] = replace(shown, state="shelved", by=by, until=until)
            return True

    def shown(self, at: datetime, *, lane: str | None = None) -> tuple[Shown, ...]:
        """What asks for somebody first, the oldest first; then what was acknowledged, then what is shelved."""
        with self._lock:
            for key, one in self._shown.items():
                if one.until is not None and one.until <= at:
                    self._shown[key] = replace(one, state="unacknowledged", by=None, until=None)
            found = [one for (of_lane, _), one in self._shown.items() if lane in (None, of_lane)]
        order = {"unacknowledged": 0, "returned": 1, "acknowledged": 2, "shelved": 3}
        return tuple(
            sorted(found, key=lambda one: (order[one.state], one.alarm.since, one.alarm.lane, one.alarm.code))
        )


class AlarmJournal:
    """Notes in the audit what was raised and what is over, as the board has it. `keep` is called on one thread.

    lanes   of this station, by which its own are known that an earlier version noted without a station; those of other
            stations, on the same database, are theirs to note
    """

    def __init__(
        self,
        store: TraceStore,
        board: AlarmBoard,
        *,
        station: str,
        lanes: Collection[str],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._board = board
        self._station = station
        self._lanes = frozenset(lanes)
        self._now = now
        self._standing = frozenset[str]()
        self._shown: frozenset[str] | None = None
        """None until the first call."""

    def keep_noting(self, stop: threading.Event) -> None:
        """Until `stop` is set."""
        while not stop.is_set():
            try:
                self.keep()
            except Exception:
                # Whatever a database says for once, as that somebody else held a lock too long.
                logger.exception("Alarms could not be noted; again in %g s", NOTED_EVERY_S)
            stop.wait(NOTED_EVERY_S)

    def keep(self) -> None:
        """Note what changed since the last call.

        What the process before left standing is over with the first call; what still stands is raised anew with it.
        What could not be noted is noted by the next call. Raises DatabaseUnreachable, DatabaseReadOnly and DiskFull.
        """
        if self._shown is None:
            self._note(raised={}, over=alarms_left_standing(self._store, self._station, self._lanes))
            self._shown = frozenset()
        shown = {
            alarm_subject(self._station, one.alarm.lane, one.alarm.code): one
            for one in self._board.shown(self._now())
        }
        standing = frozenset(subject for subject, one in shown.items() if one.state != "returned")
        # What came and went between two calls still asks, and is on the board as returned.
        new = shown.keys() - self._shown
        raised = new | (standing - self._standing)
        over = (self._standing | new) - standing
        self._note(raised={subject: shown[subject].alarm for subject in sorted(raised)}, over=sorted(over))
        self._standing, self._shown = standing, frozenset(shown)

    def _note(self, *, raised: Mapping[str, Alarm], over: Iterable[str]) -> None:
        at = self._now()
        acts = [
            *(
                (AlarmAct.RAISED, subject, {"withholds": alarm.withholds})
                for subject, alarm in raised.items()
            ),
            *((AlarmAct.OVER, subject, None) for subject in over),
        ]
        if not acts:
            return
        with self._store.writing() as connection:
            for act, subject, after in acts:
                note(connection, at=at, by=None, action=act, subject=subject, after=after)
