"""Called by alembic for every command; the connection is given by `results.store.schema`."""

from alembic import context

from tailstest.results.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
