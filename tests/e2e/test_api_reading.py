"""Lists, sums, positions and versions: what readers rely on."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import httpx
import pytest

from tests.e2e.api import World, client, problem


def test_a_users_payments_and_their_sum(world: World) -> None:
    ann = f"{world.run}-ann"
    payer, payee = world.account("a", "100.00", user=ann), world.account("b")
    world.processed_payment(payer, payee, "10.00")
    held = world.held_payment(payer, payee, "20.00")
    last = world.pay(payer, payee, "1000.00")
    listed = world.seen(last, f"/v1/users/{ann}/payments")["items"]
    assert [payment["status"] for payment in listed] == ["failed", "authorized", "processed"]
    assert listed[1]["payment_id"] == held
    found = world.seen(last, f"/v1/users/{ann}/payments/summary")
    assert (found["total_payments"], found["failed_payments"], found["pending_payments"]) == (3, 1, 1)
    assert found["total_amount"] == {"EUR": "1030.00"}
    assert found["last_payment_date"] == listed[0]["created_at"]
    assert found["recent_payments"] == listed
    assert world.http.get(f"/v1/users/{world.run}-nobody/payments/summary").json()["total_payments"] == 0


def test_analytics_over_days_and_currencies(world: World) -> None:
    payer, payee = world.account("a", "1000", currency="JPY"), world.account("b", currency="JPY")
    last = world.pay(payer, payee, "100", currency="JPY")
    world.until(last.headers["location"], "processed")
    today = datetime.now(UTC).date().isoformat()
    asked = {"from": today, "to": today, "currency": "JPY", "min_position": last.headers["event-position"]}
    found = world.http.get("/v1/analytics/payments", params=asked).json()
    assert found["total_payments"] == found["payments_by_currency"]["JPY"] >= 1
    assert found["total_amount"].keys() == found["average_amount"].keys() == {"JPY"}
    assert 0 < found["success_rate"] <= 1
    assert found["payments_by_status"]["processed"] >= 1
    assert found["daily_volume"][-1] == {
        "date": today,
        "count": found["total_payments"],
        "amount": found["total_amount"],
    }
    everything = world.http.get("/v1/analytics/payments", params={"from": f"{today}T00:00:00Z"}).json()
    assert everything["total_payments"] >= found["total_payments"]
    past = world.http.get("/v1/analytics/payments", params={"from": "2000-01-01", "to": "2000-12-31"}).json()
    assert (past["total_payments"], past["success_rate"], past["daily_volume"]) == (0, None, [])
    problem(
        world.http.get("/v1/analytics/payments", params={"from": "2020-02-01", "to": "2020-01-01"}),
        422,
        "invalid_range",
    )
    problem(world.http.get("/v1/analytics/payments", params={"currency": "XXX"}), 422, "unknown_currency")
    problem(world.http.get("/v1/analytics/payments", params={"from": "soon"}), 422, "invalid_field")


def test_a_read_right_after_a_write_shows_it_without_asking_for_a_position(world: World) -> None:
    for number in range(20):
        name = world.account(f"fresh-{number}", "10.00")
        found = world.http.get(f"/v1/accounts/{name}")
        assert (found.status_code, found.json()["balance"]) == (200, "10.00")


def test_what_was_written_is_read_at_its_position(world: World) -> None:
    """Twenty times, at once after the write: never the state before it."""
    account = world.account("a")
    for number in range(1, 21):
        written = world.deposit(account, "1.00")
        position = written.headers["event-position"]
        how = (
            {"params": {"min_position": position}} if number % 2 else {"headers": {"Wait-For-Position": position}}
        )
        read = world.http.get(f"/v1/accounts/{account}", **how)  # type: ignore[arg-type]
        assert read.json() == written.json()
        assert int(read.headers["projection-position"]) >= int(position)
        assert int(read.headers["projection-lag-events"]) >= 0


def test_a_position_that_never_comes_is_503_in_time(world: World) -> None:
    account = world.account("a")
    response = world.http.get(f"/v1/accounts/{account}", params={"min_position": 10**12})
    problem(response, 503, "not_caught_up")
    assert 4 < response.elapsed.total_seconds() < 8
    for wrong in ("-1", "x", str(2**80)):
        problem(world.http.get("/v1/accounts", params={"min_position": wrong}), 422, "invalid_field")


def test_pages_neither_skip_nor_repeat_while_rows_arrive(world: World) -> None:
    user = f"{world.run}-ann"
    payer, payee = world.account("a", "500.00", user=user), world.account("b", user=user)
    before = [world.held_payment(payer, payee, "1.00") for _ in range(15)]
    last = world.http.get("/v1/lag").json()["items"][0]["head_position"]
    stop = threading.Event()

    def keep_paying() -> None:
        with client(world.info) as http:
            busy = World(world.info, http, world.run)
            while not stop.is_set():
                busy.held_payment(payer, payee, "1.00")

    writer = threading.Thread(target=keep_paying)
    writer.start()
    try:
        for path in (f"/v1/users/{user}/payments", "/v1/payments"):
            seen: list[str] = []
            cursor = None
            while True:
                params = {"limit": 4, "min_position": last} | ({"cursor": cursor} if cursor else {})
                page = world.http.get(path, params=params).json()
                assert len(page["items"]) <= 4
                seen += [payment["payment_id"] for payment in page["items"]]
                cursor = page["next_cursor"]
                if cursor is None or set(before) <= set(seen):
                    break
            assert len(seen) == len(set(seen))
            mine = [payment_id for payment_id in seen if payment_id in set(before)]
            assert mine == before[::-1]
    finally:
        stop.set()
        writer.join()


@pytest.mark.parametrize("path", ["/v1/accounts", "/v1/payments", "/v1/transfers", "/v1/users/u/payments"])
def test_a_wrong_page_is_refused(world: World, path: str) -> None:
    for limit in (0, 201, -1, "x"):
        said = problem(world.http.get(path, params={"limit": limit}), 422, "invalid_field")
        assert said["field"] == "limit"
    for cursor in ("x", "W10", "AAAA", "%00"):
        assert problem(world.http.get(path, params={"cursor": cursor}), 422, "bad_cursor")["field"] == "cursor"


def test_an_etag_is_the_version(world: World) -> None:
    account = world.account("a", "10.00")
    path = f"/v1/accounts/{account}"
    written = world.deposit(account, "1.00")
    assert written.headers["etag"] == '"3"'
    world.seen(written, path)
    same = world.http.get(path, headers={"If-None-Match": '"3"'})
    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", '"3"')

    body = {"amount": "1.00", "currency": "EUR"}
    stale = world.http.post(f"{path}/withdrawals", json=body, headers={"If-Match": '"2"'})
    problem(stale, 412, "version_mismatch")
    problem(world.http.post(f"{path}/freeze", headers={"If-Match": "whatever"}), 412, "version_mismatch")
    good = world.http.post(f"{path}/withdrawals", json=body, headers={"If-Match": '"3"'})
    assert (good.status_code, good.headers["etag"]) == (201, '"4"')
    assert world.http.post(f"{path}/freeze", headers={"If-Match": "*"}).status_code == 200


def test_of_many_at_one_version_one_wins(world: World) -> None:
    account = world.account("a", "10.00")
    answers: list[int] = []

    def withdraw() -> None:
        with client(world.info) as http:
            response = http.post(
                f"/v1/accounts/{account}/withdrawals",
                json={"amount": "1.00", "currency": "EUR"},
                headers={"If-Match": '"2"'},
            )
            answers.append(response.status_code)

    threads = [threading.Thread(target=withdraw) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [201] + [412] * 7


def test_a_payments_etag_guards_what_follows(world: World) -> None:
    payment = world.held_payment(world.account("a", "50.00"), world.account("b"))
    path = f"/v1/payments/{payment}"
    problem(world.http.post(f"{path}/capture", headers={"If-Match": '"1"'}), 412, "version_mismatch")
    etag = world.until(path, "authorized")["version"]
    done = world.http.post(f"{path}/capture", headers={"If-Match": f'"{etag}"'})
    assert (done.status_code, done.headers["etag"]) == (200, f'"{etag + 1}"')
    problem(world.http.post(f"{path}/cancel", headers={"If-Match": f'"{etag}"'}), 412, "version_mismatch")
    problem(world.http.post(f"{path}/refunds", headers={"If-Match": f'"{etag}"'}), 412, "version_mismatch")
    problem(
        world.http.post(f"{path}/disputes", json={"reason": "x"}, headers={"If-Match": '"1"'}),
        412,
        "version_mismatch",
    )
    problem(world.http.post(f"{path}/cancel", headers={"If-Match": f'"{etag + 1}"'}), 409, "wrong_payment_status")


@pytest.mark.parametrize("action", ["capture", "refunds"])
def test_of_many_wishes_at_one_version_of_a_payment_one_is_granted(world: World, action: str) -> None:
    """Each alone is possible: it is the version that the others miss, at the very append."""
    payer, payee = world.account("a", "50.00"), world.account("b")
    make = world.held_payment if action == "capture" else world.processed_payment
    path = f"/v1/payments/{make(payer, payee, '20.00')}"
    asked = {"If-Match": f'"{world.until(path, "authorized", "processed")["version"]}"'}

    def ask(_: int) -> httpx.Response:
        with client(world.info) as http:
            return http.post(f"{path}/{action}", json={"amount": "1.00"}, headers=asked)

    with ThreadPoolExecutor(8) as many:
        answers = list(many.map(ask, range(8)))
    [granted] = [answer for answer in answers if answer.status_code == 200]
    for answer in answers:
        if answer is not granted:
            problem(answer, 412, "version_mismatch")
    found = world.seen(granted, path)
    assert (found["captured"], found["refunded"]) in {("1.00", "0.00"), ("20.00", "1.00")}


def test_a_condition_met_once_stays_met_for_its_repeats(world: World) -> None:
    path = f"/v1/payments/{world.held_payment(world.account('a', '50.00'), world.account('b'))}"
    version = world.until(path, "authorized")["version"]
    key = {"Idempotency-Key": f"{world.run}-once"}
    body = {"amount": "1.00"}
    problem(
        world.http.post(f"{path}/capture", json=body, headers={**key, "If-Match": '"1"'}), 412, "version_mismatch"
    )
    first = world.http.post(f"{path}/capture", json=body, headers={**key, "If-Match": f'"{version}"'})
    again = world.http.post(f"{path}/capture", json=body, headers={**key, "If-Match": f'"{version}"'})
    assert (first.status_code, again.status_code, again.content) == (200, 200, first.content)


def test_operators_see_lag_conservation_and_dead_letters(world: World) -> None:
    last = world.deposit(world.account("a"), "10.00")
    lag = world.http.get("/v1/lag")
    assert {view["view"] for view in lag.json()["items"]} >= {
        "accounts",
        "payments",
        "transfers",
        "ledger_entries",
    }
    found = world.seen(last, "/v1/conservation")["items"]
    assert all(line["holds"] and line["difference"].strip("0.") == "" for line in found)
    assert world.http.get("/v1/dead-letters", params={"all": True, "view": "accounts"}).json()["items"] == []
    problem(world.http.post("/v1/dead-letters/999999/retry"), 404, "not_found")
    assert world.http.post("/v1/dead-letters/none/retry").status_code == 404
