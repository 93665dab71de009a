"""Keeping records: new ones entered into the ledger, known ones absorbed, contradictions kept beside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import Connection

from traceability.contradictions import Clash, keep_contradictions
from traceability.merkle import append
from traceability.recorded import ON_RECORD, entry, read
from traceability.statements import statement

_Record = TypeVar("_Record")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """How many were new; and the ids under which something else is on record: both are kept, the first one counts."""

    new: int
    contradictions: tuple[UUID, ...]


def keep(
    connection: Connection,
    kind: str,
    records: Sequence[_Record],
    put: Callable[[Sequence[_Record]], None],
    audit: Callable[[Connection], None] | None = None,
) -> Kept:
    """Sort out what is new, `put` it into its tables, and enter it; the last thing a transaction does.

    kind     of `recorded.KINDS`
    records  with an `id` each; the same one twice in a delivery is one
    audit    told last, where a person did it
    """
    given: Sequence[Any] = records
    known = {id_: statement(one) for id_, one in read(connection, kind, [one.id for one in given]).items()}
    new: list[Any] = []
    clashes: list[Clash] = []
    for one in given:
        said = statement(one)
        if one.id not in known:
            known[one.id] = said
            new.append(one)
        elif known[one.id] != said:
            clashes.append(Clash(kind=kind, record=one.id, said=said))
    put(new)
    entries = [entry(kind, one) for one in new]
    append(connection, [*entries, *keep_contradictions(connection, clashes)], ON_RECORD)
    if audit is not None:
        audit(connection)
    return Kept(new=len(new), contradictions=tuple(dict.fromkeys(one.record for one in clashes)))
