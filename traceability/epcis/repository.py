"""EpcisRepository: events taken in from others, and found together with those of our own records."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import Any, Final
from uuid import NAMESPACE_URL, UUID, uuid5

from sqlalchemy import Column, Connection, Select, exists, func, or_, select
from uuid_utils.compat import uuid7

from traceability import database, tables
from traceability.accounts import Person, note
from traceability.codes import CodeRegister
from traceability.epcis.documents import CBV, NoEvents, json_events
from traceability.epcis.events import (
    Event,
    code_of_epc,
    commissioned,
    decommissioned,
    epc_of,
    inspected,
    key_of_epc,
    made_from,
    put_on_hold,
    released,
    with_id,
)
from traceability.epcis.schema import mistakes
from traceability.errors import EventsRefused, UnitUnknown
from traceability.genealogy.rows import links_query, links_selected
from traceability.identifiers import parse
from traceability.merkle import append
from traceability.recorded import ON_RECORD, entry
from traceability.rows import inspections_query, inspections_selected
from traceability.store import TraceStore

MOST_EVENTS: Final = 1000
"""Of one delivery."""

MOST_MISTAKES: Final = 20

_ROLES: Final[Mapping[str, tuple[str, str]]] = {
    "epcList": ("epc", "epc"),
    "childEPCs": ("child", "epc"),
    "inputEPCList": ("input", "epc"),
    "outputEPCList": ("output", "epc"),
    "quantityList": ("class", "epcClass"),
    "childQuantityList": ("class", "epcClass"),
    "inputQuantityList": ("class", "epcClass"),
    "outputQuantityList": ("class", "epcClass"),
}
MATCHES: Final[Mapping[str, tuple[str, ...]]] = {
    "MATCH_anyEPC": ("epc", "child", "parent", "input", "output"),
    "MATCH_epc": ("epc", "child"),
    "MATCH_parentID": ("parent",),
    "MATCH_inputEPC": ("input",),
    "MATCH_outputEPC": ("output",),
    "MATCH_epcClass": ("class",),
    "MATCH_anyEPCClass": ("class",),
}
"""Roles that a query parameter looks into."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What is asked for; what is left out is not asked. Times: from, and up to but not including."""

    kinds: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    biz_steps: tuple[str, ...] = ()
    dispositions: tuple[str, ...] = ()
    read_points: tuple[str, ...] = ()
    event_ids: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    recorded_since: datetime | None = None
    recorded_until: datetime | None = None
    matches: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


Place = tuple[datetime, str]
"""Where a page ends: the time and id of its last event."""


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
        job = Captured(
            id=uuid7(),
            created_at=began,
            finished_at=datetime.now(UTC),
            has_succeeded=not wrong,
            events=len(events),
            mistakes=tuple(wrong),
        )
        with self._store.writing() as connection:
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
        database.lock(connection, _NUMBER_LOCK)
        highest = select(func.coalesce(func.max(tables.epcis_event.c.number), 0))
        number: int = connection.execute(highest).scalar_one()
        taken: list[Taken] = []
        for event in events:
            known = select(tables.epcis_event.c.event_id).where(
                tables.epcis_event.c.event_id == event["eventID"]
            )
            if connection.execute(known).first():
                continue
            number += 1
            row = _event_row(event, number, at)
            taken.append(Taken(**{one.name: row[one.name] for one in fields(Taken)}))
            connection.execute(tables.epcis_event.insert().values(row))
            items = [
                {"event_id": event["eventID"], "role": role, "key": key}
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
            found = self._taken_in(connection, query, after, limit)
            if not query.event_ids:
                found += self._own(connection, query, after, limit)
        found = [
            event for event in found if _fits(event, query) and (after is None or place_of(event) > after)
        ]
        by_id = {event["eventID"]: event for event in sorted(found, key=place_of)}
        return list(by_id.values())[: limit + 1]

    def event(self, id: str) -> Event | None:
        """An event that was taken in. Those of our records are found by unit or time."""
        table = tables.epcis_event.c
        with self._store.reading() as connection:
            row = connection.execute(select(table.body).where(table.event_id == id)).first()
        return None if row is None else row.body

    def _taken_in(self, connection: Connection, query: Query, after: Place | None, limit: int) -> list[Event]:
        table, item = tables.epcis_event.c, tables.epcis_item.c
        wanted = select(table.body, table.recorded_at)
        for column, allowed in (
            (table.kind, query.kinds),
            (table.action, query.actions),
            (table.biz_step, [_word(one, "BizStep-") for one in query.biz_steps]),
            (table.disposition, [_word(one, "Disp-") for one in query.dispositions]),
            (table.read_point, query.read_points),
            (table.event_id, query.event_ids),
        ):
            if allowed:
                wanted = wanted.where(column.in_(list(allowed)))
        if query.recorded_since is not None:
            wanted = wanted.where(table.recorded_at >= query.recorded_since)
        if query.recorded_until is not None:
            wanted = wanted.where(table.recorded_at < query.recorded_until)
        for parameter, epcs in query.matches.items():
            keys = [key_of_epc(epc) for epc in epcs]
            named = exists().where(
                item.event_id == table.event_id, item.role.in_(MATCHES[parameter]), item.key.in_(keys)
            )
            wanted = wanted.where(named)
        return _paged(connection, (_received, wanted, table.event_time), query, after, limit)

    def _own(self, connection: Connection, query: Query, after: Place | None, limit: int) -> list[Event]:
        """Events of our records: inspections, codes given and given up, what was made of what, holds and decisions."""
        units: list[UUID] | None = None
        if query.matches:
            units = self._units(connection, [epc for epcs in query.matches.values() for epc in epcs])
            if not units:
                return []
        # What is of our own was recorded as it happened.
        since = max((one for one in (query.since, query.recorded_since) if one is not None), default=None)
        until = min((one for one in (query.until, query.recorded_until) if one is not None), default=None)
        query = replace(query, since=since, until=until)
        sources: tuple[_Source, ...] = (
            (_inspected, _inspections(units), tables.inspection.c.finished_at),
            (_of_codes, _code_events(units), tables.code_event.c.at),
            (_made, _children(units), tables.unit.c.created_at),
            (_held, _holds(units), tables.hold.c.placed_at),
            (_decided, _releases(units), tables.hold_release.c.released_at),
        )
        return [event for one in sources for event in _paged(connection, one, query, after, limit)]

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


# ------------------------------------------------------------------ our own


_Source = tuple[Callable[[Connection, Select[Any]], list[Event]], Select[Any], Column[datetime]]
"""How rows become events, the rows, and the column with their time."""


def _paged(
    connection: Connection, source: _Source, query: Query, after: Place | None, limit: int
) -> list[Event]:
    """Enough of a source for a page, from the moment on at which the last page ended, and whole moments only: the
    database would choose among events of one moment by a rule of its own. Event times are to the millisecond, records
    to the microsecond."""
    events_of, wanted, time = source
    wanted = _timed(wanted, time, query)
    if after is not None:
        wanted = wanted.where(time >= after[0])
    # What was on earlier pages of the same moment comes again and is left out by whoever asks.
    of_moment = 0 if after is None else _of_moment(connection, wanted, time, after[0])
    last = wanted.with_only_columns(time).order_by(time).offset(of_moment + limit).limit(1)
    ends_at = connection.execute(last).scalar()
    return events_of(connection, wanted if ends_at is None else wanted.where(time <= _end_of_moment(ends_at)))


def _of_moment(connection: Connection, wanted: Select[Any], time: Column[datetime], moment: datetime) -> int:
    rows = wanted.with_only_columns(func.count()).where(time <= _end_of_moment(moment)).order_by(None)
    count: int = connection.execute(rows).scalar_one()
    return count


def _end_of_moment(moment: datetime) -> datetime:
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000 + 999)


def _timed(wanted: Select[Any], time: Column[datetime], query: Query) -> Select[Any]:
    if query.since is not None:
        wanted = wanted.where(time >= query.since)
    if query.until is not None:
        wanted = wanted.where(time < query.until)
    return wanted


def _received(connection: Connection, wanted: Select[Any]) -> list[Event]:
    return [{**row.body, "recordTime": _time(row.recorded_at)} for row in connection.execute(wanted)]


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _inspections(units: list[UUID] | None) -> Select[Any]:
    wanted = inspections_query()
    return wanted if units is None else wanted.where(tables.identifier.c.unit_id.in_(units))


def _inspected(connection: Connection, wanted: Select[Any]) -> list[Event]:
    return [inspected(one) for one in inspections_selected(connection, wanted)]


def _code_events(units: list[UUID] | None) -> Select[Any]:
    named = tables.identifier.c
    event = tables.code_event.c
    wanted = select(event.kind, event.at, named.canon, named.scheme).join(
        tables.identifier, named.id == event.identifier_id
    )
    wanted = wanted.where(event.kind.in_(("issued", "registered", "bound", "retired")))
    return wanted if units is None else wanted.where(named.unit_id.in_(units))


def _of_codes(connection: Connection, wanted: Select[Any]) -> list[Event]:
    return [
        (decommissioned if row.kind == "retired" else commissioned)(
            parse(row.canon, scheme=row.scheme), row.at
        )
        for row in connection.execute(wanted)
    ]


def _holds(units: list[UUID] | None) -> Select[Any]:
    named, hold = tables.identifier.c, tables.hold.c
    wanted = select(hold.placed_at, named.canon, named.scheme).join(
        tables.identifier, named.id == hold.identifier_id
    )
    return wanted if units is None else wanted.where(hold.unit_id.in_(units))


def _held(connection: Connection, wanted: Select[Any]) -> list[Event]:
    return [
        put_on_hold(parse(row.canon, scheme=row.scheme), row.placed_at) for row in connection.execute(wanted)
    ]


def _releases(units: list[UUID] | None) -> Select[Any]:
    named, hold, done = tables.identifier.c, tables.hold.c, tables.hold_release.c
    wanted = (
        select(done.released_at, done.decision, named.canon, named.scheme)
        .join(tables.hold, hold.id == done.hold_id)
        .join(tables.identifier, named.id == hold.identifier_id)
    )
    return wanted if units is None else wanted.where(hold.unit_id.in_(units))


def _decided(connection: Connection, wanted: Select[Any]) -> list[Event]:
    return [
        released(parse(row.canon, scheme=row.scheme), row.decision, row.released_at)
        for row in connection.execute(wanted)
    ]


def _children(units: list[UUID] | None) -> Select[Any]:
    """Units that were made of others, or, of some, those that took part."""
    link = tables.link.c
    has_parents = exists().where(link.child_id == tables.unit.c.id, link.voided_by.is_(None))
    wanted = select(tables.unit.c.id, tables.unit.c.created_at).where(has_parents)
    if units is None:
        return wanted
    used_in = select(link.child_id).where(link.parent_id.in_(units), link.voided_by.is_(None))
    return wanted.where(or_(tables.unit.c.id.in_(units), tables.unit.c.id.in_(used_in)))


def _made(connection: Connection, wanted: Select[Any]) -> list[Event]:
    learnt = {row.id: row.created_at for row in connection.execute(wanted)}
    if not learnt:
        return []
    link = tables.link.c
    rows = links_query().where(link.child_id.in_(list(learnt)), link.voided_by.is_(None))
    child_of = {row["id"]: row["child_id"] for row in connection.execute(rows).mappings()}
    by_child: dict[UUID, list[Any]] = {}
    for one in links_selected(connection, rows):
        by_child.setdefault(child_of[one.id], []).append(one)
    return [
        event for unit, links in by_child.items() for event in made_from(links[0].child, links, learnt[unit])
    ]


# ------------------------------------------------------------------ events


def taken_from(connection: Connection, ids: Sequence[UUID]) -> list[Taken]:
    table = tables.epcis_event.c
    columns = [table[one.name] for one in fields(Taken)]
    rows = connection.execute(select(*columns).where(table.id.in_(list(ids)))).mappings()
    return [Taken(**row) for row in rows]


def items_of(event: Mapping[str, Any]) -> set[tuple[str, str]]:
    """What an event names, and as what."""
    items = {("parent", key_of_epc(event["parentID"]))} if isinstance(event.get("parentID"), str) else set()
    for name, (role, member) in _ROLES.items():
        for one in event.get(name, ()):
            epc = one.get(member) if isinstance(one, Mapping) else one
            if isinstance(epc, str):
                items.add((role, key_of_epc(epc)))
    return items


def place_of(event: Mapping[str, Any]) -> Place:
    return time_of(event["eventTime"]), str(event["eventID"])


def time_of(text: str) -> datetime:
    """Of a time that the schema has let through."""
    return datetime.fromisoformat(text.upper().replace("Z", "+00:00")).astimezone(UTC)


def _fits(event: Mapping[str, Any], query: Query) -> bool:
    """Whether an event, of ours or received, is what was asked for."""
    read_point = (event.get("readPoint") or {}).get("id")
    for allowed, value in (
        (query.kinds, event.get("type")),
        (query.actions, event.get("action")),
        ([_word(one, "BizStep-") for one in query.biz_steps], _word(event.get("bizStep"), "BizStep-")),
        ([_word(one, "Disp-") for one in query.dispositions], _word(event.get("disposition"), "Disp-")),
        (query.read_points, read_point),
    ):
        if allowed and value not in allowed:
            return False
    items = items_of(event) if query.matches else set()
    return all(
        any((role, key_of_epc(epc)) in items for role in MATCHES[parameter] for epc in epcs)
        for parameter, epcs in query.matches.items()
    )


def _word(text: str | None, kind: str) -> str | None:
    """A word of the vocabulary as its address."""
    if text is None:
        return None
    for older in ("urn:epcglobal:cbv:bizstep:", "urn:epcglobal:cbv:disp:"):
        text = text.removeprefix(older)
    return text if ":" in text else f"{CBV}{kind}{text}"


def _events_with_ids(document: Mapping[str, Any]) -> tuple[list[Event], list[str]]:
    """The events, each under the id of what it says; one that claims the hash of something else is refused."""
    try:
        told = json_events(document)
    except NoEvents as error:
        return [], [str(error)]
    if len(told) > MOST_EVENTS:
        return [], [f"{len(told)} events; {MOST_EVENTS} are taken at once"]
    events, wrong = [], []
    for number, event in enumerate(told):
        complete = with_id(event, document.get("@context"))
        claimed = event.get("eventID")
        if (
            isinstance(claimed, str)
            and claimed.startswith("ni:///sha-256;")
            and claimed != complete["eventID"]
        ):
            wrong.append(f"event {number}: eventID is not the hash of what the event says")
        # An id of somebody's own is kept: others refer to it.
        events.append({**complete, "eventID": claimed} if isinstance(claimed, str) else complete)
    return events, wrong[:MOST_MISTAKES]


def _event_row(event: Mapping[str, Any], number: int, at: datetime) -> dict[str, Any]:
    read_point = event.get("readPoint")
    return {
        "event_id": event["eventID"],
        "id": uuid5(NAMESPACE_URL, event["eventID"]),
        "number": number,
        "kind": event["type"],
        "event_time": time_of(event["eventTime"]),
        "recorded_at": at,
        "action": event.get("action"),
        "biz_step": _word(event.get("bizStep"), "BizStep-"),
        "disposition": _word(event.get("disposition"), "Disp-"),
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
