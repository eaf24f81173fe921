"""The accounts a run plays with: few and hot, so that everybody wants the same money at once."""

from __future__ import annotations

from dataclasses import dataclass

from commands.accounts import AccountCommands
from commands.trading import MarketCommands
from domain.money import Money
from tests.chaos.cluster import RAIL
from wiring import Books

HOT = {"EUR": 5, "USD": 2}
OPENING = 200_00
OVERDRAFT = 50_00
DESK = 40_00
SHARE = "ACME"
TRADERS = 3
SHARES = 100


@dataclass(frozen=True)
class Trader:
    """A user's two accounts."""

    cash: str
    shares: str


@dataclass(frozen=True)
class World:
    """Account ids by what they are for."""

    hot: dict[str, tuple[str, ...]]
    traders: tuple[Trader, ...]
    closed: str = "closed"
    far: str = "far-away"
    far_refuses: str = "far-refuses"
    probe: str = "probe"


async def create(books: Books) -> World:
    """Opened directly, before anything goes wrong; an account at another bank has no other way in."""
    accounts = AccountCommands(books.ledger, "chaos")
    hot: dict[str, tuple[str, ...]] = {}
    for currency, count in HOT.items():
        names = tuple(f"hot-{currency.lower()}-{number}" for number in range(count))
        for number, name in enumerate(names):
            # One in each currency may be overdrawn.
            limit = Money(OVERDRAFT, currency) if number == 0 else None
            await accounts.open(name, f"user-{name}", currency, overdraft_limit=limit)
            await accounts.deposit(name, Money(OPENING, currency), "opening", "opening")
        hot[currency] = names
    for currency in HOT:
        # What the platform has to sell: little, so that it runs out of it and orders turn back.
        await accounts.open(f"fx-{currency}", "tidemark", currency)
        await accounts.deposit(f"fx-{currency}", Money(DESK, currency), "opening", "opening")
    await MarketCommands(books.ledger, "chaos").list_instrument(SHARE, "Acme", Money(50, "EUR"))
    traders = tuple(Trader(f"trader-{number}-cash", f"trader-{number}-shares") for number in range(TRADERS))
    for number, trader in enumerate(traders):
        for name, opening in ((trader.cash, Money(OPENING, "EUR")), (trader.shares, Money(SHARES, SHARE))):
            await accounts.open(name, f"trader-{number}", opening.currency)
            await accounts.deposit(name, opening, "opening", "opening")
    world = World(hot, traders)
    await accounts.open(world.closed, "user-closed", "EUR")
    await accounts.close(world.closed, "closing")
    for name in (world.far, world.far_refuses):
        await accounts.open(name, f"user-{name}", "EUR", rail=RAIL)
    await accounts.open(world.probe, "user-probe", "EUR")
    return world
