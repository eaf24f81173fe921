"""The commands a transfer takes and the events it records."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from domain.model import AwareDatetime, Command, Event, Id, Metadata, Name, Tag, Text
from domain.money import Money
from domain.quote_messages import Quote
from domain.review import ApproveReview, RejectReview, ReviewApproved, ReviewRejected

ResolutionAction = Literal["retry", "force_complete", "return"]


# --- commands ------------------------------------------------------------


class TransferTerms(Command):
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


class InitiateTransfer(TransferTerms):
    from_user: Id
    to_user: Id
    rail: Id | None = None


class RejectTransfer(Command):
    code: Id
    reason: Text


class HoldTransferForReview(Command):
    score: int
    reasons: tuple[Text, ...]
    rules: tuple[Id, ...] = ()


class RecordReservation(Command):
    hold_id: Name
    expires_at: AwareDatetime


class CancelTransfer(Command):
    """What it achieves depends on how far the money is: see `transfer.decide`."""

    reason: Text | None = None


class DebitSource(Command):
    """The pivot: before it a cancel undoes everything, after it only a refusal does."""


class CreditDestination(Command):
    rail_reference: Text | None = None


class RefuseCredit(Command):
    code: Id
    reason: Text


class RecordUnknownOutcome(Command):
    leg: Id
    key: Name
    reason: Text


class ReleaseSource(Command):
    pass


class RefundSource(Command):
    to_account: Id


class FinishCompensation(Command):
    pass


class BlockCompensation(Command):
    step: Id
    code: Id
    reason: Text


class MoveToSuspense(Command):
    pass


class RequestResolution(Command):
    action: ResolutionAction
    by: Id
    to_account: Id | None = None
    note: Text | None = None


TransferCommand = (
    InitiateTransfer
    | RejectTransfer
    | HoldTransferForReview
    | ApproveReview
    | RejectReview
    | RecordReservation
    | CancelTransfer
    | DebitSource
    | CreditDestination
    | RefuseCredit
    | RecordUnknownOutcome
    | ReleaseSource
    | RefundSource
    | FinishCompensation
    | BlockCompensation
    | MoveToSuspense
    | RequestResolution
)

# --- events --------------------------------------------------------------


class TransferInitiated(Event):
    """`rail` is set when the destination is at another bank; `quote` when it is in another currency."""

    schema_version: ClassVar[int] = 2

    transfer_id: Id
    from_account: Id
    from_user: Id
    to_account: Id
    to_user: Id
    amount: Money
    quote: Quote | None = None
    rail: Id | None = None
    reference: Text | None = None
    purpose: Text | None = None
    category: Tag | None = None
    tags: tuple[Tag, ...] = ()
    metadata: Metadata = {}


class TransferRejected(Event):
    code: Id
    reason: Text


class TransferHeldForReview(Event):
    """`rules` are the names of what fired, one for each of `reasons`; version 1 did not record them."""

    schema_version: ClassVar[int] = 2

    score: int
    reasons: tuple[Text, ...]
    rules: tuple[Id, ...]


class SourceReserved(Event):
    hold_id: Name
    amount: Money
    expires_at: AwareDatetime


class TransferCancelled(Event):
    """Also the tombstone of a transfer whose undo came before it: a late original finds it and does nothing."""

    reason: Text | None = None


class CancelRequested(Event):
    reason: Text | None = None


class CancelRefused(Event):
    """Past the pivot: the money is under way and goes on."""

    reason: Text


class QuoteExpired(Event):
    quote_id: Id
    expired_at: AwareDatetime


class ReservationExpired(Event):
    expired_at: AwareDatetime


class SourceDebited(Event):
    amount: Money


class DestinationCredited(Event):
    amount: Money
    rail_reference: Text | None = None


class CreditRefused(Event):
    code: Id
    reason: Text


class LegOutcomeUnknown(Event):
    """The rail did not answer; `key` is what the inquiry asks for. Nothing is undone on a guess."""

    leg: Id
    key: Name
    reason: Text


class SourceReleased(Event):
    amount: Money


class SourceRefunded(Event):
    to_account: Id
    amount: Money


class TransferCompensated(Event):
    pass


class CompensationBlocked(Event):
    step: Id
    code: Id
    reason: Text


class FundsMovedToSuspense(Event):
    suspense_account: Id
    amount: Money


class ResolutionRequested(Event):
    action: ResolutionAction
    by: Id
    to_account: Id | None = None
    note: Text | None = None


TransferEvent = (
    TransferInitiated
    | TransferRejected
    | TransferHeldForReview
    | ReviewApproved
    | ReviewRejected
    | SourceReserved
    | TransferCancelled
    | CancelRequested
    | CancelRefused
    | QuoteExpired
    | ReservationExpired
    | SourceDebited
    | DestinationCredited
    | CreditRefused
    | LegOutcomeUnknown
    | SourceReleased
    | SourceRefunded
    | TransferCompensated
    | CompensationBlocked
    | FundsMovedToSuspense
    | ResolutionRequested
)
