"""One effect and one answer, however often and however fast the same is asked."""

from __future__ import annotations

import asyncio
from collections import Counter

from tests.e2e.api import World, async_client, client, make_key, problem
from tests.fixtures.running import RunningStack


async def test_fifty_identical_requests_at_once_are_one_payment_and_fifty_identical_answers(world: World) -> None:
    payer, payee = world.account("a", "500.00"), world.account("b")
    body = {"from_account": payer, "to_account": payee, "amount": "10.00", "currency": "EUR", "capture": "manual"}
    async with async_client(world.info) as http:
        for more, key in (({}, f"{world.run}-k"), ({"payment_id": f"{world.run}-p"}, None)):
            given = {"Idempotency-Key": key} if key else {}
            answers = await asyncio.gather(
                *(http.post("/v1/payments", json=body | more, headers=given) for _ in range(50))
            )
            assert {answer.status_code for answer in answers} == {201}
            assert len({answer.content for answer in answers}) == 1
            assert Counter(answer.headers.get("idempotency-replayed") for answer in answers) == {
                None: 1,
                "true": 49,
            }
            kept = ("etag", "location", "event-position", "content-type")
            assert len({tuple(answer.headers[name] for name in kept) for answer in answers}) == 1
    last = world.deposit(payer, "1.00")
    assert world.seen(last, f"/v1/accounts/{payer}")["held"] == "20.00"


async def test_many_different_bodies_under_one_key_are_one_effect(world: World) -> None:
    account = world.account("a")
    async with async_client(world.info) as http:
        answers = await asyncio.gather(
            *(
                http.post(
                    f"/v1/accounts/{account}/deposits",
                    json={"amount": f"{cents}.00", "currency": "EUR"},
                    headers={"Idempotency-Key": f"{world.run}-k"},
                )
                for cents in range(1, 21)
            )
        )
    assert Counter(answer.status_code for answer in answers) == {201: 1, 422: 19}
    [good] = [answer for answer in answers if answer.status_code == 201]
    assert world.seen(good, f"/v1/accounts/{account}")["balance"] == good.json()["balance"]
    bad = problem(next(answer for answer in answers if answer.status_code == 422), 422, "idempotency_conflict")
    assert bad["field"] == "Idempotency-Key"


def test_every_post_is_repeated_without_a_second_effect(world: World) -> None:
    """Each route once more with the same key: the same answer, the same books."""
    payer, payee = world.account("a", "100.00"), world.account("b", "10.00")
    held, other = world.held_payment(payer, payee), world.held_payment(payer, payee)
    done = world.processed_payment(payer, payee)
    money: dict[str, object] = {"amount": "1.00", "currency": "EUR"}
    posts: list[tuple[str, dict[str, object] | None]] = [
        ("/v1/accounts", {"user_id": "u", "currency": "EUR"}),
        (f"/v1/accounts/{payer}/deposits", money),
        (f"/v1/accounts/{payer}/withdrawals", money),
        ("/v1/payments", {"from_account": payer, "to_account": payee, **money}),
        ("/v1/transfers", {"from_account": payer, "to_account": payee, **money}),
        (f"/v1/payments/{held}/capture", {"amount": "2.00"}),
        (f"/v1/payments/{other}/cancel", None),
        (f"/v1/payments/{done}/refunds", {"amount": "3.00"}),
        (f"/v1/payments/{done}/disputes", {"reason": "r"}),
        (f"/v1/payments/{done}/disputes/resolve", {"outcome": "won"}),
        (f"/v1/accounts/{payer}/freeze", {"reason": "r"}),
        (f"/v1/accounts/{payer}/unfreeze", None),
    ]
    for number, (path, body) in enumerate(posts):
        given = {"Idempotency-Key": f"{world.run}-{number}"}
        first = world.http.post(path, json=body, headers=given)
        assert first.status_code in (200, 201, 202), f"{path} {first.text}"
        again = world.http.post(path, json=body, headers=given)
        assert (again.status_code, again.content) == (first.status_code, first.content), path
        assert again.headers["idempotency-replayed"] == "true"


def test_a_refusal_is_an_answer_and_kept(world: World) -> None:
    account = world.account("a", "1.00")
    body, given = {"amount": "2.00", "currency": "EUR"}, {"Idempotency-Key": f"{world.run}-k"}
    first = world.http.post(f"/v1/accounts/{account}/withdrawals", json=body, headers=given)
    problem(first, 409, "insufficient_funds")
    world.deposit(account, "5.00")
    again = world.http.post(f"/v1/accounts/{account}/withdrawals", json=body, headers=given)
    assert (again.status_code, again.content) == (409, first.content)
    assert again.headers["content-type"] == "application/problem+json"


def test_a_business_id_that_made_nothing_is_still_free(world: World) -> None:
    payer = world.account("a", "10.00")
    payment_id = f"{world.run}-p"
    problem(world.pay(payer, f"{world.run}-b", payment_id=payment_id), 404, "account_not_found")
    assert world.pay(payer, world.account("b"), payment_id=payment_id).status_code == 201


def test_keys_of_two_callers_do_not_meet(world: World, running_stack: RunningStack) -> None:
    account = world.account("a")
    path, given = f"/v1/accounts/{account}/deposits", {"Idempotency-Key": f"{world.run}-k"}
    world.http.post(path, json={"amount": "1.00", "currency": "EUR"}, headers=given)
    other, _ = make_key(running_stack, "write")
    with client(world.info, other) as http:
        second = http.post(path, json={"amount": "2.00", "currency": "EUR"}, headers=given)
    assert (second.status_code, second.json()["balance"]) == (201, "3.00")


def test_spacing_and_the_order_of_names_do_not_make_another_request(world: World) -> None:
    account = world.account("a")
    given = {"Idempotency-Key": f"{world.run}-k", "Content-Type": "application/json"}
    path = f"/v1/accounts/{account}/deposits"
    first = world.http.post(path, content='{"amount":"1.00","currency":"EUR"}', headers=given)
    again = world.http.post(path, content='{ "currency": "EUR", "amount": "1.00" }', headers=given)
    assert again.headers["idempotency-replayed"] == "true"
    assert again.content == first.content


def test_a_malformed_key_is_refused(world: World) -> None:
    for key in ("", "with space", "x" * 256):
        response = world.http.post(
            "/v1/accounts", json={"user_id": "u", "currency": "EUR"}, headers={"Idempotency-Key": key}
        )
        said = problem(response, 422, "invalid_field")
        assert said["field"] == "Idempotency-Key"
