"""Questions about transfers, and about money that is on its way or set aside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import LiteralString

from domain.batch_items import item_of
from queries.batches import find_item
from queries.errors import NotFound
from queries.money import in_utc, wire
from queries.paging import NEWEST, Page, checked_limit, decode_cursor, page_of
from queries.reader import Fetch, Question, Row
from queries.transfer_results import TransferView, UnderWay

UNFINISHED = ("initiated", "in_review", "reserved", "in_transit", "compensating", "stuck")
"""Statuses in which a transfer should have a running workflow."""

GET: LiteralString = "SELECT * FROM read.transfers WHERE transfer_id = %s"

LIST: LiteralString = """
SELECT * FROM read.transfers
 WHERE created_position < %(before)s AND (%(statuses)s::text[] IS NULL OR status = ANY (%(statuses)s))
   AND (%(user_id)s::text IS NULL OR from_user = %(user_id)s OR to_user = %(user_id)s)
 ORDER BY created_position DESC LIMIT %(rows)s
"""

# The oldest first. Age is reckoned by the database's clock.
UNDER_WAY: LiteralString = """
SELECT transfer_id, place, amount, currency, debited_at, since,
       GREATEST(extract(epoch FROM clock_timestamp() - since), 0)::float8 AS age_s
  FROM read.in_transit_and_suspense
 WHERE (%(place)s::text IS NULL OR place = %(place)s) ORDER BY since, transfer_id LIMIT %(rows)s
"""


def get_transfer(transfer_id: str) -> Question[TransferView]:
    """Also an item of a batch, which has no stream of its own. Raises NotFound."""

    async def ask(fetch: Fetch) -> TransferView:
        rows = await fetch(GET, (transfer_id,))
        if rows:
            return transfer_of(rows[0])
        of_batch = item_of(transfer_id)
        found = None if of_batch is None else await find_item(fetch, *of_batch)
        if of_batch is None or found is None:
            raise NotFound(f"transfer {transfer_id} does not exist")
        return transfer_of_item(*of_batch, found)

    return Question("get_transfer", ("transfers", "transfer_batches", "accounts"), ask)


def list_transfers(
    statuses: Sequence[str] | None = None,
    user_id: str | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> Question[Page[TransferView]]:
    """The newest first, in any of `statuses`. Raises BadCursor, ValueError for a limit out of bounds."""
    checked_limit(limit)
    (before,) = decode_cursor("transfers", cursor, (NEWEST,))
    chosen = None if statuses is None else list(statuses)

    async def ask(fetch: Fetch) -> Page[TransferView]:
        wanted = {"statuses": chosen, "user_id": user_id, "before": before, "rows": limit + 1}
        rows = await fetch(LIST, wanted)
        return page_of(rows, limit, "transfers", lambda row: (row["created_position"],), transfer_of)

    return Question("list_transfers", ("transfers",), ask)


def in_transit_and_suspense(place: str | None = None, limit: int = 200) -> Question[tuple[UnderWay, ...]]:
    """The oldest first; `place` is in_transit or suspense, or both."""
    if place not in (None, "in_transit", "suspense"):
        raise ValueError("place must be in_transit or suspense")
    checked_limit(limit)

    async def ask(fetch: Fetch) -> tuple[UnderWay, ...]:
        rows = await fetch(UNDER_WAY, {"place": place, "rows": limit})
        return tuple(UnderWay(**{**row, "amount": wire(row["amount"], row["currency"])}) for row in rows)

    return Question("in_transit_and_suspense", ("in_transit_and_suspense",), ask)


AS_A_TRANSFER = {
    "pending": ("initiated", "source"),
    "held": ("reserved", "held"),
    "completed": ("completed", "destination"),
    "rejected": ("rejected", "source"),
    "cancelled": ("cancelled", "source"),
    "compensated": ("compensated", "source"),
}
"""What an item's status is in the words of a transfer, and where its money is."""


def transfer_of_item(batch_id: str, item: int, row: Row) -> TransferView:
    """An item that its batch has settled, or will: it has one leg, its chunk's append."""
    status, location = AS_A_TRANSFER[row["status"]]
    at = row["settled_at"]
    leg = {"name": "batch", "batch_id": batch_id, "item": item, "outcome": row["status"]}
    when = {"at": at.isoformat(), "position": row["position"]} if at is not None else {}
    as_they_are = (
        "from_account from_user to_account to_user reference purpose metadata failure_code failure_reason"
    )
    return TransferView(
        transfer_id=f"{batch_id}-{item}",
        status=status,
        location=location,
        amount=wire(row["amount"], row["currency"]),
        currency=row["currency"],
        rail=None,
        quote=None,
        category=None,
        tags=(),
        legs=({**leg, **when},),
        created_at=row["created_at"],
        updated_at=at or row["created_at"],
        finished_at=None if status in UNFINISHED else at,
        version=1,
        **{name: row[name] for name in as_they_are.split()},
    )


def transfer_of(row: Row) -> TransferView:
    """A row of the view, as it is told."""
    currency = row["currency"]
    as_they_are = (
        "transfer_id status location from_account from_user to_account to_user rail quote reference purpose "
        "category failure_code failure_reason created_at updated_at finished_at version"
    )
    return TransferView(
        **{name: row[name] for name in as_they_are.split()},
        currency=currency,
        amount=None if currency is None else wire(row["amount"], currency),
        tags=tuple(row["tags"] or ()),
        metadata=row["metadata"] or {},
        legs=tuple(in_utc(row["legs"])),
    )
