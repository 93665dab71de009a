"""Why a unit's code was not known from its pictures, where a recipe asks for that."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("inspection", sa.Column("code_failure", sa.Text(), nullable=True))
