"""Questions about an account over time: its statement of a period, and what it spent.

Which entries belong to a period follows from the account's stream, by the rule of `?as_of=`: at an instant an
account is what the last of its events recorded until then left. Several writers' clocks may differ a little, so
the times of a stream need not grow; periods join without gap or overlap, and balances add up, all the same.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Final, LiteralString

from domain.streams import account_stream
from queries.accounts import GET, account_of
from queries.errors import DoesNotAddUp, NotFound, TooLong
from queries.money import wire
from queries.paging import NEWEST, checked_limit, decode_cursor, encode_cursor
from queries.reader import Fetch, Question, Row
from queries.statement_lines import LINES, NEWEST_FIRST, ORDERS, VIEWS, line_of
from queries.statement_results import AccountSummary, MonthlySpending, Statement

MAX_LINES: Final = 20_000
"""Of a statement that is asked for as a whole."""

RECENT: Final = 10
MAX_MONTHS: Final = 24

# The last event of a stream before an instant; its position is null where it has none yet.
CUT: LiteralString = """
SELECT p.position FROM public.events AS e LEFT JOIN public.positions AS p ON p.id = e.id
 WHERE e.stream = %(stream)s AND e.recorded_at < %(instant)s ORDER BY e.version DESC LIMIT 1
"""

BALANCE: LiteralString = """
SELECT balance_after FROM read.ledger_entries
 WHERE account_id = %(account_id)s AND position <= %(upto)s ORDER BY position DESC, line DESC LIMIT 1
"""

SUMS: LiteralString = """
SELECT count(*) FILTER (WHERE amount > 0) AS credit_count, count(*) FILTER (WHERE amount < 0) AS debit_count,
       COALESCE(sum(GREATEST(amount, 0)), 0) AS credits, COALESCE(-sum(LEAST(amount, 0)), 0) AS debits
  FROM read.ledger_entries
 WHERE account_id = %(account_id)s AND position > %(after)s AND position <= %(upto)s
"""

OLDEST_FIRST: LiteralString = (
    LINES
    + """
 WHERE e.account_id = %(account_id)s AND e.position > %(after)s AND e.position <= %(upto)s
   AND (e.position, e.line) > (%(last)s, %(line)s)
 ORDER BY e.position, e.line LIMIT %(rows)s
"""
)

# What was paid, transferred or withdrawn, less what came back of it. Trades exchange one asset for another.
SPENDING: LiteralString = (
    """
SELECT to_char(e.recorded_at AT TIME ZONE 'UTC', 'YYYY-MM') AS month,
       COALESCE(p.category, t.category,
                CASE WHEN e.source IS NULL THEN e.category
                     WHEN e.source LIKE 'payment-%%' THEN 'payment' ELSE 'transfer' END) AS category,
       count(*) AS entries, -sum(e.amount) AS amount
  FROM read.ledger_entries AS e
"""
    + ORDERS
    + """
 WHERE e.account_id = %(account_id)s AND e.position > %(after)s AND e.recorded_at >= %(since)s
   AND (e.amount < 0 AND e.category IN ('payment', 'transfer', 'withdrawal')
        OR e.amount > 0 AND (e.category IN ('refund', 'chargeback', 'compensation')
                             OR e.category = 'resolution' AND t.from_account = e.account_id))
 GROUP BY 1, 2 ORDER BY 1 DESC, 4 DESC, 2
"""
)


def account_statement(
    account_id: str, since: datetime, until: datetime, limit: int = 50, cursor: str | None = None
) -> Question[Statement]:
    """What was booked in [since, until), a page of it.

    Raises NotFound, DoesNotAddUp, BadCursor, ValueError for a limit out of bounds.
    """
    checked_limit(limit)
    last, line = decode_cursor("statement", cursor, (0, 0))

    async def ask(fetch: Fetch) -> Statement:
        return await _statement(fetch, account_id, (since, until), limit, (last, line))

    return Question("account_statement", VIEWS, ask)


def whole_statement(account_id: str, since: datetime, until: datetime) -> Question[Statement]:
    """All of it at once, for a file. Raises NotFound, DoesNotAddUp, TooLong."""

    async def ask(fetch: Fetch) -> Statement:
        found = await _statement(fetch, account_id, (since, until), MAX_LINES, (0, 0))
        if found.next_cursor is not None:
            raise TooLong(f"the period has more than {MAX_LINES} entries: ask for a shorter one")
        return found

    return Question("whole_statement", VIEWS, ask)


def account_summary(account_id: str, since: datetime) -> Question[AccountSummary]:
    """The account now, its newest entries, and what it spent since `since`, by month. Raises NotFound."""

    async def ask(fetch: Fetch) -> AccountSummary:
        account = account_of(await _account(fetch, account_id))
        after = await _cut(fetch, account_id, since)
        newest = {"account_id": account_id, "before": NEWEST, "line": 0, "rows": RECENT}
        recent = await fetch(NEWEST_FIRST, newest)
        spent = await fetch(SPENDING, {"account_id": account_id, "after": after, "since": since})
        return AccountSummary(
            account_id=account.account_id,
            user_id=account.user_id,
            currency=account.currency,
            status=account.status,
            balance=account.balance,
            held=account.held,
            available=account.available,
            overdraft_limit=account.overdraft_limit,
            recent=tuple(map(line_of, recent)),
            spending=tuple(
                MonthlySpending(
                    row["month"], row["category"], row["entries"], wire(row["amount"], account.currency)
                )
                for row in spent
            ),
        )

    return Question("account_summary", VIEWS, ask)


async def _statement(
    fetch: Fetch, account_id: str, period: tuple[datetime, datetime], limit: int, last: tuple[int, int]
) -> Statement:
    account = await _account(fetch, account_id)
    after, upto = [await _cut(fetch, account_id, instant) for instant in period]
    bounds = {"account_id": account_id, "after": after, "upto": upto}
    opening, closing = [await _balance(fetch, account_id, position) for position in (after, upto)]
    [sums] = await fetch(SUMS, bounds)
    if opening + sums["credits"] - sums["debits"] != closing:
        raise DoesNotAddUp(f"the entries of account {account_id} do not add up: rebuild ledger_entries")
    rows = await fetch(OLDEST_FIRST, bounds | {"last": last[0], "line": last[1], "rows": limit + 1})
    shown, currency = rows[:limit], account["currency"]
    return Statement(
        account_id=account_id,
        user_id=account["user_id"],
        iban=account["iban"],
        currency=currency,
        from_at=period[0],
        to_at=period[1],
        opening_balance=wire(opening, currency),
        closing_balance=wire(closing, currency),
        credits=wire(sums["credits"], currency),
        credit_count=sums["credit_count"],
        debits=wire(sums["debits"], currency),
        debit_count=sums["debit_count"],
        items=tuple(map(line_of, shown)),
        next_cursor=_next(shown) if len(rows) > limit else None,
    )


def _next(shown: list[Row]) -> str:
    return encode_cursor("statement", shown[-1]["position"], shown[-1]["line"])


async def _account(fetch: Fetch, account_id: str) -> Row:
    rows = await fetch(GET, (account_id,))
    if not rows:
        raise NotFound(f"account {account_id} does not exist")
    return rows[0]


async def _cut(fetch: Fetch, account_id: str, instant: datetime) -> int:
    """The position up to which the account's entries were booked before `instant`."""
    rows = await fetch(CUT, {"stream": account_stream(account_id), "instant": instant})
    if not rows:
        return 0
    position = rows[0]["position"]
    return NEWEST if position is None else int(position)


async def _balance(fetch: Fetch, account_id: str, upto: int) -> int | Decimal:
    rows = await fetch(BALANCE, {"account_id": account_id, "upto": upto})
    return int(rows[0]["balance_after"]) if rows else 0
