"""Run by Alembic with the connection that `traceability/database.py` holds, inside its transaction."""

from alembic import context

from traceability.tables import metadata

# SQLite cannot alter most things in place: render_as_batch copies the table instead.
context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
