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
from traceability.shelf import UNFINISHED as UNFINISHED_PICTURE

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

    Raises what opening a database does; DatabaseEmpty where nothing is in it, since a backup of nothing would be the
    newest, and what is restored; and BackupRefused where the folder cannot be written.
    """
    engine = database.open_engine(url, must_exist=True)
    try:
        with database.reading(engine) as connection:
            if not any(_has_rows(connection, table) for table in _tables_of(connection)):
                raise database.nothing_recorded(engine.url.render_as_string(hide_password=True))
        folder.mkdir(parents=True, exist_ok=True)
        _clear_broken_off(folder)
        # Pictures twice: now what a rule may give up meanwhile, and after the tables what their last records name.
        images.copy_into(folder / "pictures")
        with _unfinished(folder) as unfinished:
            # Heads before tables: after a head of more records than the backup has, none could ever be signed again.
            if heads.exists():
                shutil.copyfile(heads, unfinished / "heads.jsonl")
            listed = _dump(engine, unfinished)
            copied = images.copy_into(folder / "pictures")
            made_at = datetime.now(UTC)
            manifest = {"format": FORMAT, "made_at": made_at.isoformat(), "pictures": copied, **listed}
            (unfinished / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
            place = folder / f"{made_at:%Y%m%d-%H%M%S-%f}"
            unfinished.rename(place)
    except OSError as error:
        raise _refused(folder, error.strerror or str(error)) from error
    finally:
        engine.dispose()
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
    for one in (*folder.glob(".*"), *folder.glob("pictures/*/.*")):
        with suppress(FileNotFoundError):  # it has a name since, or is cleared already
            if time.time() - one.stat().st_mtime <= BROKEN_OFF_S:
                continue
            if UNFINISHED.fullmatch(one.name):
                shutil.rmtree(one, ignore_errors=True)
            elif UNFINISHED_PICTURE.fullmatch(one.name):
                one.unlink()


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
    for _ in _pictures(place):
        pass
    return backup


def restore(place: Path, url: str, *, images: ImageStore, heads: Path) -> Backup:
    """Put the pictures of a backup back, fill an empty database from it and put the heads back; then bring the tables
    up to date. What was broken off, as by a full disk, is done again from the beginning: the rows are there whole or
    not at all.

    heads   written only where there is no such file: heads that are there are witnesses of their own

    Raises BackupRefused, also where the database has rows, or tables of another version than the backup,
    DatabaseNewer for a backup of a later version.
    """
    backup, manifest = _read(place)
    check(place)
    engine = database.open_engine(url, revision=backup.revision)
    try:
        with database.reading(engine) as connection:
            _check_takes(connection, place, backup)
        for picture in _pictures(place):
            images.put(picture)
        with _heads_put_back(place / "heads.jsonl", heads), database.writing(engine) as connection:
            _check_takes(connection, place, backup)
            for table in _tables_of(connection):
                lines = _lines(place, table.name, manifest["tables"][table.name]["sha256"])
                _load(connection, table, lines)
    finally:
        engine.dispose()
    database.open_engine(url).dispose()
    return backup


@contextmanager
def _heads_put_back(kept: Path, heads: Path) -> Iterator[None]:
    """Written at once, where there may be no room, and in their place once the rows are."""
    if not kept.exists() or heads.exists():
        yield
        return
    waiting = heads.with_name(f".{uuid7().hex}.part")
    try:
        heads.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        shutil.copyfile(kept, waiting)
    except OSError as error:
        with suppress(OSError):  # what could not be written need not be removable either
            waiting.unlink()
        raise _refused(kept.parent, f"{heads}: {error.strerror}") from error
    try:
        yield
        waiting.replace(heads)
    finally:
        waiting.unlink(missing_ok=True)


def _check_takes(connection: Connection, place: Path, backup: Backup) -> None:
    """Raises BackupRefused where the database is not an empty one of the backup's own version."""
    there = [table for table in _tables_of(connection) if _has_rows(connection, table)]
    if there:
        raise _refused(place, f"the database has rows already, in {', '.join(t.name for t in there)}")
    if (found := _revision(connection)) != backup.revision:
        raise _refused(place, f"it is of tables {backup.revision}, and the database has {found} already")


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


def _has_rows(connection: Connection, table: Table) -> bool:
    return connection.execute(select(table).limit(1)).first() is not None


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


def _pictures(place: Path) -> Iterator[bytes]:
    """Each as it was kept. What a backup that was broken off left of one is none. Raises BackupRefused."""
    for file in (place.parent / "pictures").glob("*/*"):
        if UNFINISHED_PICTURE.fullmatch(file.name):
            continue
        try:
            picture = file.read_bytes()
        except OSError as error:
            raise _refused(place, f"the picture {file.name}: {error.strerror}") from error
        if hashlib.sha256(picture).hexdigest() != file.name:
            raise _refused(place, f"the picture {file.name} was altered")
        yield picture


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
