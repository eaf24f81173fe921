"""/v1/transfer-batches over HTTP: every route, well and badly used."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import httpx
import pytest

from tests.e2e.api import World, client, make_key, problem
from tests.fixtures.running import RunningStack

PATH = "/v1/transfer-batches"
NDJSON = {"Content-Type": "application/x-ndjson"}
Item = dict[str, Any]


def item(source: str, target: str, amount: str = "1.00", **more: object) -> Item:
    return {"from_account": source, "to_account": target, "amount": amount, "currency": "EUR", **more}


def send(world: World, items: Sequence[Item], **more: object) -> httpx.Response:
    return world.http.post(PATH, json={"items": list(items), **more})


def lines(items: Sequence[object]) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in items)


def test_a_batch_is_taken_in_and_every_item_gets_its_outcome(world: World) -> None:
    source, target = world.account("a", "100.00"), world.account("b")
    wanted = [
        item(source, target, "10.00", purpose="SALA", reference="March", metadata={"m": "3"}),
        item(target, source, "500.00"),
        item(source, f"{world.run}-nobody"),
        item(source, target, "5.00"),
    ]
    accepted = send(world, wanted, batch_id=world.run, reference="salaries")
    assert (accepted.status_code, accepted.headers["location"]) == (202, f"{PATH}/{world.run}")
    assert accepted.json()["submitted"] == [
        {"status": "submitted", "count": 4, "amount": "516.00", "currency": "EUR"}
    ]
    done = world.until(f"{PATH}/{world.run}", "completed")
    assert accepted.json().keys() == done.keys()
    assert done["outcomes"] == [
        {"status": "completed", "count": 2, "amount": "15.00", "currency": "EUR"},
        {"status": "rejected", "count": 2, "amount": "501.00", "currency": "EUR"},
    ]
    items = world.http.get(f"{PATH}/{world.run}/items").json()["items"]
    assert [(one["item"], one["status"], one["failure_code"]) for one in items] == [
        (1, "completed", None),
        (2, "rejected", "insufficient_funds"),
        (3, "rejected", "account_not_found"),
        (4, "completed", None),
    ]
    assert items[0]["metadata"] == {"m": "3"}
    assert {one["position"] for one in items} == {items[0]["position"]}, "one chunk, one append"

    entries = world.http.get(f"/v1/accounts/{source}/entries").json()["items"]
    sources = [(entry["amount"], entry["category"], entry["source"]) for entry in entries[:2]]
    assert sources == [
        ("-5.00", "transfer", f"transfer-{world.run}-4"),
        ("-10.00", "transfer", f"transfer-{world.run}-1"),
    ]
    transfer = world.http.get(f"/v1/transfers/{world.run}-1").json()
    assert (transfer["status"], transfer["location"], transfer["amount"]) == ("completed", "destination", "10.00")
    assert transfer["legs"][0]["batch_id"] == world.run
    assert world.http.get(f"/v1/transfers/{world.run}-2").json()["failure_code"] == "insufficient_funds"
    problem(world.http.get(f"/v1/transfers/{world.run}-5"), 404, "not_found")


def test_ndjson_pages_and_the_status_filter(world: World) -> None:
    source, target = world.account("a", "1000.00"), world.account("b")
    wanted = [item(source, target if n % 3 else f"{world.run}-x") for n in range(1, 31)]
    accepted = world.http.post(PATH, params={"batch_id": world.run}, content=lines(wanted), headers=NDJSON)
    assert accepted.status_code == 202, accepted.text
    done = world.until(f"{PATH}/{world.run}", "completed")
    assert (done["items"], done["settled"]) == (30, 30)
    found = list[int]()
    cursor: str | None = None
    while True:
        query: dict[str, str | int] = {"status": "rejected", "limit": 4}
        if cursor:
            query["cursor"] = cursor
        page = world.http.get(f"{PATH}/{world.run}/items", params=query).json()
        found += [one["item"] for one in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert found == list(range(3, 31, 3))
    assert (
        world.http.get(f"{PATH}/{world.run}/items", params={"status": "completed", "limit": 200})
        .json()["items"]
        .__len__()
        == 20
    )


def test_a_repeat_gets_the_first_answer_and_another_content_none(world: World) -> None:
    source, target = world.account("a", "100.00"), world.account("b")
    first = send(world, [item(source, target)], batch_id=world.run)
    again = send(world, [item(source, target)], batch_id=world.run)
    assert (again.status_code, again.headers["idempotency-replayed"]) == (202, "true")
    assert again.json() == first.json()
    problem(send(world, [item(source, target, "2.00")], batch_id=world.run), 422, "idempotency_conflict")
    key = {"Idempotency-Key": f"key-{world.run}"}
    body = {"items": [item(source, target)]}
    made, same = (world.http.post(PATH, json=body, headers=key) for _ in range(2))
    assert made.json()["batch_id"] == same.json()["batch_id"]
    assert same.headers["idempotency-replayed"] == "true"
    world.until(made.headers["location"], "completed")
    world.until(f"{PATH}/{world.run}", "completed")
    assert world.http.get(f"/v1/accounts/{target}").json()["balance"] == "2.00"


def test_what_is_wrong_names_the_item_and_its_field_and_nothing_is_kept(world: World) -> None:
    source, target = world.account("a", "100.00"), world.account("b")
    good = item(source, target)
    for bad, code, field in (
        (good | {"amount": "-1.00"}, "amount_not_positive", "items[3].amount"),
        (good | {"amount": 1.5}, "invalid_amount", "items[3].amount"),
        (good | {"amount": "1.234"}, "wrong_decimals", "items[3].amount"),
        (good | {"currency": "XXX"}, "unknown_currency", "items[3].currency"),
        (good | {"from_account": ""}, "invalid_field", "items[3].from_account"),
        (good | {"quote": {}}, "unknown_field", "items[3].quote"),
        ({"amount": "1.00", "currency": "EUR", "to_account": target}, "missing_field", "items[3].from_account"),
        ("nothing", "invalid_field", "items[3]"),
    ):
        wrong = [good, good, bad]
        document = world.http.post(PATH, json={"items": wrong, "batch_id": world.run})
        streamed = world.http.post(PATH, params={"batch_id": world.run}, content=lines(wrong), headers=NDJSON)
        for answer in (document, streamed):
            said = problem(answer, 422, code)
            assert said["field"] == field, said
            assert "item 3" in said["detail"]
    problem(world.http.post(PATH, content=lines([good]) + b"{", headers=NDJSON), 400, "bad_json")
    problem(world.http.post(PATH, content=b"{", headers={"Content-Type": "application/json"}), 400, "bad_json")
    problem(world.http.post(PATH, json={}), 422, "missing_field")
    problem(send(world, []), 422, "no_items")
    problem(send(world, [good], batch_id="x" * 94), 422, "invalid_field")
    problem(send(world, [good], colour="red"), 422, "unknown_field")
    problem(
        world.http.post(PATH, content=b"a", headers={"Content-Type": "text/csv"}), 415, "unsupported_media_type"
    )
    large = b" " * (4 * 1024 * 1024 + 1)
    problem(
        world.http.post(PATH, content=large, headers={"Content-Type": "application/json"}), 413, "body_too_large"
    )
    for path in ("", "/items"):
        problem(world.http.get(f"{PATH}/{world.run}{path}"), 404, "not_found" if not path else "batch_not_found")
    assert world.http.get(f"/v1/accounts/{source}").json()["balance"] == "100.00"


def test_an_atomic_batch_is_undone_as_a_whole(world: World) -> None:
    source, target = world.account("a", "10.00"), world.account("b")
    send(world, [item(source, target, "6.00"), item(source, target, "6.00")], batch_id=world.run, atomic=True)
    done = world.until(f"{PATH}/{world.run}", "compensated")
    assert (done["failure_code"], done["outcomes"]) == ("insufficient_funds", [])
    items = world.http.get(f"{PATH}/{world.run}/items").json()["items"]
    assert [one["status"] for one in items] == ["cancelled", "rejected"]
    assert world.http.get(f"/v1/accounts/{source}").json()["available"] == "10.00"


@pytest.mark.parametrize("atomic", [False, True])
def test_pause_resume_and_cancel(world: World, atomic: bool) -> None:
    source, target = world.account("a", "100000.00"), world.account("b")
    path = f"{PATH}/{world.run}"
    wanted = [item(source, target)] * 4000
    accepted = world.http.post(
        PATH,
        params={"batch_id": world.run, "atomic": str(atomic).lower()},
        content=lines(wanted),
        headers=NDJSON,
    )
    assert accepted.status_code == 202, accepted.text
    elsewhere = {"If-Match": '"999999"'}
    problem(world.http.post(f"{path}/pause", headers=elsewhere), 412, "version_mismatch")
    paused = world.http.post(f"{path}/pause", json={"reason": "wait"})
    if paused.status_code == 200:  # it was not faster than us
        assert paused.json()["status"] == "paused"
        assert world.http.post(f"{path}/resume").json()["status"] in ("running", "releasing", "completed")
    else:
        problem(paused, 409, "wrong_batch_status")
    cancelled = world.http.post(f"{path}/cancel", json={"reason": "enough"})
    if cancelled.status_code == 200:
        end = world.until(path, "compensated" if atomic else "cancelled")
        completed = sum(total["count"] for total in end["outcomes"] if total["status"] == "completed")
    else:
        problem(cancelled, 409, "wrong_batch_status")
        end, completed = world.until(path, "completed"), 4000
    balance = world.http.get(f"/v1/accounts/{target}", params={"min_position": 0}).json()["balance"]
    assert balance == f"{completed}.00"
    problem(world.http.post(f"{path}/pause"), 409, "wrong_batch_status")
    problem(world.http.post(f"{path}/pause", headers=elsewhere), 412, "version_mismatch")
    listed = world.http.get(PATH, params={"status": end["status"]}).json()["items"]
    assert world.run in [one["batch_id"] for one in listed]
    for name in ("pause", "resume", "cancel"):
        problem(world.http.post(f"{PATH}/{world.run}-none/{name}"), 404, "batch_not_found")


def test_a_key_of_a_user_debits_its_own_accounts_and_sees_its_own_batches(
    world: World, running_stack: RunningStack
) -> None:
    user = f"{world.run}-ann"
    key, _ = make_key(running_stack, "write", user=user)
    mine, other = world.account("a", "10.00", user=user), world.account("b", "10.00")
    with client(running_stack.info, key) as http:
        bad = http.post(PATH, json={"items": [item(mine, other), item(other, mine)], "batch_id": f"{world.run}-1"})
        assert problem(bad, 404, "account_not_found")["field"] == "items[2].from_account"
        assert http.post(PATH, json={"items": [item(mine, other)], "batch_id": world.run}).status_code == 202
        world.until(f"{PATH}/{world.run}", "completed")
        assert http.get(f"{PATH}/{world.run}").status_code == 200
        send(world, [item(other, mine)], batch_id=f"{world.run}-2")
        for path in ("", "/items"):
            assert http.get(f"{PATH}/{world.run}-2{path}").status_code == 404
        assert http.post(f"{PATH}/{world.run}-2/cancel").status_code == 404
        assert [one["batch_id"] for one in http.get(PATH).json()["items"]] == [world.run]
        assert http.get(f"/v1/transfers/{world.run}-1").status_code == 200
