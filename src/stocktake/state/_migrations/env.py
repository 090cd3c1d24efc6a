"""Run by Alembic: migrations go over the connection, and in the transaction, of the caller."""

from alembic import context

from stocktake.state._tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
    render_as_batch=True,
)
context.run_migrations()
