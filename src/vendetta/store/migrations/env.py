"""What alembic runs for each command: our tables, on the connection and in the transaction of the caller."""

from alembic import context

from vendetta.store.schema import VERSION_TABLE
from vendetta.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
