"""Table batch_items: what batches ask for. Written with the batch's acceptance, read in chunks, never changed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

from psycopg.types.json import Jsonb

from domain.batch_items import BatchItem, Content
from domain.money import Money
from eventstore.attempts import retried
from eventstore.connect import Connection, Pool

COPY_IN: Final = """
COPY batch_items (batch_id, item, from_account, to_account, currency, amount, reference, purpose, metadata)
FROM STDIN
"""

READ: Final = """
SELECT item, from_account, to_account, currency, amount, reference, purpose, metadata FROM batch_items
 WHERE batch_id = %(batch_id)s AND item BETWEEN %(first)s AND %(last)s ORDER BY item
"""

# One upload of a batch at a time: the next one finds what it left, or waits as long as for any lock.
LOCK_BATCH: Final = "SELECT pg_advisory_xact_lock(hashtextextended('tidemark:batch:' || %(batch_id)s, 0))"

READ_AT_ONCE: Final = 1000


class BatchItemTable:
    """Reads may raise StoreUnavailable."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def read(self, batch_id: str, first: int, last: int) -> list[BatchItem]:
        """Items `first` to `last`, those that there are."""
        wanted = {"batch_id": batch_id, "first": first, "last": last}

        async def fetch() -> list[tuple[Any, ...]]:
            async with self._pool.connection() as connection:
                return await (await connection.execute(READ, wanted)).fetchall()

        return [_item(row) for row in await retried(self._pool, fetch)]

    async def content(self, batch_id: str, items: int) -> Content:
        """Of what is stored now, as far as it is counted without a gap."""
        content = Content()
        for first in range(1, items + 1, READ_AT_ONCE):
            for item in await self.read(batch_id, first, min(first + READ_AT_ONCE - 1, items)):
                if item.item != content.items + 1:
                    return content
                content.add(item)
        return content

    @staticmethod
    async def write(connection: Connection, batch_id: str, items: AsyncIterator[BatchItem]) -> Content:
        """Copies the items in, as they come, within the connection's transaction."""
        content = Content()
        async with connection.cursor() as cursor, cursor.copy(COPY_IN) as copy:
            async for item in items:
                content.add(item)
                await copy.write_row(
                    (
                        batch_id,
                        item.item,
                        item.from_account,
                        item.to_account,
                        item.amount.currency,
                        item.amount.minor,
                        item.reference,
                        item.purpose,
                        Jsonb(item.metadata),
                    )
                )
        return content


def _item(row: tuple[Any, ...]) -> BatchItem:
    item, from_account, to_account, currency, amount, reference, purpose, metadata = row
    return BatchItem(item, from_account, to_account, Money(amount, currency), reference, purpose, metadata)
