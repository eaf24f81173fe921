"""A workflow that an operator terminates while somebody waits for its answer."""

from __future__ import annotations

import asyncio
import uuid

import pytest

from activities.steps import PaymentOrder
from commands.running import NoAnswer
from tests.e2e.system import eur, system
from tests.fixtures.stack import TemporalAddress


async def test_what_was_asked_of_it_is_an_unknown_outcome_and_a_repeat_finds_out(
    database_url: str, temporal_server: TemporalAddress
) -> None:
    """Its step may be on its way to the log: 409 would tell the client that nothing was paid."""
    run = f"ended-{uuid.uuid4().hex[:8]}"
    async with system(database_url, temporal_server.address) as under_test, under_test.worker() as worker:
        await under_test.open_account(f"{run}-a", "100.00")
        await under_test.open_account(f"{run}-b")
        order = PaymentOrder(payment_id=run, from_account=f"{run}-a", to_account=f"{run}-b", amount=eur("30.00"))
        await under_test.payments.start(order)
        asked = asyncio.create_task(under_test.payments.resting(run))
        await asyncio.sleep(0.2)  # it is waiting: nobody works here yet
        await under_test.client.get_workflow_handle(f"payment-{run}").terminate("by hand")
        with pytest.raises(NoAnswer, match="may have happened all the same"):
            await asked
        await worker.start()
        assert (await under_test.payments.pay(order)).status == "processed"
        assert await under_test.balance(f"{run}-a") == ("70.00", "0.00")
