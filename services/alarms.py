"""Alarms as people answer them: raised, acknowledged, back to normal, shelved for a time (ISA-18.2).

What stands is known by who watches it: the accounting, and the lanes for their cameras. This board keeps what people
did about it. It lives as long as the service: after a restart whatever still stands asks again.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Literal

from services.station.messages import Alarm

State = Literal["unacknowledged", "acknowledged", "returned", "shelved"]
"""returned: over by itself, and nobody has acknowledged it yet."""

LONGEST_SHELVED: Final = timedelta(hours=8)
"""A shift: who comes next sees it again."""


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
        """Out of the way until then. Whether there was one."""
        with self._lock:
            shown = self._shown.get((lane, code))
            if shown is None:
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
