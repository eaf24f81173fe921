"""What statements are answered with. Amounts are decimal strings in the currency's own decimals; times are UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class StatementLine:
    """`amount` is signed; `balance` is the account's after the entry. `source` is the stream that caused it.

    `kind` says why money was posted (payment, refund, deposit …), `category` is what the payment or transfer was
    filed under, and the kind where it has none. `location` and `end_to_end_id` (from payment files) are the
    metadata of these names.
    """

    position: int
    at: datetime
    amount: str
    balance: str
    currency: str
    kind: str
    category: str
    counterparty: str | None
    source: str | None
    reference: str | None
    description: str | None
    purpose: str | None
    location: str | None
    end_to_end_id: str | None
    tags: tuple[str, ...]


@dataclass(frozen=True)
class Statement:
    """Of what was booked from `from_at` on and before `to_at`, the oldest line first.

    Balances and sums are of the whole period, whatever page `items` are: opening + credits − debits = closing.
    """

    account_id: str
    user_id: str
    iban: str | None
    currency: str
    from_at: datetime
    to_at: datetime
    opening_balance: str
    closing_balance: str
    credits: str
    credit_count: int
    debits: str
    debit_count: int
    items: tuple[StatementLine, ...]
    next_cursor: str | None


@dataclass(frozen=True)
class MonthlySpending:
    """What left the account in a calendar month (`2026-03`, UTC) under a category, less what came back of it."""

    month: str
    category: str
    entries: int
    amount: str


@dataclass(frozen=True)
class AccountSummary:
    """`recent`: the newest lines first. `spending`: the newest month first, the largest amount of each first."""

    account_id: str
    user_id: str
    currency: str
    status: str
    balance: str
    held: str
    available: str
    overdraft_limit: str
    recent: tuple[StatementLine, ...]
    spending: tuple[MonthlySpending, ...]
