"""Arguments and options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from domain.errors import InvalidInput
from domain.money import Money

AccountArgument = Annotated[str, typer.Argument(metavar="ACCOUNT", help="The account's id.")]
PaymentArgument = Annotated[str, typer.Argument(metavar="PAYMENT", help="The payment's id.")]
TransferArgument = Annotated[str, typer.Argument(metavar="TRANSFER", help="The transfer's id.")]
AmountArgument = Annotated[str, typer.Argument(metavar="AMOUNT", help="A decimal number such as 12.50.")]
CurrencyArgument = Annotated[str, typer.Argument(metavar="CURRENCY", help="An ISO 4217 code such as EUR.")]
ReasonOption = Annotated[str | None, typer.Option("--reason", help="Why; recorded with the event.")]
NoteOption = Annotated[str | None, typer.Option("--note", help="A note for the record.")]
ByOption = Annotated[str, typer.Option("--by", help="Who decides; recorded with the event.")]
KeyOption = Annotated[
    str | None,
    typer.Option("--id", help="The command's id: repeating it with the same content changes nothing."),
]


def money(amount: str, currency: str) -> Money:
    """What was typed, exactly: missing decimals are filled in, too many are refused."""
    return Money.from_decimal(amount, currency.upper())


def optional_money(amount: str | None, currency: str | None) -> Money | None:
    """An optional AMOUNT, which needs its CURRENCY."""
    if amount is None:
        return None
    if currency is None:
        raise InvalidInput("currency_missing", f"say the currency too, for instance: {amount} EUR", "currency")
    return money(amount, currency)


def pairs(given: list[str] | None) -> dict[str, str]:
    """`--meta key=value` options as a dictionary."""
    found = {}
    for item in given or []:
        key, equals, value = item.partition("=")
        if not equals or not key:
            raise InvalidInput("invalid_metadata", f"{item!r} is not key=value", "metadata")
        found[key] = value
    return found
