"""The commands a payment takes and the events it records."""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar, Literal

from pydantic import Field

from domain.model import AwareDatetime, Command, Event, Id, Metadata, Name, Tag, Text
from domain.money import Money
from domain.quote_messages import Quote
from domain.review import ApproveReview, RejectReview, ReviewApproved, ReviewRejected

CaptureMode = Literal["automatic", "manual"]
DisputeOutcome = Literal["won", "lost"]

# --- commands ------------------------------------------------------------


class PaymentTerms(Command):
    """What the payer agreed to; all of it is recorded with PaymentInitiated."""

    payment_id: Id
    from_account: Id
    to_account: Id
    amount: Money
    quote: Quote | None = None
    capture: CaptureMode = "automatic"
    fee_rate: Decimal = Field(default=Decimal("0.01"), ge=0, le=1)
    fee_account: Id
    expires_at: AwareDatetime
    reference: Text | None = None
    description: Text | None = None
    category: Tag | None = None
    tags: tuple[Tag, ...] = Field(default=(), max_length=20)
    metadata: Metadata = Field(default={}, max_length=20)


class InitiatePayment(PaymentTerms):
    from_user: Id
    to_user: Id


class PassFraudCheck(Command):
    score: int


class HoldPaymentForReview(Command):
    score: int
    reasons: tuple[Text, ...]
    rules: tuple[Id, ...] = ()


class AuthorizePayment(Command):
    hold_id: Name


class FailPayment(Command):
    code: Id
    reason: Text


class CancelPayment(Command):
    reason: Text | None = None


class ExpirePayment(Command):
    pass


class CapturePayment(Command):
    """None captures all that is left."""

    amount: Money | None = None


class RefundPayment(Command):
    """None refunds all that is left."""

    refund_id: Id
    amount: Money | None = None
    reason: Text | None = None


class OpenDispute(Command):
    """`held` is what could be reserved on the payee, under `hold_id`."""

    reason: Text
    held: Money
    hold_id: Name


class ResolveDispute(Command):
    outcome: DisputeOutcome
    by: Id
    note: Text | None = None


PaymentCommand = (
    InitiatePayment
    | PassFraudCheck
    | HoldPaymentForReview
    | ApproveReview
    | RejectReview
    | AuthorizePayment
    | FailPayment
    | CancelPayment
    | ExpirePayment
    | CapturePayment
    | RefundPayment
    | OpenDispute
    | ResolveDispute
)

# --- events --------------------------------------------------------------


class PaymentInitiated(Event):
    """`quote` when the payee is in another currency: `amount` is in the payer's, the fee in the payee's."""

    schema_version: ClassVar[int] = 2

    payment_id: Id
    from_account: Id
    from_user: Id
    to_account: Id
    to_user: Id
    amount: Money
    quote: Quote | None = None
    capture: CaptureMode
    fee_rate: Decimal
    fee_account: Id
    expires_at: AwareDatetime
    reference: Text | None = None
    description: Text | None = None
    category: Tag | None = None
    tags: tuple[Tag, ...] = ()
    metadata: Metadata = {}


class FraudCheckPassed(Event):
    score: int


class PaymentHeldForReview(Event):
    """`rules` are the names of what fired, one for each of `reasons`; version 1 did not record them."""

    schema_version: ClassVar[int] = 2

    score: int
    reasons: tuple[Text, ...]
    rules: tuple[Id, ...]


class PaymentAuthorized(Event):
    hold_id: Name


class PaymentFailed(Event):
    code: Id
    reason: Text


class PaymentCancelled(Event):
    """`voided` is what the hold held, zero where there was none yet."""

    voided: Money
    reason: Text | None = None


class PaymentExpired(Event):
    voided: Money


class Capture(Event):
    """`amount` was taken from the payer, `fee` of it went to the fee account, the rest to the payee.

    With a quote `settled` is what `amount` bought, in the payee's currency, and the fee is taken of that.
    """

    schema_version: ClassVar[int] = 2

    amount: Money
    fee: Money
    captured: Money
    settled: Money | None = None


class PaymentPartiallyCaptured(Capture):
    pass


class PaymentProcessed(Capture):
    """Everything authorised is captured; `captured` is the total."""


class RemainderVoided(Event):
    voided: Money
    reason: Text | None = None


class PaymentRefunded(Event):
    """`refunded` is the total so far. The fee is not given back.

    With a quote `returned` is what the payee gave for `amount`, in its own currency.
    """

    schema_version: ClassVar[int] = 2

    refund_id: Id
    amount: Money
    refunded: Money
    returned: Money | None = None
    reason: Text | None = None


class DisputeOpened(Event):
    """`amount` is what the payer wants back: captured − refunded. `held`, in the payee's currency, is what of it
    is reserved on the payee."""

    amount: Money
    held: Money
    hold_id: Name
    reason: Text


class DisputeWon(Event):
    by: Id
    note: Text | None = None


class DisputeLost(Event):
    by: Id
    note: Text | None = None


PaymentEvent = (
    PaymentInitiated
    | FraudCheckPassed
    | PaymentHeldForReview
    | ReviewApproved
    | ReviewRejected
    | PaymentAuthorized
    | PaymentFailed
    | PaymentCancelled
    | PaymentExpired
    | PaymentPartiallyCaptured
    | PaymentProcessed
    | RemainderVoided
    | PaymentRefunded
    | DisputeOpened
    | DisputeWon
    | DisputeLost
)
