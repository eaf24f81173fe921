"""Batches of transfers on a real worker, Temporal and Postgres: outcomes, wishes, atomicity, what follows them."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio import workflow
from temporalio.client import WorkflowExecutionStatus

from activities.batch_items import BatchItemTable
from activities.rail import rail_client
from activities.steps import CancelWish, PauseWish, ResolveWish, ResumeWish, ReviewWish
from domain.batch_messages import BatchItemsSettled
from domain.catalogue import decode
from domain.errors import Conflict, WrongState
from tests.e2e.batching import around, balances, must_add_up, ring, submit
from tests.e2e.rail import rail_gateway
from tests.e2e.system import System, eur, system
from tests.fixtures.operating import Operator
from tests.fixtures.stack import TemporalAddress
from worker import make_batch_worker, make_worker

CHUNK = {"TIDEMARK_BATCH_CHUNK": "10"}


@pytest.fixture
def run() -> str:
    return f"batch-{uuid.uuid4().hex[:8]}"


@pytest.fixture
async def idle(
    database_url: str, temporal_server: TemporalAddress, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[System]:
    """A system without a worker."""
    monkeypatch.setenv("TIDEMARK_BATCH_CHUNK", "10")
    async with system(database_url, temporal_server.address) as running:
        yield running


@pytest.fixture
async def under_test(idle: System) -> AsyncIterator[System]:
    async with idle.worker() as worker:
        await worker.start()
        yield idle


async def settled(under_test: System, batch_id: str) -> list[BatchItemsSettled]:
    records = await under_test.books.store.load(f"batch-{batch_id}")
    events = [decode(record.stream, record.type, record.schema_version, record.data) for record in records]
    return [event for event in events if isinstance(event, BatchItemsSettled)]


async def test_each_item_has_its_own_outcome(under_test: System, run: str) -> None:
    for name, balance in (("a", "20100.00"), ("poor", "1.00"), ("b", None)):
        await under_test.open_account(f"{run}-{name}", balance)
    await under_test.open_account(f"{run}-closed")
    await under_test.accounts.close(f"{run}-closed", "c1")
    await under_test.open_account(f"{run}-frozen", "5.00")
    await under_test.accounts.freeze(f"{run}-frozen", "f1")
    wanted = [
        ("a", "b", "10.00"),
        ("poor", "b", "1.01"),
        ("a", "closed", "1.00"),
        ("nobody", "b", "1.00"),
        ("a", "a", "1.00"),
        ("frozen", "b", "1.00"),
        ("a", "b", "20000.00"),
        ("b", "poor", "5.00"),
        ("a", "frozen", "2.00"),
    ]
    taken = await submit(under_test, run, wanted)
    assert (taken.new, taken.items) == (True, 9)
    step = await under_test.batches.resting(run)
    assert (step.status, step.completed, step.rejected, step.started) == ("completed", 3, 5, 1)

    [chunk] = await settled(under_test, run)
    assert {note.item: note.code for note in chunk.notes} == {
        2: "insufficient_funds",
        3: "account_closed",
        4: "account_not_found",
        5: "same_account",
        6: "account_frozen",
        7: "review",
    }
    assert await balances(under_test, run, ["a", "b", "poor", "frozen"]) == {
        "a": ("20088.00", "0.00"),
        "b": ("5.00", "0.00"),
        "poor": ("6.00", "0.00"),
        "frozen": ("7.00", "0.00"),
    }
    # The large one has a saga of its own, and waits for its review like any other.
    approved = await under_test.transfers.review(f"{run}-7", ReviewWish(wish_id="r1", approve=True))
    assert approved.status == "completed"
    assert await under_test.balance(f"{run}-a") == ("88.00", "0.00")
    await must_add_up(under_test)


async def test_the_same_batch_again_is_the_same_and_another_content_is_refused(
    under_test: System, run: str
) -> None:
    names = await ring(under_test, run)
    assert (await submit(under_test, run, around(names, 25))).new
    assert not (await submit(under_test, run, around(names, 25))).new
    for other in (around(names, 24), around(names, 25, "1.01")):
        with pytest.raises(Conflict) as refusal:
            await submit(under_test, run, other)
        assert refusal.value.code == "idempotency_conflict"
    with pytest.raises(Conflict):
        await submit(under_test, run, around(names, 25), atomic=True)
    assert (await under_test.batches.resting(run)).completed == 25
    assert not (await submit(under_test, run, around(names, 25))).new
    assert [chunk.last for chunk in await settled(under_test, run)] == [10, 20, 25]
    await must_add_up(under_test)


async def test_a_refusal_undoes_all_of_an_atomic_batch(under_test: System, run: str) -> None:
    names = await ring(under_test, run)
    before = await balances(under_test, run, names)
    await submit(under_test, run, [*around(names, 35), ("0", "1", "100.01")], atomic=True)
    step = await under_test.batches.resting(run)
    assert (step.status, step.failure_code, step.completed) == ("compensated", "insufficient_funds", 0)
    assert step.failure_reason is not None
    assert step.failure_reason.startswith("item 36:")
    assert await balances(under_test, run, names) == before
    events = await under_test.events(f"batch-{run}")
    assert events[-4:] == ["BatchItemsUndone", "BatchItemsUndone", "BatchItemsUndone", "BatchCompensated"]
    await must_add_up(under_test)


async def test_an_atomic_batch_gives_what_it_credits_only_when_all_is_settled(
    idle: System, run: str, tmp_path: Path
) -> None:
    names = await ring(idle, run, 3)
    gate = tmp_path / "gate"
    async with idle.worker(TIDEMARK_FAILPOINT=f"batch.release:before_commit=pause:{gate}") as worker:
        await worker.start()
        await submit(idle, run, [("0", "1", "1.00")] * 25, atomic=True)
        await reached(gate)
        assert await idle.balance(f"{run}-1") == ("125.00", "25.00"), "credited, and held"
        cancelling = asyncio.create_task(idle.batches.cancel(run, CancelWish(wish_id="late")))
        gate.touch()
        with pytest.raises(WrongState):
            await cancelling
        step = await idle.batches.resting(run)
    assert (step.status, step.released, step.completed) == ("completed", 25, 25)
    assert await balances(idle, run, names) == {
        "0": ("75.00", "0.00"),
        "1": ("125.00", "0.00"),
        "2": ("100.00", "0.00"),
    }
    await must_add_up(idle)


async def reached(gate: Path) -> None:
    async with asyncio.timeout(60):
        while not Path(f"{gate}.reached").exists():
            await asyncio.sleep(0.02)


async def test_what_a_closed_source_does_not_take_back_is_stuck_until_it_is_resolved(
    idle: System, run: str, tmp_path: Path
) -> None:
    await idle.open_account(f"{run}-payer", "12.00")
    await ring(idle, run, 2)
    wanted = [("payer", "0", "1.00")] * 12 + [("0", "1", "1000.00")]
    gate = tmp_path / "gate"
    async with idle.worker(TIDEMARK_FAILPOINT=f"batch.undo:before_commit=pause:{gate}") as worker:
        await worker.start()
        await submit(idle, run, wanted, atomic=True)
        await reached(gate)
        assert (await idle.balance(f"{run}-payer"))[0] == "2.00", "the first chunk of ten is settled"
        await idle.accounts.withdraw(f"{run}-payer", eur("2.00"), "w1")
        await idle.accounts.close(f"{run}-payer", "c1")
        gate.touch()
        step = await idle.batches.resting(run)
        assert (step.status, step.stuck) == ("stuck", 10)
        audit = await idle.audit()
        assert (audit.findings, audit.conservation()["EUR"].in_suspense) == ([], 1000)
        for item in range(1, 11):
            wish = ResolveWish(wish_id="r1", action="return", to_account=f"{run}-1")
            done = await idle.transfers.resolve(f"{run}-{item}", wish)
            assert (done.status, done.location) == ("compensated", "returned")
    assert await balances(idle, run, ["0", "1"]) == {"0": ("100.00", "0.00"), "1": ("110.00", "0.00")}
    await must_add_up(idle)


async def test_pause_resume_and_cancel_between_chunks(idle: System, run: str, tmp_path: Path) -> None:
    names = await ring(idle, run)
    gate = tmp_path / "gate"
    async with idle.worker(TIDEMARK_FAILPOINT=f"batch.settle:before_commit=pause:{gate}") as worker:
        await worker.start()
        await submit(idle, run, around(names, 10_000, "0.01"))
        await reached(gate)
        pausing = asyncio.create_task(idle.batches.pause(run, PauseWish(wish_id="p1", actor="ops")))
        await asyncio.sleep(0.2)
        gate.touch()
        paused = await pausing
        assert paused.status == "paused"
        assert 0 < paused.settled < 10_000, "a second of its way was gone, no more"
        with pytest.raises(WrongState):
            await idle.batches.pause(run, PauseWish(wish_id="p2"))
        assert await idle.batches.pause(run, PauseWish(wish_id="p1", actor="ops")) == paused, "a repeat"
        assert (await idle.batches.show(run)).settled == paused.settled
        assert (await idle.batches.resume(run, ResumeWish(wish_id="r1"))).status == "running"
        assert (await idle.batches.pause(run, PauseWish(wish_id="p3"))).status == "paused"
        cancelled = await idle.batches.cancel(run, CancelWish(wish_id="c1", reason="enough"))
        assert cancelled.status == "cancelled"
        assert cancelled.completed == cancelled.settled > paused.settled
        with pytest.raises(WrongState):
            await idle.batches.resume(run, ResumeWish(wish_id="r2"))
        assert await idle.batches.cancel(run, CancelWish(wish_id="c1", reason="enough")) == cancelled
    await must_add_up(idle)


async def test_a_cancelled_atomic_batch_turns_back_and_so_does_one_cancelled_in_temporal(
    idle: System, run: str
) -> None:
    names = await ring(idle, run)
    before = await balances(idle, run, names)
    await submit(idle, run, around(names, 3000), atomic=True)
    await idle.client.get_workflow_handle(f"batch-{run}").cancel()
    async with idle.worker() as worker:
        await worker.start()
        step = await idle.batches.resting(run)
    assert (step.status, step.completed) == ("compensated", 0)
    assert await balances(idle, run, names) == before
    await must_add_up(idle)


async def test_a_batch_whose_workflow_was_terminated_is_found_and_goes_on(idle: System, run: str) -> None:
    names = await ring(idle, run)
    await submit(idle, run, around(names, 25))
    await idle.client.get_workflow_handle(f"batch-{run}").terminate("by hand")
    operator = Operator(idle)
    await operator.take_in()
    assert await operator.found() == [
        ("workflow_missing", f"batch-{run}"),
        ("no_worker", idle.settings.task_queue),
        ("no_worker", f"{idle.settings.task_queue}-batches"),
    ]
    await operator.repair()
    async with idle.worker() as worker:
        await worker.start()
        assert (await idle.batches.resting(run)).completed == 25
    await must_add_up(idle)


async def test_items_to_another_bank_have_sagas_of_their_own(idle: System, run: str) -> None:
    await idle.open_account(f"{run}-a", "100.00")
    await idle.open_account(f"{run}-there", None, rail="testbank")
    async with rail_gateway() as rail, idle.worker(TIDEMARK_RAILS=f'{{"testbank": "{rail.url}"}}') as worker:
        await worker.start()
        await submit(idle, run, [("a", "there", "1.00")] * 12)
        assert (await idle.batches.resting(run)).started == 12
        for item in range(1, 13):
            assert (await idle.transfers.resting(f"{run}-{item}")).status == "completed"
        assert len(rail.booked()) == 12
    assert await idle.balance(f"{run}-a") == ("88.00", "0.00")
    await must_add_up(idle)


async def test_the_worker_of_an_api_leaves_stretches_to_others(idle: System, run: str) -> None:
    names = await ring(idle, run)
    await submit(idle, run, around(names, 12))
    operator = Operator(idle)
    await operator.take_in()
    async with rail_client() as http, make_worker(idle.client, idle.books, http, idle.settings):
        assert await operator.found() == [("no_worker", f"{idle.settings.task_queue}-batches")]
        async with make_batch_worker(idle.client, idle.books, idle.settings):
            assert (await idle.batches.resting(run)).completed == 12
    await must_add_up(idle)


async def test_a_long_batch_goes_on_in_a_fresh_history(
    idle: System, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Temporal suggests it; here it always does, so after each stretch. What was handed over stays as it is."""
    monkeypatch.setattr(workflow.Info, "is_continue_as_new_suggested", lambda _info: True)
    monkeypatch.setattr("activities.batches.STRETCH_S", 0.1)  # there is more than one, on any machine
    await ring(idle, run, 2, "20500.00")
    await submit(idle, run, [("0", "1", "20000.00"), *around(["0", "1"], 3000, "0.01")])
    settings = idle.settings.model_copy(update={"batch_chunk": 10})
    async with (
        rail_client() as http,
        make_worker(idle.client, idle.books, http, settings),
        make_batch_worker(idle.client, idle.books, settings),
    ):
        handle = idle.client.get_workflow_handle(f"batch-{run}")
        first = (await handle.describe()).run_id
        async with asyncio.timeout(60):
            while (step := await idle.batches.show(run)).status == "running":
                await asyncio.sleep(0.1)
        assert (step.status, step.completed, step.started) == ("completed", 3000, 1)
        was = await idle.client.get_workflow_handle(f"batch-{run}", run_id=first).describe()
        assert was.status is WorkflowExecutionStatus.CONTINUED_AS_NEW
        approved = await idle.transfers.review(f"{run}-1", ReviewWish(wish_id="r1", approve=True))
        assert approved.status == "completed"
    await must_add_up(idle)


async def test_what_was_changed_after_it_was_accepted_is_found(idle: System, run: str) -> None:
    names = await ring(idle, run)
    await submit(idle, run, around(names, 12))
    [batch] = (await idle.audit()).batches.values()
    table = BatchItemTable(idle.books.pool)
    assert (await table.content(run, 12)).hash == batch.content_hash
    async with idle.books.pool.connection() as connection:
        await connection.execute("ALTER TABLE batch_items DISABLE TRIGGER append_only")
        await connection.execute("UPDATE batch_items SET amount = 101 WHERE item = 7")
    assert (await table.content(run, 12)).hash != batch.content_hash
