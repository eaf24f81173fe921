"""The rows of the OWASP API Security Top 10 (2023), each tried on the running API.

API7 (server side request forgery) does not apply: no route takes an address to call. API10 (unsafe consumption of
other APIs) is about the rail, whose answers tests/e2e/test_transfer_cancel.py and tests/e2e/rail.py distort.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx
import pytest

from tests.e2e.api import World, client, make_key, problem
from tests.fixtures.running import RunningStack


@dataclass
class TwoUsers:
    """Ann's key, and what is Bob's."""

    world: World
    ann: httpx.Client
    reader: httpx.Client
    ann_account: str
    bob_account: str
    carol_account: str
    theirs: str
    shared: str
    their_transfer: str


@pytest.fixture
def two(world: World, running_stack: RunningStack) -> Iterator[TwoUsers]:
    """Bob pays Carol, which is none of Ann's business; Ann has paid Bob, which is."""
    ann = f"{world.run}-ann"
    mine = world.account("a", "100.00", user=ann)
    bob, carol = world.account("b", "100.00"), world.account("c")
    write, _ = make_key(running_stack, "write", user=ann)
    read, _ = make_key(running_stack, "read", user=ann)
    theirs, shared = world.held_payment(bob, carol), world.processed_payment(mine, bob)
    moved = world.transfer(bob, carol)
    world.until(moved.headers["location"], "completed")
    with client(world.info, write) as http, client(world.info, read) as reader:
        yield TwoUsers(world, http, reader, mine, bob, carol, theirs, shared, moved.json()["transfer_id"])


MONEY = {"amount": "1.00", "currency": "EUR"}


def test_api1_broken_object_level_authorization(two: TwoUsers) -> None:
    """Another user's things are not there, for reads and writes alike, in the words for what does not exist."""
    bob, payment, transfer = two.bob_account, two.theirs, two.their_transfer
    reads = (
        f"/v1/accounts/{bob}",
        f"/v1/accounts/{bob}/entries",
        f"/v1/accounts/{bob}/statement",
        f"/v1/accounts/{bob}/statement/csv",
        f"/v1/accounts/{bob}/statement/camt.053",
        f"/v1/accounts/{bob}/summary",
        f"/v1/accounts/{bob}?as_of=2099-01-01T00:00:00Z",
        f"/v1/payments/{payment}",
        f"/v1/payments/{payment}/events",
        f"/v1/transfers/{transfer}",
        f"/v1/transfers/{transfer}/events",
    )
    for path in reads:
        theirs = two.ann.get(path)
        assert theirs.status_code == 404, path
        nothing = two.ann.get(path.replace(bob, "nobody").replace(payment, "nobody").replace(transfer, "nobody"))
        assert _told(nothing) == _told(theirs, bob, payment, transfer), path
    writes: tuple[tuple[str, dict[str, str]], ...] = (
        (f"/v1/accounts/{bob}/withdrawals", MONEY),
        (f"/v1/accounts/{bob}/freeze", {}),
        (f"/v1/accounts/{bob}/close", {}),
        (f"/v1/payments/{payment}/capture", {}),
        (f"/v1/payments/{payment}/cancel", {}),
        (f"/v1/payments/{payment}/refunds", {}),
        (f"/v1/payments/{payment}/disputes", {"reason": "r"}),
        (f"/v1/transfers/{transfer}/cancel", {}),
        ("/v1/payments", {"from_account": bob, "to_account": two.ann_account, **MONEY}),
        ("/v1/transfers", {"from_account": bob, "to_account": two.ann_account, **MONEY}),
    )
    for path, body in writes:
        theirs = two.ann.post(path, json=body)
        assert theirs.status_code == 404, f"{path} {theirs.text}"
        gone = {name: value.replace(bob, "nobody") for name, value in body.items()}
        nothing = two.ann.post(
            path.replace(bob, "nobody").replace(payment, "nobody").replace(transfer, "nobody"), json=gone
        )
        assert _told(nothing) == _told(theirs, bob, payment, transfer), path
    assert two.world.http.get(f"/v1/accounts/{bob}").json()["status"] == "open"
    assert two.world.http.get(f"/v1/payments/{payment}").json()["status"] == "authorized"


def _told(response: httpx.Response, *ids: str) -> str:
    """A problem without what differs by itself."""
    said = {name: value for name, value in response.json().items() if name not in ("correlation_id", "instance")}
    text = json.dumps(said)
    for one in ids:
        text = text.replace(one, "nobody")
    return text


def test_api1_lists_hold_only_what_is_the_callers(two: TwoUsers) -> None:
    mine = two.world.deposit(two.ann_account, "1.00").headers["event-position"]
    accounts = two.ann.get("/v1/accounts", params={"min_position": mine}).json()["items"]
    assert [account["account_id"] for account in accounts] == [two.ann_account]
    bobs = two.world.http.get(f"/v1/accounts/{two.bob_account}").json()["user_id"]
    assert two.ann.get("/v1/accounts", params={"user_id": bobs}).json()["items"] == []
    assert [p["payment_id"] for p in two.ann.get("/v1/payments").json()["items"]] == [two.shared]
    assert two.ann.get("/v1/transfers").json()["items"] == []
    assert two.ann.get(f"/v1/users/{bobs}/payments").status_code == 404
    assert two.ann.get(f"/v1/users/{bobs}/payments/summary").status_code == 404


def test_api1_each_party_of_a_payment_does_its_own_part(two: TwoUsers) -> None:
    """Ann may dispute what she paid; giving it back is Bob's to do."""
    path = f"/v1/payments/{two.shared}"
    assert two.ann.get(path).status_code == 200
    problem(two.ann.post(f"{path}/refunds"), 403, "not_yours")
    assert two.ann.post(f"{path}/disputes", json={"reason": "never came"}).status_code == 200
    paid = two.ann.post(
        "/v1/payments", json={"from_account": two.ann_account, "to_account": two.carol_account, **MONEY}
    )
    assert paid.status_code == 201
    sent = two.ann.post(
        "/v1/transfers", json={"from_account": two.ann_account, "to_account": two.bob_account, **MONEY}
    )
    assert sent.status_code == 202


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer x",
        "Basic dXNlcjpwYXNz",
        "Bearer tmk_local_",
        "Bearer tmk_local_" + "a" * 43,
        "Bearer tmk_nobody_" + "a" * 43,
        "Bearer tmk_" + "a" * 5000,
        "Bearer tmk_local_' OR 1=1 --",
        "Bearer ümläut",
    ],
)
def test_api2_broken_authentication(world: World, authorization: str | None) -> None:
    """Nothing without a good key, whatever is sent in its place; and nothing is said of why."""
    given = [] if authorization is None else [(b"Authorization", authorization.encode("latin-1"))]
    with httpx.Client(base_url=world.info.api) as http:
        for path in ("/v1/accounts", "/v1/lag", "/v1/no-such-route"):
            response = http.get(path, headers=given)
            assert problem(response, 401, "unauthorized")["detail"].startswith("a good API key is needed")
            assert response.headers["www-authenticate"].startswith("Bearer")


def test_api2_a_key_is_rotated_and_revoked_within_seconds(world: World, running_stack: RunningStack) -> None:
    key, key_id = make_key(running_stack, "read")
    with client(world.info, key) as http:
        assert http.get("/v1/accounts").status_code == 200
        rotated = running_stack.json("keys", "rotate", key_id)["key"]
        _until_refused(http)
    with client(world.info, rotated) as http:
        assert http.get("/v1/accounts").status_code == 200
        assert running_stack.json("keys", "revoke", key_id)["revoked_at"]
        _until_refused(http)
    assert running_stack.command("keys", "rotate", key_id).code == 1
    [listed] = [one for one in running_stack.json("keys", "list")["items"] if one["key_id"] == key_id]
    assert listed["last_used_at"]
    assert key not in json.dumps(running_stack.json("keys", "list"))


def _until_refused(http: httpx.Client) -> None:
    deadline = time.monotonic() + 3
    while http.get("/v1/accounts").status_code == 200:
        assert time.monotonic() < deadline, "the key is still good"
        time.sleep(0.05)
    problem(http.get("/v1/accounts"), 401, "unauthorized")


def test_api2_no_key_is_in_the_logs(world: World, running_stack: RunningStack) -> None:
    world.http.get("/v1/accounts")
    logged = "".join(path.read_text() for path in (running_stack.data / "logs").glob("api-*.log"))
    assert '"route": "/v1/accounts"' in logged
    assert world.info.api_key not in logged
    assert world.info.api_key.removeprefix("tmk_local_") not in logged


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/v1/accounts", {"user_id": "u", "currency": "EUR", "balance": "1.00"}, "balance"),
        ("/v1/accounts", {"user_id": "u", "currency": "EUR", "status": "closed"}, "status"),
        ("/v1/accounts", {"user_id": "u", "currency": "EUR", "rail": "sepa"}, "rail"),
        ("/v1/payments", {"from_account": "a", "to_account": "b", "fee_rate": "0", **MONEY}, "fee_rate"),
        ("/v1/payments", {"from_account": "a", "to_account": "b", "status": "processed", **MONEY}, "status"),
        ("/v1/payments", {"from_account": "a", "to_account": "b", "actor": "root", **MONEY}, "actor"),
        ("/v1/transfers", {"from_account": "a", "to_account": "b", "quote": {}, **MONEY}, "quote"),
    ],
)
def test_api3_broken_object_property_level_authorization(
    world: World, path: str, body: dict[str, object], field: str
) -> None:
    """Nobody sets a property that is not a caller's to set."""
    assert problem(world.http.post(path, json=body), 422, "unknown_field")["field"] == field


@pytest.mark.parametrize("account_id", ["fees-CHF", "fx-CHF"])
def test_api3_a_users_key_opens_no_account_of_the_platforms(two: TwoUsers, account_id: str) -> None:
    me = two.world.http.get(f"/v1/accounts/{two.ann_account}").json()["user_id"]
    body = {"account_id": account_id, "user_id": me, "currency": "CHF"}
    problem(two.ann.post("/v1/accounts", json=body), 403, "not_for_user_keys")


def test_api3_a_users_key_grants_itself_nothing(two: TwoUsers) -> None:
    me = two.world.http.get(f"/v1/accounts/{two.ann_account}").json()["user_id"]
    assert two.ann.post("/v1/accounts", json={"user_id": me, "currency": "EUR"}).status_code == 201
    credit = {"user_id": me, "currency": "EUR", "overdraft_limit": "1000.00"}
    problem(two.ann.post("/v1/accounts", json=credit), 403, "not_for_user_keys")
    problem(two.ann.post("/v1/accounts", json={"user_id": "bob", "currency": "EUR"}), 403, "not_for_user_keys")
    problem(two.ann.post(f"/v1/accounts/{two.ann_account}/deposits", json=MONEY), 403, "not_for_user_keys")
    assert two.ann.post(f"/v1/accounts/{two.ann_account}/freeze").status_code == 200
    problem(two.ann.post(f"/v1/accounts/{two.ann_account}/unfreeze"), 403, "not_for_user_keys")


def test_api4_unrestricted_resource_consumption(world: World) -> None:
    """Size of a body, told or not, of a page, of a field; rate and concurrency are in test_api_limits.py."""
    huge = b'{"user_id": "' + b"u" * 70_000 + b'"}'
    json_type = {"Content-Type": "application/json"}
    problem(world.http.post("/v1/accounts", content=huge, headers=json_type), 413, "body_too_large")
    chunks = (huge[start : start + 1000] for start in range(0, len(huge), 1000))
    problem(world.http.post("/v1/accounts", content=chunks, headers=json_type), 413, "body_too_large")
    problem(world.http.get("/v1/accounts", params={"limit": 201}), 422, "invalid_field")
    deep = b"[" * 30_000 + b"]" * 30_000
    assert world.http.post("/v1/accounts", content=deep, headers=json_type).status_code in (400, 422)
    many = {"from_account": "a", "to_account": "b", "tags": ["t"] * 21, **MONEY}
    assert problem(world.http.post("/v1/payments", json=many), 422, "invalid_field")["field"] == "tags"


OPERATOR_ONLY: list[tuple[str, str, dict[str, str] | None]] = [
    ("GET", "/v1/lag", None),
    ("GET", "/v1/conservation", None),
    ("GET", "/v1/dead-letters", None),
    ("POST", "/v1/dead-letters/1/retry", None),
    ("POST", "/v1/payments/p/review", {"decision": "approve"}),
    ("POST", "/v1/payments/p/disputes/resolve", {"outcome": "won"}),
    ("POST", "/v1/transfers/t/review", {"decision": "approve"}),
    ("POST", "/v1/transfers/t/resolve", {"action": "retry"}),
]


def test_api5_broken_function_level_authorization(two: TwoUsers, running_stack: RunningStack) -> None:
    """Reading, writing and operating each take their scope; an unbound writer is no operator either."""
    unbound, _ = make_key(running_stack, "write")
    with client(two.world.info, unbound) as writer:
        for method, path, body in OPERATOR_ONLY:
            for http in (two.ann, two.reader, writer):
                problem(http.request(method, path, json=body), 403, "missing_scope")
    posts = ("/v1/accounts", "/v1/payments", "/v1/transfers", f"/v1/accounts/{two.ann_account}/withdrawals")
    for path in posts:
        assert two.reader.post(path, json={}).status_code in (403, 422), path
    problem(two.reader.post(posts[-1], json=MONEY), 403, "missing_scope")
    assert two.reader.get(f"/v1/accounts/{two.ann_account}").status_code == 200
    problem(two.ann.get("/v1/analytics/payments"), 403, "not_for_user_keys")
    refused = running_stack.command("keys", "create", "x", "--scope", "operator", "--user", "ann")
    assert refused.code == 1


def test_api6_unrestricted_access_to_sensitive_business_flows(world: World) -> None:
    """What is too large to go through by itself waits for a person with another scope than the payer's."""
    paid = world.pay(world.account("a", "50000.00"), world.account("b"), "10000.01")
    assert paid.json()["status"] == "in_review"
    assert paid.json()["review"]["reasons"] == ["amount above 10000 EUR"]


def test_api8_security_misconfiguration(world: World) -> None:
    """No banner, no debug page, no sniffing, no caching, no listening to the world; odd requests are refused."""
    response = world.http.get("/v1/accounts")
    assert "server" not in response.headers
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["cache-control"] == "no-store"
    assert (
        "access-control-allow-origin"
        not in world.http.get("/v1/accounts", headers={"Origin": "https://e.vil"}).headers
    )
    for path in ("/docs", "/redoc", "/debug", "/.env", "/v1/../etc/passwd", "/v1/accounts/../../etc/passwd"):
        assert world.http.get(path).status_code == 404, path
    problem(world.http.delete("/v1/accounts"), 405, "method_not_allowed")
    assert world.http.delete("/v1/accounts").headers["allow"] == "GET, POST"
    assert urlsplit(world.info.api).hostname == "127.0.0.1"
    address = urlsplit(world.info.api)
    for raw in (
        b"GARBAGE\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n12345",
    ):
        with socket.create_connection((address.hostname or "", address.port or 0), timeout=5) as connection:
            connection.sendall(raw)
            assert b" 400 " in connection.recv(4096).split(b"\r\n")[0]


def test_api9_improper_inventory_management(world: World) -> None:
    """What is served is what is described: same routes, all below one version, but health."""
    described = world.http.get("/openapi.json")
    assert described.status_code == 200
    versioned = [path for path in described.json()["paths"] if path.startswith("/v1/")]
    assert set(described.json()["paths"]) - set(versioned) == {"/livez", "/readyz", "/metrics"}
    assert world.http.get("/v2/accounts").status_code == 404
    assert world.http.get("/accounts").status_code == 404
