"""Cases: from a signal or a complaint to an owner, a cause, an action, a check of its effect, and the end.

A case is what was done about it, act by act, each only ever added: its state is read from them. The order is that of
an 8D report (VDA, 8D - Problem Solving), and a case ends only when each of its questions is answered and
the last check found the action effective. What recurs opens its case again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, insert, select
from uuid_utils.compat import uuid7

from traceability import database, people, tables
from traceability.accounts import Person, note
from traceability.errors import CaseNotReady, CaseOver, CaseUnknown, PersonUnknown
from traceability.store import TraceStore

RECURS_WITHIN: Final = timedelta(days=180)
"""What comes back later than that is another case."""

MOST: Final = 500

_LOCK: Final = 7_105_022_041
"""Two who write in the same moment would each open a case of the same, or write on in one that the other one closed."""


class Source(StrEnum):
    """What began it."""

    SIGNAL = "signal"
    COMPLAINT = "complaint"
    ESCAPE = "escape"
    OTHER = "other"


class Act(StrEnum):
    """What was done about a case; in brackets the discipline of an 8D report that it answers."""

    OPENED = "opened"
    """What is wrong, and where it was seen (D2)."""
    SEEN_AGAIN = "seen_again"
    """The same, while the case was open."""
    ASSIGNED = "assigned"
    """Whose it is (D1)."""
    CONTAINED = "contained"
    """What keeps more of it from leaving (D3)."""
    CAUSE = "cause"
    """Why it happened (D4)."""
    ACTION = "action"
    """What is done about the cause, and until when (D5, D6)."""
    CHECK = "check"
    """Whether that helped (D6)."""
    PREVENTION = "prevention"
    """What keeps it from happening elsewhere (D7)."""
    CLOSED = "closed"
    """The end, signed (D8)."""
    REOPENED = "reopened"
    """It came back."""
    NOTE = "note"


NEEDED: Final = (Act.ASSIGNED, Act.CAUSE, Act.ACTION, Act.CHECK)
"""Without one of these since it was opened, or opened again, a case does not end."""

WRITTEN: Final = (
    Act.ASSIGNED,
    Act.CONTAINED,
    Act.CAUSE,
    Act.ACTION,
    Act.CHECK,
    Act.PREVENTION,
    Act.NOTE,
)
"""What people add to an open case; the others follow from opening and closing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """One act. `by` and `owner` are names, or commitments where the name was erased.

    owner      of ASSIGNED
    due        of ACTION, where a day was named
    effective  of CHECK
    """

    id: UUID
    at: datetime
    by: str
    act: Act
    text: str
    owner: str | None = None
    due: date | None = None
    effective: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """`key` tells what is the same when it comes again: a characteristic of a lane, a customer's part number."""

    id: UUID
    opened_at: datetime
    source: Source
    key: str
    title: str
    acts: tuple[Done, ...]

    @property
    def round(self) -> tuple[Done, ...]:
        """The acts since it was opened, or opened again."""
        began = max(number for number, one in enumerate(self.acts) if one.act in (Act.OPENED, Act.REOPENED))
        return self.acts[began:]

    @property
    def is_open(self) -> bool:
        return all(one.act is not Act.CLOSED for one in self.round)

    @property
    def owner(self) -> str | None:
        return next((one.owner for one in reversed(self.acts) if one.act is Act.ASSIGNED), None)

    @property
    def due(self) -> date | None:
        return next((one.due for one in reversed(self.round) if one.act is Act.ACTION), None)

    @property
    def last_at(self) -> datetime:
        return self.acts[-1].at

    @property
    def missing(self) -> tuple[Act, ...]:
        """What is needed before it may end. An owner stays; the other answers are asked anew when it came back."""
        there = {one.act for one in self.round}
        missing = [
            act for act in NEEDED if act not in there and not (act is Act.ASSIGNED and self.owner is not None)
        ]
        checks = [one for one in self.round if one.act is Act.CHECK]
        if checks and not checks[-1].effective:
            missing.append(Act.CHECK)
        elif checks and any(one.act is Act.ACTION and one.id > checks[-1].id for one in self.round):
            # What was done after the last check nobody has checked.
            missing.append(Act.CHECK)
        return tuple(missing)

    def of(self, act: Act) -> tuple[Done, ...]:
        return tuple(one for one in self.acts if one.act is act)

    def answers(self, act: Act) -> tuple[Done, ...]:
        """As the 8D report has them. What happened is told each time it happens; of a case that came back its end was
        none."""
        if act is Act.OPENED:
            return tuple(one for one in self.acts if one.act in (Act.OPENED, Act.SEEN_AGAIN, Act.REOPENED))
        return tuple(one for one in self.of(act) if act is not Act.CLOSED or one in self.round)


class Cases:
    """The cases of a plant, over the same database as its records.

    Every method raises DatabaseUnreachable; those that write also DatabaseReadOnly and DiskFull.
    """

    def __init__(self, store: TraceStore) -> None:
        self._store = store

    def open(self, *, source: Source, key: str, title: str, text: str, by: Person, at: datetime) -> Case:
        """A new case; the open one of the same source and key, with a line that it was seen again; or one that was
        closed not long ago, opened again."""
        with self._store.writing() as connection:
            database.lock(connection, _LOCK)
            before = self._newest_of(connection, source, key)
            if before is not None and before.is_open:
                id, act = before.id, Act.SEEN_AGAIN
            elif before is not None and at - before.last_at <= RECURS_WITHIN:
                id, act = before.id, Act.REOPENED
            else:
                id, act = uuid7(), Act.OPENED
                row = {"id": id, "opened_at": at, "source": source.value, "key": key, "title": title}
                connection.execute(insert(tables.quality_case), row)
            self._add(connection, id, act, text or title, by=by, at=at)
            return self._case(connection, id)

    def act(
        self,
        id: UUID,
        act: Act,
        text: str,
        *,
        by: Person,
        at: datetime,
        owner: str | None = None,
        due: date | None = None,
        effective: bool | None = None,
    ) -> Case:
        """Add one of WRITTEN. Raises CaseUnknown, CaseOver, and PersonUnknown for an owner who has no account."""
        if act not in WRITTEN:
            raise ValueError(f"{act} is not written by itself")
        with self._store.writing() as connection:
            database.lock(connection, _LOCK)
            case = self._case(connection, id)
            if not case.is_open:
                raise _over(case)
            if act is Act.ASSIGNED:
                _check_owner(connection, owner)
            self._add(connection, id, act, text, by=by, at=at, owner=owner, due=due, effective=effective)
            return self._case(connection, id)

    def close(self, id: UUID, text: str, *, by: Person, at: datetime) -> Case:
        """End it. Whoever does has signed: see `services`. Raises CaseUnknown, CaseOver, CaseNotReady."""
        with self._store.writing() as connection:
            database.lock(connection, _LOCK)
            case = self._case(connection, id)
            if not case.is_open:
                raise _over(case)
            if case.missing:
                missing = ", ".join(case.missing)
                raise CaseNotReady(
                    f"The case lacks: {missing}.",
                    action="Answer these first; the last check must have found the action effective.",
                    missing=missing,
                )
            self._add(connection, id, Act.CLOSED, text, by=by, at=at)
            return self._case(connection, id)

    def of(self, id: UUID) -> Case:
        """Raises CaseUnknown."""
        with self._store.reading() as connection:
            return self._case(connection, id)

    def all(
        self,
        *,
        search: str = "",
        is_open: bool | None = None,
        limit: int = MOST,
        before: UUID | None = None,
    ) -> tuple[Case, ...]:
        """The newest first; with `search` in a title, a key or something written about them. `before` goes on where
        an earlier answer ended."""
        found = select(tables.quality_case.c.id).order_by(tables.quality_case.c.id.desc()).limit(limit)
        if before is not None:
            found = found.where(tables.quality_case.c.id < before)
        if is_open is not None:
            found = found.where(_is_open() if is_open else ~_is_open())
        if search:
            like = f"%{_escaped(search)}%"
            within = select(tables.case_act.c.case_id).where(tables.case_act.c.text.ilike(like, escape="\\"))
            found = found.where(
                tables.quality_case.c.title.ilike(like, escape="\\")
                | tables.quality_case.c.key.ilike(like, escape="\\")
                | tables.quality_case.c.id.in_(within)
            )
        with self._store.reading() as connection:
            ids: list[UUID] = list(connection.execute(found).scalars())
            return tuple(_cases(connection, ids))

    def _newest_of(self, connection: Connection, source: Source, key: str) -> Case | None:
        table = tables.quality_case.c
        wanted = select(table.id).where(table.source == source.value, table.key == key)
        ids: list[UUID] = list(connection.execute(wanted.order_by(table.id.desc()).limit(1)).scalars())
        return next(iter(_cases(connection, ids)), None)

    def _case(self, connection: Connection, id: UUID) -> Case:
        found = _cases(connection, [id])
        if not found:
            raise CaseUnknown(f"There is no case {id}.", action="Choose one from the list.", case=str(id))
        return found[0]

    def _add(
        self,
        connection: Connection,
        case: UUID,
        act: Act,
        text: str,
        *,
        by: Person,
        at: datetime,
        owner: str | None = None,
        due: date | None = None,
        effective: bool | None = None,
    ) -> None:
        committed = None if owner is None else people.commit(connection, owner)
        told = {"owner": committed, "due": None if due is None else due.isoformat(), "effective": effective}
        told = {name: value for name, value in told.items() if value is not None}
        row = {
            "id": _next_id(connection, case),
            "case_id": case,
            "at": at,
            "by": people.commit(connection, by.name),
            "act": act.value,
            "text": text,
            "facts": told or None,
        }
        connection.execute(insert(tables.case_act), row)
        after = told | {"text": text}
        note(connection, at=at, by=by, action=f"case.{act.value}", subject=f"case:{case}", after=after)


def _next_id(connection: Connection, case: UUID) -> UUID:
    """Of an act: it begins with its time, and stands behind that of the act before it, though the clock was set back
    meanwhile, or another station's is ahead. Acts are read by their ids; out of order, a case that came back would
    stay closed."""
    act = tables.case_act.c
    last = connection.execute(
        select(act.id).where(act.case_id == case).order_by(act.id.desc()).limit(1)
    ).scalar()
    new = uuid7()
    return new if last is None or new > last else UUID(int=last.int + 1)


def _check_owner(connection: Connection, owner: str | None) -> None:
    account = tables.account.c
    known = select(account.id).where(account.name == owner, account.is_active)
    if connection.execute(known).first() is None:
        raise PersonUnknown(
            f"Nobody is called {owner} here.", action="Choose from the list.", name=str(owner)
        )


def _is_open() -> ColumnElement[bool]:
    """Whether its last end or beginning is a beginning: as `Case.is_open`, of rows."""
    turns = (Act.OPENED.value, Act.REOPENED.value, Act.CLOSED.value)
    last = (
        select(tables.case_act.c.act)
        .where(tables.case_act.c.case_id == tables.quality_case.c.id, tables.case_act.c.act.in_(turns))
        .order_by(tables.case_act.c.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    return last != Act.CLOSED.value


def _over(case: Case) -> CaseOver:
    return CaseOver(
        "The case is closed.",
        action="If it came back, open it again from where it was seen.",
        case=str(case.id),
    )


def _cases(connection: Connection, ids: Sequence[UUID]) -> list[Case]:
    """In the order of `ids`; those that are not there are left out."""
    rows = connection.execute(select(tables.quality_case).where(tables.quality_case.c.id.in_(ids))).mappings()
    heads = {row["id"]: row for row in rows}
    acts = (
        connection.execute(
            select(tables.case_act).where(tables.case_act.c.case_id.in_(ids)).order_by(tables.case_act.c.id)
        )
        .mappings()
        .all()
    )
    told = [(row["facts"] or {}) for row in acts]
    committed = {row["by"] for row in acts} | {one["owner"] for one in told if "owner" in one}
    names = people.names(connection, committed)
    of_case: dict[UUID, list[Done]] = {}
    for row, facts in zip(acts, told, strict=True):
        of_case.setdefault(row["case_id"], []).append(_done(row, facts, names))
    return [
        Case(
            id=id,
            opened_at=heads[id]["opened_at"],
            source=Source(heads[id]["source"]),
            key=heads[id]["key"],
            title=heads[id]["title"],
            acts=tuple(of_case[id]),
        )
        for id in ids
        if id in heads
    ]


def _done(row: Any, facts: dict[str, Any], names: dict[str, str]) -> Done:
    owner = facts.get("owner")
    return Done(
        id=row["id"],
        at=row["at"],
        by=names.get(row["by"], row["by"]),
        act=Act(row["act"]),
        text=row["text"],
        owner=None if owner is None else names.get(owner, owner),
        due=None if "due" not in facts else date.fromisoformat(facts["due"]),
        effective=facts.get("effective"),
    )


def _escaped(search: str) -> str:
    return search.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
