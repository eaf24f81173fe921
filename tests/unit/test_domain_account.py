"""What one account may do."""

from __future__ import annotations

from datetime import timedelta

import pytest

from domain.account import KNOWN_PAYEES, RECENT_HOLDS, Account, AccountStatus, Hold, RecentHold
from domain.account_messages import (
    AccountClosed,
    AccountCredited,
    AccountDebited,
    AccountFrozen,
    AccountOpened,
    AccountUnfrozen,
    Close,
    Credit,
    Debit,
    Deposit,
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
    Unfreeze,
    Withdraw,
)
from domain.errors import Conflict, InsufficientFunds, InvalidInput, NotFound, WrongState
from domain.model import Command
from domain.money import MAX_BALANCE, MAX_MINOR, Money
from tests.unit.given import AT, LATER, Given, account, eur, usd


def opening(overdraft: str | None = None, rail: str | None = None) -> OpenAccount:
    limit = None if overdraft is None else eur(overdraft)
    return OpenAccount(at=AT, account_id="a-1", user_id="u-1", currency="EUR", overdraft_limit=limit, rail=rail)


def deposit(amount: str) -> Deposit:
    return Deposit(at=AT, amount=eur(amount), reference="payday")


def withdraw(amount: str) -> Withdraw:
    return Withdraw(at=AT, amount=eur(amount))


def reserve(amount: str, hold_id: str = "h-1", expires: bool = True) -> Reserve:
    until = LATER if expires else None
    return Reserve(at=AT, hold_id=hold_id, amount=eur(amount), counterparty="b-1", expires_at=until)


def debit(amount: str, hold_id: str | None = None) -> Debit:
    return Debit(
        at=AT, amount=eur(amount), counterparty="b-1", transaction="t", purpose="transfer", hold_id=hold_id
    )


def credit(amount: str) -> Credit:
    return Credit(at=AT, amount=eur(amount), counterparty="b-1", transaction="t", purpose="compensation")


def release(hold_id: str = "h-1") -> ReleaseHold:
    return ReleaseHold(at=AT, hold_id=hold_id)


FREEZE, UNFREEZE, CLOSE = Freeze(at=AT, reason="ops"), Unfreeze(at=AT), Close(at=AT, reason="moved")
EXPIRE = ExpireHold(at=LATER, hold_id="h-1")


# --- opening, freezing, closing ------------------------------------------------------------


def test_an_account_opens_empty_with_its_limits() -> None:
    opened = account().when(opening(overdraft="50.00"))
    after = opened.then(
        AccountOpened(account_id="a-1", user_id="u-1", currency="EUR", overdraft_limit=eur("50.00"))
    )
    assert (after.balance, after.held, after.available) == (0, 0, 5000)
    assert after.status is AccountStatus.OPEN


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"currency": "EURO"}, "unknown_currency", "currency"),
        ({"overdraft_limit": usd("1.00")}, "currency_mismatch", "overdraft_limit"),
        ({"overdraft_limit": eur("-0.01")}, "invalid_overdraft_limit", "overdraft_limit"),
        ({"overdraft_limit": Money(MAX_MINOR + 1, "EUR")}, "invalid_overdraft_limit", "overdraft_limit"),
    ],
)
def test_an_account_that_makes_no_sense_is_not_opened(change: dict[str, object], code: str, field: str) -> None:
    account().when(opening().model_copy(update=change)).fails_with(code, field=field)


def test_an_account_is_opened_once() -> None:
    for past in ([opening()], [opening(), FREEZE], [opening(), CLOSE]):
        account(*past).when(opening()).fails_with("account_exists", "account a-1 exists already")


def test_freezing_and_thawing() -> None:
    frozen = account(opening()).when(FREEZE).then(AccountFrozen(reason="ops"))
    assert frozen.status is AccountStatus.FROZEN
    account(opening(), FREEZE).when(FREEZE).fails_with("account_frozen", "is frozen already")
    account(opening()).when(UNFREEZE).fails_with("account_not_frozen", "is not frozen")
    assert account(opening(), FREEZE).when(UNFREEZE).then(AccountUnfrozen()).status is AccountStatus.OPEN


def test_a_frozen_account_takes_no_new_debit_or_hold_but_credits_voids_and_postings() -> None:
    frozen = account(opening(), deposit("100.00"), reserve("30.00"), FREEZE)
    for refused in (reserve("1.00", "h-2"), debit("1.00"), withdraw("1.00")):
        frozen.when(refused).fails_with("account_frozen", "no new debit or hold is possible")
    frozen.when(credit("5.00")).then_types("AccountCredited")
    frozen.when(deposit("5.00")).then_types("FundsDeposited")
    frozen.when(release()).then_types("HoldReleased")
    frozen.when(EXPIRE).then_types("HoldExpired")
    frozen.when(debit("30.00", "h-1")).then_types("AccountDebited")


def test_an_account_closes_when_nothing_is_on_it_and_nothing_held() -> None:
    closed = account(opening()).when(CLOSE).then(AccountClosed(reason="moved"))
    assert closed.status is AccountStatus.CLOSED
    account(opening(), FREEZE).when(CLOSE).then_types("AccountClosed")
    account(opening(), deposit("0.01")).when(CLOSE).fails_with("account_not_empty", "a balance of 0.01 EUR")
    overdrawn = account(opening(overdraft="10.00"), debit("4.00"))
    overdrawn.when(CLOSE).fails_with("account_not_empty", "a balance of -4.00 EUR")
    held = account(opening(overdraft="10.00"), reserve("4.00"))
    held.when(CLOSE).fails_with("account_not_empty", "4.00 EUR held")


def every_command() -> list[Command]:
    return [
        deposit("1.00"),
        withdraw("1.00"),
        FREEZE,
        UNFREEZE,
        CLOSE,
        reserve("1.00"),
        debit("1.00"),
        debit("1.00", "h-1"),
        credit("1.00"),
    ]


def test_an_unopened_account_does_nothing() -> None:
    for command in [*every_command(), release(), EXPIRE]:
        refusal = account().when(command).fails_with("account_not_found", "account does not exist")
        assert isinstance(refusal, NotFound)


def test_a_closed_account_does_nothing_and_has_nothing_to_void() -> None:
    closed = account(opening(), CLOSE)
    for command in every_command():
        refusal = closed.when(command).fails_with("account_closed", "account a-1 is closed")
        assert isinstance(refusal, Conflict)
    closed.when(release()).then()
    closed.when(EXPIRE).then()


def test_an_account_at_another_bank_is_credited_here_but_never_debited() -> None:
    theirs = account(opening(rail="sepa"))
    theirs.when(credit("5.00")).then_types("AccountCredited")
    richer = theirs.past(credit("5.00"))
    for command in (withdraw("1.00"), debit("1.00"), reserve("1.00")):
        richer.when(command).fails_with("account_external", "at another bank (sepa)")
    theirs.when(CLOSE).fails_with("account_external")


# --- amounts ------------------------------------------------------------


@pytest.mark.parametrize("make", [deposit, withdraw, reserve, debit, credit])
def test_amounts_are_positive_and_in_the_account_s_currency(make: type) -> None:
    open_ = account(opening(), deposit("100.00"), reserve("10.00", "h-9"))
    for amount in ("0.00", "-1.00"):
        refusal = open_.when(make(amount)).fails_with("amount_not_positive", "amount must be positive", "amount")
        assert isinstance(refusal, InvalidInput)
    foreign = make("1.00").model_copy(update={"amount": usd("1.00")})
    open_.when(foreign).fails_with("currency_mismatch", "account a-1 is in EUR, the amount in USD", "currency")
    large = make("1.00").model_copy(update={"amount": Money(MAX_MINOR + 1, "EUR")})
    open_.when(large).fails_with("amount_too_large", field="amount")


def test_a_posting_is_checked_like_any_other_amount() -> None:
    held = account(opening(), deposit("100.00"), reserve("10.00"))
    held.when(debit("0.00", "h-1")).fails_with("amount_not_positive")
    foreign = debit("1.00", "h-1").model_copy(update={"amount": usd("1.00")})
    held.when(foreign).fails_with("currency_mismatch")


def test_many_large_deposits_make_a_balance_that_has_an_end() -> None:
    most = FundsDeposited(amount=eur("1.00"), balance=Money(MAX_BALANCE - 100, "EUR"), held=eur("0.00"))
    rich = account(opening(), most)
    rich.when(deposit("1.00")).then_types("FundsDeposited")
    rich.when(deposit("1.01")).fails_with("balance_too_large")
    rich.when(credit("1.01")).fails_with("balance_too_large")


# --- entries ------------------------------------------------------------


def test_every_entry_says_what_the_account_has_after_it() -> None:
    def entry(amount: str, balance: str, held: str) -> dict[str, Money]:
        return {"amount": eur(amount), "balance": eur(balance), "held": eur(held)}

    given = account(opening())
    given.when(deposit("100.00")).then(FundsDeposited(reference="payday", **entry("100.00", "100.00", "0.00")))
    given = given.past(deposit("100.00"))
    given.when(withdraw("10.00")).then(FundsWithdrawn(**entry("10.00", "90.00", "0.00")))
    given = given.past(withdraw("10.00"))
    given.when(reserve("30.00")).then(
        FundsReserved(
            hold_id="h-1", counterparty="b-1", reserved_at=AT, expires_at=LATER, **entry("30.00", "90.00", "30.00")
        )
    )
    given = given.past(reserve("30.00"))
    posting = {"counterparty": "b-1", "transaction": "t"}
    given.when(debit("12.00", "h-1")).then(
        AccountDebited(purpose="transfer", hold_id="h-1", **posting, **entry("12.00", "78.00", "18.00"))
    )
    given = given.past(debit("12.00", "h-1"))
    given.when(debit("5.00")).then(
        AccountDebited(purpose="transfer", debited_at=AT, **posting, **entry("5.00", "73.00", "18.00"))
    )
    given.when(release()).then(HoldReleased(hold_id="h-1", **entry("18.00", "78.00", "0.00")))
    given.when(EXPIRE).then(HoldExpired(hold_id="h-1", **entry("18.00", "78.00", "0.00")))
    after = given.when(credit("1.00")).then(
        AccountCredited(purpose="compensation", **posting, **entry("1.00", "79.00", "18.00"))
    )
    assert after.holds == {"h-1": Hold(1800, LATER)}


# --- available ------------------------------------------------------------


@pytest.mark.parametrize("take", [withdraw, reserve, debit])
def test_available_is_spent_to_the_last_cent_and_no_further(take: type) -> None:
    given = account(opening(overdraft="20.00"), deposit("100.00"), reserve("30.00", "h-9"))
    assert given.past(take("90.00")).state.available == 0
    refusal = given.when(take("90.01")).fails_with(
        "insufficient_funds", "account a-1 has 90.00 EUR available, 90.01 EUR is needed"
    )
    assert isinstance(refusal, InsufficientFunds)


def test_what_is_held_is_not_available_until_it_is_voided() -> None:
    held = account(opening(), deposit("10.00"), reserve("10.00"))
    assert held.state.available == 0
    held.when(withdraw("0.01")).fails_with("insufficient_funds", "has 0.00 EUR available")
    assert held.past(release()).state.available == 1000
    assert held.past(debit("10.00", "h-1")).state.available == 0


# --- holds ------------------------------------------------------------


def test_a_hold_is_posted_in_parts_until_nothing_is_left() -> None:
    given = account(opening(), deposit("10.00"), reserve("10.00"), debit("4.00", "h-1"))
    assert (given.state.balance, given.state.held) == (600, 600)
    given.when(debit("6.01", "h-1")).fails_with("hold_not_found", "hold h-1 does not hold 6.01 EUR")
    posted = given.past(debit("6.00", "h-1"))
    assert posted.state.holds == {}
    posted.when(debit("0.01", "h-1")).fails_with("hold_not_found")


def test_a_hold_is_there_once_and_voided_once() -> None:
    held = account(opening(), deposit("10.00"), reserve("1.00"))
    held.when(reserve("1.00")).fails_with("hold_exists", "hold h-1 exists already")
    held.past(release()).when(release()).then()
    held.past(release()).when(EXPIRE).then()
    held.past(release()).when(debit("1.00", "h-1")).fails_with("hold_not_found")


def test_one_hold_leaves_the_others_alone() -> None:
    given = account(opening(), deposit("10.00"), reserve("1.00"), reserve("2.00", "h-2"), release())
    assert given.state.holds == {"h-2": Hold(200, LATER)}
    assert given.state.held == 200


def test_a_hold_expires_at_its_time_and_not_before() -> None:
    held = account(opening(), deposit("10.00"), reserve("1.00"))
    early = ExpireHold(at=LATER - timedelta(microseconds=1), hold_id="h-1")
    held.when(early).fails_with("hold_not_expired", "hold h-1 has not expired yet")
    held.when(EXPIRE).then_types("HoldExpired")
    for_ever = account(opening(), deposit("10.00"), reserve("1.00", expires=False))
    for_ever.when(EXPIRE).fails_with("hold_not_expired")


# --- what screening remembers ------------------------------------------------------------


def test_the_account_remembers_a_limited_number_of_holds_and_payees() -> None:
    given: Given[Account] = account(opening(), deposit("1000.00"))
    for number in range(KNOWN_PAYEES + 5):
        at = AT + timedelta(seconds=number)
        hold = reserve("0.01", f"h-{number}").model_copy(update={"at": at, "counterparty": f"p-{number}"})
        given = given.past(hold)
    assert len(given.state.recent_holds) == RECENT_HOLDS
    assert given.state.recent_holds[-1] == RecentHold(
        AT + timedelta(seconds=KNOWN_PAYEES + 4), f"p-{KNOWN_PAYEES + 4}", 1
    )
    assert given.state.payees == tuple(f"p-{number}" for number in range(5, KNOWN_PAYEES + 5))
    again = reserve("0.01", "again").model_copy(update={"counterparty": "p-5"})
    assert given.past(again).state.payees[-2:] == (f"p-{KNOWN_PAYEES + 4}", "p-5")


def test_refusals_are_of_the_kind_callers_map_to_a_status() -> None:
    assert isinstance(account(opening()).when(UNFREEZE).refusal, WrongState)
    assert isinstance(account(opening()).when(opening()).refusal, Conflict)
