"""Blocks of codes to be issued, and what was done with codes."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

CODE = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "code_block",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("prefix", CODE, nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("digits", sa.Integer(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("is_issued_here", sa.Boolean(), nullable=False),
        sa.Column("next", sa.BigInteger(), nullable=False),
        sa.Column("reserved_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_code_block")),
        sa.UniqueConstraint("prefix", "first", name=op.f("uq_code_block_prefix_first")),
    )
    op.create_table(
        "code_event",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("identifier_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("unit_id", sa.Uuid(), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["identifier_id"], ["identifier.id"], name=op.f("fk_code_event_identifier_id")
        ),
        sa.ForeignKeyConstraint(["unit_id"], ["unit.id"], name=op.f("fk_code_event_unit_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_code_event")),
    )
    op.create_index(op.f("ix_code_event_identifier_id"), "code_event", ["identifier_id"], unique=False)
