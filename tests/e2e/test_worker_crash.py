"""The worker is killed (SIGKILL) before and after the commit of every step of every workflow, in turn.

Another worker takes over; everything ends as if nothing had happened, and no command has two effects.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from activities.fraud_steps import AssignWish, DecideWish, EscalateWish, NoteWish
from activities.steps import (
    CancelWish,
    CaptureWish,
    DisputeDecision,
    DisputeWish,
    PaymentOrder,
    RefundWish,
    ResolveWish,
    ReviewWish,
    TransferOrder,
)
from domain.fraud_case import UNDECIDED, CaseStatus, FraudCase
from tests.e2e.rail import Rail, rail_gateway
from tests.e2e.system import System, eur, system
from tests.fixtures.stack import TemporalAddress

Scenario = Callable[[System, str, Path], Coroutine[Any, Any, None]]


@pytest.fixture
async def rail() -> AsyncIterator[Rail]:
    async with rail_gateway() as gateway:
        yield gateway


def order(run: str, **more: object) -> PaymentOrder:
    return PaymentOrder.model_validate(
        {
            "payment_id": run,
            "from_account": f"{run}-a",
            "to_account": f"{run}-b",
            "amount": eur("100.00"),
            **more,
        }
    )


async def two_accounts(under_test: System, run: str, balance: str = "100.00") -> None:
    await under_test.open_account(f"{run}-a", balance)
    await under_test.open_account(f"{run}-b")


async def paid(under_test: System, run: str, _gate: Path) -> None:
    await two_accounts(under_test, run)
    step = await under_test.payments.pay(order(run))
    assert step.status == "processed"
    assert await under_test.balance(f"{run}-a") == ("0.00", "0.00")
    assert await under_test.balance(f"{run}-b") == ("99.00", "0.00")


async def cancelled(under_test: System, run: str, _gate: Path) -> None:
    await two_accounts(under_test, run)
    await under_test.payments.pay(order(run, capture="manual"))
    step = await under_test.payments.cancel(run, CancelWish(wish_id="c1"))
    assert step.status == "cancelled"
    assert await under_test.balance(f"{run}-a") == ("100.00", "0.00")


async def captured_in_parts(under_test: System, run: str, _gate: Path) -> None:
    await two_accounts(under_test, run)
    await under_test.payments.pay(order(run, capture="manual"))
    step = await under_test.payments.capture(run, CaptureWish(wish_id="c1", amount=eur("40.00")))
    assert step.status == "partially_captured"
    step = await under_test.payments.capture(run, CaptureWish(wish_id="c2"))
    assert step.status == "processed"
    assert await under_test.balance(f"{run}-b") == ("99.00", "0.00")


async def reviewed(under_test: System, run: str, _gate: Path) -> None:
    await two_accounts(under_test, run, "20000.00")
    step = await under_test.payments.pay(order(run, amount=eur("20000.00")))
    assert step.status == "in_review"
    step = await under_test.payments.review(run, ReviewWish(wish_id="r1", approve=True))
    assert step.status == "processed"
    await case_over(under_test, f"payment-{run}")


async def case_over(under_test: System, case_id: str) -> FraudCase:
    """The case of what screening held, once it is decided or withdrawn."""
    while True:
        case = await under_test.ledger.state(f"fraud_case-{case_id}")
        assert isinstance(case, FraudCase)
        if case.status not in (CaseStatus.NONE, *UNDECIDED):
            return case
        await asyncio.sleep(0.05)


async def case_decided(under_test: System, run: str, _gate: Path) -> None:
    await two_accounts(under_test, run, "20000.00")
    await under_test.payments.pay(order(run, amount=eur("20000.00")))
    case_id, by = f"payment-{run}", "ana"
    while not await under_test.events(f"fraud_case-{case_id}"):
        await asyncio.sleep(0.05)
    await under_test.fraud.assign(case_id, AssignWish(wish_id="a1", analyst="bo", actor=by))
    await under_test.fraud.note(case_id, NoteWish(wish_id="n1", note="called", actor=by))
    await under_test.fraud.escalate(case_id, EscalateWish(wish_id="e1", reason="large", actor=by))
    step = await under_test.fraud.decide(case_id, DecideWish(wish_id="d1", approve=False, freeze=True, actor=by))
    assert (step.status, step.frozen) == ("rejected", True)
    assert (await under_test.payments.resting(run)).status == "failed"
    assert (await under_test.accounts.show(f"{run}-a")).status == "frozen"
    assert await under_test.balance(f"{run}-a") == ("20000.00", "0.00")


async def expired(under_test: System, run: str, _gate: Path) -> None:
    await two_accounts(under_test, run)
    await under_test.payments.pay(order(run, capture="manual", expires_in_s=1))
    handle = under_test.client.get_workflow_handle(f"payment-{run}")
    assert (await handle.result())["status"] == "expired"
    assert await under_test.balance(f"{run}-a") == ("100.00", "0.00")


async def refunded(under_test: System, run: str, _gate: Path) -> None:
    await two_accounts(under_test, run)
    await under_test.payments.pay(order(run))
    await under_test.accounts.deposit(f"{run}-b", eur("1.00"), "fee")
    step = await under_test.payments.refund(run, RefundWish(wish_id="r1"))
    assert step.status == "refunded"
    assert await under_test.balance(f"{run}-a") == ("100.00", "0.00")


async def disputed(under_test: System, run: str, _gate: Path) -> None:
    await two_accounts(under_test, run)
    await under_test.payments.pay(order(run))
    await under_test.accounts.deposit(f"{run}-b", eur("1.00"), "fee")
    step = await under_test.payments.dispute(run, DisputeWish(wish_id="d1", reason="never came"))
    assert step.status == "disputed"
    step = await under_test.payments.resolve_dispute(run, DisputeDecision(wish_id="d2", outcome="lost"))
    assert step.status == "charged_back"
    assert await under_test.balance(f"{run}-a") == ("100.00", "0.00")
    assert await under_test.balance(f"{run}-b") == ("0.00", "0.00")


def transfer(run: str, **more: object) -> TransferOrder:
    return TransferOrder.model_validate(
        {
            "transfer_id": run,
            "from_account": f"{run}-a",
            "to_account": f"{run}-b",
            "amount": eur("100.00"),
            **more,
        }
    )


async def transferred(under_test: System, run: str, _gate: Path) -> None:
    await two_accounts(under_test, run)
    step = await under_test.transfers.transfer(transfer(run))
    assert (step.status, step.location) == ("completed", "destination")
    assert await under_test.balance(f"{run}-b") == ("100.00", "0.00")


async def transfer_reviewed(under_test: System, run: str, _gate: Path) -> None:
    await two_accounts(under_test, run, "20000.00")
    big = transfer(run, amount=eur("20000.00"))
    assert (await under_test.transfers.transfer(big)).status == "in_review"
    step = await under_test.transfers.review(run, ReviewWish(wish_id="r1", approve=True))
    assert step.status == "completed"
    await case_over(under_test, f"transfer-{run}")


async def transfer_cancelled(under_test: System, run: str, _gate: Path) -> None:
    await two_accounts(under_test, run, "20000.00")
    await under_test.transfers.transfer(transfer(run, amount=eur("20000.00")))
    step = await under_test.transfers.cancel(run, CancelWish(wish_id="c1"))
    assert step.status == "cancelled"
    assert await under_test.balance(f"{run}-a") == ("20000.00", "0.00")
    assert (await case_over(under_test, f"transfer-{run}")).status is CaseStatus.WITHDRAWN


async def compensated(under_test: System, run: str, _gate: Path) -> None:
    await two_accounts(under_test, run)
    await under_test.accounts.close(f"{run}-b", "closed")
    step = await under_test.transfers.transfer(transfer(run))
    assert (step.status, step.location, step.failure_code) == ("compensated", "source", "account_closed")
    assert await under_test.balance(f"{run}-a") == ("100.00", "0.00")


async def stuck_and_resolved(under_test: System, run: str, gate: Path) -> None:
    await two_accounts(under_test, run)
    await under_test.open_account(f"{run}-c")
    await under_test.accounts.close(f"{run}-b", "closed")
    await under_test.transfers.start(transfer(run))
    reached = Path(f"{gate}.reached")
    while not reached.exists():
        await asyncio.sleep(0.02)
    await under_test.accounts.close(f"{run}-a", "closed")  # the debit has emptied it
    gate.touch()
    step = await under_test.transfers.resting(run)
    assert (step.status, step.location) == ("stuck", "suspense")
    step = await under_test.transfers.resolve(
        run, ResolveWish(wish_id="r1", action="return", to_account=f"{run}-c")
    )
    assert (step.status, step.location) == ("compensated", "returned")
    assert await under_test.balance(f"{run}-c") == ("100.00", "0.00")


def by_rail(account: str, status: str, booked: bool) -> Scenario:
    async def scenario(under_test: System, run: str, _gate: Path) -> None:
        await under_test.open_account(f"{run}-a", "100.00")
        await under_test.open_account(f"{run}-{account}", rail="testbank")
        step = await under_test.transfers.transfer(transfer(run, to_account=f"{run}-{account}"))
        while step.status == "in_transit":
            await asyncio.sleep(0.2)
            step = await under_test.transfers.resting(run)
        assert step.status == status
        left = "0.00" if booked else "100.00"
        assert await under_test.balance(f"{run}-a") == (left, "0.00")

    return scenario


STEPS: dict[str, Scenario] = {
    "payment.open": paid,
    "payment.capture": captured_in_parts,
    "payment.cancel": cancelled,
    "payment.review": reviewed,
    "payment.expire": expired,
    "payment.refund": refunded,
    "payment.dispute": disputed,
    "payment.resolve_dispute": disputed,
    "transfer.reserve": transferred,
    "transfer.debit": transferred,
    "transfer.credit": transferred,
    "transfer.review": transfer_reviewed,
    "transfer.cancel": transfer_cancelled,
    "transfer.refund": compensated,
    "transfer.release": compensated,
    "transfer.compensated": compensated,
    "transfer.block": stuck_and_resolved,
    "transfer.suspense": stuck_and_resolved,
    "transfer.resolve": stuck_and_resolved,
    "transfer.refuse": by_rail("refuses", "compensated", booked=False),
    "transfer.unknown": by_rail("silent", "completed", booked=True),
    "fraud_case.open": case_decided,
    "fraud_case.assign": case_decided,
    "fraud_case.note": case_decided,
    "fraud_case.escalate": case_decided,
    "fraud_case.freeze": case_decided,
    "fraud_case.settle": case_decided,
    "fraud_case.decide": case_decided,
}
AT_ONCE = asyncio.Semaphore(4)


@pytest.mark.timeout(600)
async def test_a_worker_killed_at_any_step_loses_and_doubles_nothing(
    database_url: str, temporal_server: TemporalAddress, rail: Rail, tmp_path: Path
) -> None:
    points = [f"{step}:{when}_commit" for step in STEPS for when in ("before", "after")]

    async def one(point: str) -> None:
        async with AT_ONCE:
            await killed_at(point, database_url, temporal_server.address, rail, tmp_path)

    results = await asyncio.gather(*map(one, points), return_exceptions=True)
    failed = {point: result for point, result in zip(points, results, strict=True) if result is not None}
    assert not failed, "\n".join(f"{point}: {result!r}" for point, result in failed.items())

    async with system(database_url, temporal_server.address) as under_test:
        audit = await under_test.audit()
        assert audit.findings == []
        assert audit.open_streams() == set()
        assert all(total.difference == 0 for total in audit.conservation().values())
    assert max(Counter(rail.booked()).values()) == 1


async def killed_at(point: str, database_url: str, temporal: str, rail: Rail, scratch: Path) -> None:
    run = f"{point.replace(':', '-').replace('_', '-')}-{uuid.uuid4().hex[:6]}"
    gate, once = scratch / f"{run}.gate", scratch / f"{run}.once"
    step = point.partition(":")[0]
    environment = {
        "TIDEMARK_RAILS": f'{{"testbank": "{rail.url}"}}',
        "TIDEMARK_RAIL_TIMEOUT_S": "2",
        "TIDEMARK_FAILPOINT": f"{point},transfer.credit:before_commit=pause:{gate}",
        "TIDEMARK_FAILPOINT_ONCE": str(once),
    }
    if STEPS[step] is not stuck_and_resolved:
        environment["TIDEMARK_FAILPOINT"] = point
    async with (
        system(database_url, temporal, f"crash-{run}") as under_test,
        under_test.worker(**environment) as worker,
    ):
        await worker.start()
        running = asyncio.create_task(STEPS[step](under_test, run, gate))
        dying = asyncio.create_task(worker.ended())
        await asyncio.wait([running, dying], return_when=asyncio.FIRST_COMPLETED, timeout=90)
        assert once.exists(), f"the worker never came to {point}: {worker.tail()}"
        assert await dying == -9
        await worker.start()
        async with asyncio.timeout(90):
            await running
