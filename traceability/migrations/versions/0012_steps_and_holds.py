"""Process steps, gauges of others, holds and containment."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

COUNTED = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "process_step",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("equipment", sa.Text(), nullable=False),
        sa.Column("started_at", TIME, nullable=False),
        sa.Column("finished_at", TIME, nullable=False),
        sa.Column("operator", sa.String(length=64), nullable=True),
        sa.Column("program", sa.Text(), nullable=True),
        sa.Column("materials", sa.JSON(), nullable=False),
        sa.Column("tools", sa.JSON(), nullable=False),
        sa.Column("parameters", sa.JSON(), nullable=False),
        sa.Column("environment", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_process_step")),
    )
    op.create_index(
        op.f("ix_process_step_kind_equipment_finished_at"),
        "process_step",
        ["kind", "equipment", "finished_at"],
        unique=False,
    )
    op.create_table(
        "gauge_series",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("unit_id", sa.Uuid(), nullable=False),
        sa.Column("identifier_id", COUNTED, nullable=False),
        sa.Column("quantity", sa.Text(), nullable=False),
        sa.Column("unit_of_measure", sa.Text(), nullable=False),
        sa.Column("gauge", sa.Text(), nullable=False),
        sa.Column("measured_at", TIME, nullable=False),
        sa.Column("step", sa.Uuid(), nullable=True),
        sa.Column("points", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["identifier_id"], ["identifier.id"], name=op.f("fk_gauge_series_identifier_id")
        ),
        sa.ForeignKeyConstraint(["unit_id"], ["unit.id"], name=op.f("fk_gauge_series_unit_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gauge_series")),
    )
    op.create_index(op.f("ix_gauge_series_unit_id"), "gauge_series", ["unit_id"])
    op.create_table(
        "hold",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("unit_id", sa.Uuid(), nullable=False),
        sa.Column("identifier_id", COUNTED, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("placed_at", TIME, nullable=False),
        sa.Column("placed_by", sa.String(length=64), nullable=True),
        sa.Column("containment", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(["identifier_id"], ["identifier.id"], name=op.f("fk_hold_identifier_id")),
        sa.ForeignKeyConstraint(["unit_id"], ["unit.id"], name=op.f("fk_hold_unit_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hold")),
    )
    op.create_index(op.f("ix_hold_unit_id"), "hold", ["unit_id"])
    op.create_table(
        "step_unit",
        sa.Column("step_id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.String(length=8), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("unit_id", sa.Uuid(), nullable=False),
        sa.Column("identifier_id", COUNTED, nullable=False),
        sa.ForeignKeyConstraint(
            ["identifier_id"], ["identifier.id"], name=op.f("fk_step_unit_identifier_id")
        ),
        sa.ForeignKeyConstraint(["step_id"], ["process_step.id"], name=op.f("fk_step_unit_step_id")),
        sa.ForeignKeyConstraint(["unit_id"], ["unit.id"], name=op.f("fk_step_unit_unit_id")),
        sa.PrimaryKeyConstraint("step_id", "role", "position", name=op.f("pk_step_unit")),
    )
    op.create_index(op.f("ix_step_unit_unit_id"), "step_unit", ["unit_id"])
    op.create_table(
        "containment",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("escape", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("opened_at", TIME, nullable=False),
        sa.Column("opened_by", sa.String(length=64), nullable=True),
        sa.Column("station", sa.Text(), nullable=False),
        sa.Column("recipe_sha256", sa.String(length=64), nullable=False),
        sa.Column("models", sa.JSON(), nullable=False),
        sa.Column("lot_identifier_id", COUNTED, nullable=True),
        sa.Column("since", TIME, nullable=True),
        sa.Column("until", TIME, nullable=False),
        sa.ForeignKeyConstraint(["escape"], ["inspection.id"], name=op.f("fk_containment_escape")),
        sa.ForeignKeyConstraint(
            ["lot_identifier_id"], ["identifier.id"], name=op.f("fk_containment_lot_identifier_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_containment")),
    )
    op.create_table(
        "hold_release",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("hold_id", sa.Uuid(), nullable=False),
        sa.Column("decision", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("released_at", TIME, nullable=False),
        sa.Column("released_by", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(["hold_id"], ["hold.id"], name=op.f("fk_hold_release_hold_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hold_release")),
        sa.UniqueConstraint("hold_id", name=op.f("uq_hold_release_hold_id")),
    )
    op.create_table(
        "containment_unit",
        sa.Column("containment_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("unit_id", sa.Uuid(), nullable=False),
        sa.Column("identifier_id", COUNTED, nullable=False),
        sa.ForeignKeyConstraint(
            ["containment_id"], ["containment.id"], name=op.f("fk_containment_unit_containment_id")
        ),
        sa.ForeignKeyConstraint(
            ["identifier_id"], ["identifier.id"], name=op.f("fk_containment_unit_identifier_id")
        ),
        sa.ForeignKeyConstraint(["unit_id"], ["unit.id"], name=op.f("fk_containment_unit_unit_id")),
        sa.PrimaryKeyConstraint("containment_id", "position", name=op.f("pk_containment_unit")),
    )
