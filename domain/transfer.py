"""Transfer: the cross-account saga. The life of its status, and where the money is at each moment.

The accounts' side of each leg belongs to the same append; `transfer_legs` puts the two together.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import assert_never

from domain.errors import Conflict, InvalidInput
from domain.model import AwareDatetime
from domain.money import Money, positive
from domain.quote_messages import Quote
from domain.review import ApproveReview, RejectReview, ReviewApproved, ReviewRejected, Suspicion
from domain.status import must_be_in
from domain.transfer_messages import (
    BlockCompensation,
    CancelRefused,
    CancelRequested,
    CancelTransfer,
    CompensationBlocked,
    CreditDestination,
    CreditRefused,
    DebitSource,
    DestinationCredited,
    FinishCompensation,
    FundsMovedToSuspense,
    HoldTransferForReview,
    InitiateTransfer,
    LegOutcomeUnknown,
    MoveToSuspense,
    QuoteExpired,
    RecordReservation,
    RecordUnknownOutcome,
    RefundSource,
    RefuseCredit,
    RejectTransfer,
    ReleaseSource,
    RequestResolution,
    ReservationExpired,
    ResolutionRequested,
    SourceDebited,
    SourceRefunded,
    SourceReleased,
    SourceReserved,
    TransferCancelled,
    TransferCommand,
    TransferCompensated,
    TransferEvent,
    TransferHeldForReview,
    TransferInitiated,
    TransferRejected,
)


class TransferStatus(StrEnum):
    NONE = "none"
    INITIATED = "initiated"
    IN_REVIEW = "in_review"
    RESERVED = "reserved"
    IN_TRANSIT = "in_transit"
    COMPENSATING = "compensating"
    STUCK = "stuck"
    COMPLETED = "completed"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    COMPENSATED = "compensated"


class Location(StrEnum):
    """Where the transfer's money is. `returned`: on another account than the source, as an operator decided."""

    SOURCE = "source"
    HELD = "held"
    IN_TRANSIT = "in_transit"
    SUSPENSE = "suspense"
    DESTINATION = "destination"
    RETURNED = "returned"


S = TransferStatus
FINAL = frozenset({S.COMPLETED, S.REJECTED, S.CANCELLED, S.COMPENSATED})
UNDER_WAY = frozenset({Location.IN_TRANSIT, Location.SUSPENSE})
"""Where money is on the transfer's own stream: only from there can it be credited or paid back."""


def suspense_account(currency: str) -> str:
    """The ledger's suspense account of a currency: `suspense-EUR`."""
    return f"suspense-{currency}"


@dataclass(frozen=True, slots=True)
class Transfer:
    """`amount` in minor units of `currency`, the source's."""

    transfer_id: str = ""
    status: TransferStatus = S.NONE
    location: Location = Location.SOURCE
    from_account: str = ""
    from_user: str = ""
    to_account: str = ""
    currency: str = ""
    amount: int = 0
    rail: str | None = None
    quote: Quote | None = None
    hold_id: str | None = None
    reserved_until: AwareDatetime | None = None
    failure_code: str | None = None
    failure_reason: str | None = None
    suspicion: Suspicion | None = None

    @property
    def money(self) -> Money:
        return Money(self.amount, self.currency)

    @property
    def credited(self) -> Money:
        """What the destination gets."""
        return self.money if self.quote is None else self.quote.buys

    def must_be(self, *allowed: TransferStatus) -> None:
        must_be_in(allowed, "transfer", self.transfer_id, self.status)


def initial() -> Transfer:
    """A transfer nobody has initiated."""
    return Transfer()


def decide(command: TransferCommand, transfer: Transfer) -> list[TransferEvent]:
    """The events `command` causes, or a DomainError."""
    match command:
        case InitiateTransfer():
            return [_initiate(command, transfer)]
        case RejectTransfer(code=code, reason=reason):
            transfer.must_be(S.INITIATED)
            return [TransferRejected(code=code, reason=reason)]
        case HoldTransferForReview(score=score, reasons=reasons, rules=rules):
            transfer.must_be(S.INITIATED)
            return [TransferHeldForReview(score=score, reasons=reasons, rules=rules)]
        case ApproveReview(by=by, note=note):
            transfer.must_be(S.IN_REVIEW)
            return [ReviewApproved(by=by, note=note)]
        case RejectReview(by=by, note=note):
            transfer.must_be(S.IN_REVIEW)
            return [ReviewRejected(by=by, note=note)]
        case RecordReservation(hold_id=hold_id, expires_at=expires_at):
            transfer.must_be(S.INITIATED)
            return [SourceReserved(hold_id=hold_id, amount=transfer.money, expires_at=expires_at)]
        case CancelTransfer():
            return [_cancel(command, transfer)]
        case DebitSource():
            return [_debit(command, transfer)]
        case CreditDestination():
            return [_credit(command, transfer)]
        case RefuseCredit(code=code, reason=reason):
            transfer.must_be(S.IN_TRANSIT)
            return [CreditRefused(code=code, reason=reason)]
        case RecordUnknownOutcome(leg=leg, key=key, reason=reason):
            transfer.must_be(S.IN_TRANSIT)
            return [LegOutcomeUnknown(leg=leg, key=key, reason=reason)]
        case ReleaseSource():
            return _release(transfer)
        case RefundSource(to_account=to_account):
            transfer.must_be(S.COMPENSATING, S.STUCK)
            if transfer.location not in UNDER_WAY:
                return []
            return [SourceRefunded(to_account=to_account, amount=transfer.money)]
        case FinishCompensation():
            return [_finish(transfer)]
        case BlockCompensation(step=step, code=code, reason=reason):
            transfer.must_be(S.COMPENSATING)
            return [CompensationBlocked(step=step, code=code, reason=reason)]
        case MoveToSuspense():
            transfer.must_be(S.STUCK)
            if transfer.location is not Location.IN_TRANSIT:
                return []
            return [
                FundsMovedToSuspense(suspense_account=suspense_account(transfer.currency), amount=transfer.money)
            ]
        case RequestResolution(action=action, by=by, to_account=to_account, note=note):
            transfer.must_be(S.STUCK)
            return [ResolutionRequested(action=action, by=by, to_account=to_account, note=note)]
        case _:
            assert_never(command)


def must_move(amount: Money, from_account: str, to_account: str) -> None:
    """Raises InvalidInput where a transfer would move nothing."""
    positive(amount)
    if from_account == to_account:
        raise InvalidInput("same_account", "cannot transfer to the same account", "to_account")


def _initiate(command: InitiateTransfer, transfer: Transfer) -> TransferInitiated:
    if transfer.status is not S.NONE:
        raise Conflict("transfer_exists", f"transfer {command.transfer_id} exists already")
    must_move(command.amount, command.from_account, command.to_account)
    if command.quote is not None:
        positive(command.quote.buys)
    return TransferInitiated(**{name: value for name, value in command if name != "at"})


def _cancel(command: CancelTransfer, transfer: Transfer) -> TransferEvent:
    match transfer.status:
        case S.INITIATED | S.IN_REVIEW:
            return TransferCancelled(reason=command.reason)
        case S.RESERVED:
            return CancelRequested(reason=command.reason)
        case S.IN_TRANSIT:
            return CancelRefused(reason="the source is debited: the transfer can no longer be cancelled")
        case _:
            transfer.must_be(S.INITIATED, S.IN_REVIEW, S.RESERVED, S.IN_TRANSIT)
            raise AssertionError("unreachable")


def _debit(command: DebitSource, transfer: Transfer) -> TransferEvent:
    transfer.must_be(S.RESERVED)
    if transfer.quote is not None and command.at >= transfer.quote.expires_at:
        return QuoteExpired(quote_id=transfer.quote.quote_id, expired_at=transfer.quote.expires_at)
    if transfer.reserved_until is not None and command.at >= transfer.reserved_until:
        return ReservationExpired(expired_at=transfer.reserved_until)
    return SourceDebited(amount=transfer.money)


def _credit(command: CreditDestination, transfer: Transfer) -> DestinationCredited:
    transfer.must_be(S.IN_TRANSIT, S.STUCK)
    if transfer.location not in UNDER_WAY:
        raise Conflict("money_not_under_way", f"the money of {transfer.transfer_id} is at its source")
    return DestinationCredited(amount=transfer.credited, rail_reference=command.rail_reference)


def _finish(transfer: Transfer) -> TransferCompensated:
    transfer.must_be(S.COMPENSATING, S.STUCK)
    if transfer.location not in (Location.SOURCE, Location.RETURNED):
        raise Conflict("money_not_back", f"the money of {transfer.transfer_id} is not back")
    return TransferCompensated()


def _release(transfer: Transfer) -> list[TransferEvent]:
    """Undo of the reservation. Where it never happened, a tombstone that a late original will find."""
    match transfer.status:
        case S.NONE | S.INITIATED | S.IN_REVIEW:
            return [TransferCancelled(reason="undone before anything was reserved")]
        case S.COMPENSATING | S.STUCK if transfer.location is Location.HELD:
            return [SourceReleased(amount=transfer.money)]
        case _:
            return []


def evolve(transfer: Transfer, event: TransferEvent) -> Transfer:
    """The transfer after `event`."""
    match event:
        case TransferInitiated():
            return Transfer(
                transfer_id=event.transfer_id,
                status=S.INITIATED,
                from_account=event.from_account,
                from_user=event.from_user,
                to_account=event.to_account,
                currency=event.amount.currency,
                amount=event.amount.minor,
                rail=event.rail,
                quote=event.quote,
            )
        case TransferRejected(code=code, reason=reason):
            return replace(transfer, status=S.REJECTED, failure_code=code, failure_reason=reason)
        case TransferHeldForReview(score=score, reasons=reasons, rules=rules):
            return replace(transfer, status=S.IN_REVIEW, suspicion=Suspicion(score, reasons, rules))
        case ReviewApproved():
            return replace(transfer, status=S.INITIATED)
        case ReviewRejected():
            reason = event.note or "rejected in review"
            return replace(transfer, status=S.REJECTED, failure_code="review_rejected", failure_reason=reason)
        case SourceReserved(hold_id=hold_id, expires_at=expires_at):
            return replace(
                transfer,
                status=S.RESERVED,
                location=Location.HELD,
                hold_id=hold_id,
                reserved_until=expires_at,
            )
        case TransferCancelled():
            return replace(transfer, status=S.CANCELLED)
        case CancelRequested():
            return _failing(transfer, "cancelled", event.reason or "cancelled")
        case QuoteExpired():
            return _failing(transfer, "quote_expired", f"the quote expired at {event.expired_at}")
        case ReservationExpired():
            return _failing(transfer, "reservation_expired", f"the reservation expired at {event.expired_at}")
        case CreditRefused(code=code, reason=reason):
            return _failing(transfer, code, reason)
        case CancelRefused() | LegOutcomeUnknown() | ResolutionRequested():
            return transfer
        case SourceDebited():
            return replace(transfer, status=S.IN_TRANSIT, location=Location.IN_TRANSIT)
        case DestinationCredited():
            return replace(transfer, status=S.COMPLETED, location=Location.DESTINATION)
        case SourceReleased():
            return replace(transfer, location=Location.SOURCE)
        case SourceRefunded(to_account=to_account):
            back = to_account == transfer.from_account
            return replace(transfer, location=Location.SOURCE if back else Location.RETURNED)
        case TransferCompensated():
            return replace(transfer, status=S.COMPENSATED)
        case CompensationBlocked():
            return replace(transfer, status=S.STUCK)
        case FundsMovedToSuspense():
            return replace(transfer, location=Location.SUSPENSE)
        case _:
            assert_never(event)


def _failing(transfer: Transfer, code: str, reason: str) -> Transfer:
    return replace(transfer, status=S.COMPENSATING, failure_code=code, failure_reason=reason)
