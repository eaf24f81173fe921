"""Verify finds whatever somebody with all rights, and the triggers off, did to the log."""

from __future__ import annotations

import psycopg
import pytest

from eventstore.verify import Counts, LogVerifier
from tests.fixtures.database import Database
from tests.fixtures.log import event, found_wrong, numbered, opened, sequencing, stored, write


@pytest.fixture
async def log(database: Database) -> Database:
    """Two appends of two streams numbered, a third not yet. Ids 65536…, positions 1 to 5."""
    async with opened(database.app) as (store, _):
        first = await stored(store, "c1", write("a-1", event(1), event(2)), write("a-2", event(3)))
        second = await stored(
            store, "c2", write("a-1", event(4), after=first[1]), write("a-2", event(5), after=first[2])
        )
        async with sequencing(database.projector):
            await numbered(store)
        await stored(store, "c3", write("a-1", event(6), after=second[0]))
    assert await found_wrong(database.reader) == set()
    return database


TAMPERING = {
    "an amount changed": ("UPDATE events SET data = '{{\"amount\": 100}}' WHERE id = {a}",
        {"hash_mismatch"}),
    "an amount made a fraction": ("UPDATE events SET data = '{{\"amount\": 1.5}}' WHERE id = {a}",
        {"hash_mismatch"}),
    "the actor changed": ("UPDATE events SET metadata = metadata || '{{\"actor\": \"x\"}}' WHERE id = {a}",
        {"hash_mismatch"}),
    "the time changed": ("UPDATE events SET recorded_at = recorded_at + '1 us' WHERE id = {a}",
        {"hash_mismatch"}),
    "the type changed": ("UPDATE events SET type = 'Other' WHERE id = {b}",
        {"hash_mismatch"}),
    "another stream": ("UPDATE events SET stream = 'a-3' WHERE id = {c}",
        {"hash_mismatch", "stream_row_missing", "version_gap"}),
    "changed and hashed anew": ("UPDATE events SET data = '{{\"amount\": 9}}', hash = sha256('x') WHERE id = {a}",
        {"hash_mismatch", "chain_broken"}),
    "deleted in the middle": ("DELETE FROM events WHERE id = {b}",
        {"version_gap", "position_without_event"}),
    "deleted at the end": ("DELETE FROM events WHERE id = {last}",
        {"stream_row_differs", "unsequenced_differs", "command_without_events"}),
    "a stream deleted": ("DELETE FROM events WHERE stream = 'a-2'",
        {"stream_without_events", "position_without_event"}),
    "a stream's row deleted": ("DELETE FROM streams WHERE stream = 'a-2'",
        {"stream_row_missing"}),
    "a stream's row changed": ("UPDATE streams SET version = 9 WHERE stream = 'a-2'", {"stream_row_differs"}),
    "two positions swapped": ("""UPDATE positions SET id = -1 WHERE position = 1;
        UPDATE positions SET id = {a} WHERE position = 2; UPDATE positions SET id = {b} WHERE position = 1""",
        {"order_of_positions", "positions_tear_append"}),
    "a position deleted": ("DELETE FROM positions WHERE position = 3",
        {"positions_not_dense", "numbered_wrongly"}),
    "the last position deleted": ("DELETE FROM positions WHERE position = 5",
        {"head_differs", "numbered_wrongly"}),
    "a position too many": ("INSERT INTO positions VALUES (6, 5)",
        {"position_without_event", "head_differs", "positions_tear_append"}),
    "numbered and waiting": ("INSERT INTO unsequenced VALUES (1, 3, now())",
        {"numbered_wrongly"}),
    "waiting where nobody looks": ("UPDATE log_head SET floor = floor + 1", {"append_forgotten"}),
    "waiting no more": ("DELETE FROM unsequenced",
        {"numbered_wrongly"}),
    "waiting for more": ("UPDATE unsequenced SET events = 2", {"unsequenced_differs"}),
    "a command deleted": ("DELETE FROM commands WHERE command_id = 'c1'",
        {"command_missing"}),
    "a command renamed": ("UPDATE commands SET command_id = 'c9' WHERE command_id = 'c1'", {"command_missing"}),
    "a command without effect": ("INSERT INTO commands VALUES ('c9', 99, '', '{{}}', now())",
        {"command_without_events"}),
    "another event id": ("UPDATE events SET event_id = gen_random_uuid() WHERE id = {c}",
        {"event_id_wrong", "hash_mismatch"}),
}  # fmt: skip


@pytest.mark.parametrize("name", TAMPERING)
async def test_tampering_is_found(log: Database, name: str) -> None:
    statement, codes = TAMPERING[name]
    first = 1 << 16
    ids = {"a": first, "b": first + 1, "c": first + 2, "last": 3 << 16}
    async with await psycopg.AsyncConnection.connect(log.admin, autocommit=True) as connection:
        await connection.execute("SET session_replication_role = replica")
        await connection.execute(statement.format(**ids))
    assert await found_wrong(log.reader) >= codes


async def test_a_sound_log_is_counted(log: Database) -> None:
    verifier = LogVerifier(log.reader)
    assert [finding async for finding in verifier.findings()] == []
    counts = verifier.counts
    assert counts == Counts(streams=2, events=6, positions=5, unsequenced=1, commands=3, findings=0)


async def test_a_finding_says_where(log: Database) -> None:
    async with await psycopg.AsyncConnection.connect(log.admin, autocommit=True) as connection:
        await connection.execute("SET session_replication_role = replica")
        await connection.execute("UPDATE events SET data = '{}' WHERE stream = 'a-1' AND version = 2")
    verifier = LogVerifier(log.reader)
    (finding,) = [finding async for finding in verifier.findings()]
    assert (finding.code, finding.where) == ("hash_mismatch", "a-1@2")
    assert verifier.counts.findings == 1
