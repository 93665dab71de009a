"""Links that resolvers answer, what other nodes answered, and EPCIS events."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

CODE = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "code_link",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("scheme", sa.String(length=16), nullable=False),
        sa.Column("canon", CODE, nullable=False),
        sa.Column("relation", sa.Text(), nullable=False),
        sa.Column("href", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("language", sa.String(length=16), nullable=True),
        sa.Column("media_type", sa.Text(), nullable=True),
        sa.Column("context", sa.Text(), nullable=True),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("registered_at", TIME, nullable=False),
        sa.Column("voided_at", TIME, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_code_link")),
    )
    op.create_index(op.f("ix_code_link_scheme_canon"), "code_link", ["scheme", "canon"], unique=False)
    op.create_table(
        "code_elsewhere",
        sa.Column("scheme", sa.String(length=16), nullable=False),
        sa.Column("canon", CODE, nullable=False),
        sa.Column("node", sa.Text(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=True),
        sa.Column("fetched_at", TIME, nullable=False),
        sa.Column("fresh_until", TIME, nullable=False),
        sa.PrimaryKeyConstraint("scheme", "canon", name=op.f("pk_code_elsewhere")),
    )
    op.create_table(
        "epcis_event",
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("event_time", TIME, nullable=False),
        sa.Column("recorded_at", TIME, nullable=False),
        sa.Column("action", sa.Text(), nullable=True),
        sa.Column("biz_step", sa.Text(), nullable=True),
        sa.Column("disposition", sa.Text(), nullable=True),
        sa.Column("read_point", sa.Text(), nullable=True),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_epcis_event")),
        sa.UniqueConstraint("number", name=op.f("uq_epcis_event_number")),
    )
    op.create_index(op.f("ix_epcis_event_event_time"), "epcis_event", ["event_time"], unique=False)
    op.create_table(
        "epcis_item",
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("key", CODE, nullable=False),
        sa.ForeignKeyConstraint(["event_id"], ["epcis_event.event_id"], name=op.f("fk_epcis_item_event_id")),
        sa.PrimaryKeyConstraint("event_id", "role", "key", name=op.f("pk_epcis_item")),
    )
    op.create_index(op.f("ix_epcis_item_key"), "epcis_item", ["key"], unique=False)
    op.create_table(
        "epcis_capture",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("finished_at", TIME, nullable=False),
        sa.Column("has_succeeded", sa.Boolean(), nullable=False),
        sa.Column("events", sa.Integer(), nullable=False),
        sa.Column("mistakes", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_epcis_capture")),
    )
