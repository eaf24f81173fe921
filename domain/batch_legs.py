"""What a chunk of a batch does to the batch and to all the accounts it touches. One function, one append.

An item that can settle at once (both accounts here, nothing to review) is one debit and one credit: no hold, no
time in transit. One that cannot is opened as a transfer of its own in the same append; its saga takes it on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from domain import account
from domain.account_messages import Credit, Debit, ReleaseHold, Reserve
from domain.batch_items import BatchItem, item_stream, item_transfer_id
from domain.batch_messages import (
    FailBatch,
    ItemNote,
    ItemStatus,
    ItemSum,
    ReleaseItems,
    SettleItems,
    UndoItems,
)
from domain.errors import Conflict, DomainError
from domain.leg import Leg
from domain.money import Money
from domain.screening import COUNTRY, ScreeningLimits, screen
from domain.streams import account_stream, batch_stream, transfer_stream
from domain.transfer import TransferStatus, must_move
from domain.transfer_legs import open_transfer, parties
from domain.transfer_messages import (
    BlockCompensation,
    DebitSource,
    InitiateTransfer,
    MoveToSuspense,
    RecordReservation,
    RefuseCredit,
    TransferTerms,
)

_REASON = 450
"""Characters kept of why an item was refused."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some items of a batch, in order, and what they are decided with."""

    batch_id: str
    items: Sequence[BatchItem]
    at: datetime
    reserved_until: datetime
    limits: ScreeningLimits


class _Outcomes:
    """Counts what becomes of the items of a chunk."""

    def __init__(self) -> None:
        self._count: Counter[tuple[ItemStatus, str]] = Counter()
        self._minor: Counter[tuple[ItemStatus, str]] = Counter()
        self.notes: list[ItemNote] = []

    def add(self, status: ItemStatus, amount: Money) -> None:
        key = (status, amount.currency)
        self._count[key] += 1
        self._minor[key] += amount.minor

    def note(self, item: BatchItem, status: Literal["rejected", "started", "stuck"], code: str, why: str) -> None:
        self.add(status, item.amount)
        self.notes.append(ItemNote(item=item.item, status=status, code=code, reason=why[:_REASON]))

    @property
    def sums(self) -> tuple[ItemSum, ...]:
        return tuple(
            ItemSum(status=status, count=count, amount=Money(self._minor[status, currency], currency))
            for (status, currency), count in sorted(self._count.items())
        )


def hold_of(batch_id: str, first: int) -> str:
    """What the chunk from item `first` of an atomic batch has credited to an account and not yet released."""
    return f"{batch_stream(batch_id)}:{first}"


def settle_items(leg: Leg, chunk: Chunk) -> None:
    """The next chunk of a batch that settles each item by itself: every one gets an outcome of its own."""
    outcomes = _Outcomes()
    for item in chunk.items:
        try:
            hand_over = _to_hand_over(leg, chunk, item)
            if hand_over is None:
                _pay(leg, chunk, item)
                outcomes.add("completed", item.amount)
            else:
                _open_apart(leg, chunk, item)
                outcomes.note(item, "started", *hand_over)
        except DomainError as refusal:
            outcomes.note(item, "rejected", refusal.code, refusal.message)
    settle = SettleItems(at=chunk.at, last=chunk.items[-1].item, sums=outcomes.sums, notes=tuple(outcomes.notes))
    leg.on_batch(chunk.batch_id, settle)


def settle_atomically(leg: Leg, chunk: Chunk) -> None:
    """The next chunk of an atomic batch: all of its items, with what they credit held; or the batch fails."""
    outcomes, at_work = _Outcomes(), chunk.items[0]
    try:
        with leg.attempt():
            received: dict[str, Money] = {}
            for item in chunk.items:
                at_work = item
                _pay_if_all_do(leg, chunk, item, received)
                outcomes.add("completed", item.amount)
            hold_id = hold_of(chunk.batch_id, chunk.items[0].item)
            for account_id, amount in received.items():
                reserve = Reserve(
                    at=chunk.at, hold_id=hold_id, amount=amount, counterparty=chunk.batch_id, incoming=True
                )
                leg.on_account(account_id, reserve)
            leg.on_batch(chunk.batch_id, SettleItems(at=chunk.at, last=chunk.items[-1].item, sums=outcomes.sums))
    except DomainError as refusal:
        fail = FailBatch(at=chunk.at, item=at_work.item, code=refusal.code, reason=refusal.message[:_REASON])
        leg.on_batch(chunk.batch_id, fail)


def release_items(leg: Leg, chunk: Chunk) -> None:
    """Past the pivot: what a chunk has credited may be spent. Nothing can refuse that."""
    release = ReleaseHold(at=chunk.at, hold_id=hold_of(chunk.batch_id, chunk.items[0].item))
    for account_id in dict.fromkeys(item.to_account for item in chunk.items):
        leg.on_account(account_id, release)
    leg.on_batch(chunk.batch_id, ReleaseItems(at=chunk.at, last=chunk.items[-1].item))


def undo_items(leg: Leg, chunk: Chunk) -> None:
    """Undo a chunk of an atomic batch, its last item first. What the source refuses to take back is stuck."""
    outcomes, hold_id = _Outcomes(), hold_of(chunk.batch_id, chunk.items[0].item)
    for item in reversed(chunk.items):
        transaction = item_stream(chunk.batch_id, item.item)
        debit = Debit(
            at=chunk.at,
            amount=item.amount,
            counterparty=item.from_account,
            transaction=transaction,
            purpose="compensation",
            hold_id=hold_id,
        )
        leg.on_account(item.to_account, debit)
        credit = Credit(
            at=chunk.at,
            amount=item.amount,
            counterparty=item.to_account,
            transaction=transaction,
            purpose="compensation",
        )
        try:
            leg.on_account(item.from_account, credit)
        except DomainError as refusal:
            _set_aside(leg, chunk, item, refusal)
            outcomes.note(item, "stuck", refusal.code, refusal.message)
        else:
            outcomes.add("compensated", item.amount)
    undo = UndoItems(at=chunk.at, first=chunk.items[0].item, sums=outcomes.sums, notes=tuple(outcomes.notes))
    leg.on_batch(chunk.batch_id, undo)


def _to_hand_over(leg: Leg, chunk: Chunk, item: BatchItem) -> tuple[str, str] | None:
    """Why this item cannot settle at once, if so. Raises the refusal where it cannot be paid at all."""
    leg.asked |= {account_stream(item.from_account), account_stream(item.to_account)}
    must_move(item.amount, item.from_account, item.to_account)
    source, destination = parties(leg, item.from_account, item.to_account, item.amount)
    if destination.rail is not None:
        return "rail", f"account {item.to_account} is at another bank ({destination.rail})"
    country = item.metadata.get(COUNTRY)
    screening = screen(item.amount, source, item.to_account, chunk.at, chunk.limits, destination, country)
    if screening.declined:
        raise Conflict("review_rejected", f"declined by screening: score {screening.score}")
    return ("review", "; ".join(screening.reasons)) if screening.held else None


def _pay(leg: Leg, chunk: Chunk, item: BatchItem) -> None:
    """Debit and credit, both or none."""
    at, amount, transaction = chunk.at, item.amount, item_stream(chunk.batch_id, item.item)
    debit = Debit(at=at, amount=amount, counterparty=item.to_account, transaction=transaction, purpose="transfer")
    credit = Credit(
        at=at, amount=amount, counterparty=item.from_account, transaction=transaction, purpose="transfer"
    )
    credited = account.decide(credit, leg.account(item.to_account))
    leg.on_account(item.from_account, debit)
    leg.record(item.to_account, credited)


def _pay_if_all_do(leg: Leg, chunk: Chunk, item: BatchItem, received: dict[str, Money]) -> None:
    """One item of an atomic batch; `received` is what this chunk has credited so far."""
    hand_over = _to_hand_over(leg, chunk, item)
    if hand_over is not None:
        raise Conflict("not_atomic", f"it cannot settle at once: {hand_over[1]}")
    incoming = received.get(item.from_account)
    if incoming is not None:  # not its own before the batch is done
        source = leg.account(item.from_account)
        replace(source, held=source.held + incoming.minor).must_cover(item.amount)
    _pay(leg, chunk, item)
    before = received.get(item.to_account)
    received[item.to_account] = item.amount if before is None else before + item.amount


def _open_apart(leg: Leg, chunk: Chunk, item: BatchItem) -> None:
    """As a transfer of its own. Somebody else's under the same id is not taken for it."""
    terms = _terms(chunk, item)
    if leg.transfer(terms.transfer_id).status is not TransferStatus.NONE:
        leg.asked.add(transfer_stream(terms.transfer_id))
        raise Conflict("transfer_exists", f"transfer {terms.transfer_id} exists already")
    open_transfer(leg, terms, chunk.reserved_until, chunk.limits)


def _set_aside(leg: Leg, chunk: Chunk, item: BatchItem, refusal: DomainError) -> None:
    """The money that nobody takes: the item becomes a stuck transfer, and an operator resolves it as any other."""
    source, destination = leg.account(item.from_account), leg.account(item.to_account)
    terms, transfer_id = _terms(chunk, item), item_transfer_id(chunk.batch_id, item.item)
    at, reason, hold_id = chunk.at, refusal.message[:_REASON], item_stream(chunk.batch_id, item.item)
    for command in (
        InitiateTransfer(**dict(terms), from_user=source.user_id, to_user=destination.user_id),
        RecordReservation(at=at, hold_id=hold_id, expires_at=chunk.reserved_until),
        DebitSource(at=chunk.at),
        RefuseCredit(at=chunk.at, code="batch_undone", reason=f"batch {chunk.batch_id} was undone"),
        BlockCompensation(at=chunk.at, step="refund_source", code=refusal.code, reason=reason),
        MoveToSuspense(at=chunk.at),
    ):
        leg.on_transfer(transfer_id, command)


def _terms(chunk: Chunk, item: BatchItem) -> TransferTerms:
    return TransferTerms(
        at=chunk.at,
        transfer_id=item_transfer_id(chunk.batch_id, item.item),
        from_account=item.from_account,
        to_account=item.to_account,
        amount=item.amount,
        reference=item.reference,
        purpose=item.purpose,
        metadata=item.metadata,
    )
