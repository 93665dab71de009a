"""Counts in quarters of an hour, beside the records; what is on record already is counted here."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
UNITS = ("units", "triggers", "frames_inspected", "frames_failed", "frames_lost", "unaccounted")
AT_ONCE = 500


def upgrade() -> None:
    units = op.create_table(
        "rollup_units",
        sa.Column("quarter", TIME, nullable=False),
        sa.Column("station", sa.Text(), nullable=False),
        sa.Column("lane", sa.Text(), nullable=False),
        sa.Column("simulated", sa.Boolean(), nullable=False),
        sa.Column("verdict", sa.String(16), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in UNITS),
        sa.PrimaryKeyConstraint(
            "quarter", "station", "lane", "simulated", "verdict", name=op.f("pk_rollup_units")
        ),
    )
    defects = op.create_table(
        "rollup_defects",
        sa.Column("quarter", TIME, nullable=False),
        sa.Column("station", sa.Text(), nullable=False),
        sa.Column("lane", sa.Text(), nullable=False),
        sa.Column("simulated", sa.Boolean(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("defects", sa.BigInteger(), nullable=False),
        sa.Column("units", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "quarter", "station", "lane", "simulated", "kind", name=op.f("pk_rollup_defects")
        ),
    )
    count_what_is_there(op.get_bind(), units, defects)


def count_what_is_there(connection: sa.Connection, units: sa.Table, defects: sa.Table) -> None:
    """Fill both tables, which are empty, from the records."""
    of_each = "i.finished_at, i.station, i.lane, i.simulated"
    seen = sa.text(
        f"SELECT {of_each}, i.verdict, 1, i.triggers, i.frames_inspected, i.frames_failed, i.frames_lost,"  # noqa: S608
        " abs(i.triggers - i.frames_inspected - i.frames_failed - i.frames_lost) FROM inspection i"
    ).columns(finished_at=TIME, simulated=sa.Boolean())
    found = sa.text(
        f"SELECT {of_each}, d.kind, count(*), 1 FROM inspection i JOIN defect d ON d.inspection_id = i.id"  # noqa: S608
        f" GROUP BY i.id, {of_each}, d.kind"
    ).columns(finished_at=TIME, simulated=sa.Boolean())
    for table, rows, key, counted in (
        (units, seen, "verdict", UNITS),
        (defects, found, "kind", ("defects", "units")),
    ):
        sums: dict[tuple[object, ...], Counter[str]] = {}
        for at, station, lane, simulated, what, *numbers in connection.execute(rows):
            of_one = (_quarter(at, connection.dialect), station, lane, simulated, what)
            sums.setdefault(of_one, Counter()).update(dict(zip(counted, numbers, strict=True)))
        names = ("quarter", "station", "lane", "simulated", key)
        made = [
            dict(zip(names, at, strict=True)) | {name: counts[name] for name in counted}
            for at, counts in sums.items()
        ]
        for start in range(0, len(made), AT_ONCE):
            connection.execute(table.insert(), made[start : start + AT_ONCE])


def _quarter(at: Any, dialect: sa.Dialect) -> datetime:
    moment: datetime = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    begun = moment - (moment - datetime(1970, 1, 1, tzinfo=UTC)) % timedelta(minutes=15)
    # As the tables keep it: SQLite without a zone, PostgreSQL with.
    return begun if dialect.name == "postgresql" else begun.replace(tzinfo=None)
