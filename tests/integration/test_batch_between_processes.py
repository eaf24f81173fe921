"""Batches carried in turns by two processes: neither goes the long way because of what the other has done."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any, cast

import pytest

from activities.batch_items import BatchItemTable
from activities.batch_run import BatchRun
from commands.accounts import AccountCommands
from commands.transfer_batches import BatchTerms, TransferBatchCommands
from domain.batch import BatchStatus
from domain.batch_items import BatchItem
from domain.money import Money
from eventstore.bulk import BulkWriter
from settings import Settings
from tests.fixtures.database import Database
from wiring import open_books

ACCOUNTS, ITEMS = 40, 1_200


async def test_a_batch_after_another_process_s_batch_is_appended_as_it_was_decided(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both caches are stale by the other's batches; only under locks is that paid for, chunk by chunk."""
    long_way: list[int] = []
    append_alone = BulkWriter.append_alone

    async def counted(self: BulkWriter[Any], streams: Any, decide: Any) -> Any:
        long_way.append(len(streams))
        return await append_alone(self, streams, decide)

    monkeypatch.setattr(BulkWriter, "append_alone", counted)
    settings = Settings(database_url=database.app)
    async with AsyncExitStack() as entered:
        processes = [await entered.enter_async_context(open_books(settings, f"process-{n}")) for n in range(2)]
        accounts = AccountCommands(processes[0].ledger, "test")
        for number in range(ACCOUNTS):
            await accounts.open(f"a{number}", f"u{number}", "EUR")
            await accounts.deposit(f"a{number}", Money(1_000_000, "EUR"), "opening")
        for turn in range(4):
            books = processes[turn % 2]
            items = [
                BatchItem(n, f"a{n % ACCOUNTS}", f"a{(n + 1 + turn) % ACCOUNTS}", Money(100 + n, "EUR"))
                for n in range(1, ITEMS + 1)
            ]
            commands = TransferBatchCommands(cast("Any", None), books, settings)
            await commands._accept(BatchTerms(batch_id=f"b{turn}"), items, "test", None)
            run = BatchRun(f"b{turn}", {}, books.bulk, BatchItemTable(books.pool), settings, lambda: None)
            batch, _ = await run.go(60)
            assert (batch.status, batch.completed) == (BatchStatus.COMPLETED, len(items))
    assert not long_way
