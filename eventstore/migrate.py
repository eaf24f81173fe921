"""Brings a database to the newest schema. May be called by several processes at once, and again at any time."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from psycopg import sql
from sqlalchemy import Connection, create_engine, pool, text

_ROOT = Path(__file__).resolve().parent.parent
_LOCK = 8449001
# Alembic keeps what it is working on in globals: one thread of a process at a time. Processes meet at _LOCK.
_THREADS = threading.Lock()
_OWN_SCHEMA = "tidemark_projector"
# What a login of the role starts with, in this database. Milliseconds.
_ROLE_SETTINGS = {
    "tidemark_app": {"statement_timeout": 30_000, "lock_timeout": 2_000},
    "tidemark_projector": {"lock_timeout": 10_000},
    "tidemark_reader": {"statement_timeout": 30_000},
}
_IDLE_IN_TRANSACTION_MS = 120_000


def migrate(admin_url: str) -> str:
    """Migrate to the newest revision and return it. The user must own the database and may create roles."""
    logging.getLogger("alembic").setLevel(logging.WARNING)
    config = Config(_ROOT / "alembic.ini")
    with _THREADS, migrating(admin_url) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        revision = MigrationContext.configure(connection).get_current_revision()
    assert revision is not None
    return revision


@contextmanager
def migrating(admin_url: str) -> Iterator[Connection]:
    """A connection to migrate over, alone among all processes; afterwards the database's own grants are made."""
    scheme, _, rest = admin_url.partition("://")
    assert scheme.startswith("postgres"), "a postgresql:// URL is needed"
    engine = create_engine(f"postgresql+psycopg://{rest}", poolclass=pool.NullPool)
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _LOCK})
            connection.commit()
            yield connection
            connection.commit()
            driver = connection.connection.driver_connection
            assert isinstance(driver, psycopg.Connection)
            grant_database(driver)
            driver.commit()  # SQLAlchemy does not know of a transaction it did not begin
    finally:
        engine.dispose()  # the lock goes with the connection


def grant_database(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    """What belongs to the database as a whole, and so is lost when it is cloned as a template."""
    known = connection.execute(
        "SELECT rolname FROM pg_roles WHERE rolname = ANY(%s)", [list(_ROLE_SETTINGS)]
    ).fetchall()
    if len(known) < len(_ROLE_SETTINGS):
        return  # not migrated yet
    name = sql.Identifier(connection.info.dbname)
    connection.execute(sql.SQL("GRANT CREATE ON DATABASE {} TO {}").format(name, sql.Identifier(_OWN_SCHEMA)))
    for role, settings in _ROLE_SETTINGS.items():
        every = {**settings, "idle_in_transaction_session_timeout": _IDLE_IN_TRANSACTION_MS}
        for setting, value_ms in every.items():
            statement = sql.SQL("ALTER ROLE {} IN DATABASE {} SET {} = {}")
            connection.execute(
                statement.format(sql.Identifier(role), name, sql.Identifier(setting), sql.Literal(value_ms))
            )
