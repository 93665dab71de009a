"""Requests that are done once however often they are sent: the answer is kept under a key that the sender made."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from traceability import tables
from traceability.store import TraceStore

KEPT_FOR: Final = timedelta(hours=24)
"""A sender that was away longer looks first what became of its request."""

_table = tables.kept_answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What is known of a key. `status` and `body` are None while the request is worked on, and for good where this
    process ended meanwhile: then nobody knows whether it was done."""

    request_sha256: str
    status: int | None
    body: bytes | None


class Once:
    """Raises DatabaseUnreachable, DatabaseReadOnly and DiskFull."""

    def __init__(self, store: TraceStore) -> None:
        self._store = store

    def begin(self, person: UUID, key: str, *, request_sha256: str, at: datetime) -> Kept | None:
        """None for a key that is new: from now on it is this request's. Else what is known of it."""
        row = {"person_id": person, "key": key, "request_sha256": request_sha256, "asked_at": at}
        with self._store.writing() as connection:
            connection.execute(delete(_table).where(_table.c.asked_at < at - KEPT_FOR))
            try:
                with connection.begin_nested():
                    connection.execute(insert(_table).values(row))
            except IntegrityError:
                wanted = select(_table).where(_table.c.person_id == person, _table.c.key == key)
                found = connection.execute(wanted).one()
                return Kept(request_sha256=found.request_sha256, status=found.status, body=found.body)
        return None

    def done(self, person: UUID, key: str, *, status: int, body: bytes) -> None:
        """Keep the answer."""
        kept = update(_table).where(_table.c.person_id == person, _table.c.key == key)
        with self._store.writing() as connection:
            connection.execute(kept.values(status=status, body=body))

    def refused(self, person: UUID, key: str) -> None:
        """Nothing was done: the key may be used again."""
        with self._store.writing() as connection:
            connection.execute(delete(_table).where(_table.c.person_id == person, _table.c.key == key))
