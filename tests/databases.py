"""Databases for tests: a new SQLite file each, and a schema of its own on a PostgreSQL server.

`python -m tests.databases` prints the address of a server that answers, for `make test` to export as
LYNCEUS_TEST_POSTGRES. LYNCEUS_DATABASE_URL serves too, where it names a PostgreSQL; tests keep to schemas
that they make and remove, and touch nothing else there.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import OperationalError

ENGINES = ("sqlite", "postgresql")

_LIKELY = (
    "postgresql://postgres@127.0.0.1:5432/test",
    "postgresql://root@127.0.0.1:5432/test",
    "postgresql://postgres@127.0.0.1:5432/postgres",
)


@contextmanager
def a_database(engine: str, folder: Path) -> Iterator[str]:
    """The address of an empty database, gone afterwards. Skips where there is no server."""
    if engine == "sqlite":
        yield f"sqlite:///{folder / 'lynceus.db'}"
        return
    server = postgres_from_environment()
    if server is None:
        pytest.skip("no PostgreSQL: export LYNCEUS_TEST_POSTGRES=postgresql://user@host:5432/database")
    schema = f"lynceus_test_{uuid4().hex}"
    _run(server, f"CREATE SCHEMA {schema}")
    try:
        address = make_url(server).update_query_dict({"options": f"-csearch_path={schema}"})
        yield address.render_as_string(hide_password=False)
    finally:
        _run(server, f"DROP SCHEMA {schema} CASCADE")


def postgres_from_environment() -> str | None:
    for variable in ("LYNCEUS_TEST_POSTGRES", "LYNCEUS_DATABASE_URL"):
        address = os.environ.get(variable, "")
        if address.startswith("postgresql"):
            return address
    return None


def reachable_postgres() -> str | None:
    """The first likely server that lets us make a schema."""
    named = postgres_from_environment()
    for address in (named,) if named else _LIKELY:
        schema = f"lynceus_test_{uuid4().hex}"
        try:
            _run(address, f"CREATE SCHEMA {schema}; DROP SCHEMA {schema}")
        except OperationalError:
            continue
        return address
    return None


def _run(address: str, statement: str) -> None:
    url = make_url(address).set(drivername="postgresql+psycopg")
    engine = create_engine(url, connect_args={"connect_timeout": 2})
    try:
        with engine.begin() as connection:
            connection.execute(text(statement))
    finally:
        engine.dispose()


if __name__ == "__main__":
    print(reachable_postgres() or "")
