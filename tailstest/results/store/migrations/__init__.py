"""What alembic runs to make and change the tables; see `results.store.schema`."""
