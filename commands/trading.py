"""Commands about orders and shares: an order starts a workflow or asks a running one, a book is told at once."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict
from temporalio.client import Client

from activities.ledger import Ledger, LedgerCommand, utc_now
from activities.search import search_attributes
from activities.steps import Wish
from activities.trading import order_terms, place_key
from activities.trading_steps import AmendOrderWish, CancelOrderWish, OrderStep, TradingOrder
from commands.running import WorkflowOver, ask, resting, start_workflow, update_id, workflow_missing
from domain.book import BookStatus, OrderBook
from domain.book_messages import BookCommand, HaltTrading, ListInstrument, ResumeTrading
from domain.errors import Conflict
from domain.leg import Leg
from domain.money import Money, format_minor
from domain.order import Order
from domain.streams import account_stream, book_stream, order_stream
from domain.trading_legs import amend_order, cancel_order, place_order
from settings import Settings
from workflows.order import OrderWorkflow


class InstrumentStep(BaseModel):
    """A share's terms and whether it trades now."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    symbol: str
    name: str
    currency: str
    tick: str
    lot: int
    status: BookStatus

    @classmethod
    def of(cls, book: OrderBook) -> InstrumentStep:
        return cls(
            symbol=book.symbol,
            name=book.name,
            currency=book.currency,
            tick=format_minor(book.tick, book.currency),
            lot=book.lot,
            status=book.status,
        )


def summary_of(order: TradingOrder) -> str:
    """One line about it, for Temporal's web UI."""
    price = "at any price" if order.price is None else f"at {order.price}"
    return f"{order.side} {order.quantity} {order.symbol} {price}, {order.tif}"


class OrderCommands:
    """`ledger` is only read: every change of an order goes through its workflow."""

    def __init__(self, client: Client, ledger: Ledger, settings: Settings) -> None:
        self._client = client
        self._ledger = ledger
        self._settings = settings

    async def start(self, order: TradingOrder) -> bool:
        """Starts the order's workflow; False where it had been started before with the same content."""
        stream = order_stream(order.order_id)
        _, started = await start_workflow(
            self._client,
            self._settings,
            OrderWorkflow.run,
            order,
            workflow_id=stream,
            summary=summary_of(order),
            search_attributes=search_attributes("order", "placed", order.cash_account, order.share_account),
        )
        if not started:
            await self._ledger.repeats(place_key(order.order_id), order)
        return started

    async def check(self, order: TradingOrder) -> None:
        """Raises the refusal that this order would meet as things stand, before anything is started for it.

        An order that cannot be covered is no refusal: it is started, and its rejection recorded.
        """
        streams = [*map(account_stream, (order.cash_account, order.share_account)), book_stream(order.symbol)]
        states = await self._ledger.states(streams)
        leg = Leg({**states, order_stream(order.order_id): Order()})
        place_order(leg, order_terms(order, utc_now(), self._settings.trading_day_ends))

    async def place(self, order: TradingOrder) -> OrderStep:
        """Starts it and says where it stands once it is over or waits in the book."""
        await self.start(order)
        return await self.resting(order.order_id)

    async def resting(self, order_id: str) -> OrderStep:
        """Where a started order stands once it is over or waits in the book."""
        handle = self._client.get_workflow_handle(order_stream(order_id), result_type=OrderStep)
        step: OrderStep = await resting(handle, OrderWorkflow.resting)
        return step

    async def amend(self, order_id: str, wish: AmendOrderWish) -> OrderStep:
        """Another quantity or price of what waits."""
        return await self._ask(order_id, "amend", OrderWorkflow.request_amend, wish)

    async def cancel(self, order_id: str, wish: CancelOrderWish) -> OrderStep:
        """Take out of the book what waits there; answered with what was filled until then."""
        return await self._ask(order_id, "cancel", OrderWorkflow.request_cancel, wish)

    async def signal_cancel(self, order_id: str, wish: CancelOrderWish) -> None:
        """Cancel without waiting for an answer."""
        handle = self._client.get_workflow_handle(order_stream(order_id))
        await handle.signal(OrderWorkflow.cancel, wish)

    async def show(self, order_id: str) -> OrderStep:
        """The order now, from the log itself. Raises NotFound."""
        return OrderStep.of(await self._existing(order_id))

    async def _ask(self, order_id: str, name: str, update: object, wish: Wish) -> OrderStep:
        """`name` is the step's in its key: a wish that was granted before is answered with what there is now."""
        stream = order_stream(order_id)
        try:
            step: OrderStep = await ask(
                self._client.get_workflow_handle(stream), update, wish, update_id=update_id(wish)
            )
        except WorkflowOver:
            if await self._ledger.repeats(f"{stream}:{name}:{wish.wish_id}", wish):
                return await self.show(order_id)
            raise await self._too_late(order_id, wish) from None
        return step

    async def _too_late(self, order_id: str, wish: Wish) -> Conflict:
        """Why the wish cannot be granted, in the words of the domain over the order as it is now."""
        order = await self._existing(order_id)
        order.must_be_open()
        streams = [book_stream(order.symbol), account_stream(order.cash_account)]
        streams += [account_stream(order.share_account), order_stream(order_id)]
        leg, now = Leg(await self._ledger.states(streams)), utc_now()
        if isinstance(wish, AmendOrderWish):
            amend_order(leg, order_id, wish.quantity, wish.price, now)
        else:
            cancel_order(leg, order_id, "", now)
        return workflow_missing(order_stream(order_id))

    async def _existing(self, order_id: str) -> Order:
        found = await self._ledger.state(order_stream(order_id))
        assert isinstance(found, Order)
        found.must_exist()
        return found


class MarketCommands:
    """What an operator does: list a share, halt and resume its trading. One append each, no workflow."""

    def __init__(self, ledger: Ledger, actor: str, *, trace: str | None = None) -> None:
        self._ledger = ledger
        self._actor = actor
        self._trace = trace

    async def list_instrument(self, symbol: str, name: str, tick: Money, lot: int = 1) -> InstrumentStep:
        """The symbol is its own idempotency key."""
        command = ListInstrument(at=utc_now(), symbol=symbol, name=name, tick=tick, lot=lot)
        return await self._run(symbol, "list", command)

    async def halt(self, symbol: str, command_id: str, reason: str | None = None) -> InstrumentStep:
        """Orders can leave, nothing else."""
        return await self._run(symbol, f"halt:{command_id}", HaltTrading(at=utc_now(), reason=reason))

    async def resume(self, symbol: str, command_id: str, reason: str | None = None) -> InstrumentStep:
        return await self._run(symbol, f"resume:{command_id}", ResumeTrading(at=utc_now(), reason=reason))

    async def show(self, symbol: str) -> InstrumentStep:
        """The share now, from the log itself. Raises NotFound."""
        book = await self._ledger.state(book_stream(symbol))
        assert isinstance(book, OrderBook)
        book.must_be_listed(symbol)
        return InstrumentStep.of(book)

    async def _run(self, symbol: str, key: str, command: BookCommand) -> InstrumentStep:
        stream = book_stream(symbol)
        return await self._ledger.run(
            LedgerCommand(
                name=f"book.{key.partition(':')[0]}",
                key=f"{stream}:{key}",
                content=command,
                streams=[stream],
                act=lambda leg: leg.on_book_command(symbol, command),
                result=lambda leg: InstrumentStep.of(leg.book(symbol)),
                returns=InstrumentStep,
                actor=self._actor,
                trace=self._trace,
            )
        )
