"""What people decided about what the system judged."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "review",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("inspection_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.String(64), nullable=False),
        sa.Column("decision", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("is_repeat", sa.Boolean(), nullable=False),
        sa.Column("takes_back", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(["inspection_id"], ["inspection.id"], name=op.f("fk_review_inspection_id")),
        sa.ForeignKeyConstraint(["takes_back"], ["review.id"], name=op.f("fk_review_takes_back")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_review")),
    )
    op.create_index(op.f("ix_review_at"), "review", ["at"])
    op.create_index(op.f("ix_review_takes_back"), "review", ["takes_back"])
    op.create_index(op.f("ix_review_inspection_id_id"), "review", ["inspection_id", "id"])
    op.create_index(op.f("ix_review_by_id"), "review", ["by", "id"])
