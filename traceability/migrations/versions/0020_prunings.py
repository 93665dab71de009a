"""Which pictures were given up, when, and by which rule."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "pruning",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("rule", sa.String(16), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pruning")),
    )
    op.create_table(
        "pruned_picture",
        sa.Column("pruning_id", sa.Uuid(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.ForeignKeyConstraint(["pruning_id"], ["pruning.id"], name=op.f("fk_pruned_picture_pruning_id")),
        sa.PrimaryKeyConstraint("pruning_id", "sha256", name=op.f("pk_pruned_picture")),
    )
    op.create_index(op.f("ix_pruned_picture_sha256"), "pruned_picture", ["sha256"])
