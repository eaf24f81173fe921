"""Questions about batches of transfers: their progress, and what became of each item.

What an item asked for stands in table batch_items. What became of it: its note, if it has one; else what follows
from how far its batch has come.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, LiteralString

from queries.errors import NotFound
from queries.money import wire
from queries.paging import NEWEST, Page, checked_limit, decode_cursor, page_of
from queries.reader import Fetch, Question, Row
from queries.transfer_results import BatchItemView, BatchView, ItemTotal

VIEWS = ("transfer_batches", "transfers", "accounts")

_COLUMNS: LiteralString = """
SELECT b.*, (SELECT json_agg(json_build_object('status', s.status, 'currency', s.currency, 'count', s.count,
                                               'amount', s.amount::text) ORDER BY s.status, s.currency)
               FROM read.transfer_batch_sums s WHERE s.batch_id = b.batch_id) AS sums
  FROM read.transfer_batches b
"""

GET: LiteralString = _COLUMNS + " WHERE b.batch_id = %s"

LIST: LiteralString = (
    _COLUMNS
    + """
 WHERE b.created_position < %(before)s AND (%(statuses)s::text[] IS NULL OR b.status = ANY (%(statuses)s))
   AND (%(user_id)s::text IS NULL OR b.user_id = %(user_id)s)
 ORDER BY b.created_position DESC LIMIT %(rows)s
"""
)

# `fate`: see the head of this module. An item that was handed over shows its transfer's status beside its own.
ITEMS: LiteralString = """
SELECT * FROM (
    SELECT i.item, i.from_account, i.to_account, i.currency, i.amount, i.reference, i.purpose, i.metadata,
           CASE WHEN n.status IS NOT NULL THEN n.status
                WHEN b.standing IS NOT NULL AND i.item > b.standing AND i.item <= b.settled THEN 'compensated'
                WHEN b.atomic AND i.item <= b.settled AND i.item > b.released
                     THEN CASE b.status WHEN 'compensated' THEN 'compensated' ELSE 'held' END
                WHEN i.item <= b.settled THEN 'completed'
                WHEN b.status IN ('running', 'paused') THEN 'pending'
                ELSE 'cancelled' END AS status,
           n.code AS failure_code, n.reason AS failure_reason, t.status AS transfer_status,
           COALESCE(n.position, c.position) AS position, c.at AS settled_at, b.created_at,
           payer.user_id AS from_user, payee.user_id AS to_user
      FROM batch_items i JOIN read.transfer_batches b ON b.batch_id = i.batch_id
      LEFT JOIN read.transfer_batch_notes n ON n.batch_id = i.batch_id AND n.item = i.item
      LEFT JOIN LATERAL (SELECT position, at FROM read.transfer_batch_chunks c
                          WHERE c.batch_id = i.batch_id AND c.last >= i.item AND i.item <= b.settled
                          ORDER BY c.last LIMIT 1) c ON true
      LEFT JOIN read.transfers t ON n.status IN ('started', 'stuck')
                                AND t.transfer_id = i.batch_id || '-' || i.item::text
      LEFT JOIN read.accounts payer ON payer.account_id = i.from_account
      LEFT JOIN read.accounts payee ON payee.account_id = i.to_account
     WHERE i.batch_id = %(batch_id)s AND i.item > %(after)s AND (%(item)s::int IS NULL OR i.item = %(item)s)
) AS fate
 WHERE %(statuses)s::text[] IS NULL OR status = ANY (%(statuses)s)
 ORDER BY item LIMIT %(rows)s
"""


def get_batch(batch_id: str) -> Question[BatchView]:
    """Raises NotFound."""

    async def ask(fetch: Fetch) -> BatchView:
        rows = await fetch(GET, (batch_id,))
        if not rows:
            raise NotFound(f"batch {batch_id} does not exist")
        return batch_of(rows[0])

    return Question("get_batch", ("transfer_batches",), ask)


def list_batches(
    statuses: Sequence[str] | None = None,
    user_id: str | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> Question[Page[BatchView]]:
    """The newest first, in any of `statuses`. Raises BadCursor, ValueError for a limit out of bounds."""
    checked_limit(limit)
    (before,) = decode_cursor("batches", cursor, (NEWEST,))
    chosen = None if statuses is None else list(statuses)

    async def ask(fetch: Fetch) -> Page[BatchView]:
        wanted = {"statuses": chosen, "user_id": user_id, "before": before, "rows": limit + 1}
        rows = await fetch(LIST, wanted)
        return page_of(rows, limit, "batches", lambda row: (row["created_position"],), batch_of)

    return Question("list_batches", ("transfer_batches",), ask)


def list_batch_items(
    batch_id: str, statuses: Sequence[str] | None = None, limit: int = 50, cursor: str | None = None
) -> Question[Page[BatchItemView]]:
    """In the order sent, in any of `statuses`. Raises BadCursor, ValueError for a limit out of bounds."""
    checked_limit(limit)
    (after,) = decode_cursor("batch_items", cursor, (0,))
    chosen = None if statuses is None else list(statuses)

    async def ask(fetch: Fetch) -> Page[BatchItemView]:
        wanted = {"batch_id": batch_id, "statuses": chosen, "after": after, "item": None, "rows": limit + 1}
        rows = await fetch(ITEMS, wanted)
        return page_of(rows, limit, "batch_items", lambda row: (row["item"],), lambda row: item_of(batch_id, row))

    return Question("list_batch_items", VIEWS, ask)


async def find_item(fetch: Fetch, batch_id: str, item: int) -> Row | None:
    """One item as a row of ITEMS."""
    wanted = {"batch_id": batch_id, "statuses": None, "after": 0, "item": item, "rows": 1}
    rows = await fetch(ITEMS, wanted)
    return rows[0] if rows else None


def batch_of(row: Row) -> BatchView:
    """A row of GET or LIST, as it is told."""
    sums = [_total(found) for found in row["sums"] or ()]
    as_they_are = (
        "batch_id user_id status atomic items settled reference failure_code failure_reason created_at updated_at "
        "finished_at version"
    )
    outcomes = tuple(total for total in sums if total.status != "submitted" and total.count)
    return BatchView(
        **{name: row[name] for name in as_they_are.split()},
        submitted=tuple(total for total in sums if total.status == "submitted"),
        outcomes=outcomes,
    )


def _total(found: dict[str, Any]) -> ItemTotal:
    currency = found["currency"]
    return ItemTotal(found["status"], found["count"], wire(int(found["amount"]), currency), currency)


def item_of(batch_id: str, row: Row) -> BatchItemView:
    """A row of ITEMS, as it is told."""
    as_they_are = (
        "item from_account to_account currency reference purpose metadata status transfer_status failure_code "
        "failure_reason position settled_at"
    )
    return BatchItemView(
        transfer_id=f"{batch_id}-{row['item']}",
        amount=wire(row["amount"], row["currency"]),
        **{name: row[name] for name in as_they_are.split()},
    )
