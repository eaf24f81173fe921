"""The circuit breaker: closed, open, half open, and how many calls it lets through."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack

import pytest

from activities.breaker import MAX_FAILURES, MAX_UNDER_WAY, Breaker, NotAsked

OPEN_S = 0.1


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("activities.breaker.OPEN_S", OPEN_S)


def ask(breaker: Breaker, answered: bool) -> None:
    with breaker.call() as call:
        call.answered = answered


def fail(breaker: Breaker, times: int) -> None:
    for _ in range(times):
        ask(breaker, answered=False)


async def test_failures_in_a_row_open_it_and_an_answer_between_them_does_not_let_them_add_up() -> None:
    told: list[bool] = []
    breaker = Breaker(told.append)
    fail(breaker, MAX_FAILURES - 1)
    ask(breaker, answered=True)
    fail(breaker, MAX_FAILURES - 1)
    assert (breaker.state, told) == ("closed", [True])
    fail(breaker, 1)
    assert (breaker.state, told) == ("open", [True, False])
    with pytest.raises(NotAsked, match="did not answer"):
        ask(breaker, answered=True)


async def test_after_a_while_one_call_tries_and_decides() -> None:
    told: list[bool] = []
    breaker = Breaker(told.append)
    fail(breaker, MAX_FAILURES)
    await asyncio.sleep(OPEN_S * 1.2)
    assert breaker.state == "half_open"
    with breaker.call(), pytest.raises(NotAsked):
        ask(breaker, answered=True)  # only one tries
    assert (breaker.state, told) == ("open", [True, False])
    await asyncio.sleep(OPEN_S * 1.2)
    ask(breaker, answered=True)
    assert (breaker.state, told) == ("closed", [True, False, True])
    fail(breaker, MAX_FAILURES - 1)
    assert str(breaker.state) == "closed", "it starts counting anew"


async def test_a_late_failure_keeps_nobody_out_longer_and_a_late_answer_lets_them_in() -> None:
    breaker = Breaker()
    with ExitStack() as late:
        late.enter_context(breaker.call())
        fail(breaker, MAX_FAILURES)
        await asyncio.sleep(OPEN_S * 0.7)
    await asyncio.sleep(OPEN_S * 0.5)
    assert breaker.state == "half_open", "the failure of a call from before counts for nothing"
    closed = Breaker()
    with closed.call() as slow:
        fail(closed, MAX_FAILURES)
        assert closed.state == "open"
        slow.answered = True
    assert str(closed.state) == "closed"


async def test_an_error_or_a_cancel_is_no_answer() -> None:
    breaker = Breaker()
    for _ in range(MAX_FAILURES):
        with pytest.raises(asyncio.CancelledError), breaker.call():
            raise asyncio.CancelledError
    assert breaker.state == "open"


async def test_not_too_many_at_once() -> None:
    breaker = Breaker()
    with ExitStack() as held:
        for _ in range(MAX_UNDER_WAY):
            held.enter_context(breaker.call()).answered = True
        with pytest.raises(NotAsked, match=f"{MAX_UNDER_WAY} calls"):
            ask(breaker, answered=True)
    ask(breaker, answered=True)
    assert breaker.state == "closed"
