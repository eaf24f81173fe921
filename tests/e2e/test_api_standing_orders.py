"""/v1/standing-orders and `starter.py standing-order` against the running stack."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import httpx
import pytest

from tests.e2e.api import World, client, make_key, problem
from tests.fixtures.running import RunningStack

YEAR = next(year for year in count(datetime.now(UTC).year + 1) if year % 4)
"""One whose February has 28 days, whenever this runs."""


def soon(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).replace(microsecond=0).isoformat()


@pytest.fixture
def monthly(world: World) -> dict[str, Any]:
    """The rent: on the last day of each month, by a clock that changes."""
    return {
        "standing_order_id": f"{world.run}-rent",
        "from_account": world.account("a", "100.00"),
        "to_account": world.account("b"),
        "amount": "10.00",
        "currency": "EUR",
        "frequency": "monthly",
        "first_at": f"{YEAR}-01-31T08:00:00+01:00",
        "time_zone": "Europe/Berlin",
        "day_of_month": 31,
        "tags": ["rent"],
    }


@pytest.fixture
def somebody_else(world: World, running_stack: RunningStack) -> Iterator[httpx.Client]:
    key, _ = make_key(running_stack, "write", user=f"{world.run}-eve")
    with client(world.info, key) as http:
        yield http


def test_a_standing_order_from_its_creation_to_its_end(
    world: World, monthly: dict[str, Any], somebody_else: httpx.Client
) -> None:
    created = world.http.post("/v1/standing-orders", json=monthly)
    assert created.status_code == 201, created.text
    path = created.headers["location"]
    assert created.json()["next_at"] == f"{YEAR}-01-31T07:00:00Z"
    assert world.seen(created, path) == created.json()
    again = world.http.post("/v1/standing-orders", json=monthly)
    assert (again.status_code, again.json(), again.headers["idempotency-replayed"]) == (
        201,
        created.json(),
        "true",
    )
    problem(
        world.http.post("/v1/standing-orders", json=monthly | {"amount": "11.00"}), 422, "idempotency_conflict"
    )

    january = {"run_at": f"{YEAR}-01-31T07:00:00Z"}
    skipped = world.http.post(f"{path}/skip", json=january, headers={"If-Match": '"1"'})
    assert (skipped.status_code, skipped.json()["next_at"]) == (200, f"{YEAR}-02-28T07:00:00Z")
    problem(world.http.post(f"{path}/skip", json=january), 409, "not_the_next_run")
    problem(world.http.post(f"{path}/pause", headers={"If-Match": '"1"'}), 412, "version_mismatch")
    paused = world.http.post(f"{path}/pause", json={"reason": "away"})
    assert (paused.json()["status"], paused.json()["next_at"], paused.json()["reason"]) == ("paused", None, "away")
    assert world.http.post(f"{path}/resume").json()["next_at"] == f"{YEAR}-02-28T07:00:00Z"
    listed = world.http.get("/v1/standing-orders", params={"status": "active"}).json()["items"]
    assert path.rpartition("/")[2] in [order["standing_order_id"] for order in listed]

    dearer = {"amount": "12.50", "purpose": "RENT", "end_at": f"{YEAR}-12-31T12:00:00+01:00"}
    key = {"Idempotency-Key": f"{world.run}-dearer"}
    amended = world.http.post(f"{path}/amend", json=dearer, headers=key)
    assert (amended.status_code, amended.json()["next_at"]) == (200, f"{YEAR}-02-28T07:00:00Z"), amended.text
    assert world.http.post(f"{path}/amend", json=dearer, headers=key).json() == amended.json()
    shown = world.seen(amended, path)
    assert shown == amended.json()
    told = {name: shown[name] for name in ("amount", "reference", "purpose", "end_at", "day_of_month")}
    assert told == dearer | {"reference": None, "end_at": f"{YEAR}-12-31T11:00:00Z", "day_of_month": 31}
    for change, field in (
        ({}, "amount"), ({"amount": "0.00"}, "amount"), ({"amount": "1.005"}, "amount"),
        ({"end_at": "now"}, "end_at"), ({"end_at": f"{YEAR}-01-01T00:00:00Z"}, "end_at"),
        ({"to_account": "x"}, "to_account"),
    ):  # fmt: skip
        refused = world.http.post(f"{path}/amend", json=change)
        assert (refused.status_code, refused.json()["field"]) == (422, field), refused.text

    for way in ("", "/runs", "/events"):
        problem(somebody_else.get(path + way), 404, "standing_order_not_found" if way else "not_found")
    problem(somebody_else.post(f"{path}/amend", json={"amount": "1.00"}), 404, "standing_order_not_found")
    for way in ("pause", "resume", "skip", "cancel"):
        problem(somebody_else.post(f"{path}/{way}"), 404, "standing_order_not_found")
    theirs = somebody_else.post("/v1/standing-orders", json=monthly | {"standing_order_id": f"{world.run}-eve"})
    problem(theirs, 404, "account_not_found")
    assert somebody_else.get("/v1/standing-orders").json()["items"] == []

    cancelled = world.http.post(f"{path}/cancel")
    assert cancelled.json()["status"] == "cancelled"
    problem(world.http.post(f"{path}/pause"), 409, "wrong_standing_order_status")
    [run] = world.http.get(f"{path}/runs").json()["items"]
    assert (run["run_at"], run["outcome"], run["transfer_id"]) == (f"{YEAR}-01-31T07:00:00Z", "skipped", None)
    types = [event["type"] for event in world.http.get(f"{path}/events").json()["items"]]
    changes = ("Paused", "Resumed", "Amended", "Cancelled")
    assert types[1:] == ["RunSkipped", *(f"StandingOrder{change}" for change in changes)]


def test_a_scheduled_transfer_is_made_at_its_time_and_one_that_is_not_covered_fails(
    world: World, monthly: dict[str, Any]
) -> None:
    once = {name: value for name, value in monthly.items() if name != "day_of_month"}
    once |= {"frequency": "once", "first_at": soon(2)}
    dear = once | {"standing_order_id": f"{world.run}-dear", "amount": "1000.00"}
    paths = [world.http.post("/v1/standing-orders", json=body).headers["location"] for body in (once, dear)]
    made, failed = (world.until(path, "ended") for path in paths)
    assert (made["made"], made["failed"], made["last_outcome"]) == (1, 0, "made")
    assert (failed["made"], failed["failed"], failed["last_outcome"]) == (0, 1, "failed")
    world.until(f"/v1/transfers/{made['last_transfer']}", "completed")
    [run] = world.http.get(f"{paths[0]}/runs").json()["items"]
    assert (run["outcome"], run["transfer_status"], run["code"]) == ("made", "completed", None)
    [run] = world.http.get(f"{paths[1]}/runs").json()["items"]
    assert (run["outcome"], run["transfer_status"], run["code"]) == ("failed", "rejected", "insufficient_funds")
    assert world.http.get(f"/v1/accounts/{once['to_account']}").json()["balance"] == "10.00"


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"time_zone": "Mars/Base"}, "unknown_time_zone", "time_zone"),
        ({"first_at": "2020-01-31T08:00:00+01:00"}, "first_at_past", "first_at"),
        ({"first_at": f"{YEAR}-01-30T08:00:00+01:00"}, "invalid_day_of_month", "day_of_month"),
        ({"end_at": f"{YEAR}-01-01T00:00:00Z"}, "invalid_end_at", "end_at"),
        ({"first_at": "soon"}, "invalid_field", "first_at"),
        ({"first_at": 1900000000}, "invalid_field", "first_at"),
        ({"amount": "0.00"}, "amount_not_positive", "amount"),
        ({"frequency": "interval", "day_of_month": None}, "invalid_interval", "every_s"),
    ],
)
def test_what_could_never_run_names_the_field(
    world: World, monthly: dict[str, Any], change: dict[str, Any], code: str, field: str
) -> None:
    refused = world.http.post("/v1/standing-orders", json=monthly | change)
    assert problem(refused, 422, code)["field"] == field


def test_the_command_line(world: World, running_stack: RunningStack, monthly: dict[str, Any]) -> None:
    source, target, order_id = monthly["from_account"], monthly["to_account"], monthly["standing_order_id"]
    first = f"{YEAR}-01-31T08:00:00+01:00"
    terms = ("10", "EUR", first, "--frequency", "monthly", "--time-zone", "Europe/Berlin", "--day", "31")
    made = running_stack.json("standing-order", "create", source, target, *terms, "--id", order_id)
    assert (made["status"], made["next_at"]) == ("active", f"{YEAR}-01-31T07:00:00Z")
    assert running_stack.json("standing-order", "skip", order_id)["next_at"] == f"{YEAR}-02-28T07:00:00Z"
    dearer = running_stack.json("standing-order", "amend", order_id, "--amount", "12.5", "--reference", "more")
    assert dearer["amount"] == {"amount": "12.50", "currency": "EUR"}
    over = running_stack.command("standing-order", "amend", order_id, "--end", "2020-01-01")
    assert (over.code, "end_at" in over.err) == (1, True), over
    assert running_stack.json("standing-order", "pause", order_id, "--reason", "away")["status"] == "paused"
    shown = running_stack.command("standing-order", "list", "--user", f"{world.run}-user-a")
    assert order_id[:8] in shown.out, shown
    [run] = running_stack.json("standing-order", "runs", order_id)["items"]
    assert run["outcome"] == "skipped"
    assert running_stack.json("standing-order", "cancel", order_id)["status"] == "cancelled"
