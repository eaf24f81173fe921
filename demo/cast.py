"""Who takes part in a run of the demo: accounts in four currencies, all new in each run."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from random import Random

from commands.accounts import AccountCommands
from domain.errors import Conflict
from domain.exchange import exchange_account
from domain.exchange_legs import SYSTEM_USER
from domain.money import Money

PEOPLE = ("lena", "omar", "yuki", "bo")
SHOPS = ("bakery", "books")
CATEGORIES = {"bakery": "food", "books": "books"}
CURRENCIES = {"EUR": 50, "USD": 25, "JPY": 15, "KWD": 10}
"""Currency → how often it comes up, in percent."""

LARGEST = {"EUR": "250.00", "USD": "300.00", "JPY": "9000", "KWD": "80.000"}
"""The largest everyday amount of each: below what is held for review."""

HELD = {"EUR": "12500.00", "USD": "18000.00", "JPY": "15000", "KWD": "10500.000"}
"""An amount of each that is held for review."""

RAIL = "demo-bank"
_SPARE = 20
"""On top of the everyday amounts, for those that are held for review."""


@dataclass(frozen=True, slots=True)
class Cast:
    """The accounts' ids. `run` makes them this run's own."""

    run: str
    count: int

    def person(self, name: str, currency: str) -> str:
        return f"{name}-{currency}-{self.run}"

    def any_person(self, random: Random, currency: str) -> str:
        return self.person(random.choice(PEOPLE), currency)

    def any_shop(self, random: Random, currency: str) -> str:
        return self.person(random.choice(SHOPS), currency)

    def two_people(self, random: Random, currency: str) -> tuple[str, str]:
        first, second = random.sample(PEOPLE, 2)
        return self.person(first, currency), self.person(second, currency)

    @property
    def poor(self) -> str:
        """Has 5.00 EUR and overspends."""
        return self.person("pia", "EUR")

    @property
    def frozen(self) -> str:
        return self.person("frozen", "EUR")

    @property
    def closed(self) -> str:
        """Was closed before anything reached it."""
        return self.person("closed", "EUR")

    def at_other_bank(self, behaviour: str) -> str:
        """An account that only the demo's rail reaches; `behaviour` tells the other bank what to do."""
        return f"other-bank-{self.run}-{behaviour}"

    def spender(self, name: str) -> str:
        """An account that holds exactly one transfer's amount, and closes meanwhile."""
        return self.person(name, "EUR")

    def wealth(self, currency: str) -> Money:
        """So much that nobody of the cast runs dry, whatever the dice say."""
        everyday = Money.from_decimal(LARGEST[currency], currency)
        held = Money.from_decimal(HELD[currency], currency)
        return Money(everyday.minor * self.count + held.minor * _SPARE, currency)


def currency_of(account_id: str) -> str:
    """`lena-USD-x7k2p9` → `USD`."""
    return account_id.split("-")[1]


async def open_cast(cast: Cast, accounts: AccountCommands) -> int:
    """Opens and funds all accounts. Returns how many there are."""

    async def one(account_id: str, currency: str, deposit: Money | None, rail: str | None = None) -> None:
        await accounts.open(account_id, account_id.partition("-")[0], currency, rail=rail)
        if deposit is not None:
            await accounts.deposit(account_id, deposit, f"demo-{cast.run}", "opening deposit")

    opening = [
        one(cast.person(name, currency), currency, cast.wealth(currency))
        for name in (*PEOPLE, *SHOPS)
        for currency in CURRENCIES
    ]
    opening.append(one(cast.poor, "EUR", Money.from_decimal("5.00", "EUR")))
    opening.append(one(cast.frozen, "EUR", Money.from_decimal("500.00", "EUR")))
    opening.append(one(cast.closed, "EUR", None))
    await asyncio.gather(*opening, _open_exchange(cast, accounts))
    await accounts.freeze(cast.frozen, f"demo-{cast.run}", "a card was stolen")
    await accounts.close(cast.closed, f"demo-{cast.run}", "moved to another bank")
    return len(opening)


async def _open_exchange(cast: Cast, accounts: AccountCommands) -> None:
    """The platform's positions, from which exchanged orders are paid. All runs share them."""
    for currency in ("USD", "JPY"):
        account_id = exchange_account(currency)
        try:
            await accounts.open(account_id, SYSTEM_USER, currency)
        except Conflict as refusal:
            if refusal.code != "account_exists":
                raise
        await accounts.deposit(account_id, cast.wealth(currency), f"demo-{cast.run}", "for exchange")
