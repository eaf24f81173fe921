"""The log is append-only: by privileges for the project's roles, by triggers for everybody."""

from __future__ import annotations

import psycopg
import pytest

from tests.fixtures.database import Database
from tests.fixtures.log import event, numbered, opened, sequencing, stored, write

LOG = ("events", "events_p000000", "events_p000001", "commands", "positions")
ROW = {"events": "id", "commands": "append_id", "positions": "position"}


@pytest.fixture
async def filled(module_database: Database) -> Database:
    async with opened(module_database.app) as (store, _):
        if not await store.load("a-1"):
            await stored(store, "c1", write("a-1", event()))
            async with sequencing(module_database.projector):
                await numbered(store)
    return module_database


def column(table: str) -> str:
    return ROW[table.split("_", maxsplit=1)[0]]


async def refused(url: str, statement: str) -> str:
    """Run it, expect a refusal, and say which."""
    connection = await psycopg.AsyncConnection.connect(url, autocommit=True)
    try:
        with pytest.raises(psycopg.errors.InsufficientPrivilege) as error:
            await connection.execute(statement)
        return str(error.value)
    finally:
        await connection.close()


@pytest.mark.parametrize("role", ["app", "projector", "reader"])
@pytest.mark.parametrize("table", LOG)
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE {table} SET {column} = {column}",
        "DELETE FROM {table}",
        "TRUNCATE {table}",
        "TRUNCATE {table} CASCADE",
        "DROP TABLE {table}",
        "ALTER TABLE {table} ADD COLUMN extra int",
        "ALTER TABLE {table} DISABLE TRIGGER ALL",
        "ALTER TABLE {table} OWNER TO CURRENT_USER",
        "CREATE TRIGGER mine BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION refuse_change()",
        "INSERT INTO {table} SELECT * FROM {table}",
        "SELECT FROM {table} FOR UPDATE",
        "MERGE INTO {table} t USING (SELECT 1) s ON true WHEN MATCHED THEN DELETE",
    ],
)
async def test_no_role_of_ours_may_change_the_log(filled: Database, role: str, table: str, statement: str) -> None:
    await refused(getattr(filled, role), statement.format(table=table, column=column(table)))


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE events DETACH PARTITION events_p000000",
        "SET session_replication_role = replica",
        "INSERT INTO streams VALUES ('x', 1, '')",
        "UPDATE streams SET version = 0",
        "UPDATE log_head SET last_position = 0",
        "DELETE FROM unsequenced",
        "SELECT setval('append_ids', 1)",
        "SELECT nextval('append_ids')",
        "SELECT refuse_change()",
        "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE sql AS 'SELECT 1'",
        "ALTER FUNCTION refuse_change() RENAME TO other",
        "CREATE TABLE public.mine (a int)",
        "DROP SCHEMA public CASCADE",
    ],
)
@pytest.mark.parametrize("role", ["app", "projector", "reader"])
async def test_no_way_around(filled: Database, role: str, statement: str) -> None:
    await refused(getattr(filled, role), statement)


@pytest.mark.parametrize("role", ["app", "reader"])
async def test_only_the_projector_numbers_and_only_the_app_appends(filled: Database, role: str) -> None:
    await refused(getattr(filled, role), "SELECT * FROM sequence_appends(1)")
    for other in (filled.projector, filled.reader):
        await refused(other, "SELECT * FROM append_events('{}')")


@pytest.mark.parametrize("table", [table for table in LOG if table != "events_p000001"])
@pytest.mark.parametrize("statement", ["UPDATE {table} SET {column} = {column}", "DELETE FROM {table}"])
async def test_triggers_refuse_the_superuser_too(filled: Database, table: str, statement: str) -> None:
    said = await refused(filled.admin, statement.format(table=table, column=column(table)))
    assert "append-only" in said


@pytest.mark.parametrize("table", LOG)
async def test_triggers_refuse_to_truncate_even_where_nothing_is(filled: Database, table: str) -> None:
    said = await refused(filled.admin, f"TRUNCATE {table}")
    assert "append-only" in said


async def test_a_search_path_of_the_callers_does_not_deceive_the_append_function(database: Database) -> None:
    """It runs with its owner's rights, so nothing the caller brings along may be called by it."""
    async with opened(database.app) as (store, pool), pool.connection() as connection:
        await connection.execute("CREATE TEMP TABLE commands (command_id text, append_id bigint, outcome jsonb)")
        await connection.execute("CREATE TEMP TABLE streams (stream text, version bigint, last_hash bytea)")
        await store.append_on(connection, [])
    async with opened(database.app, 1) as (store, pool):
        async with pool.connection() as connection:
            await connection.execute(
                "CREATE TEMP TABLE unsequenced (append_id bigint, events int, appended_at timestamptz)"
            )
            await connection.execute("SET search_path = pg_temp, public")
        await stored(store, "c1", write("a-1", event()))
    async with opened(database.reader) as (store, _):
        assert (await store.head()).unsequenced_events == 1


async def test_views_of_the_projector_can_be_read_by_the_others(database: Database) -> None:
    async with await psycopg.AsyncConnection.connect(database.projector, autocommit=True) as projector:
        await projector.execute("CREATE TABLE read.balances AS SELECT 1 AS balance")
        await projector.execute("CREATE SCHEMA build_2")
        await projector.execute("CREATE TABLE build_2.balances AS SELECT 2 AS balance")
    for url in (database.app, database.reader):
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as reader:
            for schema, balance in (("read", 1), ("build_2", 2)):
                row = await (await reader.execute(f"SELECT balance FROM {schema}.balances")).fetchone()  # noqa: S608
                assert row == (balance,)
        await refused(url, "DELETE FROM read.balances")
        await refused(url, "CREATE TABLE read.mine (a int)")
