"""Large batches: 5,000 items in `make test`, 100,000 in `make test-large`: memory does not grow with them."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator

import psutil
import pytest

from commands.transfer_batches import BatchTerms
from domain.batch_items import BatchItem
from domain.money import Money
from tests.e2e.batching import must_add_up
from tests.e2e.system import System, eur, system
from tests.fixtures.stack import TemporalAddress

ITEMS = int(os.environ.get("TIDEMARK_TEST_BATCH_ITEMS", "5000"))
ACCOUNTS = 50
GROWTH_MB = 120
"""What the worker may need beyond what it needs for the first few thousand items, whatever their number."""


def items(run: str, count: int) -> Iterator[BatchItem]:
    """Made as they are sent: nobody holds them all."""
    cent = Money(1, "EUR")
    for number in range(1, count + 1):
        source = f"{run}-{number % ACCOUNTS}"
        yield BatchItem(number, source, f"{run}-{(number * 7 + 1) % ACCOUNTS}", cent, reference=f"line {number}")


async def batch_of(under_test: System, run: str, name: str, count: int) -> None:
    taken = await under_test.batches.submit(BatchTerms(batch_id=f"{run}-{name}"), items(run, count), "test")
    assert taken.items == count
    while (step := await under_test.batches.show(f"{run}-{name}")).status == "running":
        await under_test.batches.resting(f"{run}-{name}")
    same = sum(number % ACCOUNTS == (number * 7 + 1) % ACCOUNTS for number in range(1, count + 1))
    assert (step.status, step.completed, step.rejected) == ("completed", count - same, same)


@pytest.mark.timeout(1800)
async def test_a_large_batch_takes_the_memory_of_a_few_chunks(
    database_url: str, temporal_server: TemporalAddress
) -> None:
    run = f"large-{uuid.uuid4().hex[:6]}"
    async with system(database_url, temporal_server.address) as under_test, under_test.worker() as worker:
        for number in range(ACCOUNTS):
            await under_test.open_account(f"{run}-{number}", "10000.00")
        await worker.start()
        process = psutil.Process(worker.pid)
        await batch_of(under_test, run, "small", 2000)
        before = process.memory_info().rss
        await batch_of(under_test, run, "large", ITEMS)
        grown_mb = (process.memory_info().rss - before) / 2**20
        assert grown_mb < GROWTH_MB, f"{ITEMS} items took {grown_mb:.0f} MB more"
        total = [await under_test.balance(f"{run}-{number}") for number in range(ACCOUNTS)]
        assert sum(eur(balance).minor for balance, _ in total) == ACCOUNTS * 1_000_000
        await must_add_up(under_test)
