"""What it takes to judge again what is on record: by which programs it was judged, and which pictures are exact."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("inspection", sa.Column("software", sa.String(64)))
    op.add_column("picture", sa.Column("y_origin_mm", sa.Double(), nullable=False, server_default="0"))
    op.add_column("picture", sa.Column("is_exact", sa.Boolean(), nullable=False, server_default=sa.false()))
