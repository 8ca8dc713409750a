"""Run by alembic: migrate through the connection, and inside the transaction, that the store hands over."""

from alembic import context

from energy.store.schema import VERSION_TABLE, metadata

if hasattr(context, "config"):  # only while alembic runs this file; whoever else imports it changes nothing
    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=metadata,
        version_table=VERSION_TABLE,
        transactional_ddl=True,
    )
    context.run_migrations()
