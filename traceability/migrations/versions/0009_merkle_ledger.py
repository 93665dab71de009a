"""The ledger, and contradictions under ids of their own."""

from uuid import UUID

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

POSITION = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)

COLUMNS = ("record_kind", sa.String(16)), ("record_id", sa.Uuid()), ("said", sa.JSON()), ("received_at", TIME)
BEFORE = sa.table(
    "contradiction", sa.column("sha256", sa.String(64)), *(sa.column(name, kind) for name, kind in COLUMNS)
)
AFTER = sa.table(
    "contradiction", sa.column("id", sa.Uuid()), *(sa.column(name, kind) for name, kind in COLUMNS)
)


def upgrade() -> None:
    connection = op.get_bind()
    kept = connection.execute(sa.select(BEFORE)).mappings().all()
    op.drop_table("contradiction")
    op.create_table(
        "contradiction",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("record_kind", sa.String(length=16), nullable=False),
        sa.Column("record_id", sa.Uuid(), nullable=False),
        sa.Column("said", sa.JSON(), nullable=False),
        sa.Column("received_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contradiction")),
    )
    op.create_index(op.f("ix_contradiction_record_id"), "contradiction", ["record_id"])
    if kept:
        rows = [
            {**{name: one[name] for name in one if name != "sha256"}, "id": UUID(one["sha256"][:32])}
            for one in kept
        ]
        connection.execute(AFTER.insert(), rows)
    op.create_table(
        "ledger",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("algorithm", sa.String(length=16), nullable=False),
        sa.Column("began_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger")),
    )
    op.create_table(
        "ledger_leaf",
        sa.Column("position", POSITION, autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("record_id", sa.Uuid(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_ledger_leaf")),
        sa.UniqueConstraint("record_id", "kind", name=op.f("uq_ledger_leaf_record_id_kind")),
    )
    op.create_table(
        "ledger_block",
        sa.Column("number", POSITION, autoincrement=False, nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_ledger_block")),
    )
