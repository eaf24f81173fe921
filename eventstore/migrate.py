"""Brings a database to the newest schema. May be called by several processes at once, and again at any time."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import psycopg
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from psycopg import sql
from sqlalchemy import create_engine, pool, text

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
    scheme, _, rest = admin_url.partition("://")
    assert scheme.startswith("postgres"), "a postgresql:// URL is needed"
    logging.getLogger("alembic").setLevel(logging.WARNING)
    with _THREADS:
        return _migrate(f"postgresql+psycopg://{rest}")


def _migrate(sqlalchemy_url: str) -> str:
    engine = create_engine(sqlalchemy_url, poolclass=pool.NullPool)
    config = Config(_ROOT / "alembic.ini")
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _LOCK})
            connection.commit()
            try:
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
                connection.commit()
                driver = connection.connection.driver_connection
                assert isinstance(driver, psycopg.Connection)
                grant_database(driver)
                connection.commit()
                revision = MigrationContext.configure(connection).get_current_revision()
                connection.commit()
            finally:
                connection.rollback()
                connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _LOCK})
                connection.commit()
    finally:
        engine.dispose()
    assert revision is not None
    return revision


def grant_database(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    """What belongs to the database as a whole, and so is lost when it is cloned as a template."""
    name = sql.Identifier(connection.info.dbname)
    connection.execute(sql.SQL("GRANT CREATE ON DATABASE {} TO {}").format(name, sql.Identifier(_OWN_SCHEMA)))
    for role, settings in _ROLE_SETTINGS.items():
        every = {**settings, "idle_in_transaction_session_timeout": _IDLE_IN_TRANSACTION_MS}
        for setting, value_ms in every.items():
            statement = sql.SQL("ALTER ROLE {} IN DATABASE {} SET {} = {}")
            connection.execute(
                statement.format(sql.Identifier(role), name, sql.Identifier(setting), sql.Literal(value_ms))
            )
