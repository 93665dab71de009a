"""A database of every version that was ever landed, with rows in all its tables, upgraded to this one."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import Column, MetaData, Table, select
from sqlalchemy import types as sql

import traceability
from inspection.types import Verdict
from traceability.database import open_engine, reading, writing
from traceability.store import TraceStore

SCRIPTS = ScriptDirectory(str(Path(traceability.__file__).parent / "migrations"))
REVISIONS = [one.revision for one in SCRIPTS.walk_revisions()][::-1]

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)

NO_MORE = {"handed_over"}
"""Tables that a later version took out: what they held stands in others."""

COUNTED_ANEW = {"rollup_defects"}
"""Sums that 0027 made again from the records (tests/traceability/test_rollups.py), by verdict since."""

RENAMED = {("contradiction", "sha256")}
"""Columns that later became another: the beginning of this one is its record's id since."""

MEANT: dict[str, Any] = {
    "verdict": "ACCEPT",
    "scheme": "handle",
    "triggers": 40,
    "frames_inspected": 40,
    "frames_failed": 0,
    "frames_lost": 0,
    "simulated": False,
    "voided_by": None,
    "takes_back": None,
    "strip": None,
    "pieces": None,
    "outline_px": None,
}
"""What a reader of the rows makes something of; of other columns any value will do."""


def a_value(column: Column[Any], number: int, parents: dict[str, Any], dialect: str) -> Any:
    for key in column.foreign_keys:
        if column.name not in MEANT:
            return parents[f"{key.column.table.name}.{key.column.name}"]
    if column.name in MEANT:
        return MEANT[column.name]
    match column.type:
        case sql.Boolean():
            return True
        case sql.DateTime():
            return NOON if dialect == "postgresql" else NOON.replace(tzinfo=None)
        case sql.JSON():
            return {} if column.name == "failures" else []
        case sql.Uuid():
            return UUID(int=number)
        case sql.Integer():
            return number
        case sql.LargeBinary():
            return f"{number}-{column.name}".encode()
        case sql.Numeric() | sql.Double():
            return number + 0.5
        case sql.CHAR() if column.type.length == 32:
            return UUID(int=number).hex
    if column.name == "sha256":
        return f"{number:064x}"
    length = getattr(column.type, "length", None) or 40
    return f"{number}-{column.name}"[:length]


def fill(connection: Any) -> dict[str, dict[str, Any]]:
    """A row in every table; returns them by table."""
    found = MetaData()
    found.reflect(connection, only=lambda name, _: name != "alembic_version")
    rows: dict[str, dict[str, Any]] = {}
    parents: dict[str, Any] = {}
    for number, table in enumerate(found.sorted_tables, 1):
        dialect = connection.dialect.name
        row = {column.name: a_value(column, number, parents, dialect) for column in table.columns}
        connection.execute(table.insert(), row)
        rows[table.name] = row
        parents |= {f"{table.name}.{name}": value for name, value in row.items()}
    return rows


def rows_of(connection: Any, name: str) -> Iterator[dict[str, Any]]:
    table = Table(name, MetaData(), autoload_with=connection)
    return (dict(row) for row in connection.execute(select(table)).mappings())


@pytest.mark.parametrize("revision", REVISIONS)
def test_all_that_an_older_version_kept_is_there_after_the_upgrade(revision: str, database_url: str):
    engine = open_engine(database_url, revision=revision)
    with writing(engine) as connection:
        kept = fill(connection)
    engine.dispose()
    engine = open_engine(database_url)
    with reading(engine) as connection:
        for name, row in kept.items():
            if name not in NO_MORE and not (name in COUNTED_ANEW and "verdict" not in row):
                found = list(rows_of(connection, name))
                said = {
                    key: value for key, value in row.items() if (name, key) not in RENAMED or key in found[0]
                }
                assert any(all(one[key] == value for key, value in said.items()) for one in found), (
                    name,
                    said,
                    found,
                )
    engine.dispose()
    with TraceStore.open(database_url) as store:
        (inspection,) = store.latest()
        assert inspection.verdict is Verdict.ACCEPT
        assert store.inspections_of(inspection.unit) == (inspection,)
        assert [one.kind for one in inspection.defects] == [kept["defect"]["kind"]]
