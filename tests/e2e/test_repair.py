"""A workflow terminated by hand loses no money: `verify` names it, `repair` runs it again from where it was."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import pytest

from activities.steps import CaptureWish, PaymentOrder, ReviewWish, TransferOrder
from domain.errors import Conflict
from operations.histories import check_histories
from operations.repair import repair
from tests.e2e.system import System, eur, system
from tests.fixtures.stack import TemporalAddress


@pytest.fixture
async def under_test(database_url: str, temporal_server: TemporalAddress) -> AsyncIterator[System]:
    async with system(database_url, temporal_server.address) as running, running.worker() as worker:
        await worker.start()
        yield running


@pytest.fixture
async def run(under_test: System) -> str:
    name = f"repair-{uuid.uuid4().hex[:8]}"
    await under_test.open_account(f"{name}-a", "50000.00")
    await under_test.open_account(f"{name}-b")
    return name


async def missing(under_test: System) -> list[str]:
    """What `verify` finds about workflows of this test's log."""
    streams = (await under_test.audit()).open_streams()
    _, findings = await check_histories(
        under_test.client, under_test.ledger, streams, under_test.settings.task_queue
    )
    return [finding.where for finding in findings if finding.code == "workflow_missing"]


async def repair_all(under_test: System) -> list[str]:
    streams = (await under_test.audit()).open_streams()
    _, findings = await check_histories(
        under_test.client, under_test.ledger, streams, under_test.settings.task_queue
    )
    repaired = await repair(under_test.client, under_test.books.store, under_test.settings, findings)
    return [one.workflow_id for one in repaired]


async def test_a_terminated_payment_is_found_restarted_and_captured(under_test: System, run: str) -> None:
    await under_test.payments.pay(
        PaymentOrder(
            payment_id=run,
            from_account=f"{run}-a",
            to_account=f"{run}-b",
            amount=eur("100.00"),
            capture="manual",
            expires_in_s=3600,
        )
    )
    assert await missing(under_test) == []
    await under_test.client.get_workflow_handle(f"payment-{run}").terminate("by hand")
    assert await missing(under_test) == [f"payment-{run}"]
    with pytest.raises(Conflict, match="repair"):
        await under_test.payments.capture(run, CaptureWish(wish_id="c1"))

    assert await repair_all(under_test) == [f"payment-{run}"]
    assert await missing(under_test) == []
    step = await under_test.payments.capture(run, CaptureWish(wish_id="c1"))
    assert step.status == "processed"
    assert await under_test.balance(f"{run}-b") == ("99.00", "0.00")
    assert (await under_test.audit()).findings == []


async def test_a_terminated_transfer_goes_on_from_its_review(under_test: System, run: str) -> None:
    order = TransferOrder(transfer_id=run, from_account=f"{run}-a", to_account=f"{run}-b", amount=eur("20000.00"))
    assert (await under_test.transfers.transfer(order)).status == "in_review"
    await under_test.client.get_workflow_handle(f"transfer-{run}").terminate("by hand")
    assert await repair_all(under_test) == [f"transfer-{run}"]
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
    assert await under_test.balance(f"{run}-a") == ("30000.00", "0.00")
