"""What the description says of a reconciliation's report. `commands.statements.as_report` makes it."""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal

from pydantic import BaseModel


class Booking(BaseModel):
    """One entry of either side. `amount` is signed; `entry` is what its side calls it."""

    entry: str | None
    booked: date | datetime
    amount: str
    currency: str
    end_to_end_id: str | None
    reference: str | None
    counterparty: str | None


class BookingPair(BaseModel):
    """The same booking on both sides, and what it was found by."""

    by: Literal["reference", "amount_and_day"]
    statement: Booking
    ledger: Booking


class DifferingBalance(BaseModel):
    """A balance that the statement states and the ledger does not have."""

    which: str
    statement: str
    ledger: str


class FileWarning(BaseModel):
    """What the file is worth knowing for, though it was compared all the same."""

    code: str
    message: str
    location: str


class StatementReport(BaseModel):
    """One statement of the file, over [from_at, to_at)."""

    statement_id: str
    format: str
    account_id: str
    currency: str
    from_at: datetime
    to_at: datetime
    agrees: bool
    matched: list[BookingPair]
    differing: list[BookingPair]
    missing_in_ledger: list[Booking]
    missing_in_statement: list[Booking]
    balances: list[DifferingBalance]
    warnings: list[FileWarning]


class ReconciliationReport(BaseModel):
    """`agrees`: all of its statements do."""

    agrees: bool
    statements: list[StatementReport]
