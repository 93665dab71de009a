"""Whole families are read from indexes alone."""

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table, before, after in (
        ("identifier", ("unit_id",), ("unit_id", "id", "scheme", "canon")),
        (
            "unit_form",
            ("unit_id", "voided_by"),
            ("unit_id", "voided_by", "kind", "length_mm", "width_mm"),
        ),
    ):
        op.drop_index(op.f(f"ix_{table}_{'_'.join(before)}"), table)
        op.create_index(op.f(f"ix_{table}_{'_'.join(after)}"), table, list(after))
