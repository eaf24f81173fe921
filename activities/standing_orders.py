"""A run of a standing order: one append, and afterwards its schedule, if no run is left."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from temporalio import activity
from temporalio.client import Client

from activities.ledger import Ledger, LedgerCommand, utc_now
from activities.refusals import refusals
from activities.schedules import Schedules
from activities.standing_order_steps import ACTOR, RunStep, WakeUp, run_order
from domain.leg import Leg
from domain.standing_order import OPEN, StandingOrder, transfer_id_of
from domain.standing_order_legs import run_standing_order
from domain.streams import account_stream, standing_order_stream, transfer_stream
from settings import Settings

CLOCKS_DIFFER: Final = timedelta(minutes=1)
"""So much may the clock of Temporal's server be ahead of ours: what it calls due is due. What is further ahead (a
backfill of days to come) has to wait for its time."""


class StandingOrderActivities:
    """Bound to a process's ledger, settings and Temporal client in worker.py."""

    def __init__(self, client: Client, ledger: Ledger, settings: Settings) -> None:
        self._ledger = ledger
        self._settings = settings
        self._schedules = Schedules.of(client, ledger, settings)

    @activity.defn
    async def make_run(self, wake: WakeUp) -> RunStep:
        """The run that is due by the log, if one is: made, missed, or refused. None is made twice.

        Its command is named after the waking: tried again, it finds what it did, and makes no further run.
        """
        now, order_id = utc_now(), wake.standing_order_id
        due_by = max(now, wake.at) if wake.at <= now + CLOCKS_DIFFER else now
        order = await self._schedules.order(order_id)
        run_at, stream = order.runs_next(due_by), standing_order_stream(order_id)
        saga = None if run_at is None else transfer_stream(transfer_id_of(order_id, run_at))

        def result(leg: Leg) -> RunStep:
            after = leg.standing_order(order_id)
            return RunStep(
                transfer=run_order(after, run_at) if run_at is not None and saga in leg.events else None,
                due=after.runs_next(due_by) is not None,
                over=after.status not in OPEN,
            )

        with refusals():
            return await self._ledger.run(
                LedgerCommand(
                    name="standing_order.run",
                    key=f"{stream}:wake:{wake.at:%Y%m%dT%H%M%S.%fZ}:{wake.number}",
                    content=wake,
                    streams=[stream] if saga is None else [stream, saga, *_accounts(order)],
                    act=lambda leg: None if run_at is None else self._run(leg, order_id, run_at, now),
                    result=result,
                    returns=RunStep,
                    actor=ACTOR,
                )
            )

    @activity.defn
    async def follow_order(self, standing_order_id: str) -> None:
        """Its schedule is what the log wants it to be: none, where no run is left."""
        await self._schedules.follow(standing_order_id)

    def _run(self, leg: Leg, order_id: str, run_at: datetime, now: datetime) -> None:
        settings = self._settings
        grace, until = timedelta(seconds=settings.standing_order_grace_s), now + settings.reservation_expiry
        run_standing_order(leg, order_id, run_at, now, grace, until, settings.screening)


def _accounts(order: StandingOrder) -> list[str]:
    assert order.instruction is not None
    return [account_stream(order.instruction.from_account), account_stream(order.instruction.to_account)]
