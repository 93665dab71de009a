"""Backups: all tables as of one moment, as text that either engine takes back; the pictures; the signed heads.

A backup made of SQLite can be restored to PostgreSQL and the other way round, and one of an older version into a newer
one: it is loaded as it was, then upgraded. The ledger's key is in none: keep that apart.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Column, Connection, Engine, MetaData, Table, func, inspect, select, text
from sqlalchemy import types as sql
from uuid_utils.compat import uuid7

from inspection.types import Verdict
from traceability import database, tables
from traceability.errors import BackupRefused
from traceability.images import ImageStore

ROWS_AT_ONCE: Final = 5000
MANIFEST: Final = "backup.json"
FORMAT: Final = 1
UNFINISHED: Final = re.compile(r"\.[0-9a-f]{32}")

BROKEN_OFF_S: Final = 24 * 3600.0
"""No table takes a day to write: a backup that got no further file for so long was broken off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """What a folder holds. `rows` by table; `pictures` that records name and that were there to be copied."""

    made_at: datetime
    revision: str
    rows: Mapping[str, int]
    pictures: int


def make(url: str, folder: Path, *, images: ImageStore, heads: Path) -> Backup:
    """Back up a database that may be in use, its pictures and its heads. What an earlier backup copied is not again.

    Raises what opening a database does, and BackupRefused where the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _clear_broken_off(folder)
        # Pictures twice: now what a rule may give up meanwhile, and after the tables what their last records name.
        images.copy_into(folder / "pictures")
        with _unfinished(folder) as unfinished:
            # Heads before tables: after a head of more records than the backup has, none could ever be signed again.
            if heads.exists():
                shutil.copyfile(heads, unfinished / "heads.jsonl")
            engine = database.open_engine(url)
            try:
                listed = _dump(engine, unfinished)
            finally:
                engine.dispose()
            copied = images.copy_into(folder / "pictures")
            made_at = datetime.now(UTC)
            manifest = {"format": FORMAT, "made_at": made_at.isoformat(), "pictures": copied, **listed}
            (unfinished / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
            place = folder / f"{made_at:%Y%m%d-%H%M%S-%f}"
            unfinished.rename(place)
    except OSError as error:
        raise _refused(folder, error.strerror or str(error)) from error
    return _read(place)[0]


@contextmanager
def _unfinished(folder: Path) -> Iterator[Path]:
    """Where a backup is written until it has a name. One that is broken off never gets one, and goes."""
    made = folder / f".{uuid7().hex}"
    made.mkdir()
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _clear_broken_off(folder: Path) -> None:
    """What a power cut left, or who was killed. Another program may be writing its own backup here."""
    for one in folder.glob(".*"):
        with suppress(FileNotFoundError):  # it has a name since, or is cleared already
            if UNFINISHED.fullmatch(one.name) and time.time() - one.stat().st_mtime > BROKEN_OFF_S:
                shutil.rmtree(one, ignore_errors=True)


def latest(folder: Path) -> Path:
    """The newest backup in a folder of backups. Raises BackupRefused where there is none."""
    found = sorted(one.parent for one in folder.glob(f"[0-9]*/{MANIFEST}"))
    if not found:
        raise _refused(folder, "there is no backup in it")
    return found[-1]


def check(place: Path) -> Backup:
    """Read a backup whole. Raises BackupRefused where a file, or one of its pictures, is not what was written."""
    backup, manifest = _read(place)
    for name, one in manifest["tables"].items():
        rows = sum(1 for _ in _lines(place, name, one["sha256"]))
        if rows != one["rows"]:
            raise _refused(place, f"{name} has {rows} rows, not {one['rows']}")
    for file in (place.parent / "pictures").glob("*/*"):
        if hashlib.sha256(file.read_bytes()).hexdigest() != file.name:
            raise _refused(place, f"the picture {file.name} was altered")
    return backup


def restore(place: Path, url: str, *, images: ImageStore, heads: Path) -> Backup:
    """Fill an empty database from a backup, then bring its tables up to date; pictures and heads are put back.

    heads   written only where there is no such file: heads that are there are witnesses of their own

    Raises BackupRefused, also where the database has rows, or tables of another version than the backup,
    DatabaseNewer for a backup of a later version.
    """
    backup, manifest = _read(place)
    check(place)
    engine = database.open_engine(url, revision=backup.revision)
    try:
        with database.writing(engine) as connection:
            there = [table for table in _tables_of(connection) if _count(connection, table)]
            if there:
                raise _refused(place, f"the database has rows already, in {', '.join(t.name for t in there)}")
            if (found := _revision(connection)) != backup.revision:
                raise _refused(
                    place, f"it is of tables {backup.revision}, and the database has {found} already"
                )
            for table in _tables_of(connection):
                _load(connection, table, _lines(place, table.name, manifest["tables"][table.name]["sha256"]))
    finally:
        engine.dispose()
    database.open_engine(url).dispose()
    for file in (place.parent / "pictures").glob("*/*"):
        images.put(file.read_bytes())
    if (place / "heads.jsonl").exists() and not heads.exists():
        heads.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        shutil.copyfile(place / "heads.jsonl", heads)
    return backup


# ------------------------------------------------------------------ rows


def _dump(engine: Engine, folder: Path) -> dict[str, Any]:
    with database.reading(engine) as connection:
        revision = _revision(connection)
        listed = {}
        for table in _tables_of(connection):
            file = folder / f"{table.name}.jsonl.gz"
            rows = 0
            with gzip.open(file, "wt", encoding="utf-8", compresslevel=3) as out:
                streamed = connection.execution_options(yield_per=ROWS_AT_ONCE)
                for row in streamed.execute(select(table).order_by(*table.primary_key.columns)).mappings():
                    out.write(json.dumps({name: _plain(value) for name, value in row.items()}) + "\n")
                    rows += 1
            listed[table.name] = {"rows": rows, "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
    return {"revision": revision, "tables": listed}


def _load(connection: Connection, table: Table, lines: Iterator[str]) -> None:
    portion: list[dict[str, Any]] = []
    for line in lines:
        portion.append({name: _value(table.c[name], value) for name, value in json.loads(line).items()})
        if len(portion) == ROWS_AT_ONCE:
            connection.execute(table.insert(), portion)
            portion = []
    if portion:
        connection.execute(table.insert(), portion)
    if connection.dialect.name == "postgresql":
        for column in table.primary_key.columns:
            if isinstance(column.type, sql.Integer):
                # What counts by itself goes on where it was.
                sequence = func.pg_get_serial_sequence(table.name, column.name)
                newest = func.max(column)
                connection.execute(
                    select(func.setval(sequence, newest)).having(newest.is_not(None), sequence.is_not(None))
                )


def _tables_of(connection: Connection) -> list[Table]:
    """The tables that are there, parents first, with our types where the program knows the column."""
    found = MetaData()
    found.reflect(connection, only=lambda name, _: name != "alembic_version")
    there = set(inspect(connection).get_table_names())
    made = []
    for table in found.sorted_tables:
        if table.name not in there:
            continue
        known = tables.metadata.tables.get(table.name)
        columns = [
            Column(
                column.name,
                known.c[column.name].type if known is not None and column.name in known.c else column.type,
                primary_key=column.primary_key,
            )
            for column in table.columns
        ]
        made.append(Table(table.name, MetaData(), *columns))
    return made


def _plain(value: Any) -> Any:
    match value:
        case datetime():
            return value.isoformat()
        case UUID():
            return str(value)
        case bytes():
            return base64.b64encode(value).decode("ascii")
        case Enum():
            return value.name
    return value


def _value(column: Column[Any], value: Any) -> Any:
    if value is None:
        return None
    kind = column.type
    if isinstance(kind, (tables.UtcTime, sql.DateTime)):
        return datetime.fromisoformat(value)
    if isinstance(kind, sql.LargeBinary):
        return base64.b64decode(value, validate=True)
    if isinstance(kind, sql.Uuid):
        return UUID(value)
    if isinstance(kind, sql.Enum):
        return Verdict[value]
    return value


def _revision(connection: Connection) -> str:
    return str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one())


def _count(connection: Connection, table: Table) -> int:
    return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


# ------------------------------------------------------------------ files


def _read(place: Path) -> tuple[Backup, dict[str, Any]]:
    try:
        manifest = json.loads((place / MANIFEST).read_text(encoding="utf-8"))
        if manifest["format"] != FORMAT:
            raise _refused(place, f"it has the format {manifest['format']}")
        rows = {name: int(one["rows"]) for name, one in manifest["tables"].items()}
        backup = Backup(
            made_at=datetime.fromisoformat(manifest["made_at"]),
            revision=manifest["revision"],
            rows=rows,
            pictures=manifest["pictures"],
        )
    except OSError as error:
        raise _refused(place, error.strerror or str(error)) from error
    except (ValueError, KeyError, TypeError) as error:
        raise _refused(place, f"{MANIFEST} is none of ours") from error
    return backup, manifest


def _lines(place: Path, table: str, sha256: str) -> Iterator[str]:
    file = place / f"{table}.jsonl.gz"
    try:
        if hashlib.sha256(file.read_bytes()).hexdigest() != sha256:
            raise _refused(place, f"{file.name} was altered")
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            yield from lines
    except (OSError, EOFError) as error:
        raise _refused(place, f"{file.name}: {error}") from error


def _refused(place: Path, reason: str) -> BackupRefused:
    return BackupRefused(
        f"The backup {place} cannot be used: {reason}.",
        action="Name another backup, a folder that can be written to, or an empty database.",
        place=str(place),
        reason=reason,
    )
