"""What comes in: one model per POST. An unknown field is refused: nobody sets what is not theirs to set."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, WithJsonSchema, model_validator

from domain.currencies import exponent
from domain.errors import InvalidInput, InvalidMoney
from domain.model import Id, Metadata, Tag, Text
from domain.money import Money, positive
from domain.payment_messages import CaptureMode, DisputeOutcome
from domain.transfer_messages import ResolutionAction

# Checked by domain.money, which says what is wrong better than a pattern could.
Amount = Annotated[
    object,
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^\d{1,16}(\.\d{1,4})?$",
            "description": "A decimal string with exactly the currency's number of decimals, above zero.",
            "examples": ["10.00"],
        }
    ),
]
Currency = Annotated[
    object,
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^[A-Z][A-Z0-9.]{2,11}$",
            "description": "ISO 4217, or the code of a share that is listed.",
            "examples": ["EUR"],
        },
    ),
]
Tags = Annotated[list[Tag], Field(max_length=20)]
Details = Annotated[Metadata, Field(max_length=20)]


_PLAIN = re.compile(r"-?\d{1,60}(\.\d{1,8})?", re.ASCII)


def written_out(given: object) -> object:
    """A day or an instant as people write it; a bare number is neither. For use before pydantic reads it."""
    if isinstance(given, str) and re.match(r"\d{4}-\d\d-\d\d", given) is None:
        raise ValueError("a date such as 2026-03-01, or an instant such as 2026-03-01T09:30:00Z, is needed")
    return given


class Body(BaseModel):
    """Of one request."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _storable(cls, given: Any) -> Any:
        if isinstance(given, dict):
            for name, value in given.items():
                if not _storable(name) or not _storable(value):
                    raise InvalidInput("invalid_text", f"{_shown(name)}: text must not contain NUL", _shown(name))
        return given


def _storable(value: object) -> bool:
    """Postgres keeps no NUL."""
    match value:
        case str():
            return "\x00" not in value
        case dict():
            return all(_storable(name) and _storable(inside) for name, inside in value.items())
        case list():
            return all(map(_storable, value))
        case _:
            return True


def _shown(name: object) -> str:
    return str(name).replace("\x00", "")[:50]


class MoneyBody(Body):
    """`amount` and `currency` side by side."""

    amount: Amount
    currency: Currency

    @property
    def money(self) -> Money:
        return Money.parse(self.amount, self.currency)

    @model_validator(mode="after")
    def _moves(self) -> MoneyBody:
        must_be_above_zero(self.amount)
        positive(self.money)
        return self


def must_be_above_zero(amount: object) -> None:
    """Comes before how many decimals there are, or whether it is a string: who asks to move nothing or less has
    another mistake than that.
    """
    plain = not isinstance(amount, bool) and _PLAIN.fullmatch(str(amount))
    if plain and Decimal(str(amount)) <= 0:
        raise InvalidInput("amount_not_positive", "amount must be positive", "amount")


class NewAccount(Body):
    account_id: Id | None = Field(default=None, description="Made up where it is left out.")
    user_id: Id
    currency: Currency
    iban: Text | None = None
    overdraft_limit: Amount | None = Field(default=None, description="In the account's currency.")

    @property
    def overdraft(self) -> Money | None:
        return None if self.overdraft_limit is None else Money.parse(self.overdraft_limit, self.currency)

    @model_validator(mode="after")
    def _readable(self) -> NewAccount:
        exponent(cast("str", self.currency))  # whatever it is, this says so
        try:
            limit = self.overdraft
        except InvalidInput as error:
            raise InvalidInput(error.code, f"overdraft_limit: {error.message}", "overdraft_limit") from None
        if limit is not None and limit.minor < 0:
            raise InvalidInput(
                "invalid_overdraft_limit", "overdraft_limit must not be negative", "overdraft_limit"
            )
        return self


class Movement(MoneyBody):
    """Money that comes in from outside, or leaves for outside."""

    reference: Text | None = None


class StatusChange(Body):
    reason: Text | None = None


class NewQuote(Body):
    """`side` says what `amount` is: `sell` so much of from_currency, or `buy` so much of to_currency."""

    quote_id: Id | None = Field(default=None, description="Makes the quote unique. Made up where it is left out.")
    from_currency: Currency
    to_currency: Currency
    amount: Amount
    side: Literal["sell", "buy"] = "sell"
    valid_for_s: Annotated[StrictInt, Field(ge=1)] | None = None

    @property
    def money(self) -> Money:
        return Money.parse(self.amount, self.from_currency if self.side == "sell" else self.to_currency)

    @model_validator(mode="after")
    def _readable(self) -> NewQuote:
        for name in ("from_currency", "to_currency"):
            try:
                exponent(getattr(self, name))
            except InvalidMoney as error:
                raise InvalidMoney(error.code, error.message, name) from None
        positive(self.money)
        return self


QuoteId = Annotated[
    Id | None,
    Field(description="Of POST /v1/quotes, for the exchange where the two accounts are in different currencies."),
]


class NewPayment(MoneyBody):
    payment_id: Id | None = Field(
        default=None, description="Makes the payment unique. Made up where it is left out."
    )
    from_account: Id
    to_account: Id
    quote_id: QuoteId = None
    capture: CaptureMode = "automatic"
    expires_in_s: Annotated[StrictInt, Field(ge=1, le=365 * 24 * 3600)] | None = None
    reference: Text | None = None
    description: Text | None = None
    category: Tag | None = None
    tags: Tags = []
    metadata: Details = {}

    @model_validator(mode="after")
    def _between_two(self) -> NewPayment:
        must_differ(self.from_account, self.to_account)
        return self


class NewTransfer(MoneyBody):
    transfer_id: Id | None = Field(
        default=None, description="Makes the transfer unique. Made up where it is left out."
    )
    from_account: Id
    to_account: Id
    quote_id: QuoteId = None
    reference: Text | None = None
    purpose: Text | None = None
    category: Tag | None = None
    tags: Tags = []
    metadata: Details = {}

    @model_validator(mode="after")
    def _between_two(self) -> NewTransfer:
        must_differ(self.from_account, self.to_account)
        return self


def must_differ(from_account: str, to_account: str) -> None:
    if from_account == to_account:
        raise InvalidInput("same_account", "cannot transfer to the same account", "to_account")


class PartOf(Body):
    """An amount of something that has a currency already; all that is left where it is left out."""

    amount: Amount | None = None
    currency: Currency | None = Field(default=None, description="Need not be said; if it is, it must be right.")

    @model_validator(mode="after")
    def _readable(self) -> PartOf:
        if self.currency is not None:
            exponent(cast("str", self.currency))
        must_be_above_zero(self.amount)
        if self.amount is not None and not (isinstance(self.amount, str) and _PLAIN.fullmatch(self.amount)):
            raise InvalidMoney("invalid_amount", 'amount must be a decimal string such as "10.00"', "amount")
        return self

    def money(self, currency: str) -> Money | None:
        """Raises InvalidInput where it is another currency's, or not positive."""
        if self.currency is not None and self.currency != currency:
            raise InvalidInput(
                "currency_mismatch",
                f"the amount is in {str(self.currency)[:10]}, but {currency} is needed",
                "currency",
            )
        return None if self.amount is None else positive(Money.parse(self.amount, currency))


class Capture(PartOf):
    pass


class Refund(PartOf):
    reason: Text | None = None


class Cancel(Body):
    reason: Text | None = None


class Dispute(Body):
    reason: Annotated[Text, Field(min_length=1)]


class DisputeEnd(Body):
    outcome: DisputeOutcome
    note: Text | None = None


class Review(Body):
    decision: Literal["approve", "reject"]
    note: Text | None = None


class Resolve(Body):
    """An operator's way out of STUCK. `to_account` is for `return` where the source cannot take it."""

    action: ResolutionAction
    to_account: Id | None = None
    note: Text | None = None


class NewFraudCase(Body):
    """About one of: an account, a payment, a transfer."""

    case_id: Id | None = Field(default=None, description="Made up where it is left out.")
    account_id: Id | None = None
    payment_id: Id | None = None
    transfer_id: Id | None = None
    risk_score: Annotated[StrictInt, Field(ge=0, le=100)]
    reason: Annotated[Text, Field(min_length=1)]
    decide_within_s: Annotated[StrictInt, Field(ge=1, le=365 * 24 * 3600)] | None = Field(
        default=None, description="After that it is escalated; the configured time where it is left out."
    )

    @model_validator(mode="after")
    def _about_one_thing(self) -> NewFraudCase:
        if sum(about is not None for about in (self.account_id, self.payment_id, self.transfer_id)) != 1:
            raise InvalidInput(
                "subject_missing", "say one of account_id, payment_id and transfer_id", "account_id"
            )
        return self


class CaseAssignment(Body):
    analyst: Id


class CaseNote(Body):
    note: Annotated[Text, Field(min_length=1)]


class CaseDecision(Body):
    """`freeze`: with a rejection, freeze the account too."""

    decision: Literal["approve", "reject"]
    note: Text | None = None
    freeze: StrictBool = False


class NewLimits(Body):
    """Screening limits of one account; what is left out is as for everybody."""

    review_above: Annotated[str, Field(pattern=r"^\d{1,15}(\.\d{1,4})?$", examples=["500"])] | None = None
    velocity_max: Annotated[StrictInt, Field(ge=1, le=64)] | None = None
    new_payee_above: Annotated[str, Field(pattern=r"^\d{1,15}(\.\d{1,4})?$", examples=["100"])] | None = None
