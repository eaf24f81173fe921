"""The checker is tested with bugs in batches and fraud cases, too: each is put in on purpose, and found."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from activities.ledger import utc_now
from domain.account_messages import AccountCredited
from domain.batch_messages import BatchCompensated, BatchCompleted, BatchFailed, BatchItemsSettled, ItemSum
from domain.fraud_case_messages import CaseApproved, CaseEscalated, CaseNoteAdded, CaseOpened
from domain.review import SCREENING
from domain.transfer_messages import TransferHeldForReview
from tests.chaos.bank import KEY, Bank, eur, small_bank
from tests.chaos.history import History, Operation
from tests.chaos.test_checker import says
from tests.fixtures.database import Database

ITEMS = [("a", "b", 1_00), ("a", "b", 2_00), ("a", "nobody", 3_00), ("b", "a", 1_50), ("a", "b", 4_00)]


@pytest.fixture
async def bank(database: Database) -> AsyncIterator[Bank]:
    async with small_bank(database) as small:
        yield small


def opened(subject: str | None, source: str = "analyst") -> CaseOpened:
    return CaseOpened.model_validate(
        {
            "case_id": subject or "case-1",
            "source": source,
            "account_id": "a",
            "user_id": "user-a",
            "subject": subject,
            "risk_score": 60,
            "reasons": ("much",),
            "by": source,
            "decide_by": utc_now() + timedelta(seconds=1),
        }
    )


def settled(first: int, last: int, minor: int) -> BatchItemsSettled:
    sums = (ItemSum(status="completed", count=last - first + 1, amount=eur(minor)),)
    return BatchItemsSettled(first=first, last=last, sums=sums)


async def test_of_sound_batches_and_cases_nothing_is_said(bank: Bank) -> None:
    await bank.batch("batch-1", ITEMS)
    assert await bank.carry_out("batch-1") == "completed"
    await bank.batch("batch-2", [*ITEMS[:2], ("b", "a", 50_00)], atomic=True)
    assert await bank.carry_out("batch-2") == "compensated"
    bank.history.add(Operation("case-1", "open_case", "case-1", "", {}))
    await bank.forge("fraud_case-case-1", opened(None), CaseEscalated(reason="late", by="deadline"))
    assert await bank.lines() == []


async def test_an_item_that_is_counted_and_not_paid(bank: Bank) -> None:
    await bank.batch("batch-1", ITEMS[:2])
    await bank.forge("batch-batch-1", settled(1, 2, 3_00), BatchCompleted())
    lines = await bank.lines()
    assert says(lines, "effect once", "transfer-batch-1-1", "completed item over 100", "moved nothing")


async def test_an_item_that_is_paid_twice(bank: Bank) -> None:
    await bank.batch("batch-1", ITEMS)
    await bank.carry_out("batch-1")
    await bank.pay_item("a", "b", 1_00, "transfer-batch-1-1")
    lines = await bank.lines()
    assert says(lines, "effect once", "transfer-batch-1-1", "over 100: moved -200 at a, 200 at b")


async def test_an_item_whose_money_comes_from_nowhere(bank: Bank) -> None:
    await bank.batch("batch-1", ITEMS)
    await bank.carry_out("batch-1")
    (balance, held), amount = await bank.standing("b"), eur(1_00)
    credited = AccountCredited(
        amount=amount,
        balance=balance + amount,
        held=held,
        counterparty="a",
        transaction="transfer-batch-1-1",
        purpose="transfer",
    )
    await bank.forge("account-b", credited)
    assert says(await bank.lines(), "effect once", "transfer-batch-1-1 has paid out 100 more than it took")


async def test_a_chunk_that_is_left_out_and_one_that_states_a_wrong_sum(bank: Bank) -> None:
    await bank.batch("batch-1", ITEMS)
    await bank.forge("batch-batch-1", settled(2, 3, 9_99))
    lines = await bank.lines()
    assert says(lines, "order", "batch-batch-1@2", "item 2 follows item 0")
    assert says(lines, "sums", "batch-batch-1", "items 2 to 3")
    assert says(lines, "ends", "batch-batch-1", "is still running")


async def test_an_atomic_batch_that_is_not_all_undone(bank: Bank) -> None:
    await bank.batch("batch-1", ITEMS[:2], atomic=True)
    failed = BatchFailed(item=2, code="c", reason="r")
    await bank.forge("batch-batch-1", settled(1, 1, 1_00), failed, BatchCompensated())
    assert says(await bank.lines(), "compensation", "batch-batch-1", "items that are ['completed']")


async def test_a_batch_that_nobody_sent_and_one_that_is_lost(bank: Bank) -> None:
    await bank.batch("batch-1", ITEMS)
    await bank.carry_out("batch-1")
    sent = bank.history.get("batch-1")
    assert sent is not None
    bank.history = History(KEY)
    bank.history.add(replace(sent, id="batch-2", about="batch-2"))
    lines = await bank.lines()
    assert says(lines, "asked for", "batch-batch-1", "nobody asked for it")
    assert says(lines, "acknowledged write", "batch batch-2", "is not in the log")


async def test_what_is_held_and_has_no_case(bank: Bank) -> None:
    await bank.begin("transfer-1", 30_00)
    await bank.forge("transfer-transfer-1", TransferHeldForReview(score=60, reasons=("much",), rules=("amount",)))
    assert says(await bank.lines(), "ends", "transfer-transfer-1", "was held", "nobody has a case to decide")


async def test_a_case_that_is_decided_alone_and_one_that_goes_on_after_it(bank: Bank) -> None:
    await bank.transfer("transfer-1", 30_00)
    case = "fraud_case-transfer-transfer-1"
    await bank.forge(
        case, opened("transfer-transfer-1", SCREENING), CaseApproved(by="ana"), CaseNoteAdded(note="n", by="ana")
    )
    lines = await bank.lines()
    assert says(lines, "effect once", case, "is approved, but transfer-transfer-1 has no ReviewApproved")
    assert says(lines, "order", f"{case}@3", "CaseNoteAdded after it was approved")


async def test_a_decision_that_was_acknowledged_and_not_taken(bank: Bank) -> None:
    bank.history.add(Operation("case-1", "open_case", "case-1", "", {}))
    decided = Operation("decide-1", "decide", "case-1", "", {"decision": "reject"})
    bank.history.add(decided).settle("acknowledged", 200, {}, None)
    await bank.forge("fraud_case-case-1", opened(None))
    lines = await bank.lines()
    assert says(lines, "acknowledged write", "decide decide-1", "is not in the log")
    assert says(lines, "ends", "fraud_case-case-1", "is still open")
