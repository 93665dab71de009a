"""The book of what was handed over to be recorded, begun with what is on record by now."""

from collections import Counter
from datetime import datetime

import sqlalchemy as sa
from alembic import op

from traceability.tables import UtcTime

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

COUNTS = ("triggers", "frames_inspected", "frames_failed", "frames_lost")


def upgrade() -> None:
    book = op.create_table(
        "handed_over",
        sa.Column("station", sa.Text(), nullable=False),
        sa.Column("lane", sa.Text(), nullable=False),
        sa.Column("quarter", UtcTime(), nullable=False),
        sa.Column("units", sa.BigInteger(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in COUNTS),
        sa.PrimaryKeyConstraint("station", "lane", "quarter", name="pk_handed_over"),
    )
    inspection = sa.table(
        "inspection",
        sa.column("station", sa.Text()),
        sa.column("lane", sa.Text()),
        sa.column("finished_at", UtcTime()),
        sa.column("simulated", sa.Boolean()),
        *(sa.column(name, sa.Integer()) for name in COUNTS),
    )
    sums: dict[tuple[object, ...], Counter[str]] = {}
    found = op.get_bind().execute(sa.select(inspection).where(inspection.c.simulated.is_(False)))
    for row in found.mappings():
        line = sums.setdefault((row["station"], row["lane"], quarter_of(row["finished_at"])), Counter())
        line["units"] += 1
        for name in COUNTS:
            line[name] += row[name]
    rows = [
        {
            "station": station,
            "lane": lane,
            "quarter": quarter,
            "units": line["units"],
            **{name: line[name] for name in COUNTS},
        }
        for (station, lane, quarter), line in sums.items()
    ]
    if rows:
        op.bulk_insert(book, rows)


def quarter_of(at: datetime) -> datetime:
    return at.replace(minute=at.minute - at.minute % 15, second=0, microsecond=0)
