"""Rules tried on the past: what would be held, and which known fraud it would catch."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from functools import partial

from domain.account_messages import AccountCommand, Deposit, OpenAccount
from domain.leg import Leg
from domain.money import Money
from domain.payment_messages import PaymentCancelled, PaymentInitiated
from domain.screening import ScreeningLimits
from domain.streams import account_stream, transfer_stream
from domain.transfer_legs import open_transfer
from domain.transfer_messages import CancelTransfer, TransferCancelled, TransferInitiated, TransferTerms
from eventstore.events import RecordedEvent
from operations.backtest import Backtest, backtest
from tests.fixtures.histories import LIMITS, START, History, recorded


class Log:
    """The history's events as the event store would give them."""

    def __init__(self, history: History) -> None:
        self._events = recorded(history)

    async def read(self, after: int, limit: int) -> list[RecordedEvent]:
        return [event for event in self._events if (event.position or 0) > after][:limit]


async def tried(history: History, limits: ScreeningLimits, **between: object) -> Backtest:
    async for step in backtest(Log(history), limits, **between):  # type: ignore[arg-type]
        if isinstance(step, Backtest):
            return step
    raise AssertionError("no result")


def orders(history: History) -> list[tuple[str, Money]]:
    """Those that somebody screened: the others were cancelled with their first event."""
    found: dict[str, Money] = {}
    for written in (written for append in history.appends for written in append):
        if isinstance(written.event, PaymentInitiated | TransferInitiated):
            found[written.stream] = written.event.amount
        elif isinstance(written.event, PaymentCancelled | TransferCancelled) and written.version == 2:
            del found[written.stream]
    return list(found.items())


async def test_the_rules_in_force_find_what_they_found() -> None:
    history = History(5).run(500)
    found = await tried(history, ScreeningLimits(review_above=Decimal(900)))
    assert found.screened == len(orders(history))
    assert found.held == found.was_held > 0
    assert (found.newly_held, found.no_longer_held) == (0, 0)
    assert found.hits["amount"] > 0
    assert set(found.hits) <= {"amount", "velocity"}, "some accounts have a velocity limit of their own"


async def test_stricter_rules_hold_more_and_say_what() -> None:
    history = History(3).run(500)
    strict = ScreeningLimits(review_above=Decimal(100), decline_at=60)
    found = await tried(history, strict)
    above = [stream for stream, amount in orders(history) if Decimal(amount.amount) > 100]
    assert found.declined == len(above)
    assert found.held - found.declined <= found.hits.get("velocity", 0)
    assert found.newly_held == found.held - found.was_held
    assert all(Decimal(example.amount.amount) > 100 or example.score == 50 for example in found.examples)
    assert sum(Decimal(amount) for amount in found.held_amount.values()) > 0


async def test_known_fraud_is_caught_or_missed() -> None:
    history = History(3).showcase().run(500)
    strict = await tried(history, ScreeningLimits(review_above=Decimal(0)))
    blind = await tried(history, ScreeningLimits(review_above=None))
    assert strict.fraud == strict.caught == blind.fraud > 0
    assert (blind.caught, len(blind.missed)) == (0, min(blind.fraud, 20))


async def test_an_order_that_was_cancelled_before_it_was_screened_is_not_newly_held() -> None:
    """A transfer of 100.00 whose cancel came first, and one like it that was let through."""
    history = History(1)
    at, until = history.now, history.now + timedelta(days=1)
    for account, user in (("early-a", "u1"), ("early-b", "u2")):
        opening = OpenAccount(at=at, account_id=account, user_id=user, currency="EUR")
        for command in (opening, Deposit(at=at, amount=Money(50_000, "EUR"))):
            assert history.leg(partial(_on_account, account, command), account_stream(account))
    for transfer, cancelled in (("early", CancelTransfer(at=at, reason="early")), ("in-time", None)):
        terms = TransferTerms(
            at=at, transfer_id=transfer, from_account="early-a", to_account="early-b", amount=Money(10_000, "EUR")
        )
        opened = partial(open_transfer, terms=terms, reserved_until=until, limits=LIMITS, cancelled=cancelled)
        streams = (transfer_stream(transfer), account_stream("early-a"), account_stream("early-b"))
        assert history.leg(opened, *streams)
    found = await tried(history, ScreeningLimits(review_above=Decimal(99)))
    assert (found.screened, found.held, found.newly_held) == (1, 1, 1)
    assert [example.subject for example in found.examples] == ["transfer-in-time"]
    assert (found.held_amount, found.hits) == ({"EUR": "100.00"}, {"amount": 1})


def _on_account(account: str, command: AccountCommand, leg: Leg) -> None:
    leg.on_account(account, command)


async def test_only_orders_of_the_time_asked_for_count() -> None:
    history = History(3).run(500)
    limits = ScreeningLimits(review_above=Decimal(0))
    middle = START + timedelta(seconds=2000)
    before, after = await tried(history, limits, until=middle), await tried(history, limits, since=middle)
    assert before.screened > 0 < after.screened
    assert before.screened + after.screened == len(orders(history))
