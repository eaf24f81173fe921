"""Any orders in any order: the trades are the naive matcher's; no cent, no share is lost or held for nothing."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from domain.book_messages import Side
from domain.catalogue import EVENTS
from domain.order import OrderStatus
from domain.streams import BOOK, ORDER, TRADE, category_of
from tests.property.market import LOT, TICK, USERS, Market
from tests.property.trading_day import ACCOUNTS, SIDES, TIFS, trading_day

SIZE = 12

numbers = st.integers(0, SIZE - 1)
prices = st.integers(18, 24).map(lambda n: n * TICK)
quantities = st.integers(1, 8).map(lambda n: n * LOT)


class NothingIsLostInTheMarket(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.market = Market(SIZE)

    @rule(
        number=numbers,
        user=st.sampled_from(USERS),
        side=st.sampled_from(SIDES),
        price=prices,
        quantity=quantities,
        tif=st.sampled_from(TIFS),
        off=st.sampled_from((0, 0, 0, 0, 1)),
    )
    def place(self, number: int, user: str, side: Side, price: int, quantity: int, tif: str, off: int) -> None:
        self.market.place(number, user, side, price + off, quantity + off, tif)

    @rule(
        number=numbers,
        user=st.sampled_from(USERS),
        side=st.sampled_from(SIDES),
        quantity=quantities,
        tif=st.sampled_from(("IOC", "FOK", "GTC")),
    )
    def at_any_price(self, number: int, user: str, side: Side, quantity: int, tif: str) -> None:
        self.market.place(number, user, side, None, quantity, tif)

    @rule(number=numbers, price=st.none() | prices, quantity=st.none() | quantities)
    def amend(self, number: int, price: int | None, quantity: int | None) -> None:
        self.market.amend(number, price, quantity)

    @rule(number=numbers)
    def cancel(self, number: int) -> None:
        self.market.cancel(number)

    @rule(number=numbers)
    def expire(self, number: int) -> None:
        self.market.expire(number)

    @rule(choice=numbers)
    def settle(self, choice: int) -> None:
        self.market.settle(choice)

    @rule(account_id=st.sampled_from(ACCOUNTS), on=st.booleans())
    def freeze(self, account_id: str, on: bool) -> None:
        self.market.freeze(account_id, on)

    @rule(account_id=st.sampled_from(ACCOUNTS), sure=st.integers(0, 5))
    def close(self, account_id: str, sure: int) -> None:
        if sure == 0:
            self.market.empty_and_close(account_id)

    @rule(on=st.booleans())
    def halt(self, on: bool) -> None:
        self.market.halt(on)

    @invariant()
    def every_promise_is_kept(self) -> None:
        self.market.check()

    def teardown(self) -> None:
        while self.market.unsettled:
            self.market.settle(0)
        self.market.check()
        assert self.market.books.replayed() == self.market.books.states


TestNothingIsLostInTheMarket = NothingIsLostInTheMarket.TestCase
TestNothingIsLostInTheMarket.settings = settings(
    max_examples=60, stateful_step_count=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


# --- the same, evenly mixed ------------------------------------------------------------

SEEDS = range(4)


@pytest.fixture(scope="module")
def days() -> list[Market]:
    return [trading_day(seed) for seed in SEEDS]


def test_long_days_come_through_every_event_and_status(days: list[Market]) -> None:
    """Or the checks above would be made on less than it seems."""
    events: Counter[tuple[str, str]] = Counter()
    statuses: set[OrderStatus] = set()
    for market in days:
        events.update((category_of(stream), type(event).__name__) for stream, event in market.books.log)
        statuses |= {market.order(order_id).status for order_id in market.orders}
    wanted = {(category, type_) for category in (ORDER, BOOK, TRADE) for type_ in EVENTS[category]}
    assert wanted <= events.keys(), wanted - events.keys()
    assert statuses >= set(OrderStatus) - {OrderStatus.NONE, OrderStatus.PLACED}, statuses


def test_what_is_in_the_log_makes_the_same_market_again(days: list[Market]) -> None:
    for market in days:
        assert market.books.replayed() == market.books.states
