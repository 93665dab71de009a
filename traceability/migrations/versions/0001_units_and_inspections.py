"""Units, their codes, their inspections and what hangs on those."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# What is written here stays: it is how databases in the field were made. `tables.py` may move on.
CODE = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
COUNTED = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "inspection_begun",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("scheme", sa.String(length=16), nullable=False),
        sa.Column("canon", CODE, nullable=False),
        sa.Column("read_as", sa.Text(), nullable=False),
        sa.Column("station", sa.Text(), nullable=False),
        sa.Column("lane", sa.Text(), nullable=False),
        sa.Column("recipe_name", sa.Text(), nullable=False),
        sa.Column("recipe_revision", sa.Integer(), nullable=False),
        sa.Column("recipe_sha256", sa.String(length=64), nullable=False),
        sa.Column("models", sa.JSON(), nullable=False),
        sa.Column("started_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inspection_begun")),
    )
    op.create_table(
        "unit",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_unit")),
    )
    op.create_table(
        "identifier",
        sa.Column("id", COUNTED, nullable=False),
        sa.Column("unit_id", sa.Uuid(), nullable=False),
        sa.Column("scheme", sa.String(length=16), nullable=False),
        sa.Column("canon", CODE, nullable=False),
        sa.ForeignKeyConstraint(["unit_id"], ["unit.id"], name=op.f("fk_identifier_unit_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identifier")),
        sa.UniqueConstraint("scheme", "canon", name=op.f("uq_identifier_scheme_canon")),
    )
    op.create_index(op.f("ix_identifier_unit_id"), "identifier", ["unit_id"], unique=False)
    op.create_table(
        "inspection",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("identifier_id", COUNTED, nullable=False),
        sa.Column("read_as", sa.Text(), nullable=False),
        sa.Column("station", sa.Text(), nullable=False),
        sa.Column("lane", sa.Text(), nullable=False),
        sa.Column("recipe_name", sa.Text(), nullable=False),
        sa.Column("recipe_revision", sa.Integer(), nullable=False),
        sa.Column("recipe_sha256", sa.String(length=64), nullable=False),
        sa.Column("started_at", TIME, nullable=False),
        sa.Column("finished_at", TIME, nullable=False),
        sa.Column("verdict", sa.String(length=16), nullable=False),
        sa.Column("triggers", sa.Integer(), nullable=False),
        sa.Column("frames_inspected", sa.Integer(), nullable=False),
        sa.Column("frames_failed", sa.Integer(), nullable=False),
        sa.Column("frames_lost", sa.Integer(), nullable=False),
        sa.Column("failures", sa.JSON(), nullable=False),
        sa.Column("simulated", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["identifier_id"], ["identifier.id"], name=op.f("fk_inspection_identifier_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inspection")),
    )
    op.create_index(
        op.f("ix_inspection_finished_at_station_lane_verdict_simulated"),
        "inspection",
        ["finished_at", "station", "lane", "verdict", "simulated"],
        unique=False,
    )
    op.create_index(
        op.f("ix_inspection_identifier_id_started_at"),
        "inspection",
        ["identifier_id", "started_at"],
        unique=False,
    )
    op.create_index(
        op.f("ix_inspection_station_finished_at_lane_verdict_simulated"),
        "inspection",
        ["station", "finished_at", "lane", "verdict", "simulated"],
        unique=False,
    )
    op.create_index(
        op.f("ix_inspection_verdict_finished_at"), "inspection", ["verdict", "finished_at"], unique=False
    )
    op.create_table(
        "defect",
        sa.Column("inspection_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.Column("camera", sa.Text(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("x1_px", sa.Double(), nullable=False),
        sa.Column("y1_px", sa.Double(), nullable=False),
        sa.Column("x2_px", sa.Double(), nullable=False),
        sa.Column("y2_px", sa.Double(), nullable=False),
        sa.Column("x1_mm", sa.Double(), nullable=True),
        sa.Column("y1_mm", sa.Double(), nullable=True),
        sa.Column("x2_mm", sa.Double(), nullable=True),
        sa.Column("y2_mm", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["inspection_id"], ["inspection.id"], name=op.f("fk_defect_inspection_id")),
        sa.PrimaryKeyConstraint("inspection_id", "position", name=op.f("pk_defect")),
    )
    op.create_index(op.f("ix_defect_kind_inspection_id"), "defect", ["kind", "inspection_id"], unique=False)
    op.create_table(
        "inspection_model",
        sa.Column("inspection_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["inspection_id"], ["inspection.id"], name=op.f("fk_inspection_model_inspection_id")
        ),
        sa.PrimaryKeyConstraint("inspection_id", "position", name=op.f("pk_inspection_model")),
    )
    op.create_table(
        "measurement",
        sa.Column("inspection_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("uncertainty", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(
            ["inspection_id"], ["inspection.id"], name=op.f("fk_measurement_inspection_id")
        ),
        sa.PrimaryKeyConstraint("inspection_id", "position", name=op.f("pk_measurement")),
    )
    op.create_table(
        "picture",
        sa.Column("inspection_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("camera", sa.Text(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("width_px", sa.Integer(), nullable=False),
        sa.Column("height_px", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["inspection_id"], ["inspection.id"], name=op.f("fk_picture_inspection_id")),
        sa.PrimaryKeyConstraint("inspection_id", "position", name=op.f("pk_picture")),
    )
    op.create_index(op.f("ix_picture_sha256"), "picture", ["sha256"], unique=False)
