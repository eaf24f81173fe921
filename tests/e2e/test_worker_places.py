"""Many payments in flight in one process that starts them and works on them, as the API does."""

from __future__ import annotations

import asyncio
import time

from activities.rail import rail_client
from activities.steps import PaymentOrder
from commands.payments import PaymentCommands
from tests.e2e.system import eur, system
from tests.fixtures.stack import TemporalAddress
from worker import make_worker

IN_FLIGHT, EACH, TASK_TIMEOUT_S = 100, 3, 40


async def test_starts_leave_room_for_the_tasks_that_end_them(
    database_url: str, temporal_server: TemporalAddress
) -> None:
    """Eager starts take places for workflow tasks. With none left, a task that answers is dropped and times out:
    with as many places as payments in flight, that happened in every third run.
    """
    async with system(database_url, temporal_server.address) as under_test, rail_client() as http:
        settings = under_test.settings.model_copy(update={"workflow_task_timeout_s": TASK_TIMEOUT_S})
        payments = PaymentCommands(under_test.client, under_test.ledger, settings)
        await under_test.open_account("a", "100.00")
        await under_test.open_account("b")

        async def one_after_the_other(customer: int) -> float:
            longest_s = 0.0
            for number in range(EACH):
                began = time.monotonic()
                payment_id = f"{customer}-{number}"
                step = await payments.pay(
                    PaymentOrder(payment_id=payment_id, from_account="a", to_account="b", amount=eur("0.10"))
                )
                assert step.status == "processed"
                longest_s = max(longest_s, time.monotonic() - began)
            return longest_s

        async with make_worker(under_test.client, under_test.books, http, settings):
            waits_s = await asyncio.gather(*map(one_after_the_other, range(IN_FLIGHT)))
        assert max(waits_s) < TASK_TIMEOUT_S * 0.9, "a workflow task was dropped and had to time out"
