"""Changes of camera, lamp and lens: what is measured after one was measured by another inspection, a stage of its own.

Recipe and models stand in every inspection. That a lens was changed no program sees: whoever changed it says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from sqlalchemy import select

from traceability import people, tables
from traceability.accounts import Person
from traceability.chart_book import Entry, chart_name, enter
from traceability.errors import ParameterOutOfRange
from traceability.store import TraceStore

Part = Literal["camera", "lamp", "lens"]

CHANGES: Final = "changes"
"""The first part of the names under which they are kept, beside what people decide about charts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """`at` is when it was changed, which may be before it was said; `what` in the words of who said so."""

    id: UUID
    part: Part
    station: str
    lane: str
    at: datetime
    what: str
    person: str

    @property
    def label(self) -> str:
        return f"{self.part} {self.at.astimezone():%Y-%m-%d %H:%M}"


def record_change(
    store: TraceStore,
    *,
    part: Part,
    station: str,
    lane: str,
    at: datetime,
    what: str,
    by: Person,
    said_at: datetime,
) -> UUID:
    """Keep one, and say so in the audit. Raises ParameterOutOfRange where nobody says what was changed, or where it is
    still to be changed."""
    if at > said_at:
        raise ParameterOutOfRange(
            f"The time of the change is {at.isoformat()}, which is still to come.",
            action="Give the time at which it was changed.",
            parameter="changed_at",
            value=f"{at.astimezone():%Y-%m-%d %H:%M}",
            allowed="<= now",
        )
    return enter(
        store,
        chart_name(CHANGES, station, lane),
        Entry.CHANGED,
        reason=what,
        value={"part": part, "at": at.isoformat()},
        by=by,
        at=said_at,
    )


def changes(store: TraceStore, *, station: str | None = None, lane: str | None = None) -> tuple[Change, ...]:
    """All of a station's lane, or of any, in the order in which they happened."""
    entry = tables.chart_entry.c
    wanted = chart_name(CHANGES, station, lane).replace("*", "%")
    with store.reading() as connection:
        rows = connection.execute(
            select(tables.chart_entry).where(entry.chart.like(wanted), entry.kind == Entry.CHANGED.value)
        ).all()
        names = people.names(connection, [row.by for row in rows])
    found = []
    for row in rows:
        _, of_station, of_lane = row.chart.split("/", 2)
        if (station is not None and of_station != station) or (lane is not None and of_lane != lane):
            continue
        found.append(
            Change(
                id=row.id,
                part=row.value["part"],
                station=of_station,
                lane=of_lane,
                at=datetime.fromisoformat(row.value["at"]),
                what=row.reason,
                person=names.get(row.by, row.by[:12]),
            )
        )
    return tuple(sorted(found, key=lambda one: (one.at, one.id)))


def stage_after(stage: str, at: datetime, happened: Sequence[Change], *, lane: str | None) -> str:
    """A stage's name at a moment: with the newest change of that lane before it, if there was any."""
    before = [one for one in happened if one.at <= at and lane in (None, one.lane)]
    return f"{stage}, {before[-1].label}" if before else stage
