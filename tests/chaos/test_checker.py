"""The checker is tested with bugs: each is put in on purpose, and the checker says a line that names it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import httpx
import pytest

from activities.ledger import LedgerCommand, utc_now
from activities.steps import TransferOrder, TransferStep
from domain.account_messages import AccountCredited, Credit, FundsWithdrawn
from domain.transfer_messages import TransferCompensated
from projections.catalogue import VIEWS
from projections.model import Batch, Statement
from tests.chaos.bank import Bank, eur, small_bank
from tests.chaos.checker.findings import Findings
from tests.chaos.checker.live import LiveChecker
from tests.chaos.checker.sessions import Session
from tests.chaos.http import Web
from tests.fixtures.database import Database


@pytest.fixture
async def bank(database: Database) -> AsyncIterator[Bank]:
    async with small_bank(database) as small:
        yield small


def says(lines: list[str], promise: str, *words: str) -> bool:
    """One of the lines names the promise and all the words."""
    return any(line.startswith(f"VIOLATION {promise}: ") and all(word in line for word in words) for line in lines)


async def test_of_a_sound_bank_nothing_is_said(bank: Bank) -> None:
    await bank.move("deposit", "deposit-1", "a", 5_00)
    await bank.move("withdrawal", "withdrawal-1", "a", 2_00)
    await bank.transfer("transfer-1", 30_00)
    order = await bank.begin("transfer-2", 7_00)
    await bank.turn_back(order)
    await bank.steps.refund_source(order)
    await bank.steps.finish_compensation(order)
    assert await bank.lines() == []


async def test_an_event_that_a_view_skips(bank: Bank) -> None:
    sound = VIEWS["accounts"]

    def skipping(batch: Batch) -> list[Statement]:
        kept = [seen for seen in batch.events if seen.record.type != "FundsWithdrawn"]
        return sound.apply(Batch(kept))

    await bank.move("withdrawal", "withdrawal-1", "a", 2_00)
    lines = await bank.lines({**VIEWS, "accounts": replace(sound, apply=skipping)})
    assert says(lines, "view equals log", "accounts.a", "shows 10000", "by the log 9800")
    assert says(lines, "conservation", "accounts and money under way", "adds up to 10000, not to 9800")


async def test_a_double_credit(bank: Bank) -> None:
    """As if a leg's key held the id of the workflow's run: the second run credits again."""
    order = await bank.transfer("transfer-1", 30_00)
    await _credit_again(bank, order, "run-2")
    lines = await bank.lines()
    assert says(lines, "effect once", "transfer-transfer-1", "paid out 6000, but took only 3000")
    assert says(lines, "conservation", "EUR", "13000 on accounts and under way, 10000 came in")


async def _credit_again(bank: Bank, order: TransferOrder, run: str) -> None:
    stream = f"transfer-{order.transfer_id}"
    credit = Credit(at=utc_now(), amount=order.amount, counterparty="a", transaction=stream, purpose="transfer")
    await bank.books.ledger.run(
        LedgerCommand(
            name="transfer.credit",
            key=f"{run}:destination:credit",
            content=order,
            streams=[stream, "account-b"],
            act=lambda leg: leg.on_account("b", credit),
            result=lambda leg: TransferStep.of(leg.transfer(order.transfer_id), order.transfer_id),
            returns=TransferStep,
            actor="test",
        )
    )


async def test_a_lost_compensation(bank: Bank) -> None:
    order = await bank.begin("transfer-1", 30_00)
    await bank.turn_back(order)
    await bank.forge("transfer-transfer-1", TransferCompensated())
    assert says(await bank.lines(), "compensation", "transfer-transfer-1", "3000 never came back")


async def test_a_lost_acknowledged_write(bank: Bank) -> None:
    """As if Postgres forgot a commit that it had answered: the rest of the log is sound."""
    await bank.move("deposit", "deposit-1", "a", 5_00)
    before = len(await bank.books.store.load("account-a")) - 1
    await bank.tamper(
        f"DELETE FROM events WHERE stream = 'account-a' AND version > {before}",
        "DELETE FROM commands WHERE command_id LIKE 'account-a:deposit:c_%'",
        "DELETE FROM unsequenced WHERE append_id = (SELECT max(append_id) FROM unsequenced)",
        f"UPDATE streams SET version = {before}, last_hash = (SELECT hash FROM events WHERE stream = 'account-a'"
        f" AND version = {before}) WHERE stream = 'account-a'",
    )
    lines = await bank.lines()
    assert lines == ["VIOLATION acknowledged write: deposit deposit-1: was answered 201, and is not in the log"]


async def test_a_balance_below_its_limit(bank: Bank) -> None:
    """As if a decision rested on an old balance."""
    await bank.forge("account-b", FundsWithdrawn(amount=eur(1), balance=eur(-1), held=eur(0), reference="opening"))
    lines = await bank.lines()
    assert says(lines, "no overspend", "account-b@2", "available is 1 below its limit")
    assert says(lines, "no overspend", "b", "shown with -1 available")


async def test_a_swapped_position(bank: Bank) -> None:
    await bank.move("deposit", "deposit-1", "a", 5_00)
    await bank.move("deposit", "deposit-2", "a", 6_00)
    head = await bank.rig.sequence()
    moves = ((head, 1_000_000), (head - 1, head), (1_000_000, head - 1))
    await bank.tamper(*(f"UPDATE positions SET position = {to} WHERE position = {at}" for at, to in moves))
    lines = await bank.lines()
    assert says(lines, "order", "account-a@4", f"at position {head - 1} follows version 2")
    assert says(lines, "verify order_of_positions", "account-a@4")


async def test_a_refused_write_that_was_done(bank: Bank) -> None:
    await bank.move("deposit", "deposit-1", "a", 5_00, outcome="refused")
    assert says(await bank.lines(), "refused", "deposit deposit-1", "and is in the log")


async def test_a_write_done_twice(bank: Bank) -> None:
    """As if the retry had been given an id of its own."""
    await bank.move("deposit", "deposit-1", "a", 5_00)
    await bank.accounts.deposit("a", eur(5_00), "another-id", "deposit-1")
    assert says(await bank.lines(), "effect once", "deposit deposit-1", "is in the log 2 times")


async def test_a_transfer_that_hangs_without_an_alarm(bank: Bank) -> None:
    await bank.begin("transfer-1", 30_00)
    assert says(await bank.lines(), "ends", "transfer-transfer-1", "is still in_transit")


async def test_money_out_of_nothing(bank: Bank) -> None:
    posted = AccountCredited(
        amount=eur(9), balance=eur(9), held=eur(0), counterparty="a", transaction="transfer-x", purpose="transfer"
    )
    await bank.forge("account-b", posted)
    assert says(await bank.lines(), "conservation", "EUR", "10009 on accounts and under way, 10000 came in")


async def test_another_bank_that_was_paid_for_a_transfer_that_turned_back(bank: Bank) -> None:
    order = await bank.begin("transfer-1", 30_00)
    await bank.turn_back(order)
    await bank.steps.refund_source(order)
    await bank.steps.finish_compensation(order)
    booked = {"transfer-transfer-1:destination:credit": {"amount": "30.00"}}
    assert says(await bank.lines(booked=booked), "effect once", "the other bank was paid 30.00")


async def test_an_answer_from_before_what_the_session_has_seen() -> None:
    """As if the second API read from a replica that is behind."""
    findings = Findings()
    answers = iter([_answer(position=10, version=3), _answer(position=8, version=2)])
    web = cast("Web", SimpleNamespace(get=lambda *_path, **_query: _next(answers)))
    session = Session("session-0", web, ("a",), findings, seed=1)
    for _ in range(2):
        await session.read("a")
    assert [violation.line() for violation in findings] == [
        "VIOLATION session: session-0: asked for position 10, was answered at 8",
        "VIOLATION session: session-0: a: version 2 after 3",
    ]


def _answer(position: int, version: int) -> httpx.Response:
    return httpx.Response(200, headers={"Projection-Position": str(position)}, json={"version": version})


async def _next(answers: Iterator[httpx.Response]) -> httpx.Response:
    return next(answers)


async def test_a_view_that_goes_back_in_time(bank: Bank) -> None:
    """On one connection; a crash of Postgres, which may cost the views what they had, ends it."""
    await bank.move("deposit", "deposit-1", "a", 5_00)
    assert await bank.lines() == []
    findings, stop = Findings(), asyncio.Event()
    watching = asyncio.create_task(LiveChecker(bank.urls.reader, findings, set()).run(stop))
    await asyncio.sleep(0.5)
    await bank.tamper("UPDATE projection.builds SET position = position - 1 WHERE view = 'payments'")
    async with asyncio.timeout(20):
        while not len(findings):
            await asyncio.sleep(0.05)
    stop.set()
    await watching
    assert [violation.promise for violation in findings] == ["back in time"]


async def test_a_position_told_that_is_somebody_elses(bank: Bank) -> None:
    told = await bank.move("deposit", "deposit-1", "a", 5_00)
    await bank.rig.sequence()
    told.position = 1
    told.about = "b"
    assert says(
        await bank.lines(), "position told", "deposit deposit-1", "was told position 1, which is account-a's"
    )
