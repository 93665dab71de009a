"""The surface of a coil: joined defects, their distances from the edges, and the map around them."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("inspection", sa.Column("strip", sa.JSON(), nullable=True))
    op.add_column("defect", sa.Column("edge_near_mm", sa.Double(), nullable=True))
    op.add_column("defect", sa.Column("edge_far_mm", sa.Double(), nullable=True))
    op.add_column("defect", sa.Column("pieces", sa.JSON(), nullable=True))
