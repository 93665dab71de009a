"""Which kinds of record the ledger holds, so that reviews, codes and EPCIS events can join; a UUID for the last."""

from uuid import NAMESPACE_URL, uuid5

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

HELD = (
    '["inspection", "unit_form", "link", "correction", "contradiction", "process_step", "gauge_series",'
    ' "hold", "hold_release", "containment", "audit", "pruning"]'
)


def upgrade() -> None:
    op.add_column("ledger", sa.Column("kinds", sa.JSON(), nullable=False, server_default=HELD))
    nothing = "00000000-0000-0000-0000-000000000000"
    if op.get_bind().dialect.name == "sqlite":
        nothing = nothing.replace("-", "")
    op.add_column("epcis_event", sa.Column("id", sa.Uuid(), nullable=False, server_default=nothing))
    event = sa.table("epcis_event", sa.column("event_id", sa.Text()), sa.column("id", sa.Uuid()))
    known: list[str] = list(op.get_bind().execute(sa.select(event.c.event_id)).scalars())
    for event_id in known:
        id_ = uuid5(NAMESPACE_URL, event_id)
        op.execute(event.update().where(event.c.event_id == event_id).values(id=id_))
    op.create_index(op.f("ix_epcis_event_id"), "epcis_event", ["id"])
