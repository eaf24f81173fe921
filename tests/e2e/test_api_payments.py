"""/v1/payments over HTTP: every route, well and badly used."""

from __future__ import annotations

import pytest

from tests.e2e.api import World, problem


def test_a_payment_is_answered_at_once_and_processed_soon(world: World) -> None:
    payer, payee = world.account("a", "100.00"), world.account("b")
    details = {"reference": "order 1", "description": "books", "tags": ["x", "y"], "metadata": {"shop": "7"}}
    paid = world.pay(payer, payee, "10.00", payment_id=f"{world.run}-p", **details)
    assert paid.status_code == 201
    assert paid.headers["location"] == f"/v1/payments/{world.run}-p"
    answer = paid.json()
    assert details.items() <= answer.items()

    shown = world.until(f"/v1/payments/{world.run}-p", "processed")
    assert answer.keys() == shown.keys()
    assert (shown["captured"], shown["fee"], shown["refunded"]) == ("10.00", "0.10", "0.00")
    assert shown["processed_at"].endswith("Z")
    events = world.http.get(f"/v1/payments/{world.run}-p/events").json()["items"]
    assert [event["type"] for event in events] == [
        "PaymentInitiated",
        "FraudCheckPassed",
        "PaymentAuthorized",
        "PaymentProcessed",
    ]
    assert answer["status"] == "processed", "the answer is where the first step left it, at every repeat"
    assert int(paid.headers["event-position"]) - events[3]["position"] in (4, 5), (
        "the entries of payer, payee and fee account (which opens with its first fee) are part of the write"
    )
    page = world.http.get(f"/v1/payments/{world.run}-p/events", params={"limit": 3}).json()
    rest = world.http.get(f"/v1/payments/{world.run}-p/events", params={"cursor": page["next_cursor"]}).json()
    assert page["items"] + rest["items"] == events


def test_a_held_payment_is_captured_in_parts_and_the_rest_given_up(world: World) -> None:
    payer, payee = world.account("a", "100.00"), world.account("b")
    path = f"/v1/payments/{world.held_payment(payer, payee, '30.00')}"
    part = world.http.post(f"{path}/capture", json={"amount": "10.00"})
    assert (part.status_code, part.json()["status"], part.json()["captured"]) == (
        200,
        "partially_captured",
        "10.00",
    )
    problem(world.http.post(f"{path}/capture", json={"amount": "20.01"}), 409, "capture_too_large")
    problem(
        world.http.post(f"{path}/capture", json={"amount": "1.00", "currency": "USD"}), 422, "currency_mismatch"
    )
    rest = world.http.post(f"{path}/cancel", json={"reason": "sold out"})
    assert (rest.json()["status"], rest.json()["held"]) == ("processed", "0.00")
    assert world.seen(rest, path) == rest.json()
    late = problem(world.http.post(f"{path}/capture"), 409, "wrong_payment_status")
    assert "payment is not in authorized or partially_captured status" in late["detail"]


def test_all_of_it_is_captured_without_a_body(world: World) -> None:
    path = f"/v1/payments/{world.held_payment(world.account('a', '50.00'), world.account('b'))}"
    assert world.http.post(f"{path}/capture").json()["status"] == "processed"


def test_a_payment_is_cancelled(world: World) -> None:
    payer, payee = world.account("a", "50.00"), world.account("b")
    path = f"/v1/payments/{world.held_payment(payer, payee)}"
    done = world.http.post(f"{path}/cancel")
    assert done.json()["status"] == "cancelled"
    assert world.seen(done, f"/v1/accounts/{payer}")["available"] == "50.00"
    problem(world.http.post(f"{path}/cancel"), 409, "wrong_payment_status")


def test_a_payment_is_refunded_and_disputed(world: World) -> None:
    path = f"/v1/payments/{world.processed_payment(world.account('a', '50.00'), world.account('b', '5.00'))}"
    part = world.http.post(f"{path}/refunds", json={"amount": "4.00", "reason": "scratched"})
    assert (part.status_code, part.json()["status"], part.json()["refunded"]) == (
        200,
        "partially_refunded",
        "4.00",
    )
    problem(world.http.post(f"{path}/refunds", json={"amount": "6.01"}), 409, "refund_too_large")
    problem(world.http.post(f"{path}/disputes/resolve", json={"outcome": "won"}), 409, "wrong_payment_status")
    assert world.http.post(f"{path}/disputes", json={"reason": "never came"}).json()["status"] == "disputed"
    problem(world.http.post(f"{path}/disputes", json={"reason": "again"}), 409, "wrong_payment_status")
    won = world.http.post(f"{path}/disputes/resolve", json={"outcome": "won", "note": "proof"})
    assert (won.json()["status"], won.json()["dispute"]["outcome"]) == ("partially_refunded", "won")
    assert world.seen(won, path) == won.json()
    assert world.http.post(f"{path}/refunds").json()["status"] == "refunded"


def test_a_lost_dispute_is_charged_back(world: World) -> None:
    path = f"/v1/payments/{world.processed_payment(world.account('a', '50.00'), world.account('b', '5.00'))}"
    world.http.post(f"{path}/disputes", json={"reason": "never came"})
    lost = world.http.post(f"{path}/disputes/resolve", json={"outcome": "lost"})
    assert lost.json()["status"] == "charged_back"


@pytest.mark.parametrize(("decision", "status"), [("approve", "processed"), ("reject", "failed")])
def test_a_large_payment_is_reviewed(world: World, decision: str, status: str) -> None:
    paid = world.pay(world.account("a", "50000.00"), world.account("b"), "10000.01")
    assert (paid.status_code, paid.json()["status"]) == (201, "in_review")
    path = f"/v1/payments/{paid.json()['payment_id']}"
    decided = world.http.post(f"{path}/review", json={"decision": decision, "note": "looked at"})
    assert decided.status_code == 200, decided.text
    assert decided.json()["status"] == status
    assert world.seen(decided, path) == decided.json()
    problem(world.http.post(f"{path}/review", json={"decision": decision}), 409, "wrong_payment_status")


def test_a_payment_without_funds_fails_and_says_why(world: World) -> None:
    paid = world.pay(world.account("a", "5.00"), world.account("b"), "10.00")
    assert (paid.status_code, paid.json()["status"]) == (201, "failed")
    assert paid.json()["failure_code"] == "insufficient_funds"
    assert "5.00 EUR available" in paid.json()["failure_reason"]


def test_wrong_payments_name_the_field(world: World) -> None:
    payer, payee, yen = world.account("a", "5.00"), world.account("b"), world.account("c", currency="JPY")
    said = problem(world.pay(payer, payer), 422, "same_account")
    assert (said["field"], said["detail"]) == ("to_account", "cannot transfer to the same account")
    for nothing in ("0.00", "0", "-1.00", "-1", 0, -5, -0.5):
        said = problem(world.pay(payer, payee, nothing), 422, "amount_not_positive")  # type: ignore[arg-type]
        assert (said["field"], said["detail"]) == ("amount", "amount must be positive")
    problem(world.pay(payer, payee, 1.5), 422, "invalid_amount")  # type: ignore[arg-type]
    assert problem(world.pay(payer, f"{world.run}-none"), 404, "account_not_found")["field"] == "to_account"
    assert problem(world.pay(f"{world.run}-none", payee), 404, "account_not_found")["field"] == "from_account"
    assert problem(world.pay(payer, yen), 422, "quote_required")["field"] == "quote_id"
    for wrong in (
        {"capture": "later"},
        {"expires_in_s": 0},
        {"tags": [""]},
        {"metadata": {"a": 1}},
        {"fee": "0.00"},
    ):
        said = world.pay(payer, payee, **wrong).json()
        assert said["status"] == 422
        assert said["field"].startswith(next(iter(wrong)))
    held = world.held_payment(payer, payee, "1.00")
    for path in ("disputes", "disputes/resolve", "review"):
        problem(world.http.post(f"/v1/payments/{held}/{path}", json={}), 422, "missing_field")
    problem(world.http.post(f"/v1/payments/{held}/refunds", json={"amount": "1.00"}), 409, "wrong_payment_status")


def test_an_unknown_payment_is_not_found_by_any_route(world: World) -> None:
    path = f"/v1/payments/{world.run}-none"
    bodies: dict[str, dict[str, str]] = {
        "capture": {},
        "cancel": {},
        "refunds": {},
        "disputes": {"reason": "r"},
        "disputes/resolve": {"outcome": "won"},
        "review": {"decision": "approve"},
    }
    for name, body in bodies.items():
        assert world.http.post(f"{path}/{name}", json=body).status_code == 404, name
    for name in ("", "/events"):
        assert world.http.get(f"{path}{name}").status_code == 404


def test_the_payment_id_is_its_own_idempotency_key(world: World) -> None:
    payer, payee = world.account("a", "50.00"), world.account("b")
    first, again = (world.pay(payer, payee, payment_id=f"{world.run}-p") for _ in range(2))
    assert again.content == first.content
    assert again.headers["idempotency-replayed"] == "true"
    problem(world.pay(payer, payee, "11.00", payment_id=f"{world.run}-p"), 422, "idempotency_conflict")
    problem(
        world.http.post(
            "/v1/payments",
            json={
                "payment_id": f"{world.run}-p",
                "from_account": payer,
                "to_account": payee,
                "amount": "12.00",
                "currency": "EUR",
            },
            headers={"Idempotency-Key": f"{world.run}-other"},
        ),
        422,
        "idempotency_conflict",
    )
