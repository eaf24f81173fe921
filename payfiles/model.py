"""What a payment file says, whatever format it came in."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

from domain.money import Money
from payfiles.errors import Problem

MAX_ITEMS = 100_000
"""Transfers in one file."""

MAX_REFERENCE = 500
"""Characters of a transfer's reference."""


@dataclass(frozen=True, slots=True)
class AccountRef:
    """An account as a file names it: by IBAN, or by another id its bank understands.

    `currency` is the transfer's: one IBAN may have a pocket for each currency.
    """

    iban: str | None
    other: str | None
    name: str
    currency: str

    def __post_init__(self) -> None:
        assert (self.iban is None) != (self.other is None), "an account has an IBAN or another id, not both"

    @property
    def identifier(self) -> str:
        """The IBAN (capitals, no spaces), or the other id as written."""
        identifier = self.iban or self.other
        assert identifier
        return identifier


@dataclass(frozen=True, slots=True)
class CreditTransfer:
    """One instruction: move `amount` from `debtor` to `creditor`.

    `transfer_id` is the same each time the same file is read (see `ids`). `reference` is what the creditor shall
    read, `purpose` a code such as SALA, both "" when not given.
    """

    transfer_id: str
    message_id: str
    payment_info_id: str
    instruction_id: str
    end_to_end_id: str
    debtor: AccountRef
    creditor: AccountRef
    amount: Money
    reference: str = ""
    purpose: str = ""
    requested_on: date | None = None
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PaymentFile:
    """A whole file, checked. `control_sum` is the plain sum of all amounts, whatever their currencies.

    `format` is `pain.001.001.03`, `pain.001.001.09`, `pain.001.001.03.ch.02` or `csv`. `created_at` has a time
    zone (UTC where the file gives none). `count` and `control_sum` are those of the items, not of the header.
    """

    message_id: str
    created_at: datetime | None
    format: str
    count: int
    control_sum: Decimal
    items: tuple[CreditTransfer, ...]
    warnings: tuple[Problem, ...] = ()
