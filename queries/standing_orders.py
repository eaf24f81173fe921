"""Questions about standing orders and their runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

from queries.errors import NotFound
from queries.money import wire
from queries.paging import NEWEST, Page, checked_limit, decode_cursor, page_of
from queries.reader import Fetch, Question, Row

GET: LiteralString = "SELECT * FROM read.standing_orders WHERE standing_order_id = %s"

LIST: LiteralString = """
SELECT * FROM read.standing_orders
 WHERE created_position < %(before)s AND (%(user_id)s::text IS NULL OR user_id = %(user_id)s)
   AND (%(status)s::text IS NULL OR status = %(status)s)
 ORDER BY created_position DESC LIMIT %(rows)s
"""

# A run's transfer goes its own way: how that stands is asked of the transfers' view.
RUNS: LiteralString = """
SELECT r.*, t.status AS transfer_status
  FROM read.standing_order_runs r LEFT JOIN read.transfers t USING (transfer_id)
 WHERE r.standing_order_id = %(standing_order_id)s AND r.position < %(before)s
 ORDER BY r.position DESC LIMIT %(rows)s
"""


@dataclass(frozen=True)
class StandingOrderView:
    """`next_at`: none while it is paused or over. `last_outcome`: made, failed, missed or skipped."""

    standing_order_id: str
    user_id: str
    status: str
    from_account: str
    to_account: str
    amount: str
    currency: str
    frequency: str
    first_at: datetime
    time_zone: str
    every_s: int | None
    day_of_month: int | None
    end_at: datetime | None
    missed_runs: str
    reference: str | None
    purpose: str | None
    category: str | None
    tags: tuple[str, ...]
    metadata: dict[str, str]
    next_at: datetime | None
    last_at: datetime | None
    last_outcome: str | None
    last_transfer: str | None
    made: int
    failed: int
    missed: int
    skipped: int
    reason: str | None
    created_at: datetime
    updated_at: datetime
    version: int


@dataclass(frozen=True)
class StandingOrderRun:
    """`run_at` is when it was due. `transfer_status`: how its transfer stands now."""

    run_at: datetime
    outcome: str
    transfer_id: str | None
    transfer_status: str | None
    code: str | None
    reason: str | None
    recorded_at: datetime


def get_standing_order(standing_order_id: str) -> Question[StandingOrderView]:
    """Raises NotFound."""

    async def ask(fetch: Fetch) -> StandingOrderView:
        rows = await fetch(GET, (standing_order_id,))
        if not rows:
            raise NotFound(f"standing order {standing_order_id} does not exist")
        return standing_order_of(rows[0])

    return Question("get_standing_order", ("standing_orders",), ask)


def list_standing_orders(
    user_id: str | None = None, status: str | None = None, limit: int = 50, cursor: str | None = None
) -> Question[Page[StandingOrderView]]:
    """The newest first; of one user, or of all. Raises BadCursor, ValueError for a limit out of bounds."""
    checked_limit(limit)
    (before,) = decode_cursor("standing_orders", cursor, (NEWEST,))

    async def ask(fetch: Fetch) -> Page[StandingOrderView]:
        wanted = {"user_id": user_id, "status": status, "before": before, "rows": limit + 1}
        rows = await fetch(LIST, wanted)
        return page_of(rows, limit, "standing_orders", lambda row: (row["created_position"],), standing_order_of)

    return Question("list_standing_orders", ("standing_orders",), ask)


def list_runs(
    standing_order_id: str, limit: int = 50, cursor: str | None = None
) -> Question[Page[StandingOrderRun]]:
    """The latest first. Raises BadCursor, ValueError for a limit out of bounds."""
    checked_limit(limit)
    (before,) = decode_cursor("standing_order_runs", cursor, (NEWEST,))

    async def ask(fetch: Fetch) -> Page[StandingOrderRun]:
        wanted = {"standing_order_id": standing_order_id, "before": before, "rows": limit + 1}
        rows = await fetch(RUNS, wanted)
        return page_of(rows, limit, "standing_order_runs", lambda row: (row["position"],), _run_of)

    return Question("list_runs", ("standing_orders", "transfers"), ask)


def standing_order_of(row: Row) -> StandingOrderView:
    """A row of the view, as it is told."""
    told: dict[str, Any] = {name: row[name] for name in StandingOrderView.__dataclass_fields__}
    told["amount"] = wire(row["amount"], row["currency"])
    told["tags"] = tuple(row["tags"])
    if row["status"] != "active":
        told["next_at"] = None
    return StandingOrderView(**told)


def _run_of(row: Row) -> StandingOrderRun:
    return StandingOrderRun(**{name: row[name] for name in StandingOrderRun.__dataclass_fields__})
