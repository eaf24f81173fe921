"""What workflows ask of activities, and what they get back. Plain data; no I/O."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from domain.account import Account, AccountStatus
from domain.batch import Batch, BatchStatus
from domain.model import AwareDatetime, Id, Metadata, Name, Tag, Text
from domain.money import Money, format_minor
from domain.payment import Payment, PaymentStatus
from domain.payment_messages import CaptureMode, DisputeOutcome
from domain.quote_messages import Quote
from domain.transfer import Location, Transfer, TransferStatus
from domain.transfer_messages import ResolutionAction


class Data(BaseModel):
    """`trace` is the traceparent of the request, if any: told to the events, no part of the content."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class PaymentOrder(Data):
    """What a payer asks for. `payment_id` is the business id: it makes the payment unique.

    `quote` is as the log has it (commands/quotes.py), never as a client says.
    """

    payment_id: Id
    from_account: Id
    to_account: Id
    amount: Money
    quote: Quote | None = None
    capture: CaptureMode = "automatic"
    expires_in_s: int | None = Field(default=None, ge=1, le=365 * 24 * 3600)
    reference: Text | None = None
    description: Text | None = None
    category: Tag | None = None
    tags: tuple[Tag, ...] = Field(default=(), max_length=20)
    metadata: Metadata = Field(default={}, max_length=20)
    actor: Id = "system"
    trace: Text | None = None


class TransferOrder(Data):
    """What a transfer should do. `transfer_id` is the business id."""

    transfer_id: Id
    from_account: Id
    to_account: Id
    amount: Money
    quote: Quote | None = None
    reference: Text | None = None
    purpose: Text | None = None
    category: Tag | None = None
    tags: tuple[Tag, ...] = Field(default=(), max_length=20)
    metadata: Metadata = Field(default={}, max_length=20)
    actor: Id = "system"
    trace: Text | None = None


class Wish(Data):
    """Somebody's wish about a payment or transfer. `wish_id` makes a repeat of it harmless.

    `if_version`: to be granted at this version of it only; no part of the content either.
    """

    wish_id: Name
    actor: Id = "system"
    trace: Text | None = None
    if_version: int | None = Field(default=None, ge=0)


class CancelWish(Wish):
    reason: Text | None = None


class ReviewWish(Wish):
    approve: bool
    note: Text | None = None


class CaptureWish(Wish):
    amount: Money | None = None


class ResolveWish(Wish):
    """An operator's way out of STUCK. `to_account` is for `return` when the source cannot take it."""

    action: ResolutionAction
    to_account: Id | None = None
    note: Text | None = None


class ExpireWish(Wish):
    """The deadline that a workflow's timer has waited for."""

    expired_at: AwareDatetime


class RefundWish(Wish):
    """`wish_id` is the refund's id."""

    amount: Money | None = None
    reason: Text | None = None


class DisputeWish(Wish):
    """`wish_id` is the dispute's id."""

    reason: Text


class DisputeDecision(Wish):
    outcome: DisputeOutcome
    note: Text | None = None


class PaymentRef(Data):
    """A payment and, where the caller knows them, the accounts it touches."""

    payment_id: Id
    accounts: tuple[Id, ...] | None = None


class PaymentStep(Data):
    """Where a payment stands after a step. `settled` (and of it the fee) is the payee's side, in its currency."""

    payment_id: str
    status: PaymentStatus
    amount: Money
    captured: Money
    refunded: Money
    fee: Money
    settled: Money | None = None
    accounts: tuple[Id, ...] = ()
    user: str = ""
    expires_at: AwareDatetime | None = None
    failure_code: str | None = None
    failure_reason: str | None = None

    @property
    def ref(self) -> PaymentRef:
        return PaymentRef(payment_id=self.payment_id, accounts=self.accounts)

    @classmethod
    def of(cls, payment: Payment) -> PaymentStep:
        money = payment.money
        return cls(
            payment_id=payment.payment_id,
            status=payment.status,
            amount=money(payment.amount),
            captured=money(payment.captured),
            refunded=money(payment.refunded),
            fee=Money(payment.fee, payment.payee_currency),
            settled=payment.settled(payment.captured),
            accounts=payment.accounts,
            user=payment.from_user,
            expires_at=payment.expires_at,
            failure_code=payment.failure_code,
            failure_reason=payment.failure_reason,
        )


class TransferStep(Data):
    """Where a transfer and its money stand after a step."""

    transfer_id: str
    status: TransferStatus
    location: Location
    amount: Money | None = None
    rail: str | None = None
    user: str = ""
    failure_code: str | None = None
    failure_reason: str | None = None

    @classmethod
    def of(cls, transfer: Transfer, transfer_id: str) -> TransferStep:
        return cls(
            transfer_id=transfer_id,
            status=transfer.status,
            location=transfer.location,
            amount=transfer.money if transfer.currency else None,
            rail=transfer.rail,
            user=transfer.from_user,
            failure_code=transfer.failure_code,
            failure_reason=transfer.failure_reason,
        )


class AccountStep(Data):
    """An account after a command; amounts as decimal strings."""

    account_id: str
    user_id: str
    currency: str
    status: AccountStatus
    balance: str
    held: str
    available: str

    @classmethod
    def of(cls, account: Account) -> AccountStep:
        def wire(minor: int) -> str:
            return format_minor(minor, account.currency)

        return cls(
            account_id=account.account_id,
            user_id=account.user_id,
            currency=account.currency,
            status=account.status,
            balance=wire(account.balance),
            held=wire(account.held),
            available=wire(account.available),
        )


class BatchOrder(Data):
    """Which batch a workflow drives. What it consists of is in the log and in table batch_items, not here."""

    batch_id: Id
    actor: Id = "system"
    trace: Text | None = None


class PauseWish(Wish):
    reason: Text | None = None


class ResumeWish(Wish):
    pass


class BatchStep(Data):
    """Where a batch stands. Items 1 to `settled` have an outcome; `released` and `undone`: of an atomic one."""

    batch_id: str
    status: BatchStatus
    atomic: bool
    items: int
    settled: int
    released: int
    undone: int
    completed: int
    rejected: int
    started: int
    stuck: int
    user: str = ""
    failure_code: str | None = None
    failure_reason: str | None = None

    @classmethod
    def of(cls, batch: Batch, batch_id: str) -> BatchStep:
        return cls(
            batch_id=batch_id,
            status=batch.status,
            atomic=batch.atomic,
            items=batch.items,
            settled=batch.settled,
            released=batch.released,
            undone=batch.undone,
            completed=batch.completed,
            rejected=batch.rejected,
            started=batch.started,
            stuck=batch.stuck,
            user=batch.user_id or "",
            failure_code=batch.failure_code,
            failure_reason=batch.failure_reason,
        )
