"""What an account statement in a file says, whatever format it came in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from domain.money import Money
from payfiles.errors import Problem
from payfiles.ids import NOT_PROVIDED
from payfiles.model import AccountRef

MAX_ENTRIES = 100_000
"""In one statement."""

WRONG_SUM = "opening balance and entries do not come to the closing balance"


@dataclass(frozen=True, slots=True)
class StatementEntry:
    """One booking. `amount` is signed: what the account gained is positive.

    `entry_id` is the bank's own name of it, `end_to_end_id` the orderer's, `references` all else that it may be
    known by. `booked` is a day where the file says no time. "" where the file says nothing.
    """

    amount: Money
    booked: date | datetime
    entry_id: str = ""
    end_to_end_id: str = ""
    references: tuple[str, ...] = ()
    balance: Money | None = None
    kind: str = ""
    category: str = ""
    counterparty: str = ""
    reference: str = ""
    description: str = ""
    purpose: str = ""
    location: str = ""
    tags: tuple[str, ...] = ()
    source: str = ""

    @property
    def day(self) -> date:
        """In UTC."""
        return self.booked.astimezone(UTC).date() if isinstance(self.booked, datetime) else self.booked

    @property
    def known_by(self) -> tuple[str, ...]:
        """What may tell which booking it is, the surest first."""
        named = (self.entry_id, self.end_to_end_id, *self.references, self.reference)
        return tuple(dict.fromkeys(name for name in named if name and name != NOT_PROVIDED))


def adds_up(opening: Money | None, closing: Money | None, entries: Sequence[StatementEntry]) -> bool:
    """Whether opening balance and entries come to the closing balance; True where a balance is not stated."""
    if opening is None or closing is None:
        return True
    return opening.minor + sum(entry.amount.minor for entry in entries) == closing.minor


@dataclass(frozen=True, slots=True)
class StatementFile:
    """One account's statement of [since, until). `account` is None where the file does not name one (CSV)."""

    statement_id: str
    account: AccountRef | None
    currency: str
    since: datetime | None
    until: datetime | None
    opening: Money | None
    closing: Money | None
    entries: tuple[StatementEntry, ...]
    format: str
    warnings: tuple[Problem, ...] = ()

    @property
    def period(self) -> tuple[datetime, datetime] | None:
        """As stated, else the days (UTC) of its entries; None of an empty one that states none."""
        days = [entry.day for entry in self.entries]
        if not days and (self.since is None or self.until is None):
            return None
        since = self.since or datetime.combine(min(days), time(), UTC)
        return since, self.until or datetime.combine(max(days), time(), UTC) + timedelta(days=1)
