"""Foreign exchange end to end: quotes of a real provider process, payments and transfers across currencies."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import Any

import pytest

from tests.e2e.api import World, client, make_key, problem
from tests.fixtures.running import RunningStack


@pytest.fixture
def desk(world: World) -> World:
    """The platform has dollars and yen to sell."""
    for currency, amount in (("USD", "100000.00"), ("JPY", "10000000")):
        body = {"account_id": f"fx-{currency}", "user_id": "tidemark", "currency": currency}
        opened = world.http.post("/v1/accounts", json=body)
        assert opened.status_code == 201 or opened.json()["code"] in ("account_exists", "idempotency_conflict")
        world.deposit(f"fx-{currency}", amount, currency)
    return world


def quote(world: World, amount: str = "100.00", to: str = "USD", **more: object) -> dict[str, Any]:
    body = {"from_currency": "EUR", "to_currency": to, "amount": amount, **more}
    response = world.http.post("/v1/quotes", json=body)
    assert response.status_code == 201, response.text
    found: dict[str, Any] = response.json()
    return found


def balance(world: World, account_id: str) -> str:
    found: str = world.http.get(f"/v1/accounts/{account_id}").json()["balance"]
    return found


def test_a_transfer_arrives_in_another_currency_at_the_quoted_rate(desk: World) -> None:
    source, target = desk.account("a", "500.00"), desk.account("b", currency="USD")
    offer = quote(desk)
    assert Decimal(offer["buys"]) == round(Decimal(100) * Decimal(offer["rate"]), 2)
    sent = desk.transfer(source, target, "100.00", quote_id=offer["quote_id"], tags=["trip"], category="travel")
    done = desk.until(sent.headers["location"], "completed")
    assert (done["quote"]["quote_id"], done["tags"], done["category"]) == (offer["quote_id"], ["trip"], "travel")
    assert (balance(desk, source), balance(desk, target)) == ("400.00", offer["buys"])
    used = desk.http.get(f"/v1/quotes/{offer['quote_id']}").json()
    assert (used["status"], used["used_by"]) == ("used", f"transfer-{done['transfer_id']}")
    again = desk.transfer(source, target, "100.00", quote_id=offer["quote_id"])
    problem(again, 409, "quote_used")
    repeat = desk.transfer(
        source, target, "100.00", quote_id=offer["quote_id"], tags=["trip"], category="travel",
        transfer_id=done["transfer_id"],
    )  # fmt: skip
    assert (repeat.status_code, repeat.headers["idempotency-replayed"]) == (202, "true")
    listed = desk.http.get("/v1/quotes", params={"min_position": sent.headers["event-position"]}).json()["items"]
    assert offer["quote_id"] in [one["quote_id"] for one in listed]


def test_what_a_quote_does_not_say_is_refused(desk: World) -> None:
    source, target = desk.account("a", "500.00"), desk.account("b", currency="USD")
    assert problem(desk.transfer(source, target, "10.00"), 422, "quote_required")["field"] == "quote_id"
    assert problem(desk.pay(source, target, "10.00"), 422, "quote_required")["field"] == "quote_id"
    offer = quote(desk)
    problem(desk.transfer(source, target, "99.00", quote_id=offer["quote_id"]), 422, "quote_mismatch")
    forged = {"quote_id": "mine", "buys": {"amount": "1000000.00", "currency": "USD"}, "rate": "10000"}
    problem(desk.transfer(source, target, "100.00", quote=forged), 422, "unknown_field")
    problem(desk.transfer(source, target, "100.00", quote_id=f"{desk.run}-none"), 404, "quote_not_found")
    assert balance(desk, source) == "500.00"
    body = {"from_currency": "EUR", "to_currency": "SEK", "amount": "1.00"}
    problem(desk.http.post("/v1/quotes", json=body), 422, "pair_not_offered")
    problem(desk.http.post("/v1/quotes", json={**body, "to_currency": "EUR"}), 422, "same_currency")
    problem(desk.http.post("/v1/quotes", json={**body, "amount": "0.00"}), 422, "amount_not_positive")
    problem(desk.http.post("/v1/quotes", json={**body, "to_currency": "EURO"}), 422, "unknown_currency")
    too_long = {**body, "to_currency": "USD", "valid_for_s": 10**6}
    assert problem(desk.http.post("/v1/quotes", json=too_long), 422, "invalid_expiry")["field"] == "valid_for_s"


def test_a_quote_of_one_user_s_key_is_nothing_to_another(desk: World, running_stack: RunningStack) -> None:
    source = desk.account("a", "500.00", user=f"{desk.run}-ann")
    target = desk.account("b", currency="USD", user=f"{desk.run}-bob")
    thief = desk.account("c", "500.00", user=f"{desk.run}-bob")
    ann, _ = make_key(running_stack, "read", "write", user=f"{desk.run}-ann")
    bob, _ = make_key(running_stack, "read", "write", user=f"{desk.run}-bob")
    with client(running_stack.info, ann) as anns, client(running_stack.info, bob) as bobs:
        offer = anns.post(
            "/v1/quotes", json={"from_currency": "EUR", "to_currency": "USD", "amount": "100.00"}
        ).json()
        problem(bobs.get(f"/v1/quotes/{offer['quote_id']}"), 404, "quote_not_found")
        assert bobs.get("/v1/quotes").json()["items"] == []
        order = {"to_account": target, "amount": "100.00", "currency": "EUR", "quote_id": offer["quote_id"]}
        problem(bobs.post("/v1/transfers", json={"from_account": thief, **order}), 404, "quote_not_found")
        assert anns.post("/v1/transfers", json={"from_account": source, **order}).status_code == 202
        ours = {"account_id": "fx-CHF", "user_id": f"{desk.run}-ann", "currency": "CHF"}
        problem(anns.post("/v1/accounts", json=ours), 403, "not_for_user_keys")


def test_a_quote_that_expires_before_the_debit_is_compensated(desk: World) -> None:
    source, target = desk.account("a", "50000.00"), desk.account("b", currency="USD")
    offer = quote(desk, "20000.00", valid_for_s=3)
    held = desk.transfer(source, target, "20000.00", quote_id=offer["quote_id"])
    if held.status_code == 409:  # a machine so busy that the three seconds were over before it began
        problem(held, 409, "quote_expired")
        return
    assert held.json()["status"] == "in_review"
    desk.expired(offer["expires_at"])
    desk.http.post(f"{held.headers['location']}/review", json={"decision": "approve"})
    undone = desk.until(held.headers["location"], "compensated")
    assert undone["failure_code"] == "quote_expired"
    assert balance(desk, source) == "50000.00"


def test_a_payment_is_captured_and_refunded_in_parts_at_one_rate(desk: World) -> None:
    payer, payee = desk.account("a", "500.00"), desk.account("b", currency="JPY")
    offer = quote(desk, "10.01", to="JPY")
    paid = desk.pay(payer, payee, "10.01", quote_id=offer["quote_id"], capture="manual")
    assert (paid.status_code, paid.json()["status"]) == (201, "authorized"), paid.text
    assert paid.json()["expires_at"] == offer["expires_at"], "it does not outlive its quote"
    path = paid.headers["location"]
    for part in ("3.33", "3.33", "3.35"):
        taken = desk.http.post(f"{path}/capture", json={"amount": part})
        assert taken.status_code == 200, taken.text
    done = taken.json()
    assert (done["status"], done["settled"], done["settled_currency"]) == ("processed", offer["buys"], "JPY")
    assert int(balance(desk, payee)) == int(offer["buys"]) - int(done["fee"])
    desk.deposit(payee, done["fee"], "JPY")  # what the fee took has to come from elsewhere
    for _ in range(2):
        back = desk.http.post(f"{path}/refunds", json={"amount": "3.00"})
        assert back.status_code == 200, back.text
    back = desk.http.post(f"{path}/refunds")
    assert (back.json()["status"], balance(desk, payer)) == ("refunded", "500.00")
    assert balance(desk, payee) == "0", "what came in parts went back in parts, to the last yen"
    assert desk.seen(back, path)["quote"]["quote_id"] == offer["quote_id"]


def test_the_command_line_quotes_pays_and_transfers(desk: World, running_stack: RunningStack) -> None:
    source, target = desk.account("a", "500.00"), desk.account("b", currency="USD")
    name = f"q-{uuid.uuid4().hex[:8]}"
    first = running_stack.json("quote", "20", "EUR", "USD", "--id", name)
    assert running_stack.json("quote", "20", "EUR", "USD", "--id", name) == first, "the same promise again"
    sent = running_stack.json("transfer", source, target, "20", "EUR", "--quote", name)
    assert sent["status"] == "completed"
    bought = running_stack.json("quote", "20", "EUR", "USD", "--buy")
    assert bought["buys"] == {"amount": "20.00", "currency": "USD"}
    sells = bought["sells"]["amount"]
    paid = running_stack.json("pay", source, target, sells, "EUR", "--quote", bought["quote_id"])
    assert (paid["status"], paid["settled"]["amount"]) == ("processed", "20.00")
    assert name in running_stack.command("quotes").out
    away = running_stack.command("quote", "20", "EUR", "SEK")
    assert (away.code, "pair_not_offered" in away.err) == (1, True), away
