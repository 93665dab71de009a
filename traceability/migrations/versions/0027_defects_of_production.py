"""Sums of defects by verdict, and of units that were produced only; counted anew from the records."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0025"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
AT_ONCE = 500
KEY = ("quarter", "station", "lane", "simulated", "verdict", "kind")
NOT_PRODUCED = ("INS-IN-SETUP", "INS-IN-CHALLENGE")


def upgrade() -> None:
    op.drop_table("rollup_defects")
    defects = op.create_table(
        "rollup_defects",
        sa.Column("quarter", TIME, nullable=False),
        sa.Column("station", sa.Text(), nullable=False),
        sa.Column("lane", sa.Text(), nullable=False),
        sa.Column("simulated", sa.Boolean(), nullable=False),
        sa.Column("verdict", sa.String(16), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("defects", sa.BigInteger(), nullable=False),
        sa.Column("units", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(*KEY, name=op.f("pk_rollup_defects")),
    )
    count_what_is_there(op.get_bind(), defects)


def count_what_is_there(connection: sa.Connection, defects: sa.Table) -> None:
    """Fill the table, which is empty, from the records."""
    rows = sa.text(
        "SELECT i.finished_at, i.station, i.lane, i.simulated, i.verdict, i.frames_inspected, i.failures, d.kind,"
        " count(*) FROM inspection i JOIN defect d ON d.inspection_id = i.id GROUP BY i.id, d.kind"
    ).columns(finished_at=TIME, simulated=sa.Boolean(), failures=sa.JSON())
    sums: dict[tuple[object, ...], Counter[str]] = {}
    found: Any = connection.execute(rows, execution_options={"yield_per": 5000})
    for at, station, lane, simulated, verdict, inspected, failures, kind, number in found:
        if (
            verdict == "NOT_INSPECTED"
            and inspected == 0
            and any(failure in failures for failure in NOT_PRODUCED)
        ):
            continue
        of_one = (_quarter(at, connection.dialect), station, lane, simulated, verdict, kind)
        sums.setdefault(of_one, Counter()).update(defects=number, units=1)
    made = [dict(zip(KEY, key, strict=True)) | dict(counts) for key, counts in sums.items()]
    for start in range(0, len(made), AT_ONCE):
        connection.execute(defects.insert(), made[start : start + AT_ONCE])


def _quarter(at: Any, dialect: sa.Dialect) -> datetime:
    moment: datetime = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    begun = moment - (moment - datetime(1970, 1, 1, tzinfo=UTC)) % timedelta(minutes=15)
    # As the tables keep it: SQLite without a zone, PostgreSQL with.
    return begun if dialect.name == "postgresql" else begun.replace(tzinfo=None)
