"""/v1/transfers over HTTP: every route, well and badly used."""

from __future__ import annotations

import pytest

from tests.e2e.api import World, problem


def test_a_transfer_is_accepted_at_once_and_completes(world: World) -> None:
    source, target = world.account("a", "100.00"), world.account("b")
    accepted = world.transfer(source, target, "25.00", reference="rent", purpose="RENT", metadata={"m": "3"})
    assert accepted.status_code == 202
    assert accepted.json()["status"] in ("reserved", "in_transit", "completed")
    path = accepted.headers["location"]
    done = world.until(path, "completed")
    assert accepted.json().keys() == done.keys()
    assert [leg["name"] for leg in done["legs"]] == [
        "initiated",
        "source_reserved",
        "source_debited",
        "destination_credited",
    ]
    assert done["failure_reason"] is None
    events = world.http.get(f"{path}/events").json()["items"]
    assert [event["type"] for event in events][-1] == "DestinationCredited"
    problem(world.http.post(f"{path}/cancel"), 409, "wrong_transfer_status")
    problem(world.http.post(f"{path}/resolve", json={"action": "retry"}), 409, "wrong_transfer_status")


def test_a_transfer_that_the_source_cannot_pay_is_rejected(world: World) -> None:
    rejected = world.transfer(world.account("a", "5.00"), world.account("b"), "25.00")
    assert (rejected.status_code, rejected.json()["status"]) == (202, "rejected")
    assert rejected.json()["failure_code"] == "insufficient_funds"


@pytest.mark.parametrize(("decision", "status"), [("approve", "completed"), ("reject", "rejected")])
def test_a_large_transfer_is_reviewed(world: World, decision: str, status: str) -> None:
    held = world.transfer(world.account("a", "50000.00"), world.account("b"), "20000.00")
    assert held.json()["status"] == "in_review"
    path = held.headers["location"]
    decided = world.http.post(f"{path}/review", json={"decision": decision})
    assert decided.status_code in (200, 409), decided.text
    world.until(path, status)


def test_a_transfer_in_review_is_cancelled(world: World) -> None:
    held = world.transfer(world.account("a", "50000.00"), world.account("b"), "20000.00")
    cancelled = world.http.post(f"{held.headers['location']}/cancel", json={"reason": "second thoughts"})
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")


def test_wrong_transfers_name_the_field(world: World) -> None:
    source, target = world.account("a", "5.00"), world.account("b")
    assert problem(world.transfer(source, source), 422, "same_account")["field"] == "to_account"
    assert problem(world.transfer(source, target, "-1.00"), 422, "amount_not_positive")["field"] == "amount"
    assert problem(world.transfer(source, f"{world.run}-x"), 404, "account_not_found")["field"] == "to_account"
    assert problem(world.transfer(source, target, quote={}), 422, "unknown_field")["field"] == "quote"
    path = f"/v1/transfers/{world.run}-none"
    for name, body in (("cancel", {}), ("resolve", {"action": "retry"}), ("review", {"decision": "reject"})):
        assert world.http.post(f"{path}/{name}", json=body).status_code == 404
    assert world.http.get(path).status_code == 404
    assert world.http.get(f"{path}/events").status_code == 404
    problem(world.http.post(f"{path}/resolve", json={"action": "pray"}), 422, "invalid_field")


def test_transfers_are_listed_by_status(world: World) -> None:
    source, target = world.account("a", "50.00"), world.account("b")
    rejected = world.transfer(source, target, "51.00")
    listed = world.http.get(
        "/v1/transfers",
        params={"status": "rejected", "limit": 1, "min_position": rejected.headers["event-position"]},
    ).json()
    assert listed["items"][0]["transfer_id"] == rejected.json()["transfer_id"]
    assert listed["next_cursor"]
    problem(world.http.get("/v1/transfers", params={"status": "gone"}), 422, "invalid_field")
