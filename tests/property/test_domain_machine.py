"""Random commands in any order, repeated and too late, accepted or refused: every promise about money holds.

Amounts are a few cents, ids a handful, so that commands run into each other. The books check themselves after
every step: see tests/fixtures/books.py.
"""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from domain.catalogue import EVENTS
from domain.payment import PaymentStatus
from domain.streams import ACCOUNT, PAYMENT, QUOTE, TRANSFER, category_of
from domain.transfer import Location, TransferStatus
from tests.property.driving import ACCOUNT_STEPS, DOLLAR, EURO, HOLDS, OTHERS, RATES, Driver

EVERYWHERE = (*EURO, *DOLLAR, *OTHERS)
PARTIES = ("a", "b", "b", "c", "u", "x")
DESTINATIONS = (*EURO, *DOLLAR, "x")
MOSTLY = (True, True, True, True, False)

accounts = st.sampled_from((*EURO, *DOLLAR))
numbers, choices, cents = st.integers(0, 3), st.integers(0, 11), st.integers(1, 30)


class MoneyIsNeverLost(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.driver = Driver(4)

    @initialize(overdrafts=st.lists(st.sampled_from((0, 0, 10)), min_size=7, max_size=7))
    def open_the_accounts(self, overdrafts: list[int]) -> None:
        self.driver.open_the_accounts(overdrafts)

    @rule(
        name=st.sampled_from(EVERYWHERE),
        step=st.sampled_from(ACCOUNT_STEPS),
        minor=cents,
        hold=st.sampled_from(HOLDS),
    )
    def account_step(self, name: str, step: str, minor: int, hold: str) -> None:
        self.driver.account_step(name, step, minor, hold)

    @rule(name=accounts, sure=choices)
    def take_all_and_close(self, name: str, sure: int) -> None:
        self.driver.take_all_and_close(name, sure)

    @rule(
        number=numbers,
        payer=st.sampled_from(PARTIES),
        payee=st.sampled_from(PARTIES),
        minor=cents,
        rate=st.sampled_from(RATES),
    )
    def pay(self, number: int, payer: str, payee: str, minor: int, rate: str) -> None:
        self.driver.pay(number, payer, payee, minor, rate)

    @rule(number=numbers, choice=choices, sensible=st.sampled_from(MOSTLY), minor=st.none() | st.integers(0, 15))
    def payment_step(self, number: int, choice: int, sensible: bool, minor: int | None) -> None:
        self.driver.payment_step(number, choice, sensible, minor)

    @rule(number=numbers, source=accounts, destination=st.sampled_from(DESTINATIONS), minor=cents, bought=cents)
    def transfer(self, number: int, source: str, destination: str, minor: int, bought: int) -> None:
        self.driver.transfer(number, source, destination, minor, bought)

    @rule(number=numbers, choice=choices, sensible=st.sampled_from(MOSTLY), elsewhere=accounts)
    def transfer_step(self, number: int, choice: int, sensible: bool, elsewhere: str) -> None:
        self.driver.transfer_step(number, choice, sensible, elsewhere)

    @invariant()
    def every_promise_is_kept(self) -> None:
        self.driver.books.check()

    def teardown(self) -> None:
        self.driver.settle()


TestMoneyIsNeverLost = MoneyIsNeverLost.TestCase
TestMoneyIsNeverLost.settings = settings(
    max_examples=150, stateful_step_count=80, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


# --- the same commands, evenly mixed ------------------------------------------------------------

SEEDS = range(12)


def walk(seed: int, steps: int, size: int) -> tuple[Driver, set[str]]:
    """One long story; the statuses and places it came through."""
    pick, driver, seen = random.Random(seed), Driver(size), set[str]()
    driver.open_the_accounts([pick.choice((0, 0, 10)) for _ in range(7)])
    for _ in range(steps):
        number, minor, choice = pick.randrange(size), pick.randint(1, 30), pick.randrange(12)
        name, sensible = pick.choice((*EURO, *DOLLAR)), pick.choice(MOSTLY)
        match pick.choices(range(6), weights=(5, 1, 4, 10, 6, 18))[0]:
            case 0:
                driver.account_step(pick.choice(EVERYWHERE), pick.choice(ACCOUNT_STEPS), minor, pick.choice(HOLDS))
            case 1:
                driver.take_all_and_close(name, pick.randrange(40))
            case 2:
                driver.pay(number, pick.choice(PARTIES), pick.choice(PARTIES), minor, pick.choice(RATES))
            case 3:
                driver.payment_step(number, choice, sensible, pick.choice((None, minor // 2)))
            case 4:
                driver.transfer(number, name, pick.choice(DESTINATIONS), minor, pick.randint(1, 30))
            case _:
                driver.transfer_step(number, choice, sensible, name)
        driver.books.check()
        seen |= {str(driver.books.payment(payment_id).status) for payment_id in driver.payments}
        for transfer_id in driver.transfers:
            state = driver.books.transfer(transfer_id)
            seen |= {f"transfer {state.status}", f"money {state.location}"}
    return driver, seen


@pytest.mark.parametrize("seed", SEEDS)
def test_a_long_story_loses_nothing(seed: int) -> None:
    driver, _ = walk(seed, steps=600, size=40)
    driver.settle()


def test_the_stories_come_through_every_event_and_status() -> None:
    """Or the invariants above would be checked on less than it seems."""
    events: Counter[tuple[str, str]] = Counter()
    came_through: set[str] = set()
    for seed in SEEDS:
        driver, seen = walk(seed, steps=600, size=40)
        came_through |= seen
        events.update((category_of(stream), type(event).__name__) for stream, event in driver.books.log)
    walked = {(category, type_) for category in (ACCOUNT, PAYMENT, TRANSFER, QUOTE) for type_ in EVENTS[category]}
    assert walked <= events.keys(), "batches, fraud cases and orders have stories of their own"
    assert {status.value for status in PaymentStatus} - {"pending"} <= came_through
    assert {f"transfer {status}" for status in TransferStatus} - {"transfer initiated"} <= came_through
    assert {f"money {place}" for place in Location} <= came_through
