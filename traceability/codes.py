"""CodeRegister: issuing codes, and which of them name one unit.

A plant's server reserves blocks of numbers; a station adopts its block and issues from it with no network. Numbers are
never issued twice: a block belongs to one holder, and the next number is counted up in the transaction that keeps the
code. Many codes may name a unit. Its key is the first of them that is not retired; records hang on the unit, so every
one of them finds all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, get_args
from uuid import UUID

from sqlalchemy import Connection, RowMapping, Select, func, select, update
from uuid_utils.compat import uuid7

from inspection.identity import IdentifierCode
from traceability import database, tables
from traceability.accounts import note
from traceability.errors import BlockMissing, BlockRefused, CodeNotParsed, CodeRetired, CodeTaken, UnitUnknown
from traceability.identifiers import parse
from traceability.identifiers.gs1.checks import check_digit
from traceability.merkle import append
from traceability.recorded import ON_RECORD, entry
from traceability.statements import Plain
from traceability.store import TraceStore

EventKind = Literal["issued", "registered", "bound", "retired", "reinstated"]
EVENT_KINDS: tuple[EventKind, ...] = get_args(EventKind)

# As for upgrades: one number that nothing else on the server takes.
_RESERVE_LOCK = 7_105_022_020

_MOST_DIGITS = 18
"""What a 64-bit integer holds."""

_SSCC = "(00)"


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeBlock:
    """Numbers that one holder may issue, both ends included.

    prefix  what stands before the number: `86.100.12/COIL-`, `(01)09520123456788(21)`; behind `(00)` and the company's
            digits a check digit follows the number
    digits  each number is filled up with zeros to so many
    """

    id: UUID
    prefix: str
    first: int
    last: int
    digits: int
    holder: str
    reserved_at: datetime

    def code(self, number: int) -> IdentifierCode:
        """Raises CodeNotParsed where prefix and number make no code."""
        text = f"{self.prefix}{number:0{self.digits}}"
        if text.startswith(_SSCC) and text.removeprefix(_SSCC).isdigit():
            text += check_digit(text.removeprefix(_SSCC))
        return parse(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeEvent:
    """Something that was done with a code."""

    code: IdentifierCode
    kind: EventKind
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """The same as it is kept: `unit` is what the code named from then on."""

    id: UUID
    code: IdentifierCode
    kind: EventKind
    unit: UUID
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeRecord:
    """What is known about the codes of a unit.

    key      the one under which the unit is shown
    codes    all of them, in the order they were learnt
    retired  those that are given up; they still find the unit
    events   of all of them, oldest first
    """

    unit: UUID
    key: IdentifierCode
    codes: tuple[IdentifierCode, ...]
    retired: frozenset[IdentifierCode]
    events: tuple[CodeEvent, ...]


class CodeRegister:
    """Codes in a database. Methods raise what TraceStore's do, and what they name."""

    def __init__(self, store: TraceStore) -> None:
        self._store = store

    # ------------------------------------------------------------------ blocks

    def reserve(
        self,
        prefix: str,
        *,
        count: int,
        digits: int,
        holder: str,
        is_issued_here: bool,
        first: int | None = None,
    ) -> CodeBlock:
        """The next `count` numbers behind a prefix, or those from `first` on. Raises BlockRefused."""
        prefix = _spelt(prefix)
        block_id, now = uuid7(), datetime.now(UTC)
        with self._store.writing() as connection:
            database.lock(connection, _RESERVE_LOCK)
            if first is None:
                highest = select(func.coalesce(func.max(tables.code_block.c.last), 0)).where(
                    tables.code_block.c.prefix == prefix
                )
                first = connection.execute(highest).scalar_one() + 1
            block = CodeBlock(
                id=block_id,
                prefix=prefix,
                first=first,
                last=first + count - 1,
                digits=digits,
                holder=holder,
                reserved_at=now,
            )
            self._keep(connection, block, is_issued_here=is_issued_here)
        return block

    def adopt(self, block: CodeBlock) -> bool:
        """Issue from a block that the plant's server reserved for us. Doing it twice changes nothing: False then.

        Raises BlockRefused.
        """
        with self._store.writing() as connection:
            database.lock(connection, _RESERVE_LOCK)
            if connection.execute(
                select(tables.code_block.c.id).where(tables.code_block.c.id == block.id)
            ).first():
                return False
            self._keep(connection, block, is_issued_here=True)
        return True

    def _keep(self, connection: Connection, block: CodeBlock, *, is_issued_here: bool) -> None:
        reason = _block_mistake(block)
        table = tables.code_block.c
        overlaps = select(table.id).where(
            table.prefix == block.prefix, table.first <= block.last, table.last >= block.first
        )
        if reason is None and connection.execute(overlaps).first():
            reason = "another block has some of them"
        if reason is not None:
            raise BlockRefused(
                f"Numbers {block.first} to {block.last} behind {block.prefix!r} cannot be a block: {reason}.",
                action="Choose other numbers, or another prefix.",
                prefix=block.prefix,
                first=block.first,
                last=block.last,
                reason=reason,
            )
        connection.execute(
            tables.code_block.insert().values(
                id=block.id,
                prefix=block.prefix,
                first=block.first,
                last=block.last,
                digits=block.digits,
                holder=block.holder,
                is_issued_here=is_issued_here,
                next=block.first,
                reserved_at=block.reserved_at,
            )
        )

    def left(self, prefix: str) -> int:
        """How many codes can still be issued here behind a prefix."""
        prefix = _spelt(prefix)
        table = tables.code_block.c
        rest = select(func.coalesce(func.sum(table.last - table.next + 1), 0)).where(
            table.prefix == prefix, table.is_issued_here
        )
        with self._store.reading() as connection:
            return int(connection.execute(rest).scalar_one())

    # ------------------------------------------------------------------ codes

    def issue(self, prefix: str, *, reason: str = "") -> IdentifierCode:
        """A new code from the oldest block that has one left, its unit made with it. Raises BlockMissing."""
        prefix = _spelt(prefix)
        table = tables.code_block.c
        with self._store.writing() as connection:
            database.lock(connection, _RESERVE_LOCK)
            open_ = select(tables.code_block).where(
                table.prefix == prefix, table.is_issued_here, table.next <= table.last
            )
            row = connection.execute(open_.order_by(table.first).limit(1)).mappings().first()
            if row is None:
                raise BlockMissing(
                    f"No block of codes is left here for {prefix!r}.",
                    action="Reserve one at the plant's server and adopt it here.",
                    prefix=prefix,
                )
            block = _block_from(row)
            number, code = row["next"], None
            while code is None and number <= block.last:
                made = block.code(number)
                # Somebody may have written such a code by hand: then that number is spent.
                code = None if self._is_known(connection, made) else made
                number += 1
            connection.execute(update(tables.code_block).where(table.id == block.id).values(next=number))
            if code is not None:
                self._note(connection, code, "issued", reason)
        return code if code is not None else self.issue(prefix, reason=reason)

    def register(self, code: IdentifierCode, *, reason: str = "") -> bool:
        """Make a unit known by its code before anything was seen of it. False where it is known already."""
        with self._store.writing() as connection:
            if self._is_known(connection, code):
                return False
            self._note(connection, code, "registered", reason)
        return True

    def bind(self, code: IdentifierCode, to: IdentifierCode, *, reason: str = "") -> bool:
        """`code` names the unit that `to` names, from now on; False where it did already.

        A code that was read or typed before may have a unit of its own: that one's codes and what was seen under them
        move too, unless more than inspections hangs on it; then they may be two units, and a person must say.
        Raises UnitUnknown for `to`, CodeRetired for either, CodeTaken.
        """
        with self._store.writing() as connection:
            unit = self._store.unit_id(connection, to)
            self._refuse_retired(connection, to)
            if self._is_known(connection, code):
                self._refuse_retired(connection, code)
                former = self._store.unit_id(connection, code)
                if former == unit:
                    return False
                before = self._standing(connection, former, unit)
                self._move(connection, code, former, unit, to)
            else:
                before = self._standing(connection, unit)
                row = {"unit_id": unit, "scheme": code.scheme, "canon": code.canon}
                connection.execute(
                    database.insert_new(connection, tables.identifier, "scheme", "canon"), [row]
                )
            self._note(connection, code, "bound", reason, before=before)
        return True

    def _move(
        self, connection: Connection, code: IdentifierCode, former: UUID, unit: UUID, to: IdentifierCode
    ) -> None:
        if any(connection.execute(query).first() for query in _hangs_on(former)):
            raise CodeTaken(
                f"{code} names another unit already.",
                action="Check which of both codes is on the unit.",
                code=str(code),
                other=str(self._record(connection, former).key),
            )
        own = tables.identifier.c.unit_id == former
        connection.execute(update(tables.identifier).where(own).values(unit_id=unit))

    def retire(self, code: IdentifierCode, *, reason: str) -> bool:
        """Give a code up: it still finds its unit, and is neither bound nor issued again. Raises UnitUnknown."""
        return self._change(code, "retired", reason)

    def reinstate(self, code: IdentifierCode, *, reason: str) -> bool:
        """Take that back. Raises UnitUnknown."""
        return self._change(code, "reinstated", reason)

    def _change(self, code: IdentifierCode, kind: Literal["retired", "reinstated"], reason: str) -> bool:
        with self._store.writing() as connection:
            before = self._standing(connection, self._store.unit_id(connection, code))
            is_retired = self._retirement(connection, code) is not None
            if is_retired == (kind == "retired"):
                return False
            self._note(connection, code, kind, reason, before=before)
        return True

    def of(self, code: IdentifierCode) -> CodeRecord:
        """All codes of the unit that this one names. Raises UnitUnknown."""
        with self._store.reading() as connection:
            return self._record(connection, self._store.unit_id(connection, code))

    # ------------------------------------------------------------------ rows

    def _record(self, connection: Connection, unit: UUID) -> CodeRecord:
        identifier, event = tables.identifier.c, tables.code_event.c
        rows = select(tables.identifier).where(identifier.unit_id == unit).order_by(identifier.id)
        codes = {row["id"]: _code_from(row) for row in connection.execute(rows).mappings()}
        done = (
            select(event.identifier_id, event.kind, event.at, event.reason)
            .where(event.identifier_id.in_(list(codes)))
            .order_by(event.at, event.id)
        )
        events = tuple(
            CodeEvent(code=codes[row.identifier_id], kind=row.kind, at=row.at, reason=row.reason)
            for row in connection.execute(done)
        )
        latest = {one.code: one.kind for one in events}
        retired = frozenset(code for code, kind in latest.items() if kind == "retired")
        all_codes = tuple(codes.values())
        key = next((code for code in all_codes if code not in retired), all_codes[0])
        return CodeRecord(unit=unit, key=key, codes=all_codes, retired=retired, events=events)

    def _is_known(self, connection: Connection, code: IdentifierCode) -> bool:
        try:
            self._store.unit_id(connection, code)
        except UnitUnknown:
            return False
        return True

    def _standing(self, connection: Connection, *units: UUID) -> Plain:
        """Units with all their codes, for the audit."""
        records = [self._record(connection, unit) for unit in units]
        return {
            "units": [
                {
                    "unit": str(one.unit),
                    "codes": [{"scheme": code.scheme, "canon": code.canon} for code in one.codes],
                    "retired": sorted(code.canon for code in one.retired),
                }
                for one in records
            ]
        }

    def _note(
        self,
        connection: Connection,
        code: IdentifierCode,
        kind: EventKind,
        reason: str,
        *,
        before: Plain | None = None,
    ) -> None:
        named = self._store.naming(connection, [code])[code]
        noted = Noted(
            id=uuid7(),
            code=IdentifierCode(scheme=code.scheme, raw=code.canon, canon=code.canon),
            kind=kind,
            unit=named.unit_id,
            at=datetime.now(UTC),
            reason=reason,
        )
        connection.execute(
            tables.code_event.insert().values(
                id=noted.id,
                identifier_id=named.identifier_id,
                kind=kind,
                unit_id=noted.unit,
                at=noted.at,
                reason=reason,
            )
        )
        append(connection, [entry("code_event", noted)], ON_RECORD)
        # By whoever may write the database: commands know of no person.
        note(
            connection,
            at=noted.at,
            by=None,
            action=f"code.{kind}",
            subject=f"code:{code}",
            before=before,
            after=self._standing(connection, noted.unit),
            reason=reason or None,
        )

    def _retirement(self, connection: Connection, code: IdentifierCode) -> str | None:
        """Why the code is retired; None where it is not."""
        named = self._store.naming(connection, [code])[code]
        event = tables.code_event.c
        latest = (
            select(event.kind, event.reason)
            .where(event.identifier_id == named.identifier_id)
            .order_by(event.at.desc(), event.id.desc())
            .limit(1)
        )
        row = connection.execute(latest).first()
        return None if row is None or row.kind != "retired" else str(row.reason)

    def _refuse_retired(self, connection: Connection, code: IdentifierCode) -> None:
        reason = self._retirement(connection, code)
        if reason is not None:
            raise CodeRetired(
                f"{code} was retired: {reason}",
                action="Use the code that took its place, or issue a new one.",
                unit=str(code),
                reason=reason,
            )


def _spelt(prefix: str) -> str:
    """One spelling for one prefix, as its codes will have it; what makes no code alone is left as it is."""
    try:
        return parse(prefix + "1").canon.removesuffix("1")
    except CodeNotParsed:
        return prefix


def noted_from(connection: Connection, ids: Sequence[UUID]) -> list[Noted]:
    event, named = tables.code_event, tables.identifier.c
    rows = (
        select(event, named.scheme, named.canon)
        .join(tables.identifier, named.id == event.c.identifier_id)
        .where(event.c.id.in_(list(ids)))
    )
    return [
        Noted(
            id=row["id"],
            code=_code_from(row),
            kind=row["kind"],
            unit=row["unit_id"],
            at=row["at"],
            reason=row["reason"],
        )
        for row in connection.execute(rows).mappings()
    ]


def _block_mistake(block: CodeBlock) -> str | None:
    if not 0 < block.digits <= _MOST_DIGITS:
        return f"{block.digits} digits, and 1 to {_MOST_DIGITS} can be counted"
    if not 0 <= block.first <= block.last:
        return "the first number is behind the last"
    if len(str(block.last)) > block.digits:
        return f"{block.last} has more than {block.digits} digits"
    try:
        block.code(block.first), block.code(block.last)
    except CodeNotParsed as error:
        return f"{error.facts['text']} is no code"
    return None


def _block_from(row: RowMapping) -> CodeBlock:
    names = ("id", "prefix", "first", "last", "digits", "holder", "reserved_at")
    return CodeBlock(**{name: row[name] for name in names})


def _code_from(row: RowMapping) -> IdentifierCode:
    return IdentifierCode(scheme=row["scheme"], raw=row["canon"], canon=row["canon"])


def _hangs_on(unit: UUID) -> list[Select[tuple[UUID]]]:
    """Queries for what names the unit itself, and not one of its codes."""
    return [
        select(column).where(column == unit).limit(1)
        for table in tables.metadata.sorted_tables
        if table.name not in ("identifier", "code_event")
        for column in table.columns
        if any(key.column is tables.unit.c.id for key in column.foreign_keys)
    ]
