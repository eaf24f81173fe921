"""The commands an account takes and the events it records."""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from domain.model import AwareDatetime, Command, Event, Id, Name, Text
from domain.money import Money

Purpose = Literal["transfer", "payment", "fee", "refund", "chargeback", "compensation", "resolution", "trade"]
"""Why money was posted. Statements show it; nothing decides by it."""


class AccountLimits(BaseModel):
    """Screening limits of one account instead of everybody's (see `screening`); None: everybody's."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    review_above: Decimal | None = Field(default=None, ge=0)
    velocity_max: int | None = Field(default=None, ge=1, le=64)
    new_payee_above: Decimal | None = Field(default=None, ge=0)


# --- commands ------------------------------------------------------------


class OpenAccount(Command):
    account_id: Id
    user_id: Id
    currency: str
    overdraft_limit: Money | None = None
    iban: Text | None = None
    rail: Id | None = None


class Deposit(Command):
    amount: Money
    reference: Text | None = None


class Withdraw(Command):
    amount: Money
    reference: Text | None = None


class Freeze(Command):
    reason: Text | None = None


class Unfreeze(Command):
    reason: Text | None = None


class Close(Command):
    reason: Text | None = None


class SetLimits(Command):
    limits: AccountLimits
    by: Id


class Reserve(Command):
    """`incoming`: sets aside what was credited a moment ago, until it is final. No spending: a freeze allows it,
    and no rule counts it."""

    hold_id: Name
    amount: Money
    counterparty: Name
    expires_at: AwareDatetime | None = None
    incoming: bool = False


class ReleaseHold(Command):
    """Voids what is left of a hold, or `amount` of it. Of a hold that is not there: nothing to do."""

    hold_id: Name
    amount: Money | None = None


class ExpireHold(Command):
    """Voids what is left of a hold whose time has passed."""

    hold_id: Name


class Debit(Command):
    """Takes money, out of a hold if one is named. A hold was granted before, so a freeze does not stop it."""

    amount: Money
    counterparty: Name
    transaction: Name
    purpose: Purpose
    hold_id: Name | None = None
    reference: Text | None = None


class Credit(Command):
    amount: Money
    counterparty: Name
    transaction: Name
    purpose: Purpose
    reference: Text | None = None


AccountCommand = (
    OpenAccount
    | Deposit
    | Withdraw
    | Freeze
    | Unfreeze
    | Close
    | SetLimits
    | Reserve
    | ReleaseHold
    | ExpireHold
    | Debit
    | Credit
)


# --- events ------------------------------------------------------------


class AccountOpened(Event):
    """`rail` names the payment rail that reaches an account at another bank; None is an account of this ledger."""

    account_id: Id
    user_id: Id
    currency: str
    overdraft_limit: Money
    iban: Text | None = None
    rail: Id | None = None


class AccountFrozen(Event):
    reason: Text | None = None


class AccountUnfrozen(Event):
    reason: Text | None = None


class AccountClosed(Event):
    reason: Text | None = None


class AccountLimitsSet(Event):
    limits: AccountLimits
    by: Id


class Entry(Event):
    """An event that moves or holds money. `balance` and `held` are what the account has after it."""

    amount: Money
    balance: Money
    held: Money


class FundsDeposited(Entry):
    reference: Text | None = None


class FundsWithdrawn(Entry):
    reference: Text | None = None


class FundsReserved(Entry):
    """`incoming` (since version 2): what was credited a moment ago is set aside; nothing was spent."""

    schema_version: ClassVar[int] = 2
    hold_id: Name
    counterparty: Name
    reserved_at: AwareDatetime
    expires_at: AwareDatetime | None = None
    incoming: bool | None = None


class HoldReleased(Entry):
    hold_id: Name


class HoldExpired(Entry):
    hold_id: Name


class AccountDebited(Entry):
    """`debited_at` (since version 2): of a transfer that was paid without a hold, for the rules that look at
    earlier debits."""

    schema_version: ClassVar[int] = 2
    counterparty: Name
    transaction: Name
    purpose: Purpose
    hold_id: Name | None = None
    reference: Text | None = None
    debited_at: AwareDatetime | None = None


class AccountCredited(Entry):
    counterparty: Name
    transaction: Name
    purpose: Purpose
    reference: Text | None = None


AccountEvent = (
    AccountOpened
    | AccountFrozen
    | AccountUnfrozen
    | AccountClosed
    | AccountLimitsSet
    | FundsDeposited
    | FundsWithdrawn
    | FundsReserved
    | HoldReleased
    | HoldExpired
    | AccountDebited
    | AccountCredited
)
