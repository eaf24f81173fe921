"""Workflows that faults have parted from the log: `verify` names each, `repair` mends it, no money is lost."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from temporalio import workflow

import worker as worker_program
from activities.fraud_steps import CaseOrder
from activities.payments import PaymentActivities
from activities.steps import (
    CancelWish,
    CaptureWish,
    DisputeDecision,
    DisputeWish,
    PaymentOrder,
    PaymentRef,
    PaymentStep,
    RefundWish,
    ReviewWish,
    TransferOrder,
)
from commands.running import NoAnswer
from domain.errors import Conflict
from operations.histories import FAILING_ATTEMPTS
from stack.temporal import TemporalServer
from stack.temporal_binary import find_or_get
from tests.e2e.system import System, eur, system
from tests.fixtures.operating import Operator, settling
from tests.fixtures.processes import Program
from tests.fixtures.stack import TemporalAddress
from workflows.payment import PaymentWorkflow

pytestmark = pytest.mark.usefixtures(settling.__name__)


@workflow.defn(name="PaymentWorkflow")
class Incompatible(PaymentWorkflow):
    """A change that forgot the workflows that are open: what it does first is in none of their histories."""

    @workflow.run
    async def run(self, order: PaymentOrder) -> PaymentStep:
        await workflow.sleep(timedelta(milliseconds=1))
        return await super().run(order)


@pytest.fixture
async def under_test(database_url: str, temporal_server: TemporalAddress) -> AsyncIterator[System]:
    async with system(database_url, temporal_server.address) as running:
        yield running


@pytest.fixture
async def worker(under_test: System) -> AsyncIterator[Program]:
    async with under_test.worker() as worker:
        await worker.start()
        yield worker


@pytest.fixture
async def operator(under_test: System, worker: Program, run: str) -> Operator:
    """With a worker, and two accounts that the views know."""
    made = Operator(under_test)
    await made.take_in()
    return made


@pytest.fixture
async def run(under_test: System) -> str:
    name = f"repair-{uuid.uuid4().hex[:8]}"
    await under_test.open_account(f"{name}-a", "50000.00")
    await under_test.open_account(f"{name}-b")
    return name


def held_payment(run: str, payment_id: str | None = None, expires_in_s: int | None = 3600) -> PaymentOrder:
    return PaymentOrder(
        payment_id=payment_id or run,
        from_account=f"{run}-a",
        to_account=f"{run}-b",
        amount=eur("100.00"),
        capture="manual",
        expires_in_s=expires_in_s,
        tags=("a", "b"),
    )


def big_transfer(run: str) -> TransferOrder:
    return TransferOrder(
        transfer_id=run,
        from_account=f"{run}-a",
        to_account=f"{run}-b",
        amount=eur("20000.00"),
        metadata={"why": "rent"},
        actor="ana",
    )


async def held_transfer(under_test: System, run: str) -> None:
    """In review, with its fraud case open."""
    assert (await under_test.transfers.transfer(big_transfer(run))).status == "in_review"
    async with asyncio.timeout(30):
        while not await under_test.events(f"fraud_case-transfer-{run}"):
            await asyncio.sleep(0.05)


@pytest.fixture
def empty_temporal(tmp_path: Path) -> Iterator[str]:
    """The address of a Temporal server that knows nothing."""
    server = TemporalServer(find_or_get().path, tmp_path, os.environ)
    server.start()
    yield server.address
    server.stop(hurry=True)


async def test_what_was_terminated_runs_again_from_where_it_was(
    under_test: System, operator: Operator, run: str
) -> None:
    await under_test.payments.pay(held_payment(run))
    await held_transfer(under_test, run)
    await operator.take_in()
    assert await operator.found() == []
    await under_test.client.get_workflow_handle(f"payment-{run}").terminate("by hand")
    await under_test.client.get_workflow_handle(f"transfer-{run}").terminate("by hand")
    with pytest.raises(Conflict, match="repair"):
        await under_test.payments.capture(run, CaptureWish(wish_id="c1"))

    await operator.mends(("workflow_missing", f"payment-{run}"), ("workflow_missing", f"transfer-{run}"))
    assert (await under_test.payments.capture(run, CaptureWish(wish_id="c1"))).status == "processed"
    step = await under_test.transfers.review(run, ReviewWish(wish_id="r1", approve=True))
    assert step.status == "completed"
    assert await under_test.events(f"transfer-{run}") == [
        "TransferInitiated",
        "TransferHeldForReview",
        "ReviewApproved",
        "SourceReserved",
        "SourceDebited",
        "DestinationCredited",
    ]
    assert await under_test.balance(f"{run}-a") == ("29900.00", "0.00")
    assert await under_test.balance(f"{run}-b") == ("20099.00", "0.00")
    assert (await under_test.audit()).findings == []


async def test_a_temporal_that_lost_everything_is_given_its_workflows_again(
    under_test: System, run: str, worker: Program, empty_temporal: str
) -> None:
    """Each order is put together from its events, and is the very one that was given, expiry asked for or not."""
    await under_test.payments.pay(held_payment(run))
    await under_test.payments.pay(held_payment(run, f"{run}-2", None))
    await under_test.payments.pay(held_payment(run, f"{run}-3"))
    await under_test.payments.capture(f"{run}-3", CaptureWish(wish_id="c"))
    await under_test.payments.dispute(f"{run}-3", DisputeWish(wish_id="d-1", reason="never came", actor="otto"))
    await held_transfer(under_test, run)
    tip = CaseOrder(
        case_id=run, source="analyst", account_id=f"{run}-a", risk_score=40, reason="a tip", actor="eve"
    )
    await under_test.fraud.open(tip)
    await worker.stop()

    async with system(under_test.database_url, empty_temporal) as again, again.worker() as new_worker:
        await new_worker.start()
        operator = Operator(again)
        await operator.take_in()
        payments, transfer = (f"payment-{run}", f"payment-{run}-2"), f"transfer-{run}"
        ids = [*payments, f"dispute-{run}-3", transfer, f"fraud_case-{transfer}", f"fraud_case-{run}"]
        done = await operator.mends(*(("workflow_missing", workflow_id) for workflow_id in ids))
        assert all(one.what.endswith("found in its events") for one in done)
        for payment_id in (run, f"{run}-2"):
            assert (await again.payments.capture(payment_id, CaptureWish(wish_id="c"))).status == "processed"
        won = DisputeDecision(wish_id="w", outcome="won", actor="ana")
        assert (await again.payments.resolve_dispute(f"{run}-3", won)).status == "processed"
        approve = ReviewWish(wish_id="r", approve=True)
        assert (await again.transfers.review(run, approve)).status == "completed"
        await operator.take_in()
        assert await operator.found() == []


async def test_a_workflow_of_something_that_is_over_is_ended(
    under_test: System, operator: Operator, run: str
) -> None:
    """Temporal came back from an old copy of its own: it waits for what has happened long ago."""
    await under_test.payments.pay(held_payment(run))
    by_another = PaymentActivities(under_test.ledger, under_test.settings)
    await by_another.cancel_payment(PaymentRef(payment_id=run), CancelWish(wish_id="c"))
    await operator.take_in()
    await operator.mends(("workflow_behind", f"payment-{run}"))


async def test_without_a_worker_verify_says_so(under_test: System, run: str) -> None:
    operator = Operator(under_test)
    await operator.take_in()
    await under_test.payments.start(held_payment(run))
    assert await operator.found() == [
        ("workflow_without_events", f"payment-{run}"),
        ("no_worker", under_test.settings.task_queue),
    ]
    assert await operator.repair() == []
    async with under_test.worker() as worker:
        await worker.start()
        await under_test.payments.resting(run)
        await operator.take_in()
        assert await operator.found() == []


async def test_a_history_that_knows_more_than_the_log_is_run_again(
    under_test: System, operator: Operator, run: str, worker: Program, second_database_url: str
) -> None:
    """As after a restore to a moment before it was written: what was acknowledged then is done again."""
    paid = held_payment(run).model_copy(update={"capture": "automatic"})
    await under_test.payments.pay(paid)
    await under_test.payments.refund(run, RefundWish(wish_id="r-1", amount=eur("10.00")))
    await under_test.payments.pay(held_payment(run, f"{run}-2"))
    await held_transfer(under_test, run)
    await worker.stop()

    queue = under_test.settings.task_queue
    async with (
        system(second_database_url, under_test.temporal, queue) as restored,
        restored.worker() as new_worker,
    ):
        await new_worker.start()
        for account, balance in ((f"{run}-a", "50000.00"), (f"{run}-b", None)):
            await restored.open_account(account, balance)
        operator = Operator(restored)
        await operator.take_in()
        lost = [
            ("workflow_ahead", f"payment-{run}-2"),
            ("workflow_ahead", f"transfer-{run}"),
            ("workflow_ahead", f"fraud_case-transfer-{run}"),
            ("order_without_events", f"payment-{run}"),
            ("order_without_events", f"refund-{run}-r-1"),
        ]
        assert sorted(await operator.found()) == sorted(lost)
        assert not any(one.failed for one in await operator.repair())
        assert (await restored.payments.resting(run)).status in ("processed", "partially_refunded")
        assert (await restored.payments.resting(f"{run}-2")).status == "authorized"
        assert (await restored.transfers.resting(run)).status == "in_review"
        assert await restored.payments.refund(run, RefundWish(wish_id="r-1", amount=eur("10.00")))
        await operator.take_in()
        assert await operator.found() == []
        assert await restored.balance(f"{run}-b") == ("89.00", "0.00")
        assert (await restored.audit()).findings == []


async def test_a_workflow_that_the_new_code_cannot_replay_is_run_again(
    under_test: System, operator: Operator, run: str, worker: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bad roll-out: the history does not fit the code any more. The log needs no history to go on from."""
    await under_test.payments.pay(held_payment(run))
    await worker.stop()
    await operator.take_in()
    known = [kind for kind in worker_program.WORKFLOWS if kind is not PaymentWorkflow]
    monkeypatch.setattr(worker_program, "WORKFLOWS", [*known, Incompatible])
    handle = under_test.client.get_workflow_handle(f"payment-{run}")
    async with (
        httpx.AsyncClient() as http,
        worker_program.make_worker(under_test.client, under_test.books, http, under_test.settings),
    ):
        await handle.signal(PaymentWorkflow.review, ReviewWish(wish_id="nobody", approve=True))
        async with asyncio.timeout(60):
            while (await handle.describe()).raw_description.pending_workflow_task.attempt < FAILING_ATTEMPTS:
                await asyncio.sleep(0.1)
        with pytest.raises(NoAnswer, match="workflow_failing"):
            await under_test.payments.capture(run, CaptureWish(wish_id="c"))
        await operator.mends(("workflow_failing", f"payment-{run}"))
        step = await under_test.payments.capture(run, CaptureWish(wish_id="c"))
        assert step.status == "processed"
