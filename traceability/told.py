"""What other programs of the plant are told, in the order of the ledger.

Each record stands there once, from the transaction that made it on: nothing is left out, and nothing noted beside.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, Select, case, func, insert, select, update

from inspection.types import Verdict
from traceability import merkle, tables
from traceability.accounts import note
from traceability.database import plain_rows
from traceability.steps import place_of
from traceability.store import TraceStore

AT_ONCE: Final = 500
"""Leaves of the ledger that are read at once."""


class Event(StrEnum):
    VERDICT = "verdict"
    """A unit was refused."""
    HOLD = "hold"
    """A unit was put on hold, or a hold was decided."""
    CASE = "case"
    """Somebody did something about a case."""
    ALARM = "alarm"
    """An alarm of a lane was raised, acknowledged or shelved, or is over."""


class AlarmAct(StrEnum):
    """What the audit says of alarms; of which, `alarm_subject` says."""

    RAISED = "alarm.raised"
    ACKNOWLEDGED = "alarm.acknowledged"
    SHELVED = "alarm.shelved"
    OVER = "alarm.over"


def alarm_subject(station: str, lane: str, code: str) -> str:
    """As the audit names an alarm. Lanes of two stations on one database may have one name."""
    return f"alarm:{place_of(station, lane)}:{code}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Something that happened. `position`: of its record in the ledger, and its number for good. `facts`: plain JSON
    values, which name no person."""

    position: int
    event: Event
    at: datetime
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """How far one has been told: `position` is the next to be read. `tries` of what is told now have failed, since
    `failing_since`; it is tried again at `next_at`.

    name  station/program: each station tells its own programs, which may have one name and lie at other addresses
    """

    name: str
    position: int
    tries: int = 0
    failing_since: datetime | None = None
    next_at: datetime | None = None


class Readers:
    """Kept in the database: who is told goes on where it was, whatever ended meanwhile.

    Every method raises DatabaseUnreachable; those that write also DatabaseReadOnly and DiskFull.
    """

    def __init__(self, store: TraceStore) -> None:
        self._store = store

    def reader(self, station: str, program: str) -> Reader:
        """One that is new begins with what happens from now on."""
        table, name = tables.webhook, place_of(station, program)
        with self._store.writing() as connection:
            row = connection.execute(select(table).where(table.c.name == name)).one_or_none()
            if row is None:
                # Earlier versions named no station. The first that asks goes on where they were.
                named = update(table).where(table.c.name == program).values(name=name).returning(table)
                row = connection.execute(named).one_or_none()
            if row is None:
                new = Reader(name=name, position=merkle.size_of(connection))
                connection.execute(insert(table), {"name": name, "position": new.position, "tries": 0})
                return new
        return Reader(
            name=row.name,
            position=row.position,
            tries=row.tries,
            failing_since=row.failing_since,
            next_at=row.next_at,
        )

    def next_for(self, reader: Reader, events: Collection[Event]) -> tuple[tuple[Told, ...], Reader]:
        """What comes next of these events, of at most AT_ONCE records; and the reader behind them all."""
        with self._store.reading() as connection:
            leaf = tables.ledger_leaf.c
            rows = list(
                plain_rows(
                    connection,
                    select(leaf.position, leaf.kind, leaf.record_id)
                    .where(leaf.position >= reader.position, leaf.position < reader.position + AT_ONCE)
                    .order_by(leaf.position),
                )
            )
            by_kind: dict[str, dict[UUID, int]] = {}
            for position, kind, id in rows:
                by_kind.setdefault(kind, {})[id] = position
            found: list[Told] = []
            if Event.VERDICT in events:
                found += _refused(connection, by_kind.get("inspection", {}))
            if Event.HOLD in events:
                found += _held(connection, by_kind.get("hold", {}))
                found += _released(connection, by_kind.get("hold_release", {}))
            audited = by_kind.get("audit", {})
            if Event.CASE in events:
                found += _cases(connection, audited)
            if Event.ALARM in events:
                found += _alarms(connection, audited)
        behind = replace(reader, position=rows[-1][0] + 1) if rows else reader
        return tuple(sorted(found, key=lambda one: one.position)), behind

    def moved(self, reader: Reader) -> None:
        with self._store.writing() as connection:
            connection.execute(_kept(reader))

    def given_up(self, reader: Reader, left: Told, *, at: datetime, reason: str) -> None:
        """Go on behind something that could not be told, with a line in the audit."""
        with self._store.writing() as connection:
            connection.execute(_kept(reader))
            after = {"event": left.event.value, "position": left.position}
            note(
                connection,
                at=at,
                by=None,
                action="webhook.given_up",
                subject=f"webhook:{reader.name}",
                after=after,
                reason=reason,
            )


def alarms_left_standing(store: TraceStore, station: str, lanes: Collection[str]) -> tuple[str, ...]:
    """Subjects of a station's alarms that were raised more often than they were over, in order; also of lanes that it
    has no more.

    One that an earlier version noted names no station: it counts as of any that has such a lane.
    """
    audit = tables.audit.c
    raised, over = AlarmAct.RAISED, AlarmAct.OVER
    balance = func.sum(case((audit.action == raised, 1), else_=-1))
    wanted = (
        select(audit.subject)
        .where(audit.action.in_([raised, over]))
        .group_by(audit.subject)
        .having(balance > 0)
        .order_by(audit.subject)
    )
    with store.reading() as connection:
        standing: Sequence[str] = connection.execute(wanted).scalars().all()
    parted = [(subject, *_parts_of_alarm(subject)) for subject in standing]
    return tuple(
        subject for subject, of, lane, _ in parted if of == station or (of is None and lane in lanes)
    )


def _parts_of_alarm(subject: str) -> tuple[str | None, str, str]:
    """Station, lane and code; no station in what an earlier version noted."""
    place, _, code = subject.removeprefix("alarm:").rpartition(":")
    station, _, lane = place.rpartition("/")
    return station or None, lane, code


def _kept(reader: Reader) -> Any:
    return (
        update(tables.webhook)
        .where(tables.webhook.c.name == reader.name)
        .values(
            position=reader.position,
            tries=reader.tries,
            failing_since=reader.failing_since,
            next_at=reader.next_at,
        )
    )


def _refused(connection: Connection, positions: Mapping[UUID, int]) -> list[Told]:
    head, code = tables.inspection.c, tables.identifier.c
    rows = _all(
        connection,
        select(head.id, head.finished_at, head.station, head.lane, code.scheme, code.canon)
        .join(tables.identifier, code.id == head.identifier_id)
        .where(head.verdict == Verdict.REJECT, head.simulated.is_(False)),
        head.id,
        positions,
    )
    return [
        Told(
            position=positions[row.id],
            event=Event.VERDICT,
            at=row.finished_at,
            facts={
                "inspection": str(row.id),
                "verdict": Verdict.REJECT.name,
                "unit": {"scheme": row.scheme, "code": row.canon},
                "station": row.station,
                "lane": row.lane,
            },
        )
        for row in rows
    ]


def _held(connection: Connection, positions: Mapping[UUID, int]) -> list[Told]:
    hold, code = tables.hold.c, tables.identifier.c
    rows = _all(
        connection,
        select(hold.id, hold.placed_at, hold.reason, code.scheme, code.canon).join(
            tables.identifier, code.id == hold.identifier_id
        ),
        hold.id,
        positions,
    )
    return [
        Told(
            position=positions[row.id],
            event=Event.HOLD,
            at=row.placed_at,
            facts={
                "hold": str(row.id),
                "is_held": True,
                "unit": {"scheme": row.scheme, "code": row.canon},
                "reason": row.reason,
            },
        )
        for row in rows
    ]


def _released(connection: Connection, positions: Mapping[UUID, int]) -> list[Told]:
    release, hold, code = tables.hold_release.c, tables.hold.c, tables.identifier.c
    rows = _all(
        connection,
        select(
            release.id,
            release.hold_id,
            release.released_at,
            release.decision,
            release.reason,
            code.scheme,
            code.canon,
        )
        .join(tables.hold, hold.id == release.hold_id)
        .join(tables.identifier, code.id == hold.identifier_id),
        release.id,
        positions,
    )
    return [
        Told(
            position=positions[row.id],
            event=Event.HOLD,
            at=row.released_at,
            facts={
                "hold": str(row.hold_id),
                "is_held": False,
                "decision": row.decision,
                "unit": {"scheme": row.scheme, "code": row.canon},
                "reason": row.reason,
            },
        )
        for row in rows
    ]


def _cases(connection: Connection, positions: Mapping[UUID, int]) -> list[Told]:
    return [
        Told(
            position=positions[row.id],
            event=Event.CASE,
            at=row.at,
            facts={
                "case": row.subject.removeprefix("case:"),
                "act": row.action.removeprefix("case."),
            },
        )
        for row in _audited(connection, "case.", positions)
    ]


def _alarms(connection: Connection, positions: Mapping[UUID, int]) -> list[Told]:
    told = []
    for row in _audited(connection, "alarm.", positions):
        station, lane, code = _parts_of_alarm(row.subject)
        facts = {"station": station, "lane": lane, "code": code, "act": row.action.removeprefix("alarm.")}
        told.append(
            Told(
                position=positions[row.id],
                event=Event.ALARM,
                at=row.at,
                facts=facts | (row.after or {}),
            )
        )
    return told


def _audited(connection: Connection, actions: str, positions: Mapping[UUID, int]) -> Sequence[Any]:
    """Of the entries at these positions those whose action begins so."""
    audit = tables.audit.c
    wanted = select(audit.id, audit.at, audit.action, audit.subject, audit.after).where(
        audit.action.startswith(actions, autoescape=True)
    )
    return _all(connection, wanted, audit.id, positions)


def _all(
    connection: Connection, wanted: Select[Any], id: Any, positions: Mapping[UUID, int]
) -> Sequence[Any]:
    return connection.execute(wanted.where(id.in_(list(positions)))).all() if positions else ()
