"""Commands about standing orders: one append each, then the schedule in Temporal follows.

A crash in between leaves a schedule that is not what the log wants. Asking again mends that, and so does `repair`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from temporalio.client import Client

from activities.ledger import Ledger, LedgerCommand, utc_now
from activities.schedules import Schedules
from activities.standing_order_steps import (
    AmendStandingOrderWish,
    CancelStandingOrderWish,
    PauseOrderWish,
    ResumeOrderWish,
    SkipRunWish,
    StandingOrderRequest,
    StandingOrderStep,
)
from activities.steps import Wish
from domain.leg import Leg
from domain.standing_order_legs import create_standing_order
from domain.standing_order_messages import (
    AmendStandingOrder,
    CancelStandingOrder,
    PauseStandingOrder,
    ResumeStandingOrder,
    SkipRun,
    StandingOrderCommand,
    StandingOrderTerms,
)
from domain.streams import account_stream, standing_order_stream
from settings import Settings

NAMES: Final[dict[type[Wish], str]] = {
    PauseOrderWish: "pause",
    ResumeOrderWish: "resume",
    AmendStandingOrderWish: "amend",
    SkipRunWish: "skip",
    CancelStandingOrderWish: "cancel",
}


class StandingOrderCommands:
    """A repeat of what was done gets the same outcome, and finds the schedule mended."""

    def __init__(self, client: Client, ledger: Ledger, settings: Settings) -> None:
        self._ledger = ledger
        self._schedules = Schedules.of(client, ledger, settings)

    async def create(self, request: StandingOrderRequest) -> StandingOrderStep:
        """The id is its own idempotency key. Raises the refusal of what could never run."""
        order_id, instruction = request.standing_order_id, request.instruction
        terms = StandingOrderTerms(
            at=utc_now(),
            standing_order_id=order_id,
            instruction=instruction,
            timetable=request.timetable,
            missed_runs=request.missed_runs,
        )
        accounts = dict.fromkeys(map(account_stream, (instruction.from_account, instruction.to_account)))
        return await self._run(
            order_id, "create", "create", request, lambda leg: create_standing_order(leg, terms), *accounts
        )

    async def pause(self, standing_order_id: str, wish: PauseOrderWish) -> StandingOrderStep:
        """No run until it is resumed."""
        command = PauseStandingOrder(at=utc_now(), reason=wish.reason)
        return await self._wish(standing_order_id, wish, command)

    async def resume(self, standing_order_id: str, wish: ResumeOrderWish) -> StandingOrderStep:
        """On with the next run from now on: those that came due meanwhile are passed over."""
        return await self._wish(standing_order_id, wish, ResumeStandingOrder(at=utc_now()))

    async def amend(self, standing_order_id: str, wish: AmendStandingOrderWish) -> StandingOrderStep:
        """Another amount, reference, purpose or end for the runs to come; an end before the next run ends it."""
        command = AmendStandingOrder(
            at=utc_now(), amount=wish.amount, reference=wish.reference, purpose=wish.purpose, end_at=wish.end_at
        )
        return await self._wish(standing_order_id, wish, command)

    async def skip(self, standing_order_id: str, wish: SkipRunWish) -> StandingOrderStep:
        """Leave out the next run."""
        command = SkipRun(at=utc_now(), run_at=wish.run_at, reason=wish.reason)
        return await self._wish(standing_order_id, wish, command)

    async def cancel(self, standing_order_id: str, wish: CancelStandingOrderWish) -> StandingOrderStep:
        """No run more. Transfers that were started go on: they are cancelled by themselves."""
        command = CancelStandingOrder(at=utc_now(), reason=wish.reason)
        return await self._wish(standing_order_id, wish, command)

    async def show(self, standing_order_id: str) -> StandingOrderStep:
        """The standing order now, from the log itself. Raises NotFound."""
        order = await self._schedules.order(standing_order_id)
        order.must_exist()
        return StandingOrderStep.of(order)

    async def _wish(self, order_id: str, wish: Wish, command: StandingOrderCommand) -> StandingOrderStep:
        name = NAMES[type(wish)]
        return await self._run(
            order_id, name, f"{name}:{wish.wish_id}", wish, lambda leg: leg.on_standing_order(order_id, command)
        )

    async def _run(
        self,
        order_id: str,
        name: str,
        key: str,
        content: StandingOrderRequest | Wish,
        act: Callable[[Leg], object],
        *accounts: str,
    ) -> StandingOrderStep:
        stream = standing_order_stream(order_id)
        step = await self._ledger.run(
            LedgerCommand(
                name=f"standing_order.{name}",
                key=f"{stream}:{key}",
                content=content,
                streams=[stream, *accounts],
                act=act,
                result=lambda leg: StandingOrderStep.of(leg.standing_order(order_id)),
                returns=StandingOrderStep,
                actor=content.actor,
                trace=content.trace,
                if_version=content.if_version if isinstance(content, Wish) else None,
            )
        )
        await self._schedules.follow(order_id)
        return step
