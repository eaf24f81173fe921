"""Questions of whoever looks after the system: conservation, lag, dead letters."""

from __future__ import annotations

from typing import LiteralString

from queries.money import wire
from queries.operation_results import Conservation, DeadLetterView, ViewLag
from queries.paging import Page, checked_limit, decode_cursor, page_of
from queries.reader import Fetch, Question, Row

CONSERVATION: LiteralString = "SELECT * FROM read.conservation ORDER BY currency"

LAG: LiteralString = "SELECT * FROM read.lag ORDER BY view, build"

# Those that are open, of the builds that readers see; with `everything`, also what was resolved or skipped.
DEAD_LETTERS: LiteralString = """
SELECT id, view, stream, position, event_id::text AS event_id, type, status, error_class, error, attempts,
       first_failed_at, last_failed_at
  FROM read.dead_letters
 WHERE live AND (%(everything)s OR status IN ('parked', 'follower'))
   AND (%(view)s::text IS NULL OR view = %(view)s)
   AND (position, id) > (%(position)s, %(id)s)
 ORDER BY position, id LIMIT %(rows)s
"""

_SUMS = ("accounts", "in_transit", "in_suspense", "deposits", "withdrawals", "difference")


def conservation() -> Question[tuple[Conservation, ...]]:
    """One line per currency, as of the answer's position."""

    async def ask(fetch: Fetch) -> tuple[Conservation, ...]:
        return tuple(_conservation(row) for row in await fetch(CONSERVATION))

    return Question("conservation", ("conservation",), ask)


def lag() -> Question[tuple[ViewLag, ...]]:
    """Every build that is live or in the making. Worked out from the log, so a dead projector shows."""

    async def ask(fetch: Fetch) -> tuple[ViewLag, ...]:
        return tuple(ViewLag(**row) for row in await fetch(LAG))

    return Question("lag", (), ask)


def dead_letters(
    view: str | None = None, everything: bool = False, limit: int = 50, cursor: str | None = None
) -> Question[Page[DeadLetterView]]:
    """In the order of the log. Raises BadCursor, ValueError for a limit out of bounds."""
    checked_limit(limit)
    position, letter = decode_cursor("dead_letters", cursor, (0, 0))
    wanted = {"view": view, "everything": everything, "position": position, "id": letter, "rows": limit + 1}

    async def ask(fetch: Fetch) -> Page[DeadLetterView]:
        rows = await fetch(DEAD_LETTERS, wanted)
        return page_of(
            rows,
            limit,
            "dead_letters",
            lambda row: (row["position"], row["id"]),
            lambda row: DeadLetterView(**row),
        )

    return Question("dead_letters", (), ask)


def _conservation(row: Row) -> Conservation:
    currency = row["currency"]
    sums = {name: wire(row[name], currency) for name in _SUMS}
    return Conservation(currency=currency, **sums, holds=row["difference"] == 0)
