"""Alembic's entry: migrate over the connection that `eventstore.migrate` hands in, else DATABASE_URL."""

from __future__ import annotations

import os

from alembic import context
from sqlalchemy import Connection

from eventstore.migrate import migrating


def _run(connection: Connection) -> None:
    context.configure(connection=connection, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    _run(given)
elif "DATABASE_URL" in os.environ:
    with migrating(os.environ["DATABASE_URL"]) as connection:
        _run(connection)
else:
    raise SystemExit("alembic: set DATABASE_URL to the database to migrate")
