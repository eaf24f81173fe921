"""A transfer in fine weather, to be compared with what a real server recorded."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from activities.steps import (
    ResolveWish,
    TransferOrder,
)
from commands.accounts import AccountCommands
from domain.errors import DomainError
from domain.money import Money
from tests.simulation.chance import Chance
from tests.simulation.loop import Process, new_loop
from tests.simulation.opening import FUNDS, begun, opened
from tests.simulation.world import clocks

SEED = 8
"""One of the half in which the closing of the source comes before the money that is sent back to it."""


def undisturbed(name: str) -> list[str]:
    """The ledger steps of a transfer in fine weather, for comparison with the saved history of that name."""
    opened()
    loop = new_loop()
    world = begun(loop, Chance(SEED, frozenset()))

    async def course() -> None:
        world.start_worker()
        world.calm()
        to_account = "b" if name == "transfer-completed" else "gone"
        order = TransferOrder(transfer_id="1", from_account="a", to_account=to_account, amount=Money(10, "EUR"))
        world.order("TransferWorkflow", "transfer-1", order)
        if name == "transfer-stuck":
            accounts = AccountCommands(world.books(Process("api")).ledger, "client")
            await accounts.withdraw("a", Money(FUNDS["a"] - 10, "EUR"), "rest")
            for attempt in range(50):
                await asyncio.sleep(0.001)
                with suppress(DomainError):
                    await accounts.close("a", f"attempt-{attempt}")
                    break
            await asyncio.sleep(1.0)
            wish = ResolveWish(wish_id="out", action="return", to_account="b")
            world.temporal.update("transfer-1", "request_resolution", wish)
        await asyncio.sleep(2.0)

    with clocks(loop, SEED, world):
        loop.run(course())
    [execution] = world.temporal.executions.values()
    return [
        command.schedule_local_activity.activity_type
        for activation in execution.history
        for command in activation.commands
        if command.HasField("schedule_local_activity")
    ]
