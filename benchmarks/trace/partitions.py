"""Whether links in partitions are walked faster than in one table, on PostgreSQL: both ways, in turns.

    python -m benchmarks.trace.genealogy --database URL --keep FOLDER     once
    python -m benchmarks.trace.partitions --database URL

Copies the links of that schema into two tables, one whole and one in 16 partitions by the hash of the parent, with the
same indexes, asks each for the family of 30 units, in turns, and drops them.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import numpy as np
from sqlalchemy import Connection, create_engine, make_url, text

SCHEMA = "lynceus_benchmark_x1"
PARTITIONS, UNITS = 16, 30
COLUMNS = "parent_id uuid, child_id uuid, voided_by uuid"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--database", required=True, help="a PostgreSQL server with what was kept")
    url = make_url(parser.parse_args().database).set(drivername="postgresql+psycopg")
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"SET search_path = {SCHEMA}"))
        try:
            copy_links(connection)
            compare(connection)
        finally:
            for table in ("link_whole", "link_parted"):
                connection.execute(text(f"DROP TABLE IF EXISTS {table}"))
    engine.dispose()


def copy_links(connection: Connection) -> None:
    connection.execute(text(f"CREATE TABLE link_whole ({COLUMNS})"))
    connection.execute(text(f"CREATE TABLE link_parted ({COLUMNS}) PARTITION BY HASH (parent_id)"))
    for number in range(PARTITIONS):
        rest = f"WITH (MODULUS {PARTITIONS}, REMAINDER {number})"
        connection.execute(
            text(f"CREATE TABLE link_parted_{number} PARTITION OF link_parted FOR VALUES {rest}")
        )
    for table in ("link_whole", "link_parted"):
        connection.execute(text(f"INSERT INTO {table} SELECT parent_id, child_id, voided_by FROM link"))
        for here, there in (("parent_id", "child_id"), ("child_id", "parent_id")):
            connection.execute(text(f"CREATE INDEX ON {table} ({here}, voided_by, {there})"))
        connection.execute(text(f"VACUUM (ANALYZE) {table}"))


def compare(connection: Connection) -> None:
    asked = (("whole heat, downwards", "heat", True), ("assembly, upwards", "assembly", False))
    for name, kind, downwards in asked:
        units = _units(connection, kind)
        tables = ("link_whole", "link_parted")
        for table in tables:
            _timed(connection, table, units, downwards)
        # In turns: what else the machine does meets both.
        times: dict[str, list[float]] = {table: [] for table in tables}
        for unit in units:
            for table in tables:
                times[table] += _timed(connection, table, [unit], downwards)
        for table in tables:
            p50, p99 = np.percentile(times[table], (50, 99))
            print(f"{name:24}{table:14}{p50:10.2f} ms{p99:10.2f} ms")


def _units(connection: Connection, kind: str) -> Sequence[UUID]:
    # An assembly of parts is in none itself, or is made of assemblies.
    rows = connection.execute(
        text(
            "SELECT unit_id FROM unit_form AS form WHERE kind = :kind"
            " AND NOT EXISTS (SELECT FROM link WHERE parent_id = form.unit_id AND :kind = 'assembly')"
            " ORDER BY unit_id"
        ),
        {"kind": kind},
    )
    return random.Random(5).sample(list(rows.scalars()), UNITS)


def _timed(connection: Connection, table: str, units: Sequence[UUID], downwards: bool) -> list[float]:
    here, there = ("parent_id", "child_id") if downwards else ("child_id", "parent_id")
    walk: Any = text(
        "WITH RECURSIVE walk(id) AS (SELECT CAST(:unit AS uuid) UNION"
        f" SELECT {there} FROM {table}, walk WHERE {here} = walk.id AND voided_by IS NULL)"
        " SELECT count(*) FROM walk"
    )
    times = []
    for unit in units:
        start = time.perf_counter()
        connection.execute(walk, {"unit": unit}).scalar_one()
        times.append(1000 * (time.perf_counter() - start))
    return times


if __name__ == "__main__":
    main()
