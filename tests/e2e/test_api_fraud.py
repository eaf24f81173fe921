"""/v1/fraud-cases and what goes with them over HTTP: every route, well and badly used."""

from __future__ import annotations

import time

import pytest

from tests.e2e.api import World, client, make_key, problem
from tests.fixtures.running import RunningStack


def held(world: World) -> tuple[str, str]:
    """The path of a case about a payment in review, once the view shows it; and the payment's."""
    payment = world.pay(world.account("a", "50000.00", user=f"{world.run}-ann"), world.account("b"), "20000.00")
    assert payment.json()["status"] == "in_review", payment.text
    case_id = f"payment-{payment.json()['payment_id']}"
    world.until(f"/v1/fraud-cases/{case_id}", "open")
    return f"/v1/fraud-cases/{case_id}", payment.headers["location"]


def test_a_case_is_worked_on_and_decided(world: World) -> None:
    case, payment = held(world)
    assigned = world.http.post(f"{case}/assign", json={"analyst": "ana"})
    assert (assigned.status_code, assigned.json()["assignee"]) == (200, "ana"), assigned.text
    noted = world.http.post(f"{case}/notes", json={"note": "called the customer"})
    assert noted.json()["notes"][0]["note"] == "called the customer"
    assert world.http.post(f"{case}/escalate").json()["status"] == "escalated"
    decided = world.http.post(f"{case}/decide", json={"decision": "reject", "note": "stolen", "freeze": True})
    assert decided.status_code == 200, decided.text
    assert (decided.json()["status"], decided.json()["frozen"]) == ("rejected", True)
    world.until(payment, "failed")
    shown = world.seen(decided, case)
    assert shown == decided.json(), "an answer to a write and a later read agree"
    assert shown["rules"] == ["amount"]
    account = world.http.get(f"/v1/accounts/{shown['account_id']}").json()
    assert (account["status"], account["held"]) == ("frozen", "0.00")
    problem(world.http.post(f"{case}/notes", json={"note": "late"}), 409, "wrong_fraud_case_status")


def test_an_approved_payment_goes_on(world: World) -> None:
    case, payment = held(world)
    assert world.http.post(f"{case}/decide", json={"decision": "approve"}).json()["status"] == "approved"
    world.until(payment, "processed")


def test_a_case_by_hand_shows_in_the_profile_and_among_similar_ones(world: World) -> None:
    case, _ = held(world)
    user, body = f"{world.run}-ann", {"risk_score": 95, "reason": "a tip", "case_id": f"{world.run}-c"}
    opened = world.http.post("/v1/fraud-cases", json=body | {"account_id": f"{world.run}-a"})
    assert (opened.status_code, opened.json()["user_id"]) == (201, user), opened.text
    again = world.http.post("/v1/fraud-cases", json=body | {"account_id": f"{world.run}-a"})
    assert (again.status_code, again.headers["idempotency-replayed"]) == (201, "true")
    other = world.http.post("/v1/fraud-cases", json=body | {"account_id": f"{world.run}-b"})
    problem(other, 422, "idempotency_conflict")
    profile = world.seen(opened, f"/v1/users/{user}/risk-profile")
    assert (profile["risk_score"], profile["cases"], profile["open_cases"]) == (95, 2, 2)
    assert profile["rules"] == {"amount": 1}
    similar = world.http.get(f"{case}/similar").json()["items"]
    assert similar[0]["case_id"] == f"{world.run}-c"
    mine = world.http.get("/v1/fraud-cases", params={"user_id": user, "limit": 1}).json()
    assert [found["case_id"] for found in mine["items"]] == [f"{world.run}-c"]
    rest = world.http.get("/v1/fraud-cases", params={"user_id": user, "cursor": mine["next_cursor"]}).json()
    assert [f"/v1/fraud-cases/{found['case_id']}" for found in rest["items"]] == [case]
    world.http.post(f"/v1/fraud-cases/{world.run}-c/decide", json={"decision": "approve"})
    world.http.post(f"{case}/decide", json={"decision": "reject"})


def test_rule_hit_rates_and_queue_ages(world: World) -> None:
    case, _ = held(world)
    found = world.http.get("/v1/analytics/fraud").json()
    assert found["screened"] >= found["held"] >= 1
    rule = next(rule for rule in found["rules"] if rule["rule"] == "amount")
    assert 0 < rule["hit_rate"] <= 1
    queue = {line["status"]: line for line in found["queue"]}
    assert queue["open"]["cases"] >= 1
    assert queue["open"]["oldest_s"] >= queue["open"]["median_s"] >= 0
    problem(
        world.http.get("/v1/analytics/fraud", params={"from": "2026-03-02", "to": "2026-03-01"}),
        422,
        "invalid_range",
    )
    world.http.post(f"{case}/decide", json={"decision": "reject"})


def test_an_account_with_limits_of_its_own_is_screened_by_them(world: World) -> None:
    payer, payee = world.account("a", "100.00"), world.account("b")
    assert world.http.post(f"/v1/accounts/{payer}/limits", json={"review_above": "5"}).status_code == 200
    assert world.pay(payer, payee, "5.01").json()["status"] == "in_review"
    assert world.http.post(f"/v1/accounts/{payer}/limits", json={}).status_code == 200
    assert world.pay(payer, payee, "5.01").json()["status"] in ("authorized", "processed")
    problem(world.http.post(f"/v1/accounts/{payer}/limits", json={"velocity_max": 0}), 422, "invalid_field")


@pytest.mark.parametrize(
    ("body", "status", "code", "field"),
    [
        ({"risk_score": 5, "reason": "x"}, 422, "subject_missing", "account_id"),
        (
            {"risk_score": 5, "reason": "x", "account_id": "a", "payment_id": "p"},
            422,
            "subject_missing",
            "account_id",
        ),
        ({"risk_score": 101, "reason": "x", "account_id": "a"}, 422, "invalid_field", "risk_score"),
        ({"risk_score": 5, "reason": "x", "account_id": "nobody-at-all"}, 404, "account_not_found", "account_id"),
        ({"risk_score": 5, "reason": "x", "payment_id": "no-such-one"}, 404, "payment_not_found", None),
    ],
)
def test_a_case_that_makes_no_sense_is_refused(
    world: World, body: dict[str, object], status: int, code: str, field: str | None
) -> None:
    said = problem(world.http.post("/v1/fraud-cases", json=body), status, code)
    assert field is None or said["field"] == field


def test_what_is_not_there_and_who_may_not(world: World, running_stack: RunningStack) -> None:
    for name, body in (
        ("assign", {"analyst": "a"}),
        ("notes", {"note": "n"}),
        ("decide", {"decision": "approve"}),
    ):
        problem(world.http.post(f"/v1/fraud-cases/none/{name}", json=body), 404, "fraud_case_not_found")
    problem(world.http.get("/v1/fraud-cases/none"), 404, "not_found")
    problem(world.http.get("/v1/fraud-cases/none/similar"), 404, "not_found")
    key, _ = make_key(running_stack, "read", "write")
    with client(world.info, key) as plain:
        problem(plain.get("/v1/fraud-cases"), 403, "missing_scope")
        problem(plain.get("/v1/users/ann/risk-profile"), 403, "missing_scope")
        problem(plain.post("/v1/fraud-cases/none/notes", json={"note": "n"}), 403, "missing_scope")


def test_the_analyst_s_commands(world: World, running_stack: RunningStack, tmp_path: object) -> None:
    case, _ = held(world)
    case_id = case.rpartition("/")[2]
    assert running_stack.json("fraud", "assign", case_id, "ana")["assignee"] == "ana"
    assert running_stack.json("fraud", "note", case_id, "looks odd")["status"] == "open"
    deadline = time.monotonic() + 10
    while not (shown := running_stack.json("fraud", "show", case_id)["case"])["notes"]:
        assert time.monotonic() < deadline
    assert shown["notes"][0]["note"] == "looks odd"
    assert running_stack.json("fraud", "reject", case_id, "--note", "stolen")["status"] == "rejected"
    assert running_stack.json("fraud", "profile", f"{world.run}-ann")["confirmed"] in (0, 1)
    assert "rejected" in running_stack.command("fraud", "list", "--user", f"{world.run}-ann").out
    assert "amount" in running_stack.command("fraud", "stats").out
    rules = f"{tmp_path}/rules.json"
    with open(rules, "w", encoding="utf-8") as file:
        file.write('{"review_above": 15000, "decline_at": 60}')
    tried = running_stack.json("fraud", "backtest", rules)
    assert tried["caught"] >= 1
    assert tried["declined"] == tried["held"] >= 1
    assert running_stack.command("fraud", "backtest", f"{tmp_path}/none.json").code == 2
    assert running_stack.command("fraud", "open", "--score", "5", "--reason", "x").code == 2
    missing = running_stack.command("fraud", "note", "none", "x")
    assert (missing.code, missing.err.strip()) == (1, "fraud_case_not_found: fraud case does not exist")
