"""EpcisRepository: events taken in from others, and found together with those of our own records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from typing import Any, Final
from uuid import NAMESPACE_URL, UUID, uuid5

from sqlalchemy import ColumnElement, Connection, Select, exists, func, or_, select
from uuid_utils.compat import uuid7

from traceability import database, tables
from traceability.accounts import Person, note
from traceability.codes import CodeRegister
from traceability.epcis.documents import NoEvents, whole_events
from traceability.epcis.events import Event, code_of_epc, epc_of, key_of_epc, with_id
from traceability.epcis.queries import (
    IN_ERROR,
    Place,
    Query,
    biz_steps,
    dispositions,
    items_of,
    kept_roles,
    key_of,
    place_of,
    time_of,
    word,
)
from traceability.epcis.schema import mistakes
from traceability.epcis.sources import Source, events_for_page, own_sources
from traceability.errors import EventsRefused, UnitUnknown
from traceability.merkle import append
from traceability.recorded import ON_RECORD, entry
from traceability.store import TraceStore

MOST_EVENTS: Final = 1000
"""Of one delivery."""

MOST_MISTAKES: Final = 20

MOST_NAMED_BYTES: Final = 1000
"""Of the id of an event or of what it names: a PostgreSQL index takes rows of up to 2704 bytes, and has both in one."""

_HASH: Final = "ni:///sha-256;"
"""Begins an id that is made of what the event says."""

_NOT_SAID: Final = ("@context", "recordTime", "errorDeclaration")


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """An event as it was taken in. `id` is made of its own id, so that what comes twice is one."""

    id: UUID
    event_id: str
    recorded_at: datetime
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """What became of a delivery."""

    id: UUID
    created_at: datetime
    finished_at: datetime
    has_succeeded: bool
    events: int
    mistakes: tuple[str, ...]


class EpcisRepository:
    """Events in a database, in the order of their times. Methods raise what TraceStore's do, and what they name."""

    def __init__(self, store: TraceStore) -> None:
        self._store = store

    # ------------------------------------------------------------------ taking in

    def capture(self, document: object, *, by: Person | None) -> Captured:
        """Take all events of a document in, or none. One that is here already is left alone. Raises EventsRefused."""
        began = datetime.now(UTC)
        wrong = list(mistakes(document)[:MOST_MISTAKES])
        events: list[Event] = []
        if not wrong:
            assert isinstance(document, Mapping)
            events, wrong = _events_with_ids(document)
        with self._store.writing() as connection:
            database.lock(connection, _NUMBER_LOCK)
            wrong = wrong or _contradictions(connection, events)
            job = Captured(
                id=uuid7(),
                created_at=began,
                finished_at=datetime.now(UTC),
                has_succeeded=not wrong,
                events=len(events),
                mistakes=tuple(wrong),
            )
            if not wrong:
                self._add(connection, events, began)
                note(
                    connection,
                    at=began,
                    by=by,
                    action="epcis.capture",
                    subject=f"capture:{job.id}",
                    after={"events": len(events)},
                )
            connection.execute(tables.epcis_capture.insert().values(**_job_row(job)))
        if wrong:
            raise EventsRefused(
                f"The document holds no events that could be taken in: {'; '.join(wrong)}.",
                action="Correct the document and send it again; none of it was taken in.",
                mistakes="; ".join(wrong),
                job=str(job.id),
            )
        return job

    def _add(self, connection: Connection, events: Sequence[Event], at: datetime) -> None:
        highest = select(func.coalesce(func.max(tables.epcis_event.c.number), 0))
        number: int = connection.execute(highest).scalar_one()
        taken: list[Taken] = []
        for event in events:
            row = _event_row(event, number + 1, at)
            known = select(tables.epcis_event.c.number).where(
                tables.epcis_event.c.event_id == row["event_id"]
            )
            if connection.execute(known).first():
                continue
            number += 1
            taken.append(Taken(**{one.name: row[one.name] for one in fields(Taken)}))
            connection.execute(tables.epcis_event.insert().values(row))
            items = [
                {"event_id": row["event_id"], "role": role, "key": key}
                for role, key in sorted(items_of(event))
            ]
            if items:
                connection.execute(tables.epcis_item.insert(), items)
        append(connection, [entry("epcis_event", one) for one in taken], ON_RECORD)

    def captured(self, id: UUID) -> Captured | None:
        table = tables.epcis_capture
        with self._store.reading() as connection:
            row = connection.execute(select(table).where(table.c.id == id)).mappings().first()
        return None if row is None else Captured(**{**row, "mistakes": tuple(row["mistakes"])})

    # ------------------------------------------------------------------ finding

    def find(self, query: Query, *, after: Place | None, limit: int) -> list[Event]:
        """The next events behind a place, oldest first; one more than `limit` says that there are more."""
        query = replace(
            query,
            matches={name: self._under_all_codes(epcs) for name, epcs in query.matches.items()},
        )
        with self._store.reading() as connection:
            found = events_for_page(connection, _taken_in(query), query, after=after, limit=limit)
            if not query.event_ids:
                found += self._own(connection, _as_it_happened(query), after=after, limit=limit)
        by_key = {key_of(event): event for event in sorted(found, key=place_of)}
        return list(by_key.values())[: limit + 1]

    def event(self, id: str) -> Event | None:
        """An event that was taken in; of one that was declared to be in error, the last declaration, which says all of
        it. Those of our records are found by unit or time."""
        table = tables.epcis_event.c
        last = select(table.body).where(_has_id([id])).order_by(table.number.desc()).limit(1)
        with self._store.reading() as connection:
            row = connection.execute(last).first()
        return None if row is None else row.body

    def _own(self, connection: Connection, query: Query, *, after: Place | None, limit: int) -> list[Event]:
        units: list[UUID] | None = None
        if query.matches:
            units = self._units(connection, [epc for epcs in query.matches.values() for epc in epcs])
            if not units:
                return []
        return [
            event
            for source in own_sources(query, units)
            for event in events_for_page(connection, source, query, after=after, limit=limit)
        ]

    def _under_all_codes(self, epcs: Iterable[str]) -> tuple[str, ...]:
        """The same units under every code they have."""
        found: list[str] = []
        for epc in epcs:
            found.append(epc)
            code = code_of_epc(epc)
            if code is not None:
                # Received events may name what is no unit of ours.
                with suppress(UnitUnknown):
                    found += [epc_of(other) for other in CodeRegister(self._store).of(code).codes]
        return tuple(dict.fromkeys(found))

    def _units(self, connection: Connection, epcs: Iterable[str]) -> list[UUID]:
        codes = [code for epc in epcs if (code := code_of_epc(epc)) is not None]
        identifier = tables.identifier.c
        found = {
            row.unit_id
            for code in codes
            for row in connection.execute(
                select(identifier.unit_id).where(
                    identifier.scheme == code.scheme, identifier.canon == code.canon
                )
            )
        }
        return sorted(found)


_NUMBER_LOCK: Final = 7_105_022_021


# ------------------------------------------------------------------ taken in


def _taken_in(query: Query) -> Source:
    table, item = tables.epcis_event.c, tables.epcis_item.c
    rows = select(table.body, table.recorded_at)
    for column, allowed in (
        (table.kind, query.kinds),
        (table.action, query.actions),
        (table.biz_step, biz_steps(query)),
        (table.disposition, dispositions(query)),
        (table.read_point, query.read_points),
    ):
        if allowed:
            rows = rows.where(column.in_(list(allowed)))
    if query.event_ids:
        rows = rows.where(_has_id(query.event_ids))
    if query.recorded_since is not None:
        rows = rows.where(table.recorded_at >= query.recorded_since)
    if query.recorded_until is not None:
        rows = rows.where(table.recorded_at < query.recorded_until)
    for parameter, epcs in query.matches.items():
        keys = [key_of_epc(epc) for epc in epcs]
        named = exists().where(
            item.event_id == table.event_id, item.role.in_(kept_roles(parameter)), item.key.in_(keys)
        )
        rows = rows.where(named)
    return Source(rows=rows, events_of=_received, time=table.event_time)


def _has_id(ids: Sequence[str]) -> ColumnElement[bool]:
    """Of rows: under one of these ids, or declaring that one of these is in error."""
    table, item = tables.epcis_event.c, tables.epcis_item.c
    declares = exists().where(item.event_id == table.event_id, item.role == IN_ERROR, item.key.in_(list(ids)))
    return or_(table.event_id.in_(list(ids)), declares)


def _as_it_happened(query: Query) -> Query:
    """The same of our own records: they were put on record when it happened."""
    since = max((one for one in (query.since, query.recorded_since) if one is not None), default=None)
    until = min((one for one in (query.until, query.recorded_until) if one is not None), default=None)
    return replace(query, since=since, until=until)


def _received(connection: Connection, rows: Select[Any]) -> list[Event]:
    return [{**row.body, "recordTime": _time(row.recorded_at)} for row in connection.execute(rows)]


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# ------------------------------------------------------------------ events


def taken_from(connection: Connection, ids: Sequence[UUID]) -> list[Taken]:
    table = tables.epcis_event.c
    columns = [table[one.name] for one in fields(Taken)]
    rows = connection.execute(select(*columns).where(table.id.in_(list(ids)))).mappings()
    return [Taken(**row) for row in rows]


def _events_with_ids(document: Mapping[str, Any]) -> tuple[list[Event], list[str]]:
    """The events, each under the id of what it says; one that claims the hash of something else is refused."""
    try:
        told = whole_events(document)
    except NoEvents as error:
        return [], [str(error)]
    if len(told) > MOST_EVENTS:
        return [], [f"{len(told)} events; {MOST_EVENTS} are taken at once"]
    events, wrong = [], []
    for number, event in enumerate(told):
        complete = with_id(event)
        claimed = event.get("eventID")
        if isinstance(claimed, str) and claimed.startswith(_HASH) and claimed != complete["eventID"]:
            wrong.append(f"event {number}: eventID is not the hash of what the event says")
        # An id of somebody's own is kept: others refer to it.
        events.append({**complete, "eventID": claimed} if isinstance(claimed, str) else complete)
        longest = max(len(name.encode()) for _, name in {("", events[-1]["eventID"]), *items_of(events[-1])})
        if longest > MOST_NAMED_BYTES:
            wrong.append(f"event {number}: an id of {longest} bytes; {MOST_NAMED_BYTES} are kept")
    return events, wrong[:MOST_MISTAKES]


def _contradictions(connection: Connection, events: Sequence[Event]) -> list[str]:
    """Which events have an id of somebody's own under which another one is here already, or in the same document."""
    by_id: dict[str, Event] = {}
    wrong = []
    for number, event in enumerate(events):
        id_ = event["eventID"]
        if id_.startswith(_HASH):
            continue
        if id_ not in by_id:
            kept = select(tables.epcis_event.c.body).where(_has_id([id_])).limit(1)
            by_id[id_] = connection.execute(kept).scalar() or event
        if not _says_the_same(event, by_id[id_]):
            wrong.append(f"event {number}: {id_} is the eventID of an event that says something else")
    return wrong[:MOST_MISTAKES]


def _says_the_same(one: Event, other: Event) -> bool:
    """But for the declaration that it is in error."""
    # Events that earlier versions took in stand there without the names that their documents declared.
    plain, others = (
        {name: value for name, value in each.items() if name not in _NOT_SAID} for each in (one, other)
    )
    return plain == others or with_id(one)["eventID"] == with_id(other)["eventID"]


def _event_row(event: Mapping[str, Any], number: int, at: datetime) -> dict[str, Any]:
    read_point = event.get("readPoint")
    return {
        "event_id": key_of(event),
        "id": uuid5(NAMESPACE_URL, key_of(event)),
        "number": number,
        "kind": event["type"],
        "event_time": time_of(event["eventTime"]),
        "recorded_at": at,
        "action": event.get("action"),
        "biz_step": word(event.get("bizStep"), "BizStep-"),
        "disposition": word(event.get("disposition"), "Disp-"),
        "read_point": None if read_point is None else read_point["id"],
        "body": {key: value for key, value in event.items() if key != "recordTime"},
    }


def _job_row(job: Captured) -> dict[str, Any]:
    return {
        "id": job.id,
        "created_at": job.created_at,
        "finished_at": job.finished_at,
        "has_succeeded": job.has_succeeded,
        "events": job.events,
        "mistakes": list(job.mistakes),
    }
