"""Account: what one account may do. `available = balance − held + overdraft_limit` never goes below zero.

A freeze blocks new debits and holds, never the posting or voiding of a hold that stands, nor a credit.
An account is closed only when nothing is on it and nothing is held.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import assert_never

from domain.account_messages import (
    AccountClosed,
    AccountCommand,
    AccountCredited,
    AccountDebited,
    AccountEvent,
    AccountFrozen,
    AccountLimits,
    AccountLimitsSet,
    AccountOpened,
    AccountUnfrozen,
    Close,
    Credit,
    Debit,
    Deposit,
    Entry,
    ExpireHold,
    Freeze,
    FundsDeposited,
    FundsReserved,
    FundsWithdrawn,
    HoldExpired,
    HoldReleased,
    OpenAccount,
    ReleaseHold,
    Reserve,
    SetLimits,
    Unfreeze,
    Withdraw,
)
from domain.errors import Conflict, InsufficientFunds, InvalidInput, NotFound, WrongState
from domain.money import MAX_BALANCE, MAX_MINOR, Money, positive
from domain.streams import ORDER, category_of

RECENT_HOLDS = 64
"""How many of its latest reservations an account remembers for the screening rules."""
KNOWN_PAYEES = 256
"""How many payees an account remembers for the new-payee rule, the latest first to stay."""


class AccountStatus(StrEnum):
    UNOPENED = "unopened"
    OPEN = "open"
    FROZEN = "frozen"
    CLOSED = "closed"


# --- state ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Hold:
    """What is left of a reservation, in minor units."""

    amount: int
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class RecentHold:
    """A reservation as screening remembers it, whatever became of it. `minor` in the account's currency."""

    at: datetime
    payee: str
    minor: int


@dataclass(frozen=True, slots=True)
class Account:
    """Amounts in minor units of `currency`."""

    account_id: str = ""
    user_id: str = ""
    currency: str = ""
    status: AccountStatus = AccountStatus.UNOPENED
    rail: str | None = None
    balance: int = 0
    held: int = 0
    overdraft_limit: int = 0
    holds: dict[str, Hold] = field(default_factory=dict)
    recent_holds: tuple[RecentHold, ...] = ()
    payees: tuple[str, ...] = ()
    country: str | None = None
    limits: AccountLimits | None = None

    @property
    def available(self) -> int:
        return self.balance - self.held + self.overdraft_limit

    def must_exist(self) -> None:
        if self.status is AccountStatus.UNOPENED:
            raise NotFound("account_not_found", "account does not exist")

    def must_not_be_closed(self) -> None:
        self.must_exist()
        if self.status is AccountStatus.CLOSED:
            raise Conflict("account_closed", f"account {self.account_id} is closed")

    def must_be_open_for_debits(self) -> None:
        self.must_not_be_closed()
        if self.status is AccountStatus.FROZEN:
            raise Conflict(
                "account_frozen", f"account {self.account_id} is frozen: no new debit or hold is possible"
            )
        if self.rail is not None:
            raise Conflict(
                "account_external",
                f"account {self.account_id} is at another bank ({self.rail}) and cannot be debited from here",
            )

    def must_take(self, amount: Money) -> None:
        """`amount` is positive and in this account's currency."""
        positive(amount)
        if amount.currency != self.currency:
            raise InvalidInput(
                "currency_mismatch",
                f"account {self.account_id} is in {self.currency}, the amount in {amount.currency}",
                "currency",
            )

    def must_cover(self, amount: Money) -> None:
        if amount.minor > self.available:
            available = amount.with_minor(max(self.available, 0))
            raise InsufficientFunds(
                "insufficient_funds",
                f"account {self.account_id} has {available} available, {amount} is needed",
            )


def initial() -> Account:
    """An account that nobody has opened."""
    return Account()


# --- decide ------------------------------------------------------------


def decide(command: AccountCommand, account: Account) -> list[AccountEvent]:
    """The events `command` causes, or a DomainError."""
    match command:  # the frequent ones first: a batch asks thousands of times
        case Debit():
            return [_debit(command, account)]
        case Credit(amount=amount) | Deposit(amount=amount):
            account.must_not_be_closed()
            account.must_take(amount)
            return [_add(command, account)]
        case OpenAccount():
            return [_open(command, account)]
        case Freeze() | Unfreeze() | Close():
            return _change_status(command, account)
        case SetLimits(limits=limits, by=by):
            account.must_not_be_closed()
            return [AccountLimitsSet(limits=limits, by=by)]
        case Withdraw(amount=amount):
            account.must_be_open_for_debits()
            account.must_take(amount)
            account.must_cover(amount)
            return [
                FundsWithdrawn(
                    amount=amount, reference=command.reference, **_after(account, balance=-amount.minor)
                )
            ]
        case Reserve():
            return [_reserve(command, account)]
        case ReleaseHold(hold_id=hold_id) | ExpireHold(hold_id=hold_id):
            account.must_exist()
            return _void(command, hold_id, account)
        case _:
            assert_never(command)


def _after(account: Account, balance: int = 0, held: int = 0) -> dict[str, Money]:
    """The entry's `balance` and `held`, given the change of each; never lets the promise be broken."""
    new_balance, new_held = account.balance + balance, account.held + held
    assert new_held >= 0, "held went below zero"
    if balance < 0 or held > 0:
        assert new_balance - new_held + account.overdraft_limit >= 0, "available went below zero"
    return {"balance": Money(new_balance, account.currency), "held": Money(new_held, account.currency)}


def _open(command: OpenAccount, account: Account) -> AccountOpened:
    if account.status is not AccountStatus.UNOPENED:
        raise Conflict("account_exists", f"account {command.account_id} exists already")
    limit = command.overdraft_limit or Money(0, command.currency)
    if limit.currency != command.currency:
        raise InvalidInput(
            "currency_mismatch",
            "the overdraft limit must be in the account's currency",
            "overdraft_limit",
        )
    if limit.minor < 0:
        raise InvalidInput("invalid_overdraft_limit", "overdraft_limit must not be negative", "overdraft_limit")
    if limit.minor > MAX_MINOR:
        raise InvalidInput("invalid_overdraft_limit", "overdraft_limit is too large", "overdraft_limit")
    return AccountOpened(
        account_id=command.account_id,
        user_id=command.user_id,
        currency=command.currency,
        overdraft_limit=limit,
        iban=command.iban,
        rail=command.rail,
    )


def _change_status(command: Freeze | Unfreeze | Close, account: Account) -> list[AccountEvent]:
    account.must_not_be_closed()
    match command:
        case Freeze(reason=reason):
            if account.status is AccountStatus.FROZEN:
                raise WrongState("account_frozen", f"account {account.account_id} is frozen already")
            return [AccountFrozen(reason=reason)]
        case Unfreeze(reason=reason):
            if account.status is not AccountStatus.FROZEN:
                raise WrongState("account_not_frozen", f"account {account.account_id} is not frozen")
            return [AccountUnfrozen(reason=reason)]
        case Close(reason=reason):
            if account.rail is not None:
                raise Conflict("account_external", f"account {account.account_id} is at another bank")
            if account.balance or account.held:
                raise Conflict(
                    "account_not_empty",
                    f"account {account.account_id} has a balance of {Money(account.balance, account.currency)}"
                    f" and {Money(account.held, account.currency)} held: both must be zero to close it",
                )
            return [AccountClosed(reason=reason)]
        case _:
            assert_never(command)


def _add(command: Deposit | Credit, account: Account) -> AccountEvent:
    if account.balance + command.amount.minor > MAX_BALANCE:
        raise Conflict("balance_too_large", f"account {account.account_id} would have more than can be counted")
    after = _after(account, balance=command.amount.minor)
    if isinstance(command, Credit):
        return AccountCredited(
            amount=command.amount,
            counterparty=command.counterparty,
            transaction=command.transaction,
            purpose=command.purpose,
            reference=command.reference,
            **after,
        )
    return FundsDeposited(amount=command.amount, reference=command.reference, **after)


def _reserve(command: Reserve, account: Account) -> FundsReserved:
    if command.incoming:
        account.must_not_be_closed()
    else:
        account.must_be_open_for_debits()
    account.must_take(command.amount)
    if command.hold_id in account.holds:
        raise Conflict("hold_exists", f"hold {command.hold_id} exists already")
    account.must_cover(command.amount)
    return FundsReserved(
        hold_id=command.hold_id,
        amount=command.amount,
        counterparty=command.counterparty,
        reserved_at=command.at,
        expires_at=command.expires_at,
        incoming=command.incoming or None,
        **_after(account, held=command.amount.minor),
    )


def _void(command: ReleaseHold | ExpireHold, hold_id: str, account: Account) -> list[AccountEvent]:
    hold = account.holds.get(hold_id)
    if hold is None:
        return []
    amount = Money(hold.amount, account.currency)
    if isinstance(command, ReleaseHold) and command.amount is not None:
        account.must_take(command.amount)
        if command.amount > amount:
            raise Conflict("hold_not_found", f"hold {hold_id} does not hold {command.amount}")
        amount = command.amount
    after = _after(account, held=-amount.minor)
    if isinstance(command, ReleaseHold):
        return [HoldReleased(hold_id=hold_id, amount=amount, **after)]
    if hold.expires_at is None or command.at < hold.expires_at:
        raise Conflict("hold_not_expired", f"hold {hold_id} has not expired yet")
    return [HoldExpired(hold_id=hold_id, amount=amount, **after)]


def _debit(command: Debit, account: Account) -> AccountDebited:
    debited_at = None
    if command.hold_id is None:
        debited_at = command.at if command.purpose == "transfer" else None
        account.must_be_open_for_debits()
        account.must_take(command.amount)
        account.must_cover(command.amount)
        after = _after(account, balance=-command.amount.minor)
    else:
        account.must_not_be_closed()
        account.must_take(command.amount)
        hold = account.holds.get(command.hold_id)
        if hold is None or hold.amount < command.amount.minor:
            raise Conflict("hold_not_found", f"hold {command.hold_id} does not hold {command.amount}")
        after = _after(account, balance=-command.amount.minor, held=-command.amount.minor)
    return AccountDebited(
        amount=command.amount,
        counterparty=command.counterparty,
        transaction=command.transaction,
        purpose=command.purpose,
        hold_id=command.hold_id,
        reference=command.reference,
        debited_at=debited_at,
        **after,
    )


# --- evolve ------------------------------------------------------------


def evolve(account: Account, event: AccountEvent) -> Account:
    """The account after `event`."""
    match event:  # the frequent ones first: a stream is read event by event
        case AccountDebited(hold_id=posted, debited_at=at):
            holds = account.holds if posted is None else _less(account.holds, posted, event.amount.minor)
            return _standing(account, event, holds, at, event.counterparty)
        case AccountCredited() | FundsDeposited() | FundsWithdrawn():
            return _standing(account, event, account.holds)
        case AccountOpened():
            return Account(
                account_id=event.account_id,
                user_id=event.user_id,
                currency=event.currency,
                status=AccountStatus.OPEN,
                rail=event.rail,
                overdraft_limit=event.overdraft_limit.minor,
                country=None if event.iban is None else event.iban[:2],
            )
        case AccountFrozen():
            return replace(account, status=AccountStatus.FROZEN)
        case AccountUnfrozen():
            return replace(account, status=AccountStatus.OPEN)
        case AccountClosed():
            return replace(account, status=AccountStatus.CLOSED)
        case AccountLimitsSet(limits=limits):
            return replace(account, limits=None if limits == AccountLimits() else limits)
        case FundsReserved(hold_id=hold_id, counterparty=payee):
            holds = {**account.holds, hold_id: Hold(event.amount.minor, event.expires_at)}
            # What covers an order pays nobody yet: that is no matter for screening.
            taken_at = None if event.incoming or category_of(hold_id) == ORDER else event.reserved_at
            return _standing(account, event, holds, taken_at, payee)
        case HoldReleased(hold_id=hold_id) | HoldExpired(hold_id=hold_id):
            return _standing(account, event, _less(account.holds, hold_id, event.amount.minor))
        case _:
            assert_never(event)


def _standing(
    account: Account, entry: Entry, holds: dict[str, Hold], taken_at: datetime | None = None, payee: str = ""
) -> Account:
    """The account after an entry; `taken_at` and `payee` where the fraud rules are to remember it.

    Written out: `dataclasses.replace` takes three times as long, and every entry comes through here.
    """
    recent, payees = account.recent_holds, account.payees
    if taken_at is not None:
        recent = (*recent[1 - RECENT_HOLDS :], RecentHold(taken_at, payee, entry.amount.minor))
        try:
            place = payees.index(payee)
        except ValueError:
            payees = (*payees[1 - KNOWN_PAYEES :], payee)
        else:
            payees = payees[:place] + payees[place + 1 :] + (payee,)
    return Account(
        account.account_id,
        account.user_id,
        account.currency,
        account.status,
        account.rail,
        entry.balance.minor,
        entry.held.minor,
        account.overdraft_limit,
        holds,
        recent,
        payees,
        account.country,
        account.limits,
    )


def _less(holds: dict[str, Hold], hold_id: str, amount: int) -> dict[str, Hold]:
    left = {key: hold for key, hold in holds.items() if key != hold_id}
    rest = holds[hold_id].amount - amount
    if rest:
        left[hold_id] = replace(holds[hold_id], amount=rest)
    return left
