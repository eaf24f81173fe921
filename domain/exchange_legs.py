"""The platform's side of a quoted order: it takes one currency and gives another, through its own accounts."""

from __future__ import annotations

from datetime import datetime

from domain.account import Account, AccountStatus
from domain.account_messages import Credit, Debit, OpenAccount, Purpose
from domain.errors import InvalidInput
from domain.exchange import exchange_account
from domain.leg import Leg
from domain.money import Money
from domain.quote_messages import Quote, UseQuote

SYSTEM_USER = "tidemark"
"""Whose the fee and exchange accounts are."""


def open_system_account(leg: Leg, account_id: str, currency: str, at: datetime) -> None:
    """The platform's own accounts open with their first posting."""
    if leg.account(account_id).status is AccountStatus.UNOPENED:
        leg.on_account(
            account_id, OpenAccount(at=at, account_id=account_id, user_id=SYSTEM_USER, currency=currency)
        )


def take_quote(leg: Leg, quote: Quote | None, sells: Money, *, user_id: str, by: str, at: datetime) -> None:
    """Locks the rate for the order `by`: its quote is used up in the very append that begins it."""
    if quote is not None:
        leg.on_quote(quote.quote_id, UseQuote(at=at, by=by, user_id=user_id, sells=sells, quote=quote))


def must_not_need_quote(payee: Account, amount: Money) -> None:
    """Raises InvalidInput where the payee is in another currency: no exchange at a rate that nobody was told."""
    if payee.status is not AccountStatus.UNOPENED and payee.currency != amount.currency:
        raise InvalidInput(
            "quote_required",
            f"account {payee.account_id} is in {payee.currency}, the amount in {amount.currency}: "
            "name a quote for the exchange",
            "quote_id",
        )


def exchange(
    leg: Leg,
    sold: Money,
    bought: Money,
    *,
    giver: str,
    taker: str,
    transaction: str,
    purpose: Purpose,
    at: datetime,
) -> None:
    """The platform gives `bought` to `taker` and takes `sold` from `giver`: each currency nets to zero by itself.

    Refused where the platform has not enough to give. Less than a minor unit of either is nothing to post.
    """
    if bought.minor:
        give = Debit(at=at, amount=bought, counterparty=taker, transaction=transaction, purpose=purpose)
        leg.on_account(exchange_account(bought.currency), give)
    if sold.minor:
        open_system_account(leg, exchange_account(sold.currency), sold.currency, at)
        take = Credit(at=at, amount=sold, counterparty=giver, transaction=transaction, purpose=purpose)
        leg.on_account(exchange_account(sold.currency), take)
