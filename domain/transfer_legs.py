"""What each leg of a transfer does to the transfer and to an account at once. One function, one append.

Between the legs the money is on the transfer's own stream (in transit, in suspense), so it is never off the books.
"""

from __future__ import annotations

from datetime import datetime

from domain.account import Account, AccountStatus
from domain.account_messages import Credit, Debit, Purpose, ReleaseHold, Reserve
from domain.errors import Conflict, DomainError, InvalidInput, NotFound
from domain.exchange_legs import exchange, must_not_need_quote, take_quote
from domain.leg import Leg
from domain.money import Money
from domain.payment_legs import declined
from domain.review import ApproveReview
from domain.screening import COUNTRY, ScreeningLimits, screen
from domain.streams import transfer_stream
from domain.transfer import FINAL, Transfer, TransferStatus
from domain.transfer_messages import (
    CancelTransfer,
    CreditDestination,
    DebitSource,
    FinishCompensation,
    HoldTransferForReview,
    InitiateTransfer,
    RecordReservation,
    RefundSource,
    RefuseCredit,
    RejectTransfer,
    ReleaseSource,
    RequestResolution,
    SourceDebited,
    SourceRefunded,
    TransferTerms,
)

S = TransferStatus


def open_transfer(
    leg: Leg,
    terms: TransferTerms,
    reserved_until: datetime,
    limits: ScreeningLimits,
    cancelled: CancelTransfer | None = None,
) -> None:
    """Initiate, screen and reserve at the source; or cancel at once, where the cancel came first."""
    known = leg.transfer(terms.transfer_id)
    if known.status is S.CANCELLED or _opened_by_its_batch(known, terms):
        leg.asked.add(transfer_stream(terms.transfer_id))
        return  # the undo was here before us and its tombstone stands; or a batch has done all of this
    source, destination = _parties(leg, terms)
    initiate = InitiateTransfer(
        **dict(terms), from_user=source.user_id, to_user=destination.user_id, rail=destination.rail
    )
    leg.on_transfer(terms.transfer_id, initiate)
    stream = transfer_stream(terms.transfer_id)
    take_quote(leg, terms.quote, terms.amount, user_id=source.user_id, by=stream, at=terms.at)
    if cancelled is not None:
        leg.on_transfer(terms.transfer_id, cancelled)
        return
    screening = screen(
        terms.amount, source, terms.to_account, terms.at, limits, destination, terms.metadata.get(COUNTRY)
    )
    if screening.held:
        review = HoldTransferForReview(
            at=terms.at, score=screening.score, reasons=screening.reasons, rules=screening.rules
        )
        leg.on_transfer(terms.transfer_id, review)
        if screening.declined:
            leg.on_transfer(terms.transfer_id, declined(terms.at, screening.score))
        return
    _reserve(leg, terms.transfer_id, terms.at, reserved_until)


def _opened_by_its_batch(known: Transfer, terms: TransferTerms) -> bool:
    """A batch opens what it hands over under no command id of the transfer's own."""
    return known.status is not S.NONE and (known.from_account, known.to_account, known.money, known.quote) == (
        terms.from_account,
        terms.to_account,
        terms.amount,
        terms.quote,
    )


def _parties(leg: Leg, terms: TransferTerms) -> tuple[Account, Account]:
    bought = None if terms.quote is None else terms.quote.buys
    return parties(leg, terms.from_account, terms.to_account, terms.amount, bought)


def parties(
    leg: Leg, from_account: str, to_account: str, amount: Money, bought: Money | None = None
) -> tuple[Account, Account]:
    """Both accounts, where a transfer between them is possible at all. `bought`: what a quote makes of the amount.

    Raises NotFound or InvalidInput, with the field.
    """
    source, destination = leg.account(from_account), leg.account(to_account)
    for account, account_id, money, field in (
        (source, from_account, amount, "from_account"),
        (destination, to_account, amount if bought is None else bought, "to_account"),
    ):
        if account.status is AccountStatus.UNOPENED:
            raise NotFound("account_not_found", f"account {account_id} does not exist", field)
        if account is destination and bought is None:
            must_not_need_quote(account, money)
        account.must_take(money)
    if source.rail is not None:
        raise InvalidInput("account_external", f"account {from_account} is at another bank", "from_account")
    if destination.rail is not None and bought is not None:
        said = "a transfer to another bank is paid without an exchange"
        raise InvalidInput("quote_not_possible", said, "quote_id")
    return source, destination


def _reserve(leg: Leg, transfer_id: str, at: datetime, reserved_until: datetime) -> None:
    """Hold the amount at the source, or reject the transfer with the account's reason."""
    transfer, hold_id = leg.transfer(transfer_id), transfer_stream(transfer_id)
    reserve = Reserve(
        at=at,
        hold_id=hold_id,
        amount=transfer.money,
        counterparty=transfer.to_account,
        expires_at=reserved_until,
    )
    try:
        leg.on_account(transfer.from_account, reserve)
    except Conflict as refusal:
        leg.on_transfer(transfer_id, RejectTransfer(at=at, code=refusal.code, reason=refusal.message))
    else:
        record = RecordReservation(at=at, hold_id=hold_id, expires_at=reserved_until)
        leg.on_transfer(transfer_id, record)


def approve_transfer(leg: Leg, transfer_id: str, command: ApproveReview, reserved_until: datetime) -> None:
    """The reviewer lets it pass: reserve now, on what the account has now."""
    leg.on_transfer(transfer_id, command)
    _reserve(leg, transfer_id, command.at, reserved_until)


def debit_source(leg: Leg, transfer_id: str, command: DebitSource) -> None:
    """The pivot. An expired quote or reservation turns it into compensation instead."""
    if not _still(leg, transfer_id, S.RESERVED):
        return
    [event] = leg.on_transfer(transfer_id, command)
    if isinstance(event, SourceDebited):
        transfer = leg.transfer(transfer_id)
        debit = Debit(
            at=command.at,
            amount=event.amount,
            counterparty=transfer.to_account,
            transaction=transfer_stream(transfer_id),
            purpose="transfer",
            hold_id=transfer.hold_id,
        )
        leg.on_account(transfer.from_account, debit)


def credit_destination(leg: Leg, transfer_id: str, command: CreditDestination) -> None:
    """Credit, or record that the destination refuses: then the saga turns back."""
    if not _still(leg, transfer_id, S.IN_TRANSIT):
        return
    try:
        with leg.attempt():
            _exchange(leg, leg.transfer(transfer_id), command.at)
            _deliver(leg, transfer_id, command, "transfer")
    except DomainError as refusal:  # an exchange account nobody opened is one too: the money must not stay here
        if leg.transfer(transfer_id).rail is not None:
            raise  # the other bank has paid: turning back now would pay twice
        refused = RefuseCredit(at=command.at, code=refusal.code, reason=refusal.message)
        leg.on_transfer(transfer_id, refused)


def _exchange(leg: Leg, transfer: Transfer, at: datetime) -> None:
    """With a quote: the platform takes the source's currency and gives the destination's."""
    if transfer.quote is not None:
        exchange(
            leg,
            transfer.money,
            transfer.quote.buys,
            giver=transfer.from_account,
            taker=transfer.to_account,
            transaction=transfer_stream(transfer.transfer_id),
            purpose="transfer",
            at=at,
        )


def _deliver(leg: Leg, transfer_id: str, command: CreditDestination, purpose: Purpose) -> None:
    transfer = leg.transfer(transfer_id)
    credit = Credit(
        at=command.at,
        amount=transfer.credited,
        counterparty=transfer.from_account,
        transaction=transfer_stream(transfer_id),
        purpose=purpose,
    )
    leg.on_account(transfer.to_account, credit)
    leg.on_transfer(transfer_id, command)


def release_source(leg: Leg, transfer_id: str, command: ReleaseSource) -> None:
    """Undo of the reservation; of one that never happened, a tombstone; of a posted one, nothing."""
    if leg.on_transfer(transfer_id, command):
        transfer = leg.transfer(transfer_id)
        if transfer.hold_id is not None:
            leg.on_account(transfer.from_account, ReleaseHold(at=command.at, hold_id=transfer.hold_id))


def refund_source(leg: Leg, transfer_id: str, command: RefundSource, purpose: Purpose = "compensation") -> None:
    """Undo of the debit: the money goes back. Refused where the account refuses it (closed)."""
    transfer = leg.transfer(transfer_id)
    if transfer.status in FINAL:
        return
    for event in leg.on_transfer(transfer_id, command):
        assert isinstance(event, SourceRefunded)
        credit = Credit(
            at=command.at,
            amount=event.amount,
            counterparty=transfer.to_account,
            transaction=transfer_stream(transfer_id),
            purpose=purpose,
        )
        leg.on_account(command.to_account, credit)


def resolve_transfer(leg: Leg, transfer_id: str, command: RequestResolution) -> None:
    """An operator's way out of STUCK: pay back (retry, return) or deliver after all (force_complete)."""
    leg.on_transfer(transfer_id, command)
    transfer = leg.transfer(transfer_id)
    if command.action == "force_complete":
        _exchange(leg, transfer, command.at)
        _deliver(leg, transfer_id, CreditDestination(at=command.at), "resolution")
        return
    to_account = transfer.from_account
    if command.action == "return" and command.to_account is not None:
        to_account = command.to_account
    release_source(leg, transfer_id, ReleaseSource(at=command.at))
    refund_source(leg, transfer_id, RefundSource(at=command.at, to_account=to_account), "resolution")
    leg.on_transfer(transfer_id, FinishCompensation(at=command.at))


def _still(leg: Leg, transfer_id: str, status: TransferStatus) -> bool:
    """False where the saga is past this leg (a repeat, a repair): the caller goes by the status it finds."""
    transfer = leg.transfer(transfer_id)
    if transfer.status is S.NONE:
        raise NotFound("transfer_not_found", f"transfer {transfer_id} does not exist")
    return transfer.status is status
