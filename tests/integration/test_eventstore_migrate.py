"""Migrating again and again, by several at once, several databases of one cluster; what connections promise."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from eventstore.connect import connect, open_pool
from eventstore.errors import StoreUnavailable, UnsafeSettings
from eventstore.migrate import migrate
from tests.fixtures.database import Database

NEWEST = "0004"


ROOT = Path(__file__).resolve().parents[2]


def test_several_databases_may_be_migrated_at_once_by_several(
    postgres_server: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Roles belong to the cluster, so the databases' migrations meet there."""
    caplog.set_level(logging.INFO)
    names = [f"migrate_{number}" for number in range(3)]
    urls = [urlunsplit(urlsplit(postgres_server)._replace(path=f"/{name}")) for name in names]
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        for name in names:
            connection.execute(f"CREATE DATABASE {name}")
        try:
            with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as processes:
                assert set(processes.map(migrate, urls * 3)) == {NEWEST}
            with ThreadPoolExecutor(4) as threads:
                assert set(threads.map(migrate, urls)) == {NEWEST}
            for name in names:
                query = "SELECT has_database_privilege('tidemark_projector', %s, 'CREATE')"
                assert connection.execute(query, [name]).fetchone() == (True,)
        finally:
            for name in names:
                connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    assert caplog.records == []


def test_alembics_own_command_does_the_same(postgres_server: str) -> None:
    """What a deployment runs; twice at once, as two replicas would."""
    url = urlunsplit(urlsplit(postgres_server)._replace(path="/migrate_cli"))
    alembic = [sys.executable, "-m", "alembic", "upgrade", "head"]
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute("CREATE DATABASE migrate_cli")
        try:
            running = [
                subprocess.Popen(alembic, cwd=ROOT, env={**os.environ, "DATABASE_URL": url}) for _ in range(2)
            ]
            assert [process.wait(60) for process in running] == [0, 0]
            with psycopg.connect(url) as migrated:
                assert migrated.execute("SELECT version_num FROM alembic_version").fetchall() == [(NEWEST,)]
                row = migrated.execute(
                    "SELECT has_database_privilege('tidemark_projector', 'migrate_cli', 'CREATE')"
                )
                assert row.fetchone() == (True,)
        finally:
            connection.execute("DROP DATABASE migrate_cli WITH (FORCE)")
    env = {key: value for key, value in os.environ.items() if key != "DATABASE_URL"}
    said = subprocess.run(alembic, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert (said.returncode, said.stderr) == (1, "alembic: set DATABASE_URL to the database to migrate\n")


def test_a_role_that_logs_in_gets_its_limits(database: Database) -> None:
    with psycopg.connect(database.admin) as connection:
        rows = connection.execute(
            """SELECT r.rolname, s.setconfig FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = s.setrole
            JOIN pg_database d ON d.oid = s.setdatabase WHERE d.datname = current_database()"""
        ).fetchall()
    limits = {role: dict(setting.split("=") for setting in settings) for role, settings in rows}
    assert limits["tidemark_app"] == {
        "statement_timeout": "30000",
        "lock_timeout": "2000",
        "idle_in_transaction_session_timeout": "120000",
    }
    assert set(limits) == {"tidemark_app", "tidemark_projector", "tidemark_reader"}


async def test_connections_are_durable_and_in_utc(database: Database) -> None:
    pool = await open_pool(database.app, application_name="mine")
    async with pool.connection() as connection:
        for setting, value in (
            ("synchronous_commit", "on"),
            ("timezone", "UTC"),
            ("application_name", "mine"),
            ("role", "tidemark_app"),
            ("statement_timeout", "30s"),
        ):
            assert await (await connection.execute(f"SHOW {setting}")).fetchone() == (value,)
        row = await (await connection.execute("""SELECT '{"a": [1, null]}'::jsonb""")).fetchone()
        assert row == ({"a": [1, None]},)
    await pool.close()


async def test_a_connection_that_would_acknowledge_too_early_is_refused(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventstore.queries.SYNCHRONOUS_COMMIT", "SELECT 'off'")
    with pytest.raises(UnsafeSettings, match="synchronous_commit is off"):
        await connect(database.app, "test")
    with pytest.raises(UnsafeSettings):
        await open_pool(database.app, timeout_s=2)


async def test_an_unreachable_server_is_said_to_be(database: Database) -> None:
    async with asyncio.timeout(10):
        with pytest.raises(StoreUnavailable, match="no connection to Postgres"):
            await open_pool("postgresql://nobody@127.0.0.1:1/none", timeout_s=0.5)
