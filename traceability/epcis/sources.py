"""Where events are found: sorts of records, each with its time; and as much of one as a page needs.

What a sort of record never says is not searched, and the database narrows the others by what is asked: a plant has
millions of inspections, and a question about the few that were rejected must not read the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar
from uuid import UUID

from sqlalchemy import Column, Connection, Select, and_, exists, or_, select

from traceability import tables
from traceability.epcis.events import (
    DECIDED,
    HELD,
    INSPECTED,
    MADE,
    OF_CODES,
    Event,
    Words,
    inspected,
    made_from,
    of_code,
    put_on_hold,
    released,
    station_and_lane,
)
from traceability.epcis.queries import MATCHES, Place, Query, fits, has_words, key_of, place_of
from traceability.genealogy.rows import links_query, links_selected
from traceability.identifiers import parse
from traceability.rows import inspections_query, inspections_selected

_MOST_ROWS_AT_ONCE: Final = 1000

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Rows, how they become events, and the column with their time."""

    rows: Select[Any]
    events_of: Callable[[Connection, Select[Any]], list[Event]]
    time: Column[datetime]


def events_for_page(
    connection: Connection, source: Source, query: Query, *, after: Place | None, limit: int
) -> list[Event]:
    """More than `limit` events that are asked for and lie behind a place, the oldest, or all where there are fewer.

    Whole moments only: the database would choose among events of one moment by a rule of its own. Event times are to
    the millisecond, records to the microsecond.
    """
    time, found = source.time, dict[str, Event]()
    wanted = _timed(source.rows, time, query)
    rest = wanted if after is None else wanted.where(time >= after[0])
    rows_at_once = limit
    while True:
        last = rest.with_only_columns(time).order_by(time).offset(rows_at_once).limit(1)
        ends_at = connection.execute(last).scalar()
        some = rest if ends_at is None else rest.where(time <= _end_of_moment(ends_at))
        found |= {
            key_of(event): event
            for event in source.events_of(connection, some)
            if fits(event, query) and (after is None or place_of(event) > after)
        }
        if ends_at is None or len(found) > limit:
            return list(found.values())
        rest = wanted.where(time > _end_of_moment(ends_at))
        rows_at_once = min(2 * rows_at_once, _MOST_ROWS_AT_ONCE)


def _timed(wanted: Select[Any], time: Column[datetime], query: Query) -> Select[Any]:
    if query.since is not None:
        wanted = wanted.where(time >= query.since)
    if query.until is not None:
        wanted = wanted.where(time < query.until)
    return wanted


def _end_of_moment(moment: datetime) -> datetime:
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000 + 999)


# ------------------------------------------------------------------ our own


def own_sources(query: Query, units: Sequence[UUID] | None) -> list[Source]:
    """Inspections, codes given and given up, what was made of what, holds and decisions, as far as they are asked for.

    units  of which alone; None: of all
    """
    found = (make(query, units) for make in (_inspections, _codes, _makings, _holds, _decisions))
    return [source for source in found if source is not None]


_ROLES_IN: Final[Mapping[str, frozenset[str]]] = {
    "ObjectEvent": frozenset({"epc"}),
    "TransformationEvent": frozenset({"input", "output"}),
    "AssociationEvent": frozenset({"parent", "child"}),
    "AggregationEvent": frozenset({"parent", "child"}),
}
"""As what our own events name units."""


def _is_asked(words: Words, query: Query) -> bool:
    roles = _ROLES_IN[words.type]
    return has_words(
        query,
        kind=words.type,
        action=words.action,
        biz_step=words.biz_step,
        disposition=words.disposition,
    ) and all(roles.intersection(MATCHES[parameter]) for parameter in query.matches)


def _asked(sorts: Mapping[_T, Words], query: Query) -> list[_T]:
    return [sort for sort, words in sorts.items() if _is_asked(words, query)]


def _inspections(query: Query, units: Sequence[UUID] | None) -> Source | None:
    inspection = tables.inspection.c
    rows = inspections_query()
    verdicts = _asked(INSPECTED, query)
    if not verdicts:
        return None
    if len(verdicts) < len(INSPECTED):
        rows = rows.where(inspection.verdict.in_(verdicts))
    if query.read_points:
        places = [place for uri in query.read_points if (place := station_and_lane(uri)) is not None]
        if not places:
            return None
        there = (and_(inspection.station == station, inspection.lane == lane) for station, lane in places)
        rows = rows.where(or_(*there))
    if units is not None:
        rows = rows.where(tables.identifier.c.unit_id.in_(units))
    return Source(rows=rows, events_of=_inspected, time=inspection.finished_at)


def _inspected(connection: Connection, rows: Select[Any]) -> list[Event]:
    return [inspected(one) for one in inspections_selected(connection, rows)]


def _codes(query: Query, units: Sequence[UUID] | None) -> Source | None:
    named, event = tables.identifier.c, tables.code_event.c
    done = _asked(OF_CODES, query)
    if not done or query.read_points:
        return None
    rows = (
        select(event.kind, event.at, named.canon, named.scheme)
        .join(tables.identifier, named.id == event.identifier_id)
        .where(event.kind.in_(done))
    )
    if units is not None:
        rows = rows.where(named.unit_id.in_(units))
    return Source(rows=rows, events_of=_of_codes, time=event.at)


def _of_codes(connection: Connection, rows: Select[Any]) -> list[Event]:
    return [
        of_code(parse(row.canon, scheme=row.scheme), row.kind, row.at) for row in connection.execute(rows)
    ]


def _makings(query: Query, units: Sequence[UUID] | None) -> Source | None:
    """Units that were made of others, or, of some, those that took part."""
    kinds = [kind.value for kind in _asked(MADE, query)]
    if not kinds or query.read_points:
        return None
    link, unit = tables.link.c, tables.unit.c
    has_parents = exists().where(link.child_id == unit.id, link.voided_by.is_(None), link.kind.in_(kinds))
    rows = select(unit.id, unit.created_at).where(has_parents)
    if units is not None:
        used_in = select(link.child_id).where(link.parent_id.in_(units), link.voided_by.is_(None))
        rows = rows.where(or_(unit.id.in_(units), unit.id.in_(used_in)))
    return Source(rows=rows, events_of=_made, time=unit.created_at)


def _made(connection: Connection, rows: Select[Any]) -> list[Event]:
    learnt = {row.id: row.created_at for row in connection.execute(rows)}
    if not learnt:
        return []
    link = tables.link.c
    wanted = links_query().where(link.child_id.in_(list(learnt)), link.voided_by.is_(None))
    child_of = {row["id"]: row["child_id"] for row in connection.execute(wanted).mappings()}
    by_child: dict[UUID, list[Any]] = {}
    for one in links_selected(connection, wanted):
        by_child.setdefault(child_of[one.id], []).append(one)
    return [
        event for unit, links in by_child.items() for event in made_from(links[0].child, links, learnt[unit])
    ]


def _holds(query: Query, units: Sequence[UUID] | None) -> Source | None:
    named, hold = tables.identifier.c, tables.hold.c
    if not _is_asked(HELD, query) or query.read_points:
        return None
    rows = select(hold.placed_at, named.canon, named.scheme).join(
        tables.identifier, named.id == hold.identifier_id
    )
    if units is not None:
        rows = rows.where(hold.unit_id.in_(units))
    return Source(rows=rows, events_of=_held, time=hold.placed_at)


def _held(connection: Connection, rows: Select[Any]) -> list[Event]:
    return [
        put_on_hold(parse(row.canon, scheme=row.scheme), row.placed_at) for row in connection.execute(rows)
    ]


def _decisions(query: Query, units: Sequence[UUID] | None) -> Source | None:
    named, hold, done = tables.identifier.c, tables.hold.c, tables.hold_release.c
    decisions = _asked(DECIDED, query)
    if not decisions or query.read_points:
        return None
    rows = (
        select(done.released_at, done.decision, named.canon, named.scheme)
        .join(tables.hold, hold.id == done.hold_id)
        .join(tables.identifier, named.id == hold.identifier_id)
        .where(done.decision.in_(decisions))
    )
    if units is not None:
        rows = rows.where(hold.unit_id.in_(units))
    return Source(rows=rows, events_of=_decided, time=done.released_at)


def _decided(connection: Connection, rows: Select[Any]) -> list[Event]:
    return [
        released(parse(row.canon, scheme=row.scheme), row.decision, row.released_at)
        for row in connection.execute(rows)
    ]
