"""Units by what they were judged under, what people decided about charts, and studies of gauges."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
AT_ONCE = 500
KEY = ("quarter", "station", "lane", "simulated", "verdict", "stage")


def upgrade() -> None:
    stages = op.create_table(
        "rollup_stages",
        sa.Column("quarter", TIME, nullable=False),
        sa.Column("station", sa.Text(), nullable=False),
        sa.Column("lane", sa.Text(), nullable=False),
        sa.Column("simulated", sa.Boolean(), nullable=False),
        sa.Column("verdict", sa.String(16), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("units", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(*KEY, name=op.f("pk_rollup_stages")),
    )
    measurements = op.create_table(
        "rollup_measurements",
        sa.Column("quarter", TIME, nullable=False),
        sa.Column("station", sa.Text(), nullable=False),
        sa.Column("lane", sa.Text(), nullable=False),
        sa.Column("simulated", sa.Boolean(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("values", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint(
            "quarter",
            "station",
            "lane",
            "simulated",
            "name",
            "unit",
            name=op.f("pk_rollup_measurements"),
        ),
    )
    op.create_table(
        "chart_entry",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("chart", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("point", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("value", sa.JSON(), nullable=True),
        sa.Column("at", TIME, nullable=False),
        sa.Column("by", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chart_entry")),
    )
    op.create_index(op.f("ix_chart_entry_chart_id"), "chart_entry", ["chart", "id"])
    op.create_table(
        "gauge_study",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("characteristic", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("readings", sa.JSON(), nullable=False),
        sa.Column("made_at", TIME, nullable=False),
        sa.Column("by", sa.String(64), nullable=True),
        sa.Column("simulated", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gauge_study")),
    )
    op.create_index(
        op.f("ix_gauge_study_characteristic_made_at"), "gauge_study", ["characteristic", "made_at"]
    )
    count_what_is_there(op.get_bind(), stages)
    sum_what_was_measured(op.get_bind(), measurements)


def count_what_is_there(connection: sa.Connection, stages: sa.Table) -> None:
    """Fill the table, which is empty, from the records."""
    rows = sa.text(
        "SELECT i.id AS id, i.finished_at AS finished_at, i.station, i.lane, i.simulated AS simulated, i.verdict,"
        " i.recipe_name, i.recipe_revision, m.name, m.version"
        " FROM inspection i LEFT JOIN inspection_model m ON m.inspection_id = i.id ORDER BY i.id, m.position"
    ).columns(finished_at=TIME, simulated=sa.Boolean())
    sums: Counter[tuple[object, ...]] = Counter()
    found = connection.execute(rows, execution_options={"yield_per": 5000})
    for _, of_one in groupby(found, key=lambda row: row[0]):
        models = list(of_one)
        _, at, station, lane, simulated, verdict, recipe, revision, *_ = models[0]
        named = [f"{name} {version}" for *_, name, version in models if name is not None]
        stage = ", ".join([f"{recipe} {revision}", *named])
        sums[_quarter(at, connection.dialect), station, lane, simulated, verdict, stage] += 1
    made = [dict(zip(KEY, key, strict=True)) | {"units": units} for key, units in sums.items()]
    for start in range(0, len(made), AT_ONCE):
        connection.execute(stages.insert(), made[start : start + AT_ONCE])


def sum_what_was_measured(connection: sa.Connection, measurements: sa.Table) -> None:
    """Fill the table, which is empty, from the records of units that were inspected."""
    rows = sa.text(
        "SELECT i.finished_at AS finished_at, i.station, i.lane, i.simulated AS simulated, m.name, m.unit, m.value"
        " FROM inspection i JOIN measurement m ON m.inspection_id = i.id WHERE i.verdict <> 'NOT_INSPECTED'"
    ).columns(finished_at=TIME, simulated=sa.Boolean())
    sums: dict[tuple[object, ...], list[float]] = {}
    found: Any = connection.execute(rows, execution_options={"yield_per": 5000})
    for at, *key, value in found:
        of_one = sums.setdefault((_quarter(at, connection.dialect), *key), [0, 0.0])
        of_one[0] += 1
        of_one[1] += value
    names = ("quarter", "station", "lane", "simulated", "name", "unit")
    made = [
        dict(zip(names, key, strict=True)) | {"values": int(values), "total": total}
        for key, (values, total) in sums.items()
    ]
    for start in range(0, len(made), AT_ONCE):
        connection.execute(measurements.insert(), made[start : start + AT_ONCE])


def _quarter(at: Any, dialect: sa.Dialect) -> datetime:
    moment: datetime = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    begun = moment - (moment - datetime(1970, 1, 1, tzinfo=UTC)) % timedelta(minutes=15)
    # As the tables keep it: SQLite without a zone, PostgreSQL with.
    return begun if dialect.name == "postgresql" else begun.replace(tzinfo=None)
