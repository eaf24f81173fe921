"""Orders, the book and settlement, case by case; the mix of all is tests/property/test_trading_machine.py."""

from __future__ import annotations

from typing import Any

import pytest

from domain import account_messages as am
from domain.book_messages import HaltTrading, ListInstrument, ResumeTrading
from domain.currencies import is_share
from domain.errors import DomainError
from domain.leg import Leg
from domain.money import Money
from domain.order import Order, OrderStatus
from domain.order_messages import OrderTerms
from domain.settlement_legs import bust_trade, settle_trade, streams_of
from domain.streams import account_stream, book_stream, order_stream, trade_stream
from domain.trading_legs import amend_order, cancel_order, expire_order, open_account, place_order
from tests.fixtures.books import Books
from tests.unit.given import AT, LATER, eur

ORDERS = ("o1", "o2", "o3")


def market() -> Books:
    """TIDE in lots of 10 and ticks of 0.05 EUR; ann has 1000.00 EUR, bob 500 shares, both both accounts."""
    streams = [account_stream(f"{user}-{kind}") for user in ("ann", "bob") for kind in ("cash", "shares")]
    streams += [order_stream(order_id) for order_id in ORDERS]
    books = Books(*streams, book_stream("TIDE"), trade_stream("TIDE-1"), trade_stream("TIDE-2"))
    listing = ListInstrument(at=AT, symbol="TIDE", name="Tide", tick=eur("0.05"), lot=10)
    books.leg(lambda leg: leg.on_book_command("TIDE", listing))
    for account_id, asset, minor in (
        ("ann-cash", "EUR", 100_000),
        ("ann-shares", "TIDE", 0),
        ("bob-cash", "EUR", 0),
        ("bob-shares", "TIDE", 500),
    ):
        opening = am.OpenAccount(at=AT, account_id=account_id, user_id=account_id[:3], currency=asset)
        books.leg(lambda leg, opening=opening: open_account(leg, opening))  # type: ignore[misc]
        if minor:
            deposit = am.Deposit(at=AT, amount=Money(minor, asset))
            books.leg(lambda leg, a=account_id, d=deposit: leg.on_account(a, d))  # type: ignore[misc]
    return books


def terms(order_id: str, user: str, side: str, quantity: int, price: str | None, **given: Any) -> OrderTerms:
    fields = {
        "at": AT,
        "order_id": order_id,
        "cash_account": f"{user}-cash",
        "share_account": f"{user}-shares",
        "symbol": "TIDE",
        "side": side,
        "type": "limit" if price else "market",
        "tif": "GTC" if price else "IOC",
        "quantity": quantity,
        "price": eur(price) if price else None,
    }
    return OrderTerms.model_validate(fields | given)


def place(books: Books, *given: Any, **more: Any) -> list[str]:
    wanted = terms(*given, **more)
    return books.leg(lambda leg: place_order(leg, wanted))


def order(books: Books, order_id: str) -> Order:
    state = books.states[order_stream(order_id)]
    assert isinstance(state, Order)
    return state


def refused(books: Books, act: Any, code: str, field: str | None = None) -> None:
    refusal = books.refusal(act)
    assert (refusal.code, refusal.field) == (code, field)


@pytest.mark.parametrize("code", ["AAPL", "SAP.DE", "US.IBM", "US.ALLY", "BRK.B", "X2Y4"])
def test_a_share_s_code(code: str) -> None:
    assert is_share(code)
    assert Money.parse("3", code) == Money(3, code)


@pytest.mark.parametrize(
    "code", ["EURO", "USDT", "IBM", "F", "aapl", "AAPL.", "4AAPL", "A" * 13, "ALLY", "ＡＡＰＬ"]
)
def test_what_is_no_share_s_code(code: str) -> None:
    assert not is_share(code)


def test_no_account_opens_in_a_share_that_is_not_listed() -> None:
    books = Books(account_stream("a"), book_stream("AAPL"))
    opening = am.OpenAccount(at=AT, account_id="a", user_id="u", currency="AAPL")
    refused(books, lambda leg: open_account(leg, opening), "instrument_not_found", "symbol")


@pytest.mark.parametrize(
    ("given", "code", "field"),
    [
        ({"quantity": 15}, "wrong_lot", "quantity"),
        ({"price": eur("1.01")}, "wrong_tick", "price"),
        ({"price": Money(105, "USD")}, "currency_mismatch", "price"),
        ({"price": None}, "price_missing", "price"),
        ({"type": "market"}, "invalid_price", "price"),
        ({"type": "market", "price": None, "tif": "DAY"}, "invalid_tif", "tif"),
        ({"quantity": 10**12, "price": Money(10**6, "EUR")}, "amount_too_large", "quantity"),
        ({"share_account": "bob-shares"}, "other_user", "share_account"),
        ({"share_account": "ann-cash"}, "currency_mismatch", "share_account"),
    ],
)
def test_orders_that_can_never_be_right(given: dict[str, Any], code: str, field: str) -> None:
    wanted = terms("o1", "ann", "buy", 10, "1.00").model_copy(update=given)
    refused(market(), lambda leg: place_order(leg, wanted), code, field)


def test_an_order_is_covered_before_it_is_seen() -> None:
    books = market()
    place(books, "o1", "ann", "buy", 100, "2.00")
    assert (books.account("ann-cash").held, order(books, "o1").hold_id) == (20_000, "order-o1")
    assert books.asked == {"order-o1", "book-TIDE", "account-ann-cash", "account-ann-shares"}
    assert place(books, "o2", "ann", "buy", 500, "2.00") == ["OrderPlaced", "OrderRejected"]
    assert order(books, "o2").failure_code == "insufficient_funds"


def test_a_match_is_at_the_waiting_order_s_price_and_settles_both_legs_at_once() -> None:
    books = market()
    place(books, "o1", "bob", "sell", 100, "2.00")
    place(books, "o2", "ann", "buy", 150, "2.50")
    assert books.account("ann-cash").held == 100 * 200 + 50 * 250, "what is matched is held at its own price"
    [trade] = order(books, "o2").unsettled.values()
    assert (trade.trade_id, trade.price, trade.quantity, trade.taker) == ("TIDE-1", eur("2.00"), 100, "buy")
    assert set(streams_of(trade)) <= books.states.keys()
    books.leg(lambda leg: settle_trade(leg, trade, AT))
    assert (books.account("ann-shares").balance, books.account("bob-cash").balance) == (100, 20_000)
    assert (books.account("bob-shares").balance, books.account("ann-cash").balance) == (400, 80_000)
    assert [order(books, o).status for o in ("o1", "o2")] == [OrderStatus.FILLED, OrderStatus.PARTIALLY_FILLED]
    books.leg(lambda leg: cancel_order(leg, "o2", "enough", AT))
    assert books.account("ann-cash").held == 0
    assert (order(books, "o2").status, order(books, "o2").filled) == (OrderStatus.CANCELLED, 100)


def test_a_trade_whose_leg_is_refused_is_busted_and_both_covers_are_given_back() -> None:
    books = market()
    place(books, "o1", "bob", "sell", 100, "2.00")
    place(books, "o2", "ann", "buy", 150, "2.00")
    books.leg(lambda leg: leg.on_account("ann-shares", am.Close(at=AT)))
    [trade] = order(books, "o2").unsettled.values()
    refused(books, lambda leg: settle_trade(leg, trade, AT), "account_closed")
    books.leg(lambda leg: bust_trade(leg, trade, "account_closed", "closed", AT))
    assert (books.account("ann-cash").held, books.account("bob-shares").held) == (50 * 200, 0)
    assert (order(books, "o2").refused, order(books, "o1").refused) == (True, False)
    assert order(books, "o1").status is OrderStatus.CANCELLED
    assert order(books, "o2").leaves == 50
    assert books.leg(lambda leg: settle_trade(leg, trade, AT)) == [], "a late settlement finds the tombstone"


@pytest.mark.parametrize(("quantity", "price"), [("all", "2.00"), ("all", None)])
def test_a_market_order_and_a_killed_one_hold_no_more_than_they_take(quantity: str, price: str | None) -> None:
    books = market()
    place(books, "o1", "bob", "sell", 100, "2.00")
    tif = "FOK" if price else "IOC"
    place(books, "o2", "ann", "buy", 300, price, tif=tif, type="limit" if price else "market")
    assert books.account("ann-cash").held == (0 if price else 100 * 200)
    assert order(books, "o2").cancelled == (300 if price else 200)


def test_less_keeps_its_place_and_more_loses_it() -> None:
    books = market()
    place(books, "o1", "ann", "buy", 100, "2.00")
    place(books, "o2", "ann", "buy", 100, "2.00")
    book = books.states["book-TIDE"]
    assert books.leg(lambda leg: amend_order(leg, "o1", 60, None, AT)) == [
        "OrderAmended",
        "OrderReduced",
        "HoldReleased",
    ]
    assert _line(books) == [("o1", 60), ("o2", 100)]
    books.leg(lambda leg: amend_order(leg, "o1", 120, None, AT))
    assert _line(books) == [("o2", 100), ("o1", 120)]
    assert books.account("ann-cash").held == 220 * 200
    refused(books, lambda leg: amend_order(leg, "o1", 490, None, AT), "insufficient_funds")
    refused(books, lambda leg: amend_order(leg, "o1", None, None, AT), "nothing_amended")
    assert book != books.states["book-TIDE"]


def test_nobody_trades_with_themselves() -> None:
    books = market()
    books.leg(lambda leg: leg.on_account("ann-shares", am.Deposit(at=AT, amount=Money(50, "TIDE"))))
    place(books, "o1", "ann", "sell", 50, "2.00")
    place(books, "o2", "ann", "buy", 50, "2.00")
    assert (order(books, "o2").status, order(books, "o2").failure_reason) == (OrderStatus.CANCELLED, "self_trade")
    assert order(books, "o1").leaves == 50


def test_while_trading_is_halted_orders_can_only_leave() -> None:
    books = market()
    place(books, "o1", "ann", "buy", 100, "2.00", tif="DAY", expires_at=LATER)
    books.leg(lambda leg: leg.on_book_command("TIDE", HaltTrading(at=AT, reason="news")))
    assert place(books, "o2", "bob", "sell", 100, "2.00") == ["OrderPlaced", "OrderRejected"]
    refused(books, lambda leg: amend_order(leg, "o1", 200, None, AT), "trading_halted")
    refused(books, lambda leg: expire_order(leg, "o1", AT), "order_not_expired")
    books.leg(lambda leg: expire_order(leg, "o1", LATER))
    assert order(books, "o1").status is OrderStatus.EXPIRED
    refused(books, lambda leg: cancel_order(leg, "o1", "too late", AT), "wrong_order_status")
    books.leg(lambda leg: leg.on_book_command("TIDE", ResumeTrading(at=AT)))
    place(books, "o3", "bob", "sell", 100, "2.00")


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (ListInstrument(at=AT, symbol="TIDE", name="T", tick=eur("0.05"), lot=1), "instrument_exists"),
        (ListInstrument(at=AT, symbol="EURO", name="T", tick=eur("0.05"), lot=1), "invalid_symbol"),
        (ListInstrument(at=AT, symbol="AAPL", name="T", tick=Money(1, "TIDE"), lot=1), "invalid_tick"),
        (ListInstrument(at=AT, symbol="AAPL", name="T", tick=eur("0.00"), lot=1), "amount_not_positive"),
        (ResumeTrading(at=AT), "trading_not_halted"),
    ],
)
def test_what_cannot_be_listed_or_resumed(command: Any, code: str) -> None:
    states = {**market().states, book_stream("EURO"): Books("book-EURO").states["book-EURO"]}
    states[book_stream("AAPL")] = Books("book-AAPL").states["book-AAPL"]
    with pytest.raises(DomainError) as refusal:
        Leg(states).on_book_command(getattr(command, "symbol", "TIDE"), command)
    assert refusal.value.code == code


def _line(books: Books) -> list[tuple[str, int]]:
    state: Any = books.states["book-TIDE"]
    return [(resting.order_id, resting.quantity) for resting in state.bids[0].orders]
