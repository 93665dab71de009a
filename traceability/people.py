"""Names of people, kept apart from records: a record holds a commitment, so that a name can be erased."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable

from sqlalchemy import Connection, delete, select

from traceability import tables
from traceability.database import insert_new
from traceability.store import TraceStore


def commit(connection: Connection, name: str) -> str:
    """What a record holds in place of a name: SHA-256 over a secret salt and the name, the same for one person.

    Without the salt, which goes with the name, nobody can find out whose it was by trying names.
    """
    known = select(tables.person.c.commitment).where(tables.person.c.name == name)
    found: list[str] = list(connection.execute(known).scalars())
    if found:
        return found[0]
    salt = secrets.token_hex(32)
    commitment = hashlib.sha256(bytes.fromhex(salt) + name.encode()).hexdigest()
    # Another writer may have met the same person a moment ago: then theirs holds.
    new = insert_new(connection, tables.person, "name")
    connection.execute(new, {"commitment": commitment, "name": name, "salt": salt})
    return str(connection.execute(known).scalar_one())


def names(connection: Connection, commitments: Iterable[str]) -> dict[str, str]:
    """The names that are still on record, by commitment."""
    table = tables.person.c
    rows = select(table.commitment, table.name).where(table.commitment.in_(sorted(set(commitments))))
    return {row.commitment: row.name for row in connection.execute(rows)}


def erase(store: TraceStore, name: str) -> bool:
    """Forget a person. Records and the ledger stay true; they name nobody any more. False: nobody of that name."""
    with store.writing() as connection:
        gone = connection.execute(delete(tables.person).where(tables.person.c.name == name))
    return gone.rowcount > 0
