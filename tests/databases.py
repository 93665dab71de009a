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
from typing import Any
from uuid import uuid4

import pytest
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import OperationalError

from traceability import database

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


@contextmanager
def tables_made_once() -> Iterator[None]:
    """An empty database gets its tables as the first one of its kind got them, in a tenth of the time: the thousands of
    stations of these tests need not go through the history of the tables each. What is not empty, or is to be of an
    earlier version, is brought there by the program itself."""
    as_ever = database._upgrade
    said: dict[str, list[tuple[str, Any]]] = {}

    def upgrade(engine: Engine, shown: str, revision: str) -> None:
        kind = engine.dialect.name
        if revision != "head" or not _is_empty(engine):
            as_ever(engine, shown, revision)
        elif kind in said:
            with database.writing(engine) as connection:
                database.lock(connection, database._UPGRADE_LOCK)
                # Somebody else may have been quicker.
                for statement, parameters in said[kind] if _has_no_tables(connection) else ():
                    connection.exec_driver_sql(statement, parameters)
        else:
            with _listening(engine) as heard:
                as_ever(engine, shown, revision)
            said[kind] = heard

    database._upgrade = upgrade
    try:
        yield
    finally:
        database._upgrade = as_ever


def _is_empty(engine: Engine) -> bool:
    with database.reading(engine) as connection:
        return _has_no_tables(connection)


def _has_no_tables(connection: Connection) -> bool:
    return MigrationContext.configure(connection).get_current_revision() is None


@contextmanager
def _listening(engine: Engine) -> Iterator[list[tuple[str, Any]]]:
    """What is said to this database, but for questions."""
    heard: list[tuple[str, Any]] = []

    def hear(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        if statement.lstrip().split(None, 1)[0].upper() not in ("SELECT", "PRAGMA", "BEGIN"):
            heard.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", hear)
    try:
        yield heard
    finally:
        event.remove(engine, "before_cursor_execute", hear)


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
