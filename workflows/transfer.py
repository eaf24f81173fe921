"""TransferWorkflow: the cross-account saga. The path of the money, top to bottom.

reserve at the source ──► [review] ──► debit (the pivot) ──► credit the destination
             any refusal before the end: undo in reverse; an undo that is refused: stuck, and an operator
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Concatenate, ParamSpec

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from activities.rail import RailActivities, RailCredit, RailOutcome
from activities.steps import CancelWish, ResolveWish, ReviewWish, TransferOrder, TransferStep, Wish
from activities.transfers import (
    BlockWish,
    CreditWish,
    OpenTransfer,
    RefusalWish,
    TransferActivities,
    UnknownWish,
)
from domain.streams import transfer_stream
from domain.transfer import TransferStatus
from workflows.compensation import Compensations
from workflows.inbox import Asked
from workflows.life import TEMPORAL_CANCEL, Life
from workflows.steps import STEP_FAILED, ledger_step, rail_call, refusal_of, show
from workflows.suspicion import open_case, tell_case

S = TransferStatus
P = ParamSpec("P")
INQUIRY_FIRST, INQUIRY_LAST = timedelta(seconds=1), timedelta(minutes=5)


@workflow.defn
class TransferWorkflow:
    """Workflow id `transfer-<transfer_id>`."""

    def __init__(self) -> None:
        self._life: Life[TransferStep] = Life()
        self._cancels: list[Asked[TransferStep]] = []

    @workflow.run
    async def run(self, order: TransferOrder) -> TransferStep:
        return await self._life.lead(self._course(order), lambda: self._over(order.transfer_id), TEMPORAL_CANCEL)

    # --- what can be asked of it ---------------------------------------------

    @workflow.signal
    def cancel(self, wish: CancelWish) -> None:
        """Cancel if it still can be, without an answer."""
        self._life.inbox.put(wish)

    @workflow.signal
    def review(self, wish: ReviewWish) -> None:
        """A reviewer's decision, without an answer."""
        self._life.inbox.put(wish)

    @workflow.signal
    def resolve(self, wish: ResolveWish) -> None:
        """An operator's way out of STUCK, without an answer."""
        self._life.inbox.put(wish)

    @workflow.update
    async def request_cancel(self, wish: CancelWish) -> TransferStep:
        """Cancel, and say what that achieved: cancelled, compensated, or refused past the pivot."""
        return await self._life.inbox.ask(wish)

    @workflow.update
    async def request_review(self, wish: ReviewWish) -> TransferStep:
        """Approve or reject what is held for review."""
        return await self._life.inbox.ask(wish)

    @workflow.update
    async def request_resolution(self, wish: ResolveWish) -> TransferStep:
        """Retry, force-complete or return what is stuck."""
        return await self._life.inbox.ask(wish)

    @workflow.update
    async def resting(self) -> TransferStep:
        """Waits until the transfer is over or waits for somebody, and says where it stands then."""
        return await self._life.rest()

    @workflow.query
    def status(self) -> TransferStep | None:
        """Where the transfer stands; None before its first step."""
        return self._life.step

    # --- the path of the money -----------------------------------------------

    async def _course(self, order: TransferOrder) -> TransferStep:
        """Each `if` asks where the money is, not how we came here: after a crash the events may be further on."""
        undo = Compensations()
        undo.register("release_source", lambda: self._ledger(TransferActivities.release_source, order))
        step = await self._reserve(order)
        subject, in_case = transfer_stream(order.transfer_id), False
        if step.status is S.IN_REVIEW or step.failure_code == "review_rejected":
            in_case = await open_case(subject, order.trace)
        while step.status is S.IN_REVIEW:
            step = await self._reviewed(order, step)
        if in_case:
            await tell_case(subject, step.status)
        if step.status is S.RESERVED:
            step = await self._heed_cancels(order, step)
        undo.register("refund_source", lambda: self._ledger(TransferActivities.refund_source, order))
        if step.status is S.RESERVED:
            step = await self._ledger(TransferActivities.debit_source, order)
        if step.status is S.IN_TRANSIT:
            step = await self._heed_cancels(order, step)
            step = await self._credit(order, step)
        if step.status is S.COMPENSATING:
            step = await self._compensate(order, undo)
        if step.status is S.STUCK:
            step = await self._ledger(TransferActivities.move_to_suspense, order)
        while step.status is S.STUCK:
            step = await self._resolved(order, step)
        self._settle_cancels(step)
        self._show(order)
        return step

    async def _reserve(self, order: TransferOrder) -> TransferStep:
        return await self._life.open(
            lambda cancelled: ledger_step(
                "initiate, screen, reserve",
                TransferActivities.open_transfer,
                OpenTransfer(order=order, cancelled=cancelled),
            )
        )

    async def _reviewed(self, order: TransferOrder, step: TransferStep) -> TransferStep:
        asked = await self._next_wish(order)
        return await self._grant(asked, self._decided(order, asked.wish), step)

    async def _credit(self, order: TransferOrder, step: TransferStep) -> TransferStep:
        """Credit here, or at another bank first: then its clear yes or no decides, and nothing else does."""
        if step.rail is not None:
            outcome = await self._credit_by_rail(order, step.rail)
            if outcome.outcome == "refused":
                refusal = RefusalWish(wish_id="refused", code=outcome.code, reason=outcome.reason)
                return await self._ledger(TransferActivities.refuse_credit, order, refusal)
            return await self._book(order, CreditWish(wish_id="credit", rail_reference=outcome.reference))
        return await self._ledger(TransferActivities.credit_destination, order, CreditWish(wish_id="credit"))

    async def _book(self, order: TransferOrder, paid: CreditWish) -> TransferStep:
        """The other bank has paid: what refuses to book it here has to be mended, and is tried until it is."""
        while True:
            try:
                return await self._ledger(TransferActivities.credit_destination, order, paid)
            except STEP_FAILED as error:
                self._show(order, f"paid by the rail, not booked here: {refusal_of(error).message}")
                await self._pause(order, INQUIRY_LAST)

    async def _credit_by_rail(self, order: TransferOrder, rail: str) -> RailOutcome:
        """Send once, then inquire by the leg's key until the outcome is known. Cancels meanwhile are too late.

        Where the rail was not asked at all, the same is asked later: what was known of the key is still so.
        """
        key = f"{workflow.info().workflow_id}:destination:credit"
        credit = RailCredit(
            rail=rail, key=key, account=order.to_account, amount=order.amount, reference=order.reference
        )
        submit, inquire = RailActivities.submit_credit, RailActivities.inquire_credit
        asking, summary = submit, f"credit by rail {rail}"
        wait, recorded = INQUIRY_FIRST, False
        while True:
            outcome = await workflow.execute_activity_method(asking, credit, **rail_call(summary))
            match outcome.outcome:
                case "accepted" | "refused":
                    return outcome
                case "not_received":
                    asking, summary = submit, f"send again to rail {rail}"
                    continue
                case "unknown":
                    asking, summary = inquire, f"inquire at rail {rail}"
                    if not recorded:
                        recorded = True
                        unknown = UnknownWish(wish_id="1", key=key, reason=outcome.reason)
                        await self._ledger(TransferActivities.record_unknown, order, unknown)
                        self._show(order, f"outcome at rail {rail} unknown: {outcome.reason}")
                case "not_asked":
                    self._show(order, f"not asked for now: {outcome.reason}")
            # Many wait for the same rail: by chance, not all of them come back at the same second.
            await self._pause(order, wait * workflow.random().uniform(0.75, 1.0))
            wait = min(wait * 2, INQUIRY_LAST)

    async def _pause(self, order: TransferOrder, wait: timedelta) -> None:
        """Sleep, but answer who asks."""
        until = workflow.now() + wait
        assert self._life.step is not None
        while (asked := await self._life.next_wish(until)) is not None:
            await self._grant(asked, self._decided(order, asked.wish), self._life.step)

    async def _compensate(self, order: TransferOrder, undo: Compensations) -> TransferStep:
        self._show(order)
        blocked = await undo.run()
        if not blocked:
            return await self._ledger(TransferActivities.finish_compensation, order)
        first = blocked[0]
        wish = BlockWish(wish_id="block", step=first.step, code=first.code, reason=first.reason)
        return await self._ledger(TransferActivities.block_compensation, order, wish)

    async def _resolved(self, order: TransferOrder, step: TransferStep) -> TransferStep:
        self._settle_cancels(step)
        asked = await self._next_wish(order)
        return await self._grant(asked, self._decided(order, asked.wish), step)

    # --- wishes --------------------------------------------------------------

    async def _next_wish(self, order: TransferOrder) -> Asked[TransferStep]:
        """Nothing goes on without somebody's decision."""
        self._show(order)
        asked = await self._life.next_wish()
        assert asked is not None
        return asked

    async def _heed_cancels(self, order: TransferOrder, step: TransferStep) -> TransferStep:
        """What was asked while a leg was under way. A cancel that works is answered when its undoing is done."""
        while step.status in (S.RESERVED, S.IN_TRANSIT):
            asked = self._life.inbox.take(CancelWish)
            if asked is None:
                break
            step = await self._decided(order, asked.wish)
            if step.status is S.COMPENSATING:
                self._cancels.append(asked)
            else:
                asked.refuse(self._over(order.transfer_id))
        return step

    async def _decided(self, order: TransferOrder, wish: Wish) -> TransferStep:
        match wish:
            case CancelWish():
                return await self._ledger(TransferActivities.cancel_transfer, order, wish)
            case ReviewWish():
                return await self._ledger(TransferActivities.review_transfer, order, wish)
            case ResolveWish():
                return await self._ledger(TransferActivities.resolve_transfer, order, wish)
            case _:
                raise AssertionError(f"not a wish about a transfer: {wish!r}")

    async def _grant(
        self, asked: Asked[TransferStep], deciding: Awaitable[TransferStep], step: TransferStep
    ) -> TransferStep:
        try:
            after = await deciding
        except STEP_FAILED as error:
            asked.refuse(refusal_of(error))
            return step
        if isinstance(asked.wish, CancelWish) and after.status is S.IN_TRANSIT:
            asked.refuse(self._over(after.transfer_id))
        else:
            asked.grant(after)
        return after

    def _settle_cancels(self, step: TransferStep) -> None:
        """Whoever asked to cancel learns what came of it."""
        while (asked := self._life.inbox.take(CancelWish)) is not None:
            self._cancels.append(asked)
        for asked in self._cancels:
            if step.status in (S.CANCELLED, S.COMPENSATED, S.STUCK):
                asked.grant(step)
            else:
                asked.refuse(self._over(step.transfer_id))
        self._cancels.clear()

    async def _ledger(
        self,
        leg: Callable[Concatenate[TransferActivities, P], Awaitable[TransferStep]],
        *args: P.args,
        **none: P.kwargs,
    ) -> TransferStep:
        """One leg's append, by the name of its activity."""
        return self._life.at(await ledger_step(leg.__name__.replace("_", " "), leg, *args, **none))

    def _show(self, order: TransferOrder, note: str | None = None) -> None:
        assert self._life.step is not None
        step, why = self._life.step, note or self._life.step.failure_reason
        show(
            step.status,
            step.user,
            f"**{step.status}**{f' ({why})' if why else ''}: {order.amount} is at **{step.location}**, "
            f"{order.from_account} → {order.to_account}",
        )

    def _over(self, transfer_id: str) -> ApplicationError:
        return self._life.too_late("transfer", f"transfer is not in a status that allows this: {transfer_id}")
