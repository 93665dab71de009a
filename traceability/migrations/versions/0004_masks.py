"""Which pixels belong to a defect, where the detector says so: their area, and the line around them."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("defect", sa.Column("mask_area_mm2", sa.Double(), nullable=True))
    op.add_column("defect", sa.Column("outline_px", sa.JSON(), nullable=True))
