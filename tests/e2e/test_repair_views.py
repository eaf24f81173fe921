"""What faults do to views, snapshots and the projector's own state: `verify` names it, `repair` makes it anew."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from urllib.parse import urlsplit, urlunsplit

import pytest

from activities.codec import DomainCodec
from domain.account_messages import FundsDeposited
from domain.catalogue import UPCASTERS
from domain.streams import ACCOUNT, account_stream
from eventstore.events import AppendRequest, NewEvent, Snapshot, StreamWrite
from eventstore.sequencer import sequence_once
from operations.engine import VIEWS_LOCK
from projections.builds import create_build
from projections.catalogue import VIEWS
from stack.database import PROJECTOR
from tests.e2e.system import System, eur, system
from tests.fixtures.log import AT
from tests.fixtures.operating import Operator, settling
from tests.fixtures.stack import TemporalAddress

pytestmark = pytest.mark.usefixtures(settling.__name__)


@pytest.fixture
async def under_test(database_url: str, temporal_server: TemporalAddress) -> AsyncIterator[System]:
    async with system(database_url, temporal_server.address) as running:
        yield running


@pytest.fixture
async def operator(under_test: System) -> Operator:
    operator = Operator(under_test)
    for name in ("ana", "ben", "cleo"):
        await under_test.open_account(name, "100.00")
    await operator.take_in()
    assert await operator.found() == []
    return operator


async def test_views_snapshots_and_builds_are_made_anew(under_test: System, operator: Operator) -> None:
    """Everything at once: each finding stands on its own."""
    schemas = {
        str(view): f"view_{view}_{build}"
        for view, build in await operator.execute(
            "SELECT view, build FROM projection.builds WHERE status = 'live'"
        )
    }
    await operator.project(
        f"UPDATE {schemas['accounts']}.accounts SET balance = balance + 1 WHERE account_id = 'ana'"  # noqa: S608
    )
    await operator.project(f"DROP TABLE {schemas['ledger_entries']}.ledger_entries CASCADE")
    await operator.project("UPDATE projection.builds SET position = position + 5000 WHERE view = 'transfers'")
    await operator.project("ALTER TABLE projection.builds DISABLE TRIGGER checkpoints_only_grow")
    await operator.project("UPDATE projection.builds SET position = 0 WHERE view = 'conservation'")
    await operator.project("ALTER TABLE projection.builds ENABLE TRIGGER checkpoints_only_grow")
    await operator.project("DELETE FROM projection.builds WHERE view = 'payments'")
    async with operator.verifier.connect() as connection:
        left = [
            await create_build(connection, VIEWS["user_payment_summary"], kind) for kind in ("building", "shadow")
        ]
    await keep_snapshots(under_test)

    found = await operator.found()
    assert {(code, where.partition(".")[0]) for code, where in found} == {
        ("snapshot_differs", "account-ana"),
        ("snapshot_differs", "account-ben"),
        ("build_orphaned", left[0].schema),
        ("build_orphaned", left[1].schema),
        ("build_orphaned", schemas["payments"]),
        ("view_differs", "accounts"),
        ("view_broken", "ledger_entries"),
        ("view_ahead", "transfers"),
        ("view_behind", "conservation"),
        ("view_differs", "conservation"),
        ("view_missing", "payments"),
        ("view_not_compared", "payments"),
    }
    planned = await operator.repair(dry=True)
    assert sorted(await operator.found()) == sorted(found), "a dry run changes nothing"
    done = await operator.repair()
    assert {(one.code, one.where) for one in done} == {(one.code, one.where) for one in planned}
    assert not any(one.failed for one in done), done
    assert await operator.found() == []
    assert await operator.repair() == []
    strays = "SELECT count(*) FROM pg_namespace WHERE nspname ~ '^view_'"
    assert await operator.execute(strays) == [(len(VIEWS),)]


async def keep_snapshots(under_test: System) -> None:
    """A right one, one with too much money, one that nobody can read."""
    codec, store = DomainCodec(), under_test.books.store
    for name in ("cleo", "ana", "ben"):
        stream = account_stream(name)
        last = (await store.load(stream))[-1]
        dumped = codec.dump_state(stream, await under_test.ledger.state(stream))
        dumped = {"cleo": dumped, "ana": {**dumped, "balance": 1_000_000_00}, "ben": {"made": "up"}}[name]
        version = codec.state_version(stream)
        await store.save_snapshot(Snapshot(stream, last.version, version, dumped, last.hash))


async def projector_itself(under_test: System) -> Operator:
    """Logged in as the projector, as on the local stack: who only takes its role on may end nobody's session."""
    await Operator(under_test).execute(f"ALTER ROLE {PROJECTOR} LOGIN PASSWORD 'made-up'")
    parts = urlsplit(under_test.database_url)
    netloc = f"{PROJECTOR}:made-up@{parts.hostname}:{parts.port}"
    return Operator(under_test, urlunsplit(parts._replace(netloc=netloc)))


async def test_a_log_that_nobody_numbers_and_a_leader_that_hangs(under_test: System, operator: Operator) -> None:
    operator = await projector_itself(under_test)
    async with operator.verifier.connect() as hung:
        await hung.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", (VIEWS_LOCK,))
        await hung.execute("SELECT pg_advisory_lock(8449003)")
        await under_test.accounts.deposit("ana", eur("5.00"), "more")
        assert set(await operator.found()) == {("log_not_numbered", "log"), ("leader_stuck", "sequencer")}
        codes = {one.code for one in await operator.repair()}
        assert codes == {"log_not_numbered", "leader_stuck", "view_behind"}
    assert await operator.found() == []
    assert await under_test.balance("ana") == ("105.00", "0.00")

    async with operator.verifier.connect() as hung:
        await hung.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", (VIEWS_LOCK,))
        await under_test.accounts.deposit("ana", eur("5.00"), "and more")
        async with operator.verifier.connect() as connection:
            await sequence_once(connection)
        expected = [("view_behind", name) for name in VIEWS] + [("leader_stuck", "views")]
        await operator.mends(*expected)


async def test_a_parked_stream_is_taken_in_once_its_event_can_be_read(
    under_test: System, operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Newer code wrote it; after the roll-out of that code `repair` retries it, and what waits behind it."""
    store, stream = under_test.books.store, account_stream("ana")
    last = (await store.load(stream))[-1]
    data = {**last.data, "balance": {"amount": "200.00", "currency": "EUR"}}
    write = StreamWrite(stream, last.version, last.hash, (NewEvent("FundsDeposited", 2, data),))
    await store.append([AppendRequest(f"new-{uuid.uuid4()}", b"f" * 32, (write,), {"actor": "test"}, {}, AT)])
    await operator.take_in()
    found = await operator.found()
    assert {code for code, _ in found} == {"unreadable_event", "dead_letter"}
    failed = await operator.repair()
    assert failed
    assert all(one.code == "dead_letter" and one.failed and "failed again" in one.what for one in failed)

    monkeypatch.setattr(FundsDeposited, "schema_version", 2)
    monkeypatch.setitem(UPCASTERS, (ACCOUNT, "FundsDeposited", 1), dict)
    assert {code for code, _ in await operator.found()} == {"view_differs", "dead_letter"}
    done = await operator.repair()
    assert {one.where for one in done} == {where for code, where in found if code == "dead_letter"}
    assert all("taken in 1 events of account-ana" in one.what for one in done)
    assert await operator.found() == []
