"""The legs of a transfer. Each is one append over the transfer's stream and the account it touches."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from pydantic import BaseModel
from temporalio import activity

from activities.ledger import Ledger, LedgerCommand, opening_streams, utc_now
from activities.refusals import refusals
from activities.steps import CancelWish, ResolveWish, ReviewWish, TransferOrder, TransferStep, Wish
from domain.exchange import exchange_account
from domain.fraud_legs import settle_with_review
from domain.leg import Leg
from domain.model import Id, Name, Text
from domain.review import ApproveReview, RejectReview
from domain.streams import account_stream, fraud_case_stream, transfer_stream
from domain.transfer_legs import (
    approve_transfer,
    credit_destination,
    debit_source,
    open_transfer,
    refund_source,
    release_source,
    resolve_transfer,
)
from domain.transfer_messages import (
    BlockCompensation,
    CancelTransfer,
    CreditDestination,
    DebitSource,
    FinishCompensation,
    MoveToSuspense,
    RecordUnknownOutcome,
    RefundSource,
    RefuseCredit,
    ReleaseSource,
    RequestResolution,
    TransferTerms,
)
from settings import Settings


class OpenTransfer(BaseModel):
    """`cancelled` is a cancel that came before the transfer was opened."""

    order: TransferOrder
    cancelled: CancelWish | None = None


class CreditWish(Wish):
    """`rail_reference` is the rail's own receipt, where the destination is at another bank."""

    rail_reference: Text | None = None


class RefusalWish(Wish):
    code: Id
    reason: Text


class UnknownWish(Wish):
    key: Name
    reason: Text


class BlockWish(Wish):
    step: Id
    code: Id
    reason: Text


def transfer_terms(order: TransferOrder, now: datetime) -> TransferTerms:
    """The order as the domain takes it."""
    return TransferTerms(at=now, **{name: value for name, value in order if name not in ("actor", "trace")})


class TransferActivities:
    """Bound to a process's ledger and settings in worker.py. `order` tells each leg which accounts it is about."""

    def __init__(self, ledger: Ledger, settings: Settings) -> None:
        self._ledger = ledger
        self._settings = settings

    @activity.defn
    async def open_transfer(self, request: OpenTransfer) -> TransferStep:
        """Initiate, screen and reserve; ends reserved, in_review, rejected or (cancelled before) cancelled."""
        order, cancelled, now = request.order, request.cancelled, utc_now()
        terms = transfer_terms(order, now)
        until = now + self._settings.reservation_expiry
        cancel = None if cancelled is None else CancelTransfer(at=now, reason=cancelled.reason)
        stream = transfer_stream(order.transfer_id)
        with refusals():
            return await self._ledger.run(
                LedgerCommand(
                    name="transfer.reserve",
                    key=f"{stream}:source:reserve",
                    content=order,
                    streams=opening_streams(stream, order),
                    act=lambda leg: open_transfer(leg, terms, until, self._settings.screening, cancel),
                    result=lambda leg: TransferStep.of(leg.transfer(order.transfer_id), order.transfer_id),
                    returns=TransferStep,
                    actor=order.actor,
                    trace=order.trace,
                    begins=True,
                    repeat_shows_now=True,
                )
            )

    @activity.defn
    async def review_transfer(self, order: TransferOrder, wish: ReviewWish) -> TransferStep:
        """A reviewer's decision; an approval reserves at once."""
        at, by, note, transfer_id = utc_now(), wish.actor, wish.note, order.transfer_id
        until, stream = at + self._settings.reservation_expiry, transfer_stream(transfer_id)

        def act(leg: Leg) -> None:
            review = (ApproveReview if wish.approve else RejectReview)(at=at, by=by, note=note)
            if isinstance(review, ApproveReview):
                approve_transfer(leg, transfer_id, review, until)
            else:
                leg.on_transfer(transfer_id, review)
            settle_with_review(leg, stream, review)

        key, more = f"review:{wish.wish_id}", (fraud_case_stream(stream),)
        return await self._leg("review", order, key, wish, act, order.from_account, more=more)

    @activity.defn
    async def cancel_transfer(self, order: TransferOrder, wish: CancelWish) -> TransferStep:
        """Before the pivot: cancelled or on the way back. After it: refused, and that is recorded too."""
        command = CancelTransfer(at=utc_now(), reason=wish.reason)
        return await self._leg(
            "cancel",
            order,
            f"cancel:{wish.wish_id}",
            wish,
            lambda leg: leg.on_transfer(order.transfer_id, command),
        )

    @activity.defn
    async def debit_source(self, order: TransferOrder) -> TransferStep:
        """The pivot: the hold becomes a debit, the money is in transit."""
        command = DebitSource(at=utc_now())
        return await self._leg(
            "debit",
            order,
            "source:debit",
            order,
            lambda leg: debit_source(leg, order.transfer_id, command),
            order.from_account,
        )

    @activity.defn
    async def credit_destination(self, order: TransferOrder, wish: CreditWish) -> TransferStep:
        """The destination gets the money, or refuses it."""
        command = CreditDestination(at=utc_now(), rail_reference=wish.rail_reference)
        return await self._leg(
            "credit",
            order,
            "destination:credit",
            order,
            lambda leg: credit_destination(leg, order.transfer_id, command),
            *self._destination(order),
        )

    @activity.defn
    async def refuse_credit(self, order: TransferOrder, wish: RefusalWish) -> TransferStep:
        """The rail said no."""
        command = RefuseCredit(at=utc_now(), code=wish.code, reason=wish.reason)
        return await self._leg(
            "refuse",
            order,
            "destination:refuse",
            order,
            lambda leg: leg.on_transfer(order.transfer_id, command),
        )

    @activity.defn
    async def record_unknown(self, order: TransferOrder, wish: UnknownWish) -> TransferStep:
        """The rail did not answer: for whoever looks at the transfer now."""
        command = RecordUnknownOutcome(at=utc_now(), leg="destination", key=wish.key, reason=wish.reason)
        return await self._leg(
            "unknown",
            order,
            f"destination:unknown:{wish.wish_id}",
            order,
            lambda leg: leg.on_transfer(order.transfer_id, command),
        )

    @activity.defn
    async def release_source(self, order: TransferOrder) -> TransferStep:
        """Undo of the reservation."""
        command = ReleaseSource(at=utc_now())
        return await self._leg(
            "release",
            order,
            "source:release",
            order,
            lambda leg: release_source(leg, order.transfer_id, command),
            order.from_account,
        )

    @activity.defn
    async def refund_source(self, order: TransferOrder) -> TransferStep:
        """Undo of the debit. Refused by a closed account: then the compensation is blocked."""
        command = RefundSource(at=utc_now(), to_account=order.from_account)
        return await self._leg(
            "refund",
            order,
            "source:refund",
            order,
            lambda leg: refund_source(leg, order.transfer_id, command),
            order.from_account,
        )

    @activity.defn
    async def finish_compensation(self, order: TransferOrder) -> TransferStep:
        """Everything is undone."""
        command = FinishCompensation(at=utc_now())
        return await self._leg(
            "compensated",
            order,
            "saga:compensated",
            order,
            lambda leg: leg.on_transfer(order.transfer_id, command),
        )

    @activity.defn
    async def block_compensation(self, order: TransferOrder, wish: BlockWish) -> TransferStep:
        """An undo was refused: the transfer is stuck, and says so."""
        command = BlockCompensation(at=utc_now(), step=wish.step, code=wish.code, reason=wish.reason)
        return await self._leg(
            "block",
            order,
            "saga:block",
            order,
            lambda leg: leg.on_transfer(order.transfer_id, command),
        )

    @activity.defn
    async def move_to_suspense(self, order: TransferOrder) -> TransferStep:
        """The stuck money gets a name: the suspense account of its currency."""
        command = MoveToSuspense(at=utc_now())
        return await self._leg(
            "suspense",
            order,
            "saga:suspense",
            order,
            lambda leg: leg.on_transfer(order.transfer_id, command),
        )

    @activity.defn
    async def resolve_transfer(self, order: TransferOrder, wish: ResolveWish) -> TransferStep:
        """An operator's way out."""
        command = RequestResolution(
            at=utc_now(), action=wish.action, by=wish.actor, to_account=wish.to_account, note=wish.note
        )
        accounts = [order.from_account, *self._destination(order)]
        if wish.to_account is not None:
            accounts.append(wish.to_account)
        return await self._leg(
            "resolve",
            order,
            f"resolve:{wish.wish_id}",
            wish,
            lambda leg: resolve_transfer(leg, order.transfer_id, command),
            *accounts,
        )

    def _destination(self, order: TransferOrder) -> list[str]:
        """The accounts that the credit leg touches: with a quote, the platform's positions too."""
        if order.quote is None:
            return [order.to_account]
        ours, theirs = order.amount.currency, order.quote.buys.currency
        return [order.to_account, exchange_account(ours), exchange_account(theirs)]

    async def _leg(
        self,
        name: str,
        order: TransferOrder,
        key: str,
        content: TransferOrder | Wish,
        act: Callable[[Leg], object],
        *accounts: str,
        more: tuple[str, ...] = (),
    ) -> TransferStep:
        stream = transfer_stream(order.transfer_id)
        with refusals():
            return await self._ledger.run(
                LedgerCommand(
                    name=f"transfer.{name}",
                    key=f"{stream}:{key}",
                    content=content,
                    streams=[stream, *dict.fromkeys(map(account_stream, accounts)), *more],
                    act=act,
                    result=lambda leg: TransferStep.of(leg.transfer(order.transfer_id), order.transfer_id),
                    returns=TransferStep,
                    actor=content.actor,
                    trace=content.trace,
                    if_version=content.if_version if isinstance(content, Wish) else None,
                    repeat_shows_now=True,
                )
            )
