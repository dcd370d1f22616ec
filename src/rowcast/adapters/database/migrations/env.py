"""Run by Alembic on the connection that ``schema.upgrade`` opened, inside its transaction."""

from __future__ import annotations

from alembic import context

attributes = context.config.attributes
context.configure(
    connection=attributes["connection"],
    target_metadata=attributes["metadata"],
    render_as_batch=True,  # SQLite alters a table by rebuilding it
)
context.run_migrations()
