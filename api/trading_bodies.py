"""What comes in about trading: one model per POST. Prices are decimal strings in the currency of the book."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StrictInt, WithJsonSchema, model_validator

from api.bodies import Amount, Body, Currency
from domain.book import OrderBook
from domain.book_messages import Side
from domain.currencies import is_share
from domain.errors import InvalidInput
from domain.model import Id, Text
from domain.money import Money, positive
from domain.order_messages import OrderType, TimeInForce

Shares = Annotated[StrictInt, Field(ge=1, le=10**12)]
Price = Annotated[
    object,
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^\d{1,16}(\.\d{1,4})?$",
            "description": "A decimal string with exactly the decimals of the currency of the book.",
            "examples": ["187.25"],
        }
    ),
]


def price_in(book: OrderBook, price: object) -> Money:
    """Raises InvalidInput that names the field."""
    try:
        return positive(Money.parse(price, book.currency))
    except InvalidInput as error:
        raise InvalidInput(error.code, f"price: {error.message}", "price") from None


class NewOrder(Body):
    """The two accounts may be left out where the user has exactly one of each."""

    order_id: Id | None = Field(default=None, description="Makes the order unique. Made up where it is left out.")
    user_id: Id | None = Field(default=None, description="Whose accounts, where they are left out.")
    cash_account: Id | None = None
    share_account: Id | None = None
    symbol: Id = Field(examples=["AAPL"])
    side: Side
    type: OrderType = "limit"
    tif: TimeInForce | None = Field(default=None, description="DAY where it is left out; IOC at the market.")
    quantity: Shares
    price: Price | None = None

    @property
    def time_in_force(self) -> TimeInForce:
        return self.tif or ("IOC" if self.type == "market" else "DAY")


class Amendment(Body):
    """What is left out stays. `quantity` is the whole order's, what is traded already included."""

    quantity: Shares | None = None
    price: Price | None = None

    @model_validator(mode="after")
    def _amends(self) -> Amendment:
        if self.quantity is None and self.price is None:
            raise InvalidInput("nothing_amended", "say another quantity or price", "quantity")
        return self


class OrderCancel(Body):
    reason: Text | None = None


class NewInstrument(Body):
    symbol: Id = Field(description="4 to 12 capitals, digits and dots, not beginning with a currency's code.")
    name: Annotated[Text, Field(min_length=1, max_length=250)]
    currency: Currency
    tick: Amount = Field(description="What every price is a multiple of.")
    lot: Shares = Field(default=1, description="What every quantity is a multiple of.")

    @property
    def money(self) -> Money:
        return Money.parse(self.tick, self.currency)

    @model_validator(mode="after")
    def _readable(self) -> NewInstrument:
        if isinstance(self.currency, str) and is_share(self.currency):
            raise InvalidInput("invalid_tick", "a share is traded in a currency", "currency")
        try:
            positive(self.money)
        except InvalidInput as error:
            field = "tick" if error.field == "amount" else error.field
            raise InvalidInput(error.code, f"{field}: {error.message}", field) from None
        return self


class Halt(Body):
    reason: Text | None = None
