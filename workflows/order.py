"""OrderWorkflow: one order from its placing until it is filled, cancelled or expired.

place (cover, match, wait) ──► settle what it took ──► wait: for news, a cancel, an amendment, the end of the day
                                  │ a leg refused: bust the trade

Of two orders that meet, the one that came later settles, and tells the other one's workflow where that matters.
"""

from __future__ import annotations

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from activities.steps import Wish
from activities.trading import TradingActivities
from activities.trading_steps import (
    AmendOrderWish,
    BustWish,
    CancelOrderWish,
    ExpireOrderWish,
    NewsWish,
    OrderStep,
    SettlementStep,
    TradingOrder,
)
from domain.streams import order_stream
from domain.trade_messages import TradeTerms
from workflows.compensation import Compensations
from workflows.inbox import Asked
from workflows.life import Life
from workflows.steps import STEP_FAILED, ledger_step, refusal_of, show


@workflow.defn
class OrderWorkflow:
    """Workflow id `order-<order_id>`."""

    def __init__(self) -> None:
        self._life: Life[OrderStep] = Life()
        self._expired = False
        self._left = False

    @workflow.run
    async def run(self, order: TradingOrder) -> OrderStep:
        cancel = CancelOrderWish(wish_id="temporal-cancellation", reason="workflow cancelled")
        return await self._life.lead(
            self._course(order), lambda: self._life.too_late("order", f"order {order.order_id}"), cancel
        )

    # --- what can be asked of it ---------------------------------------------

    @workflow.signal
    def cancel(self, wish: CancelOrderWish) -> None:
        """Cancel as soon as possible, without an answer."""
        self._life.inbox.put(wish)

    @workflow.signal
    def news(self, wish: NewsWish) -> None:
        """A trade of this order was settled or busted by the other order's workflow."""
        self._life.inbox.put(wish)

    @workflow.update
    async def request_cancel(self, wish: CancelOrderWish) -> OrderStep:
        """Cancel, and say what that achieved; refused where nothing waits any more."""
        return await self._life.inbox.ask(wish)

    @workflow.update
    async def request_amend(self, wish: AmendOrderWish) -> OrderStep:
        """Another quantity or price."""
        return await self._life.inbox.ask(wish)

    @workflow.update
    async def resting(self) -> OrderStep:
        """Waits until the order is over or waits in the book, and says where it stands then."""
        return await self._life.rest()

    @workflow.query
    def status(self) -> OrderStep | None:
        """Where the order stands; None before its first step."""
        return self._life.step

    # --- its life ------------------------------------------------------------

    async def _course(self, order: TradingOrder) -> OrderStep:
        step = self._life.at(await ledger_step("cover and match", TradingActivities.place_order, order))
        while not step.over:
            step = self._life.at(await self._next(step))
        self._show(step)
        return step

    async def _next(self, step: OrderStep) -> OrderStep:
        """Settle first; leave the book where this side cannot settle; else wait."""
        if step.unsettled:
            return await self._settle(step.unsettled[0], step)
        if step.must_leave and not self._left:
            self._left = True
            wish = CancelOrderWish(wish_id="leg-refused", reason=step.failure_reason or "a leg was refused")
            return await self._life.answer(Asked(wish), self._do(wish, step))
        asked = self._life.inbox.take()
        if asked is None:
            self._show(step)
            asked = await self._life.next_wish(until=None if self._expired else step.expires_at)
        if asked is not None:
            return await self._life.answer(asked, self._do(asked.wish, step))
        assert step.expires_at is not None
        self._expired = True
        return await self._do(ExpireOrderWish(wish_id="end-of-day", expired_at=step.expires_at), step)

    async def _settle(self, trade: TradeTerms, step: OrderStep) -> OrderStep:
        """Both legs or none: a refused settlement is undone, which gives both covers back."""
        refused = BustWish(code="settlement_refused", reason="a leg was refused")
        undo = Compensations()
        settled: SettlementStep | None = None

        async def bust() -> None:
            nonlocal settled
            settled = await ledger_step("bust", TradingActivities.bust_trade, step.order_id, trade, refused)

        undo.register("bust_trade", bust)
        try:
            settled = await ledger_step("settle", TradingActivities.settle_trade, step.order_id, trade)
        except STEP_FAILED as error:
            refusal = refusal_of(error)
            refused = BustWish(code=refusal.type or "refused", reason=refusal.message)
            for blocked in await undo.run():
                raise blocked.refusal from None  # holds are always there to give back: a defect, for people to see
        assert settled is not None
        if settled.other.over or settled.other.must_leave:
            await self._tell(settled.other.order_id, trade.trade_id)
        return settled.mine

    async def _tell(self, order_id: str, trade_id: str) -> None:
        """The other order's workflow. Where none runs, whoever repairs it finds what happened in the log."""
        other = workflow.get_external_workflow_handle(order_stream(order_id))
        try:
            await other.signal(OrderWorkflow.news, NewsWish(wish_id=f"news-{trade_id}"))
        except ApplicationError:
            workflow.logger.info("nobody to tell of %s at %s", trade_id, order_id)

    async def _do(self, wish: Wish, step: OrderStep) -> OrderStep:
        match wish:
            case CancelOrderWish():
                return await ledger_step("cancel", TradingActivities.cancel_order, step, wish)
            case AmendOrderWish():
                return await ledger_step("amend", TradingActivities.amend_order, step, wish)
            case ExpireOrderWish():
                return await ledger_step("expire", TradingActivities.expire_order, step, wish)
            case _:
                return await ledger_step("look", TradingActivities.look_at_order, step.order_id)

    def _show(self, step: OrderStep) -> None:
        show(step.status, step.user_id, f"**{step.status}** {step.filled} of {step.quantity} {step.symbol}")
