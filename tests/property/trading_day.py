"""Long trading days, the same for the same seed."""

from __future__ import annotations

import random

from domain.book_messages import Side
from tests.property.market import LOT, TICK, USERS, Market

TIFS = ("GTC", "GTC", "DAY", "IOC", "FOK")
SIDES: tuple[Side, Side] = ("buy", "sell")
ACCOUNTS = tuple(f"{user}-{kind}" for user in USERS for kind in ("cash", "shares"))
LONG = 80


def trading_day(seed: int) -> Market:
    """Everything that can happen to orders; at the end of it nothing is left to settle."""
    market = walk(seed)
    close_before_settlement(market, LONG)
    return market


def walk(seed: int) -> Market:
    """One long day, in which dan does not trade."""
    pick, market = random.Random(seed), Market(LONG + 2)
    for number in range(LONG):
        price = pick.choice((None, *(n * TICK for n in range(18, 25))))
        tif = pick.choice(TIFS) if price is not None else pick.choice(("IOC", "FOK"))
        quantity = pick.randint(1, 6) * LOT
        market.place(number, pick.choice(USERS[:3]), pick.choice(SIDES), price, quantity, tif)
        earlier = pick.randrange(number + 1)
        match pick.choices(range(7), weights=(3, 2, 2, 9, 1, 1, 1))[0]:
            case 0:
                market.amend(earlier, pick.choice((None, pick.randint(18, 24) * TICK)), pick.randint(1, 6) * LOT)
            case 1:
                market.cancel(earlier)
            case 2:
                market.expire(earlier)
            case 3:
                market.settle(pick.randrange(10))
            case 4:
                market.freeze(pick.choice(ACCOUNTS[:6]), pick.random() < 0.3)
            case 5:
                market.halt(pick.random() < 0.2)
            case _ if number > LONG * 0.6 and pick.random() < 0.5:
                market.empty_and_close(pick.choice(ACCOUNTS[:6]))
        market.check()
    return market


def close_before_settlement(market: Market, number: int) -> None:
    """Dan buys, and closes the account for the shares before they are delivered."""
    market.halt(False)
    market.place(number, "dan", "buy", 24 * TICK, 4 * LOT, "GTC")
    market.place(number + 1, "dan", "buy", 18 * TICK, LOT, "GTC")
    market.empty_and_close("dan-shares")
    while market.unsettled:
        market.settle(0)
    market.check()
