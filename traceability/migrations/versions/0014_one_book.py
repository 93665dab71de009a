"""What was handed over stands in the sums beside the records; a second book of the same is not kept."""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_table("handed_over")
