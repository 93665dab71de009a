"""What was made from what, where it lies there, what was corrected and what contradicts."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

COUNTED = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)
SIDES = ("x1", "y1", "x2", "y2")


def upgrade() -> None:
    op.create_table(
        "unit_form",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("unit_id", sa.Uuid(), nullable=False),
        sa.Column("identifier_id", COUNTED, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("length_mm", sa.Double(), nullable=True),
        sa.Column("width_mm", sa.Double(), nullable=True),
        sa.Column("quantity", sa.Double(), nullable=True),
        sa.Column("quantity_unit", sa.Text(), nullable=True),
        sa.Column("voided_by", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(["unit_id"], ["unit.id"], name=op.f("fk_unit_form_unit_id")),
        sa.ForeignKeyConstraint(
            ["identifier_id"], ["identifier.id"], name=op.f("fk_unit_form_identifier_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_unit_form")),
    )
    op.create_index(op.f("ix_unit_form_unit_id_voided_by"), "unit_form", ["unit_id", "voided_by"])
    op.create_table(
        "link",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("parent_id", sa.Uuid(), nullable=False),
        sa.Column("child_id", sa.Uuid(), nullable=False),
        sa.Column("parent_identifier_id", COUNTED, nullable=False),
        sa.Column("child_identifier_id", COUNTED, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("step", sa.Uuid(), nullable=True),
        sa.Column("quantity", sa.Double(), nullable=True),
        sa.Column("voided_by", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(["parent_id"], ["unit.id"], name=op.f("fk_link_parent_id")),
        sa.ForeignKeyConstraint(["child_id"], ["unit.id"], name=op.f("fk_link_child_id")),
        sa.ForeignKeyConstraint(
            ["parent_identifier_id"], ["identifier.id"], name=op.f("fk_link_parent_identifier_id")
        ),
        sa.ForeignKeyConstraint(
            ["child_identifier_id"], ["identifier.id"], name=op.f("fk_link_child_identifier_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_link")),
    )
    op.create_index(
        op.f("ix_link_parent_id_voided_by_child_id"), "link", ["parent_id", "voided_by", "child_id"]
    )
    op.create_index(
        op.f("ix_link_child_id_voided_by_parent_id"), "link", ["child_id", "voided_by", "parent_id"]
    )
    op.create_table(
        "link_cut",
        sa.Column("link_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        *(sa.Column(f"parent_{side}_mm", sa.Double(), nullable=False) for side in SIDES),
        *(sa.Column(f"child_{side}_mm", sa.Double(), nullable=False) for side in SIDES),
        sa.Column("is_reversed", sa.Boolean(), nullable=False),
        sa.Column("is_mirrored", sa.Boolean(), nullable=False),
        sa.Column("is_turned", sa.Boolean(), nullable=False),
        sa.Column("is_flipped", sa.Boolean(), nullable=False),
        sa.Column("sigma_x_mm", sa.Double(), nullable=False),
        sa.Column("sigma_y_mm", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["link_id"], ["link.id"], name=op.f("fk_link_cut_link_id")),
        sa.PrimaryKeyConstraint("link_id", "position", name=op.f("pk_link_cut")),
    )
    op.create_table(
        "correction",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("record_kind", sa.String(length=16), nullable=False),
        sa.Column("record_id", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("made_at", TIME, nullable=False),
        sa.Column("made_by", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_correction")),
        sa.UniqueConstraint("record_id", name=op.f("uq_correction_record_id")),
    )
    op.create_table(
        "person",
        sa.Column("commitment", sa.String(length=64), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("salt", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("commitment", name=op.f("pk_person")),
        sa.UniqueConstraint("name", name=op.f("uq_person_name")),
    )
    op.create_table(
        "contradiction",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("record_kind", sa.String(length=16), nullable=False),
        sa.Column("record_id", sa.Uuid(), nullable=False),
        sa.Column("said", sa.JSON(), nullable=False),
        sa.Column("received_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_contradiction")),
    )
    op.create_index(op.f("ix_contradiction_record_id"), "contradiction", ["record_id"])
