"""The accounts that every story begins with, and little money on them."""

from __future__ import annotations

from functools import cache

from commands.accounts import AccountCommands
from domain.money import Money
from tests.simulation.chance import Chance
from tests.simulation.loop import Process, SimLoop, new_loop
from tests.simulation.postgres import Weather
from tests.simulation.world import World, clocks

EURO, DOLLAR = ("a", "b", "c"), ("u",)
FUNDS = {"a": 70, "b": 110, "c": 150, "u": 120, "fx-USD": 130}
"""In cents: so little that what is asked for runs into itself."""


@cache
def opened() -> World:
    """The accounts that every story begins with, opened by the real commands, once per process."""
    loop, chance = new_loop(), Chance(0, frozenset())
    world = World(loop, chance)
    world.postgres.weather = Weather()

    async def open_all() -> None:
        accounts = AccountCommands(world.books(Process("bank")).ledger, "bank")
        for name in (*EURO, *DOLLAR, "home", "homeUSD", "fx-USD", "x", "gone"):
            rail = "bank" if name == "x" else None
            await accounts.open(name, f"user-{name}", currency_of(name), rail=rail)
            if name in FUNDS:
                await accounts.deposit(name, Money(FUNDS[name], currency_of(name)), "start")
        await accounts.close("gone", "start")

    with clocks(loop, 0, world):
        loop.run(open_all())
    return world


def begun(loop: SimLoop, chance: Chance) -> World:
    """A world in which they are open."""
    before = opened()
    world = World(loop, chance)
    world.log.copy(before.log)
    world.auditor.copy(before.auditor)
    return world


def currency_of(name: str) -> str:
    return "USD" if name in (*DOLLAR, "fx-USD", "homeUSD") else "EUR"
