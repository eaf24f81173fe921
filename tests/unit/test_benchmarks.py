"""The benchmarks' arithmetic and their publishing: what decides which figure is shown, and whether it is."""

from __future__ import annotations

import json
from datetime import datetime
from xml.etree import ElementTree as ET

import pytest

from benchmarks.chart import chart
from benchmarks.matching import AT, SYMBOL, TRADERS, decided, plain
from benchmarks.measuring import BrokenInvariant, Row, alternate
from benchmarks.plain_matcher import PlainBook
from benchmarks.publish import SHOWN_IN, shown
from benchmarks.report import Report, markdown
from domain.account import Account
from domain.account_messages import Deposit, OpenAccount
from domain.book import OrderBook
from domain.book_messages import ListInstrument
from domain.leg import Leg, State
from domain.money import Money
from domain.streams import account_stream, book_stream
from domain.trade_messages import TradeTerms

COSTS = {
    "cpu_ms": {"payments 30": {"postgres": 3.0, "temporal": 10.0}},
    "of_one": {
        "payments": {"history_events": 7, "commits": 1.5},
        "transfers": {"history_events": 9, "commits": 3.5},
        "stored": {"log_bytes_per_event": 900, "view_bytes_per_event": 300},
    },
}


def row(number: str = "1", goal: float = 2.0, at_most: bool = False) -> Row:
    return Row(number, "payments", "a peer", "per second", goal, at_most)


def report(*rows: Row) -> Report:
    return Report(quick=False, rows=list(rows), costs=COSTS)


def test_a_ratio_is_the_median_of_the_rounds_own_ratios() -> None:
    # The second round met bad weather on both sides; medians of each side alone would say 2.0.
    found = row(goal=3.0).fill([30.0, 6.0, 40.0], [10.0, 2.0, 20.0])
    assert found.ratio == 3.0
    assert (found.ours, found.theirs) == (30.0, 10.0)
    assert found.met


@pytest.mark.parametrize(
    ("ratio", "at_most", "met"), [(2.0, False, True), (1.9, False, False), (2.1, True, False)]
)
def test_a_goal_is_a_bound(ratio: float, at_most: bool, met: bool) -> None:
    assert row(at_most=at_most).fill([ratio], [1.0]).met is met


def test_a_row_whose_run_broke_an_invariant_shows_no_figure() -> None:
    found = report(row().fill([123456.0], [1.0]), row("2").fill([5.0], [1.0]))
    found.refuse_all("1 EUR invented")
    table = markdown(found.wire())
    assert found.refused
    assert "123,456" not in table
    assert table.count("refused: 1 EUR invented") == 2
    assert "ratio" not in found.wire()["rows"][0]
    assert "payments" not in chart(found.wire())


async def test_sides_take_turns_and_a_broken_round_ends_it() -> None:
    order: list[str] = []

    def side(name: str) -> object:
        async def measure() -> float:
            order.append(name)
            return 1.0

        return measure

    async def broken() -> None:
        if len(order) == 6:
            raise BrokenInvariant("lost")

    sides = {"a": side("a"), "b": side("b")}
    with pytest.raises(BrokenInvariant):
        await alternate(5, sides, broken)  # type: ignore[arg-type]
    assert order == ["a", "b", "b", "a", "a", "b"]


def test_what_is_published_stands_between_the_markers_and_only_there() -> None:
    found = json.loads(report(row().fill([5.0], [2.0]), row("9", 5.0, at_most=True).fill([8.0], [2.0])).json())
    for path in SHOWN_IN:
        text = path.read_text()
        once = shown(text, found)
        assert "| 1 | payments | a peer | 5 per second | 2 | 2.50× | ≥ 2× met |" in once
        assert "| 9 | payments | a peer | 8 per second | 2 | 4.00× | ≤ 5× met |" in once
        assert shown(once, found) == once
        outside = [part.split("<!-- /bench:", 1)[-1] for part in text.split("<!-- bench:")]
        assert all(part in once for part in outside)


def test_a_small_part_of_a_limit_is_not_shown_as_nothing() -> None:
    found = json.loads(report(row(goal=0.0001).fill([52.0], [250_000.0])).json())
    assert "| 52 per second | 250,000 | 0.00021× | ≥ 0.0001× met |" in markdown(found)


def test_the_plain_matcher_fills_by_price_and_then_by_time() -> None:
    book = PlainBook()
    for number, (price, quantity) in enumerate([(101, 5), (100, 5), (100, 5)]):
        book.place(number, "sell", price, quantity)
    book.place(9, "buy", 100, 7)
    assert (book.waiting("buy"), book.waiting("sell")) == (0, 8)
    book.place(10, "buy", 101, 20)
    assert (book.waiting("buy"), book.waiting("sell")) == (12, 0)


def market() -> dict[str, State]:
    """The share of the matching benchmark, and its traders."""
    states: dict[str, State] = {book_stream(SYMBOL): OrderBook()}
    accounts = [
        (f"{kind}-{n}", asset) for n in range(TRADERS) for kind, asset in (("cash", "EUR"), ("shares", SYMBOL))
    ]
    leg = Leg(states | {account_stream(account_id): Account() for account_id, _ in accounts})
    leg.on_book_command(SYMBOL, ListInstrument(at=AT, symbol=SYMBOL, name="B", tick=Money(1, "EUR"), lot=1))
    for account_id, asset in accounts:
        user = f"u-{account_id.partition('-')[2]}"
        leg.on_account(account_id, OpenAccount(at=AT, account_id=account_id, user_id=user, currency=asset))
        leg.on_account(account_id, Deposit(at=AT, amount=Money(10**9, asset)))
    return dict(leg.states)


async def test_the_matchers_take_the_same_orders_and_conserve_what_they_are_given() -> None:
    states = market()
    assert await plain() > decided(states, 200) > 0
    book = states[book_stream(SYMBOL)]
    assert isinstance(book, OrderBook)
    assert 20 < book.trades < 400, "about half of the orders meet somebody"


def test_a_settlement_that_invents_a_cent_shows_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    def invent(leg: Leg, trade: TradeTerms, at: datetime) -> None:
        leg.on_account(trade.seller.cash_account, Deposit(at=at, amount=Money(1, "EUR")))

    monkeypatch.setattr("benchmarks.matching.settle_trade", invent)
    with pytest.raises(BrokenInvariant, match="in memory"):
        decided(market(), 50)


def test_the_chart_is_well_formed_and_has_a_bar_for_each_row() -> None:
    drawn = ET.fromstring(chart(report(row().fill([5.0], [2.0]), row("2").fill([1.0], [2.0])).wire()))  # noqa: S314
    bars = [node for node in drawn if node.tag.endswith("rect")]
    assert len({bar.get("fill") for bar in bars}) == len(bars) == 2, "met and missed are told apart"
