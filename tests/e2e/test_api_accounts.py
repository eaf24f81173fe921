"""/v1/accounts over HTTP: every route, well and badly used."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest

from tests.e2e.api import World, problem


def test_an_account_is_opened_paid_into_frozen_unfrozen_emptied_and_closed(world: World) -> None:
    opened = world.http.post("/v1/accounts", json={"user_id": "ann", "currency": "EUR", "overdraft_limit": "5.00"})
    assert opened.status_code == 201
    account = opened.json()
    path = f"/v1/accounts/{account['account_id']}"
    assert opened.headers["location"] == path
    assert (
        account | {"balance": "0.00", "held": "0.00", "available": "5.00", "status": "open", "version": 1}
        == account
    )

    paid_in = world.http.post(
        f"{path}/deposits", json={"amount": "20.50", "currency": "EUR", "reference": "salary"}
    )
    assert (paid_in.status_code, paid_in.json()["balance"], paid_in.json()["version"]) == (201, "20.50", 2)
    frozen = world.http.post(f"{path}/freeze", json={"reason": "odd"})
    assert (frozen.status_code, frozen.json()["status"]) == (200, "frozen")
    problem(
        world.http.post(f"{path}/withdrawals", json={"amount": "1.00", "currency": "EUR"}), 409, "account_frozen"
    )
    assert world.http.post(f"{path}/unfreeze").json()["status"] == "open"
    problem(world.http.post(f"{path}/close"), 409, "account_not_empty")
    taken = world.http.post(f"{path}/withdrawals", json={"amount": "20.50", "currency": "EUR"})
    assert (taken.status_code, taken.json()["balance"]) == (201, "0.00")
    closed = world.http.post(f"{path}/close", json={"reason": "moved"})
    assert closed.json()["status"] == "closed"
    assert world.seen(closed, path) == closed.json()
    problem(world.http.post(f"{path}/deposits", json={"amount": "1.00", "currency": "EUR"}), 409, "account_closed")


def test_more_than_there_is_cannot_be_withdrawn(world: World) -> None:
    account = world.account("a", "10.00")
    response = world.http.post(f"/v1/accounts/{account}/withdrawals", json={"amount": "10.01", "currency": "EUR"})
    assert "10.00 EUR available" in problem(response, 409, "insufficient_funds")["detail"]


def test_the_statement_has_a_running_balance(world: World) -> None:
    account = world.account("a", "10.00")
    last = world.deposit(account, "5.00")
    lines = world.seen(last, f"/v1/accounts/{account}/entries")["items"]
    assert [(line["amount"], line["balance"]) for line in lines] == [("5.00", "15.00"), ("10.00", "10.00")]


def test_an_account_is_shown_as_it_was(world: World) -> None:
    account = world.account("a", "10.00")
    before = datetime.now(UTC)
    world.http.post(f"/v1/accounts/{account}/freeze")
    last = world.deposit(account, "5.00")
    path = f"/v1/accounts/{account}"
    then = world.http.get(path, params={"as_of": before.isoformat()}).json()
    assert (then["balance"], then["status"], then["version"]) == ("10.00", "open", 2)
    now = world.http.get(path, params={"as_of": datetime.now(UTC).isoformat()}).json()
    assert now == world.seen(last, path)
    problem(world.http.get(path, params={"as_of": (before - timedelta(days=1)).isoformat()}), 404, "not_found")
    problem(world.http.get(path, params={"as_of": "yesterday"}), 422, "invalid_field")


def test_accounts_are_listed_by_user(world: World) -> None:
    user = f"{world.run}-carl"
    ids = [world.account(name, user=user) for name in "abc"]
    last = world.deposit(ids[0], "1.00")
    listed = world.http.get(
        "/v1/accounts", params={"user_id": user, "min_position": last.headers["event-position"]}
    )
    assert [account["account_id"] for account in listed.json()["items"]] == ids[::-1]
    assert listed.json()["next_cursor"] is None


GOOD = {"user_id": "ann", "currency": "EUR"}
BAD_ACCOUNTS = [
    ({"currency": "EUR"}, "missing_field", "user_id"),
    (GOOD | {"currency": "XYZ"}, "unknown_currency", "currency"),
    (GOOD | {"currency": 5}, "unknown_currency", "currency"),
    (GOOD | {"account_id": "no spaces"}, "invalid_field", "account_id"),
    (GOOD | {"user_id": ""}, "invalid_field", "user_id"),
    (GOOD | {"balance": "100.00"}, "unknown_field", "balance"),
    (GOOD | {"overdraft_limit": "-1.00"}, "invalid_overdraft_limit", "overdraft_limit"),
    (GOOD | {"overdraft_limit": "1"}, "wrong_decimals", "overdraft_limit"),
    (GOOD | {"iban": "x" * 501}, "invalid_field", "iban"),
    (GOOD | {"iban": "a\x00b"}, "invalid_text", "iban"),
]


@pytest.mark.parametrize(("body", "code", "field"), BAD_ACCOUNTS, ids=lambda value: str(value)[:40])
def test_a_wrong_account_names_the_field(world: World, body: dict[str, object], code: str, field: str) -> None:
    said = problem(world.http.post("/v1/accounts", json=body), 422, code)
    assert said["field"] == field
    assert said["errors"][0]["field"] == field


BAD_AMOUNTS: list[tuple[object, str, str]] = [
    ("0.00", "amount_not_positive", "amount must be positive"),
    ("-1.00", "amount_not_positive", "amount must be positive"),
    ("1", "wrong_decimals", "EUR has 2"),
    ("1.000", "wrong_decimals", "EUR has 2"),
    (1.5, "invalid_amount", "decimal string"),
    (1, "invalid_amount", "decimal string"),
    ("NaN", "invalid_amount", "not a plain decimal number"),
    ("1e2", "invalid_amount", "not a plain decimal number"),
    (" 1.00", "invalid_amount", "not a plain decimal number"),
    ("10000000000000.01", "amount_too_large", "above"),
    (None, "invalid_amount", "decimal string"),
]


@pytest.mark.parametrize(("amount", "code", "said"), BAD_AMOUNTS, ids=lambda value: str(value)[:30])
def test_a_wrong_amount_is_refused(world: World, amount: object, code: str, said: str) -> None:
    account = world.account("a")
    for path in ("deposits", "withdrawals"):
        response = world.http.post(f"/v1/accounts/{account}/{path}", json={"amount": amount, "currency": "EUR"})
        found = problem(response, 422, code)
        assert found["field"] == "amount"
        assert said in found["detail"]


def test_each_currency_has_its_own_decimals(world: World) -> None:
    for currency, amount in (("JPY", "100"), ("KWD", "1.005")):
        account = world.account(currency.lower(), amount, currency=currency)
        last = world.deposit(account, amount, currency)
        doubled = {"JPY": "200", "KWD": "2.010"}[currency]
        assert world.seen(last, f"/v1/accounts/{account}")["balance"] == doubled
    response = world.http.post(f"/v1/accounts/{account}/deposits", json={"amount": "1.00", "currency": "EUR"})
    assert problem(response, 422, "currency_mismatch")["field"] == "currency"


def test_what_is_not_there_is_not_found(world: World) -> None:
    for account in (f"nobody-{uuid.uuid4().hex[:6]}", "not%20an%20id", "%00", "x" * 300):
        path = f"/v1/accounts/{account}"
        assert world.http.get(path).status_code == 404
        assert world.http.get(f"{path}/entries").status_code == 404
        assert world.http.post(f"{path}/freeze").status_code == 404
        response = world.http.post(f"{path}/deposits", json={"amount": "1.00", "currency": "EUR"})
        assert response.status_code == 404


def test_an_account_id_is_its_own_idempotency_key(world: World) -> None:
    body = {"account_id": f"{world.run}-a", "user_id": "ann", "currency": "EUR"}
    first, again = (world.http.post("/v1/accounts", json=body) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.headers["idempotency-replayed"] == "true"
    assert again.content == first.content
    problem(world.http.post("/v1/accounts", json=body | {"user_id": "bob"}), 422, "idempotency_conflict")
