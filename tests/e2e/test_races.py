"""Many at once on one account: nobody overspends, nobody pays twice."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from typing import Any

import pytest

from activities.steps import DisputeDecision, DisputeWish, PaymentOrder, TransferOrder
from commands import payments, running
from domain.errors import Conflict
from tests.e2e.system import eur, system
from tests.fixtures.stack import TemporalAddress


async def test_of_32_transfers_from_an_account_that_affords_10_exactly_10_complete(
    database_url: str, temporal_server: TemporalAddress
) -> None:
    run = f"race-{uuid.uuid4().hex[:8]}"
    async with (
        system(database_url, temporal_server.address) as under_test,
        under_test.worker() as first,
        under_test.worker() as second,
    ):
        # Two processes, so that caches and locks of one cannot be what saves us.
        await asyncio.gather(first.start(), second.start())
        await under_test.open_account(f"{run}-a", "100.00")
        await asyncio.gather(*(under_test.open_account(f"{run}-{number}") for number in range(32)))
        steps = await asyncio.gather(
            *(
                under_test.transfers.transfer(
                    TransferOrder(
                        transfer_id=f"{run}-{number}",
                        from_account=f"{run}-a",
                        to_account=f"{run}-{number}",
                        amount=eur("10.00"),
                    )
                )
                for number in range(32)
            )
        )
        assert Counter(step.status.value for step in steps) == {"completed": 10, "rejected": 22}
        assert {step.failure_code for step in steps if step.status == "rejected"} == {"insufficient_funds"}
        assert await under_test.balance(f"{run}-a") == ("0.00", "0.00")
        audit = await under_test.audit()
        assert audit.findings == []


async def test_the_same_payment_asked_for_many_times_at_once_is_one_payment(
    database_url: str, temporal_server: TemporalAddress
) -> None:
    run = f"same-{uuid.uuid4().hex[:8]}"
    async with system(database_url, temporal_server.address) as under_test, under_test.worker() as worker:
        await worker.start()
        await under_test.open_account(f"{run}-a", "100.00")
        await under_test.open_account(f"{run}-b")
        order = PaymentOrder(payment_id=run, from_account=f"{run}-a", to_account=f"{run}-b", amount=eur("30.00"))
        steps = await asyncio.gather(*(under_test.payments.pay(order) for _ in range(20)))
        assert {step.status.value for step in steps} == {"processed"}
        assert await under_test.balance(f"{run}-a") == ("70.00", "0.00")
        with pytest.raises(Conflict, match="another content") as conflict:
            await under_test.payments.pay(order.model_copy(update={"amount": eur("31.00")}))
        assert conflict.value.code == "idempotency_conflict"


async def test_a_dispute_asked_for_while_another_is_decided_takes_its_turn(
    database_url: str, temporal_server: TemporalAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = f"turn-{uuid.uuid4().hex[:8]}"
    async with system(database_url, temporal_server.address) as under_test, under_test.worker() as worker:
        await worker.start()
        await under_test.open_account(f"{run}-a", "100.00")
        await under_test.open_account(f"{run}-b")
        order = PaymentOrder(payment_id=run, from_account=f"{run}-a", to_account=f"{run}-b", amount=eur("30.00"))
        await under_test.payments.pay(order)
        await under_test.payments.dispute(run, DisputeWish(wish_id="first", reason="never came"))
        resting = running.resting

        async def decided_meanwhile(handle: Any, update: Any) -> Any:
            step = await resting(handle, update)
            monkeypatch.setattr(payments, "resting", resting)
            await under_test.payments.resolve_dispute(run, DisputeDecision(wish_id="won", outcome="won"))
            return step

        monkeypatch.setattr(payments, "resting", decided_meanwhile)
        step = await under_test.payments.dispute(run, DisputeWish(wish_id="second", reason="broken"))
        assert step.status == "disputed"
        with pytest.raises(Conflict, match="payment is not in processed"):
            await under_test.payments.dispute(run, DisputeWish(wish_id="third", reason="too many"))
        told = [event for event in await under_test.events(f"payment-{run}") if "Dispute" in event]
        assert told == ["DisputeOpened", "DisputeWon", "DisputeOpened"]
