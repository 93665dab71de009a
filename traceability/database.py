"""Opening a database: SQLite for one station, PostgreSQL for a plant. Its errors become ours here."""

from __future__ import annotations

import errno
import select
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, Executable, Table, create_engine, event, make_url, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError, DisconnectionError, NoSuchModuleError

from inspection.errors import InspectionError
from traceability.errors import DatabaseEmpty, DatabaseNewer, DatabaseReadOnly, DatabaseUnreachable, DiskFull

# How long a writer waits for another one. A bulk write of a second's results takes milliseconds.
BUSY_TIMEOUT_S = 30

# Any number will do, as long as nothing else on the server takes the same advisory lock.
_UPGRADE_LOCK = 7_105_022_019

_WRITES = "lynceus_writes"


def open_engine(url: str, *, revision: str = "head", must_exist: bool = False) -> Engine:
    """An engine on a database whose tables are those of this program; they are made where they are not.

    url         `sqlite:///path` or `postgresql://user:password@host:port/name`
    revision    of an earlier version, to which they are brought instead: for what was kept of that one
    must_exist  raise DatabaseEmpty where nobody has made any tables yet, and make none

    Safe when several processes open the same database at once: one upgrades, the others wait.
    Raises DatabaseUnreachable, DatabaseReadOnly, DatabaseNewer, DiskFull.
    """
    address = _address(url)
    shown = address.render_as_string(hide_password=True)
    with ours(shown):
        if must_exist and _is_nowhere(address):
            raise nothing_recorded(shown)
        engine = _sqlite(address) if address.get_backend_name() == "sqlite" else _postgresql(address)
        try:
            if must_exist and not _has_tables(engine):
                raise nothing_recorded(shown)
            _upgrade(engine, shown, revision)
        except BaseException:
            engine.dispose()
            raise
        return engine


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction in which everything is seen as of one moment."""
    # PostgreSQL would else answer each question as of another one. SQLite's readers have it so anyway.
    level = {"isolation_level": "REPEATABLE READ"} if engine.dialect.name == "postgresql" else {}
    with (
        ours(engine.url.render_as_string(hide_password=True)),
        engine.execution_options(**level).begin() as connection,
    ):
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that is kept whole or not at all."""
    with (
        ours(engine.url.render_as_string(hide_password=True)),
        engine.execution_options(**{_WRITES: True}).begin() as connection,
    ):
        yield connection


def lock(connection: Connection, key: int) -> None:
    """Let one writer at a time pass, until its transaction ends. SQLite has one writer anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})


def insert_new(connection: Connection, table: Table, *key: str) -> postgresql.Insert | sqlite.Insert:
    """An insert that leaves rows alone whose key is there already."""
    if connection.dialect.name == "postgresql":
        return postgresql.insert(table).on_conflict_do_nothing(index_elements=list(key))
    return sqlite.insert(table).on_conflict_do_nothing(index_elements=list(key))


def insert_adding(connection: Connection, table: Table, *key: str) -> postgresql.Insert | sqlite.Insert:
    """An insert that adds to the sums of rows whose key is there already."""
    new = postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)
    sums = {column.name: column + new.excluded[column.name] for column in table.c if column.name not in key}
    return new.on_conflict_do_update(index_elements=list(key), set_=sums)


def plain_rows(connection: Connection, query: Executable) -> list[tuple[Any, ...]]:
    """All rows as tuples, for queries whose columns several tables share: their types cannot be told apart."""
    return [tuple(row) for row in connection.execute(query)]


@contextmanager
def ours(database: str) -> Iterator[None]:
    """Translate what the drivers raise. A programming mistake stays what it is."""
    try:
        yield
    except DBAPIError as error:
        refusal = _refusal(error.orig, database)
        if refusal is None:
            raise
        raise refusal from error
    except sqlite3.Error as error:  # from the set-up of a new connection, where SQLAlchemy does not wrap
        refusal = _refusal(error, database)
        if refusal is None:
            raise
        raise refusal from error


def _refusal(error: BaseException | None, database: str) -> InspectionError | None:
    # https://www.sqlite.org/rescode.html; https://www.postgresql.org/docs/current/errcodes-appendix.html
    name = getattr(error, "sqlite_errorname", None) or ""
    state = getattr(error, "sqlstate", None) or ""
    if name == "SQLITE_FULL" or state == "53100":
        return DiskFull(
            f"No room left for {database}.",
            action="Free space on that disk, then start again; nothing recorded was lost.",
            place=database,
        )
    if name.startswith("SQLITE_READONLY") or state == "25006":
        return _read_only(database)
    absent = name.startswith(("SQLITE_CANTOPEN", "SQLITE_NOTADB", "SQLITE_CORRUPT", "SQLITE_IOERR"))
    busy = name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))
    # 08 connection, 28 login, 3D no such database, 57P shut down; without a state no server answered.
    kinds = {f"{kind.__module__}.{kind.__name__}" for kind in type(error).__mro__}
    no_server = (
        not state and not kinds.isdisjoint({"psycopg.OperationalError", "psycopg.InterfaceError"})
    ) or ("psycopg.Error" in kinds and state.startswith(("08", "28", "3D", "57P")))
    if absent or busy or no_server:
        return _unreachable(database, str(error).strip().splitlines()[0])
    return None


def _unreachable(database: str, reason: str) -> DatabaseUnreachable:
    return DatabaseUnreachable(
        f"No answer from {database}: {reason}.",
        action="Check the address in LYNCEUS_DATABASE_URL, and that the database runs and lets us in.",
        database=database,
        reason=reason,
    )


def _read_only(database: str) -> DatabaseReadOnly:
    return DatabaseReadOnly(
        f"{database} cannot be written to.",
        action="Give the program the right to write there, or name another database.",
        database=database,
    )


def _address(url: str) -> URL:
    try:
        address = make_url(url)
    except ArgumentError as error:
        # Not shown: what cannot be read may hold a password.
        raise _unreachable("LYNCEUS_DATABASE_URL", "the address cannot be read") from error
    backend = address.get_backend_name()
    if backend not in ("sqlite", "postgresql"):
        raise _unreachable(
            address.render_as_string(hide_password=True), f"{backend} is neither sqlite nor postgresql"
        )
    if backend == "postgresql":
        return address.set(drivername="postgresql+psycopg")
    if address.database in (None, "", ":memory:"):
        raise _unreachable(str(address), "it names no file")
    return address


def _sqlite(address: URL) -> Engine:
    assert address.database is not None
    if not address.database.startswith("file:"):
        folder = Path(address.database).absolute().parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
                raise _read_only(str(address)) from error
            raise _unreachable(str(address), f"{folder}: {error.strerror}") from error
    engine = create_engine(address, connect_args={"timeout": BUSY_TIMEOUT_S})

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        # The driver would begin transactions by its own rules; `begin` below does it by ours.
        connection.isolation_level = None
        # In WAL mode a power cut may lose the last transactions at NORMAL, but never breaks the file.
        # Pages kept in memory, in KiB: of 16 MiB the upper levels of every index stay there between two questions.
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "cache_size=-16384"):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A reader that turns writer is refused at once when another one wrote meanwhile; taking the
        # write lock first makes it wait instead.
        writes = connection.get_execution_options().get(_WRITES)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _postgresql(address: URL) -> Engine:
    try:
        engine = create_engine(address, connect_args={"connect_timeout": 5})
    except (NoSuchModuleError, ModuleNotFoundError) as error:
        raise _unreachable(
            address.render_as_string(hide_password=True),
            "psycopg is not installed (pip install 'lynceus[plant]')",
        ) from error

    @event.listens_for(engine, "checkout")
    def replace_what_went(connection: Any, _record: object, _proxy: object) -> None:
        # A plant server restarts. Who closes a connection that rests says so on it: there is something to read, though
        # nothing was asked. Asking (`pool_pre_ping`) would cost each question a way there and back.
        said = select.poll()
        said.register(connection.fileno(), select.POLLIN)
        if said.poll(0):
            raise DisconnectionError

    return engine


def _is_nowhere(address: URL) -> bool:
    """Whether a SQLite database has no file: to connect would make one."""
    file = address.database or ""
    return address.get_backend_name() == "sqlite" and not file.startswith("file:") and not Path(file).exists()


def _has_tables(engine: Engine) -> bool:
    with reading(engine) as connection:
        return MigrationContext.configure(connection).get_current_revision() is not None


def nothing_recorded(shown: str) -> DatabaseEmpty:
    return DatabaseEmpty(
        f"Nothing was ever recorded at {shown}.",
        action="Do this in the folder in which the station runs, or name its database with --database or in"
        " LYNCEUS_DATABASE_URL.",
        database=shown,
    )


def _upgrade(engine: Engine, shown: str, revision: str) -> None:
    script = ScriptDirectory(str(Path(__file__).parent / "migrations"))
    head = script.get_current_head()
    known = {one.revision for one in script.walk_revisions()}
    if revision not in {"head", *known}:
        raise _newer(shown, revision, head)
    with reading(engine) as connection:
        found = MigrationContext.configure(connection).get_current_revision()
    if found in (head, revision):
        return
    with writing(engine) as connection:
        lock(connection, _UPGRADE_LOCK)
        # Another process may have upgraded while this one waited for the lock.
        found = MigrationContext.configure(connection).get_current_revision()
        if found is not None and found not in known:
            raise _newer(shown, found, head)
        settings = Config(attributes={"connection": connection})
        settings.set_main_option("script_location", script.dir)
        command.upgrade(settings, revision)


def _newer(shown: str, found: str, head: str | None) -> DatabaseNewer:
    return DatabaseNewer(
        f"{shown} has the tables of a later version ({found}; this one knows up to {head}).",
        action="Start the version of the program that last wrote to it, or a later one.",
        database=shown,
        revision=found,
    )
