"""What Alembic runs to migrate: on the connection, and inside the transaction, that `migrate` holds."""

from alembic import context

from server.ledger.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
