"""Who signs in at the plant's identity provider: its name for the person."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("account", sa.Column("provider_subject", sa.String(600), nullable=True))
    op.create_index(op.f("ix_account_provider_subject"), "account", ["provider_subject"], unique=True)
