"""Orders, books, trades and portfolios over HTTP and on the command line, as a trader has them."""

from __future__ import annotations

import httpx
import pytest

from tests.e2e.api import World, client, make_key, problem
from tests.fixtures.running import RunningStack


class Floor:
    """A share of the test's own; ann has 1000.00 EUR, bob 100 shares, each one account of both."""

    def __init__(self, world: World) -> None:
        self.world, self.http = world, world.http
        self.symbol = f"TIDE.{world.run[-6:].upper()}"
        self.ann, self.bob = f"{world.run}-ann", f"{world.run}-bob"
        listed = self.list()
        assert listed.status_code == 201, listed.text
        assert listed.json()["status"] == "open"
        assert "event-position" in listed.headers
        world.account("ann-eur", "1000.00", user=self.ann)
        world.account("ann-shares", user=self.ann, currency=self.symbol)
        world.account("bob-eur", user=self.bob)
        world.account("bob-shares", "100", user=self.bob, currency=self.symbol)

    def list(self) -> httpx.Response:
        body = {"symbol": self.symbol, "name": "Tide", "currency": "EUR", "tick": "0.05", "lot": 10}
        return self.http.post("/v1/instruments", json=body)

    def place(self, user: str, side: str, quantity: int, price: str | None, **more: object) -> httpx.Response:
        return self.place_with(self.http, user, side, quantity, price, **more)

    def place_with(
        self, http: httpx.Client, user: str, side: str, quantity: int, price: str | None, **more: object
    ) -> httpx.Response:
        body = {"user_id": user, "symbol": self.symbol, "side": side, "quantity": quantity, **more}
        if price is None:
            body["type"] = "market"
        else:
            body["price"] = price
        return http.post("/v1/orders", json=body)


@pytest.fixture
def floor(world: World) -> Floor:
    return Floor(world)


def test_an_order_is_placed_filled_and_seen_everywhere(floor: Floor) -> None:
    http = floor.http
    waits = floor.place(floor.bob, "sell", 60, "2.00", tif="GTC")
    assert (waits.status_code, waits.json()["status"], waits.json()["leaves"]) == (201, "accepted", 60), waits.text
    book = floor.world.seen(waits, f"/v1/order-books/{floor.symbol}")
    assert (book["asks"], book["bids"]) == ([{"price": "2.00", "quantity": 60, "orders": 1}], [])

    bought = floor.place(floor.ann, "buy", 40, "2.50", order_id=f"{floor.world.run}-o1")
    assert bought.status_code == 201, bought.text
    path = bought.headers["location"]
    filled = floor.world.until(path, "filled")
    assert (filled["average_price"], filled["value"], filled["filled"]) == ("2.00", "80.00", 40)
    assert bought.json().keys() == filled.keys()
    again = floor.place(floor.ann, "buy", 40, "2.50", order_id=f"{floor.world.run}-o1")
    assert (again.status_code, again.headers["idempotency-replayed"]) == (201, "true")
    other = floor.place(floor.ann, "buy", 40, "2.00", order_id=f"{floor.world.run}-o1")
    problem(other, 422, "idempotency_conflict")
    events = [event["type"] for event in http.get(f"{path}/events").json()["items"]]
    assert events == ["OrderPlaced", "OrderAccepted", "OrderMatched", "OrderFilled"]
    problem(http.post(f"{path}/cancel"), 409, "wrong_order_status")

    cancelled = http.post(f"{waits.headers['location']}/cancel", json={"reason": "enough"})
    assert (cancelled.json()["status"], cancelled.json()["filled"]) == ("cancelled", 40), cancelled.text
    [trade] = http.get("/v1/trades", params={"symbol": floor.symbol}).json()["items"]
    assert (trade["status"], trade["buyer"], trade["price"]) == ("settled", floor.ann, "2.00")
    portfolio = http.get(f"/v1/users/{floor.ann}/portfolio").json()
    [position] = portfolio["positions"]
    assert (position["quantity"], position["average_cost"], position["value"]) == (40, "2.00", "80.00")
    assert (portfolio["total_value"], portfolio["trading_power"]) == ({"EUR": "1000.00"}, {"EUR": "920.00"})
    assert portfolio["open_orders"] == []
    day = http.get(f"/v1/order-books/{floor.symbol}").json()["day"]
    assert (day["volume"], day["turnover"], day["high"]) == (40, "80.00", "2.00")


def test_an_order_is_amended_and_its_place_in_the_line_kept_or_lost(floor: Floor) -> None:
    first = floor.place(floor.ann, "buy", 50, "1.00", tif="GTC").headers["location"]
    less = floor.http.post(f"{first}/amend", json={"quantity": 30})
    assert (less.status_code, less.json()["quantity"]) == (200, 30), less.text
    more = floor.http.post(f"{first}/amend", json={"price": "1.50"}, headers={"If-Match": less.headers["etag"]})
    assert (more.status_code, more.json()["price"]) == (200, "1.50"), more.text
    stale = floor.http.post(f"{first}/amend", json={"price": "1.00"}, headers={"If-Match": less.headers["etag"]})
    assert stale.status_code == 412
    problem(floor.http.post(f"{first}/amend", json={}), 422, "nothing_amended")
    problem(floor.http.post(f"{first}/amend", json={"price": "900.00"}), 409, "insufficient_funds")
    assert floor.http.get("/v1/orders", params={"symbol": floor.symbol, "open": True}).json()["items"]


def test_wrong_orders_name_the_field(floor: Floor) -> None:
    ann = floor.ann
    assert problem(floor.place(ann, "buy", 15, "1.00"), 422, "wrong_lot")["field"] == "quantity"
    assert problem(floor.place(ann, "buy", 10, "1.01"), 422, "wrong_tick")["field"] == "price"
    assert problem(floor.place(ann, "buy", 10, "1.000"), 422, "wrong_decimals")["field"] == "price"
    assert problem(floor.place(ann, "buy", 10, "0.00"), 422, "amount_not_positive")["field"] == "price"
    assert problem(floor.place(ann, "buy", 10, None, tif="DAY"), 422, "invalid_tif")["field"] == "tif"
    nobody = floor.place(f"{ann}-none", "buy", 10, "1.00")
    assert problem(nobody, 422, "account_missing")["field"] == "cash_account"
    rejected = floor.place(ann, "buy", 1000, "2.00")
    assert (rejected.json()["status"], rejected.json()["failure_code"]) == ("rejected", "insufficient_funds")
    body = {"symbol": "NONE.SUCH", "side": "buy", "quantity": 1, "price": "1.00", "user_id": ann}
    problem(floor.http.post("/v1/orders", json=body), 404, "instrument_not_found")
    problem(floor.http.get("/v1/order-books/NONE.SUCH"), 404, "not_found")
    account = {"user_id": ann, "currency": "NONE.SUCH"}
    problem(floor.http.post("/v1/accounts", json=account), 404, "instrument_not_found")
    wrong = {"symbol": "EURO", "name": "x", "currency": "EUR", "tick": "0.01"}
    assert problem(floor.http.post("/v1/instruments", json=wrong), 422, "invalid_symbol")["field"] == "symbol"


def test_while_trading_is_halted_orders_only_leave(floor: Floor) -> None:
    waits = floor.place(floor.ann, "buy", 10, "1.00").headers["location"]
    halted = floor.http.post(f"/v1/instruments/{floor.symbol}/halt", json={"reason": "news"})
    assert (halted.status_code, halted.json()["status"]) == (200, "halted"), halted.text
    rejected = floor.place(floor.bob, "sell", 10, "1.00")
    assert (rejected.json()["status"], rejected.json()["failure_code"]) == ("rejected", "trading_halted")
    assert floor.http.post(f"{waits}/cancel").json()["status"] == "cancelled"
    problem(floor.http.post(f"/v1/instruments/{floor.symbol}/halt"), 409, "trading_halted")
    assert floor.http.post(f"/v1/instruments/{floor.symbol}/resume").json()["status"] == "open"


def test_another_users_order_is_not_there(floor: Floor, running_stack: RunningStack) -> None:
    theirs = floor.place(floor.bob, "sell", 10, "2.00").headers["location"]
    key, _ = make_key(running_stack, "write", user=floor.ann)
    with client(floor.world.info, key) as ann:
        for answer in (
            ann.get(theirs),
            ann.get(f"{theirs}/events"),
            ann.post(f"{theirs}/cancel"),
            ann.post(f"{theirs}/amend", json={"quantity": 10}),
            ann.get(f"/v1/users/{floor.bob}/portfolio"),
            ann.get("/v1/trades", params={"user_id": floor.bob}),
            floor.place_with(ann, floor.bob, "sell", 10, "2.00"),
        ):
            assert answer.status_code == 404, answer.text
        stolen = {"cash_account": f"{floor.world.run}-ann-eur", "share_account": f"{floor.world.run}-bob-shares"}
        problem(floor.place_with(ann, floor.ann, "buy", 10, "1.00", **stolen), 404, "account_not_found")
        problem(ann.post(f"/v1/instruments/{floor.symbol}/halt"), 403, "missing_scope")
        bought = floor.place_with(ann, floor.ann, "buy", 10, "2.00")
        floor.world.until(bought.headers["location"], "filled")
        floor.world.until(theirs, "filled")
        [trade] = ann.get("/v1/trades", params={"symbol": floor.symbol}).json()["items"]
        assert (trade["buyer"], trade["seller"], trade["sell_order"]) == (floor.ann, None, None)
        mine = ann.get("/v1/orders").json()["items"]
        assert {order["user_id"] for order in mine} == {floor.ann}


def test_the_same_on_the_command_line(floor: Floor, running_stack: RunningStack) -> None:
    tell, symbol = running_stack.json, floor.symbol
    sold = tell("order", "place", floor.bob, "sell", "50", symbol, "2", "--tif", "GTC", "--id", f"{floor.bob}-o")
    assert (sold["status"], sold["leaves"]) == ("accepted", 50)
    bought = tell("order", "place", floor.ann, "buy", "20", symbol)
    assert (bought["status"], bought["filled"]) == ("filled", 20)
    amended = tell("order", "amend", f"{floor.bob}-o", "--quantity", "40", "--price", "2.10")
    assert (amended["quantity"], amended["leaves"]) == (40, 20)
    floor.http.get("/v1/orders", params={"open": True})  # the views have seen it
    [ask] = tell("book", symbol)["asks"]
    assert (ask["price"], ask["quantity"]) == ("2.10", 20)
    assert [one["quantity"] for one in tell("trades", "--symbol", symbol)["items"]] == [20]
    assert tell("portfolio", floor.ann)["positions"][0]["quantity"] == 20
    assert tell("order", "cancel", f"{floor.bob}-o", "--reason", "enough")["status"] == "cancelled"
    for command in (("book", symbol), ("portfolio", floor.ann), ("order", "list"), ("instrument", "list")):
        said = running_stack.command(*command)
        assert (said.code, symbol in said.out) == (0, True), said
    refused = running_stack.command("order", "place", floor.ann, "buy", "1000", symbol, "2")
    assert (refused.code, "insufficient_funds" in refused.err) == (1, True)
    assert tell("instrument", "halt", symbol)["status"] == "halted"
