"""Audits of passed parts: drawn at random, and rejected ones among them, so that who looks does not know what was said.

A draw and what was found are entries in the book of decisions (`chart_book.py`). When the last part was looked at, the
passed ones among them are kept as a study of escapes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from random import SystemRandom
from threading import Lock
from typing import Final
from uuid import UUID

from sqlalchemy import select

from inspection.types import Verdict
from traceability import gauge_studies, people, tables
from traceability.accounts import Person
from traceability.chart_book import Entry, chart_name, enter
from traceability.errors import SubgroupUnknown
from traceability.samples import UnitSeen, units_named
from traceability.spc.checks import enough, within
from traceability.store import TraceStore, of

AUDITS: Final = "audit"
"""How the names begin under which draws are kept."""

MOST_DRAWN: Final = 300

NEWEST: Final = 20_000
"""Parts are drawn from so many passed ones, the newest."""

_ONE_AT_A_TIME = Lock()

REJECTED_ONE_IN: Final = 6
"""Of the parts drawn one in so many was rejected, where there are as many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """Parts to be looked at, in a random order; `found`: of each part that was looked at, whether it is bad."""

    id: UUID
    station: str
    lane: str
    why: str
    at: datetime
    person: str
    parts: tuple[UnitSeen, ...]
    found: dict[UUID, bool]

    @property
    def is_finished(self) -> bool:
        return all(one.id in self.found for one in self.parts)

    @property
    def passed(self) -> tuple[UnitSeen, ...]:
        return tuple(one for one in self.parts if one.verdict is Verdict.ACCEPT)


def draw(
    store: TraceStore,
    *,
    station: str,
    lane: str,
    size: int,
    since: datetime,
    why: str,
    by: Person,
    at: datetime,
) -> Draw:
    """Draw so many passed parts from `since` on, each as likely as any other, and rejected ones to go among them.

    Nothing simulated is drawn. Raises ParameterOutOfRange for a size that cannot be looked at, TooFewValues where fewer
    were passed.
    """
    within(size, parameter="size", allowed=f"1..{MOST_DRAWN}", is_allowed=1 <= size <= MOST_DRAWN)
    lot = SystemRandom()
    passed = _ids(store, Verdict.ACCEPT, station=station, lane=lane, since=since)
    enough(len(passed), method="audit", needed=size)
    rejected = _ids(store, Verdict.REJECT, station=station, lane=lane, since=since)
    among = min(len(rejected), max(1, size // (REJECTED_ONE_IN - 1)))
    drawn = lot.sample(passed, size) + lot.sample(rejected, among)
    lot.shuffle(drawn)
    id = enter(
        store,
        chart_name(AUDITS, station, lane),
        Entry.DRAWN,
        reason=why,
        value={"parts": [str(one) for one in drawn]},
        by=by,
        at=at,
    )
    return drawn_as(store, id)


def looked_at(store: TraceStore, id: UUID, part: UUID, *, is_bad: bool, by: Person, at: datetime) -> Draw:
    """Keep what was found on a part; until all were looked at, a newer finding overrules an older one.

    With the last one the study of escapes is kept. Raises SubgroupUnknown for a draw that there is not,
    ParameterOutOfRange for a part that was not drawn, and once all were looked at.
    """
    # Two last ones at once would keep two studies, or none.
    with _ONE_AT_A_TIME:
        before = drawn_as(store, id)
        within(
            0,
            parameter="part",
            allowed="one that was drawn and is still to be looked at",
            is_allowed=not before.is_finished and part in {one.id for one in before.parts},
        )
        enter(
            store,
            chart_name(AUDITS, before.station, before.lane),
            Entry.LOOKED_AT,
            reason="bad" if is_bad else "good",
            point=str(part),
            value={"draw": str(id), "is_bad": is_bad},
            by=by,
            at=at,
        )
        after = replace(before, found={**before.found, part: is_bad})
        if after.is_finished:
            escapes = sum(after.found[one.id] for one in after.passed)
            gauge_studies.record(
                store,
                kind="audit",
                characteristic=after.lane,
                model="",
                readings={"audited": len(after.passed), "escapes": escapes},
                at=at,
                by=by,
            )
    return after


def drawn_as(store: TraceStore, id: UUID) -> Draw:
    """Raises SubgroupUnknown."""
    found = next((one for one in draws(store) if one.id == id), None)
    if found is None:
        raise SubgroupUnknown(
            f"{id} names no draw.", action="Open the list of audits again and choose one there.", key=str(id)
        )
    return found


def draws(store: TraceStore, *, station: str | None = None, lane: str | None = None) -> tuple[Draw, ...]:
    """The newest first."""
    entry = tables.chart_entry.c
    wanted = chart_name(AUDITS, station, lane).replace("*", "%")
    with store.reading() as connection:
        rows = connection.execute(
            select(tables.chart_entry)
            .where(entry.chart.like(wanted), entry.kind.in_((Entry.DRAWN.value, Entry.LOOKED_AT.value)))
            .order_by(entry.id)
        ).all()
        names = people.names(connection, [row.by for row in rows])
    found: dict[UUID, dict[UUID, bool]] = {}
    for row in rows:
        if row.kind == Entry.LOOKED_AT.value:
            found.setdefault(UUID(row.value["draw"]), {})[UUID(row.point)] = row.value["is_bad"]
    made = []
    for row in reversed(rows):
        if row.kind != Entry.DRAWN.value:
            continue
        _, of_station, of_lane = row.chart.split("/", 2)
        made.append(
            Draw(
                id=row.id,
                station=of_station,
                lane=of_lane,
                why=row.reason,
                at=row.at,
                person=names.get(row.by, row.by[:12]),
                parts=_in_order(store, [UUID(one) for one in row.value["parts"]]),
                found=found.get(row.id, {}),
            )
        )
    return tuple(made)


def _in_order(store: TraceStore, ids: Sequence[UUID]) -> tuple[UnitSeen, ...]:
    """As they were drawn: sorted in any way, the rejected ones would be told."""
    seen = {one.id: one for one in units_named(store, ids)}
    return tuple(seen[id] for id in ids if id in seen)


def _ids(store: TraceStore, verdict: Verdict, *, station: str, lane: str, since: datetime) -> list[UUID]:
    head = tables.inspection.c
    rows = (
        select(head.id)
        .where(
            *of(tables.inspection, station=station, lane=lane, simulated=False),
            head.verdict == verdict,
            head.finished_at >= since,
        )
        .order_by(head.finished_at.desc(), head.id.desc())
        .limit(NEWEST)
    )
    with store.reading() as connection:
        return list(connection.execute(rows).scalars())
