"""Arguments and options that several commands share."""

from __future__ import annotations

from datetime import UTC, datetime
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
LimitOption = Annotated[int, typer.Option("--limit", min=1, max=200, help="How many at the most.")]
CursorOption = Annotated[str | None, typer.Option("--cursor", help="Where the page before ended.")]
KeyOption = Annotated[
    str | None,
    typer.Option("--id", help="The command's id: repeating it with the same content changes nothing."),
]


def instant(text: str) -> datetime:
    """A day (its beginning) or a time such as 2026-03-01T09:30:00Z; UTC where no zone is said."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            "a day such as 2026-03-01 or a time such as 2026-03-01T09:30:00Z is needed"
        ) from None
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


AsOfOption = Annotated[
    datetime | None, typer.Option("--as-of", parser=instant, metavar="TIME", help="As it was then (UTC).")
]
FromOption = Annotated[
    datetime | None,
    typer.Option("--from", parser=instant, metavar="TIME", help="From then on (UTC); else since the month began."),
]
ToOption = Annotated[
    datetime | None, typer.Option("--to", parser=instant, metavar="TIME", help="Before then (UTC); else now.")
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
