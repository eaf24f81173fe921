"""Standing orders for tests that play with time, and for the recorded histories."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from activities.schedules import Schedules
from activities.standing_order_steps import SkipRunWish, StandingOrderRequest, StandingOrderStep
from domain.standing_order_messages import Instruction
from domain.timetable import Timetable
from tests.e2e.system import System, eur

SECOND = timedelta(seconds=1)


def soon(seconds: float = 1) -> datetime:
    """The first whole second that is no nearer than this."""
    return (datetime.now(UTC) + timedelta(seconds=seconds + 1)).replace(microsecond=0)


def each_second(run: str, first_at: datetime, runs: int, **more: Any) -> StandingOrderRequest:
    """So many runs, of 10.00 EUR each, from the account `<run>-a` to `<run>-b`."""
    end = first_at + (runs - 1) * SECOND if runs > 1 else first_at + SECOND / 2
    table = Timetable(frequency="interval", every_s=1, first_at=first_at, end_at=end, time_zone="UTC")
    return wanted(run, table, **more)


def wanted(run: str, table: Timetable, order_id: str | None = None, **more: Any) -> StandingOrderRequest:
    instruction = Instruction(from_account=f"{run}-a", to_account=f"{run}-b", amount=eur("10.00"), tags=("t",))
    return StandingOrderRequest(
        standing_order_id=order_id or run, instruction=instruction, timetable=table, **more
    )


def schedules_of(under_test: System) -> Schedules:
    return Schedules.of(under_test.client, under_test.ledger, under_test.settings)


async def until(good: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while not await good():
            await asyncio.sleep(0.05)


async def ended(under_test: System, order_id: str) -> StandingOrderStep:
    """Once no run is left, every transfer has arrived and the schedule is gone."""

    async def over() -> bool:
        return await schedules_of(under_test).described(order_id) is None

    async def settled() -> bool:
        return not (await under_test.audit()).open_transfers

    await until(over)
    await until(settled)
    return await under_test.standing_orders.show(order_id)


async def skipped_made_ended(under_test: System, run: str, _gate: Path) -> None:
    """Two runs, the first of which is skipped; with the second it ends."""
    await under_test.open_account(f"{run}-a", "100.00")
    await under_test.open_account(f"{run}-b")
    await under_test.standing_orders.create(each_second(run, soon(), 2))
    await under_test.standing_orders.skip(run, SkipRunWish(wish_id="s1"))
    step = await ended(under_test, run)
    assert (step.status, step.made, step.skipped) == ("ended", 1, 1)
