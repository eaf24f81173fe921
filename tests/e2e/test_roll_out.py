"""New code under old data: workflows that began with the code of before, events in the version of before."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator

import httpx
import pytest
from pydantic import BaseModel
from temporalio import workflow
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

import worker as worker_program
from activities.ledger import fingerprint
from activities.payments import payment_terms
from activities.steps import CaptureWish, PaymentOrder, PaymentStep, ReviewWish, TransferOrder, TransferStep
from activities.transfers import TransferActivities
from domain.catalogue import decode, encode
from domain.payment_messages import PaymentHeldForReview, PaymentInitiated
from domain.transfer import TransferStatus
from eventstore.events import AppendRequest, NewEvent, StreamWrite
from eventstore.hashing import GENESIS
from eventstore.verify import LogVerifier
from payloads import DATA_CONVERTER
from tests.e2e.system import System, eur, system
from tests.fixtures.event_samples import FOLDER
from tests.fixtures.operating import Operator, settling
from tests.fixtures.stack import TemporalAddress
from workflows.payment import OPEN, PaymentWorkflow
from workflows.payment import S as P
from workflows.transfer import TransferWorkflow

pytestmark = pytest.mark.usefixtures(settling.__name__)
S = TransferStatus


@workflow.defn(name="PaymentWorkflow")
class PaymentBefore(PaymentWorkflow):
    """The course of a payment before there were fraud cases."""

    @workflow.run
    async def run(self, order: PaymentOrder) -> PaymentStep:
        return await super().run(order)

    async def _course(self, order: PaymentOrder) -> PaymentStep:
        step = self._life.at(await self._open(order))
        while step.status in OPEN:
            asked = self._life.inbox.take()
            if asked is None and step.status is P.AUTHORIZED and order.capture == "automatic":
                step = self._life.at(await self._capture_all(order, step))
                continue
            if asked is None:
                self._show(order, step)
                asked = await self._life.next_wish(until=step.expires_at)
            if asked is None:
                step = self._life.at(await self._expire(step))
            else:
                step = await self._life.answer(asked, self._do(asked.wish, step))
        self._show(order, step)
        return step


@workflow.defn(name="TransferWorkflow")
class TransferBefore(TransferWorkflow):
    """The course of a transfer before there were fraud cases, as far as this test goes."""

    @workflow.run
    async def run(self, order: TransferOrder) -> TransferStep:
        return await super().run(order)

    async def _course(self, order: TransferOrder) -> TransferStep:
        step = await self._reserve(order)
        while step.status is S.IN_REVIEW:
            step = await self._reviewed(order, step)
        if step.status is S.RESERVED:
            step = await self._ledger(TransferActivities.debit_source, order)
        if step.status is S.IN_TRANSIT:
            step = await self._credit(order, step)
        self._show(order)
        return step


BEFORE: list[type] = [PaymentBefore, TransferBefore]


@pytest.fixture
async def under_test(database_url: str, temporal_server: TemporalAddress) -> AsyncIterator[System]:
    async with system(database_url, temporal_server.address) as running:
        yield running


@pytest.fixture
async def run(under_test: System) -> str:
    name = f"rollout-{uuid.uuid4().hex[:8]}"
    await under_test.open_account(f"{name}-a", "90000.00")
    await under_test.open_account(f"{name}-b")
    return name


def payment(run: str, payment_id: str, amount: str = "100.00") -> PaymentOrder:
    accounts = {"from_account": f"{run}-a", "to_account": f"{run}-b"}
    return PaymentOrder(payment_id=payment_id, amount=eur(amount), capture="manual", **accounts)


def transfer(run: str, transfer_id: str) -> TransferOrder:
    accounts = {"from_account": f"{run}-a", "to_account": f"{run}-b"}
    return TransferOrder(transfer_id=transfer_id, amount=eur("20000.00"), **accounts)


async def test_open_workflows_finish_under_the_new_code_and_new_ones_go_the_new_way(
    under_test: System, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = f"{run}-old", f"{run}-new"
    with monkeypatch.context() as before:
        before.setattr(worker_program, "WORKFLOWS", BEFORE)
        async with (
            httpx.AsyncClient() as http,
            worker_program.make_worker(under_test.client, under_test.books, http, under_test.settings),
        ):
            assert (await under_test.payments.pay(payment(run, old))).status == "authorized"
            assert (await under_test.payments.pay(payment(run, f"{old}-2", "20000.00"))).status == "in_review"
            assert (await under_test.transfers.transfer(transfer(run, old))).status == "in_review"

    async with under_test.worker() as worker:
        await worker.start()
        assert (await under_test.transfers.transfer(transfer(run, new))).status == "in_review"
        async with asyncio.timeout(30):
            while not await under_test.events(f"fraud_case-transfer-{new}"):
                await asyncio.sleep(0.05)
        approve = ReviewWish(wish_id="r1", approve=True, actor="ana")
        assert (await under_test.payments.capture(old, CaptureWish(wish_id="c1"))).status == "processed"
        assert (await under_test.payments.review(f"{old}-2", approve)).status == "authorized"
        assert (await under_test.payments.capture(f"{old}-2", CaptureWish(wish_id="c2"))).status == "processed"
        for transfer_id in (old, new):
            assert (await under_test.transfers.review(transfer_id, approve)).status == "completed"
        for stream in (f"payment-{old}-2", f"transfer-{old}"):
            assert await under_test.events(f"fraud_case-{stream}") == [], "its life has no case"
        assert await under_test.balance(f"{run}-b") == ("59899.00", "0.00")
        operator = Operator(under_test)
        await operator.take_in()
        assert await operator.found() == []

    workflow_ids = [f"payment-{old}", f"payment-{old}-2", f"transfer-{old}", f"transfer-{new}"]
    for history in [await fetch(under_test, workflow_id) for workflow_id in workflow_ids]:
        await replayer(worker_program.WORKFLOWS).replay_workflow(history)
    with pytest.raises(workflow.NondeterminismError):
        await replayer(BEFORE).replay_workflow(await fetch(under_test, f"transfer-{new}"))


async def fetch(under_test: System, workflow_id: str) -> WorkflowHistory:
    return await under_test.client.get_workflow_handle(workflow_id).fetch_history()


def replayer(workflows: list[type]) -> Replayer:
    return Replayer(
        workflows=workflows,
        data_converter=DATA_CONVERTER,
        workflow_runner=worker_program.workflow_runner(False),
    )


async def test_a_log_in_old_versions_is_read_decided_on_and_viewed_and_stays_as_it_is(
    under_test: System, run: str
) -> None:
    """A payment in review, written as version 1 was written: its workflow, its case and its views are of today."""
    order, stream = payment(run, run, "20000.00"), f"payment-{run}"
    stored = await write_version_1(under_test, order, stream)
    before = await raw(under_test, stream)
    operator = Operator(under_test)
    await operator.take_in()
    async with under_test.worker() as worker:
        await worker.start()
        assert await operator.found() == [("workflow_missing", stream)]
        [mended] = await operator.repair()
        assert mended.what.endswith("found in its events")
        async with asyncio.timeout(30):
            while not await under_test.events(f"fraud_case-{stream}"):
                await asyncio.sleep(0.05)
        approve = ReviewWish(wish_id="r1", approve=True, actor="ana")
        assert (await under_test.payments.review(run, approve)).status == "authorized"
        assert (await under_test.payments.capture(run, CaptureWish(wish_id="c1"))).status == "processed"
        await operator.take_in()
        assert await operator.found() == []
    assert (await raw(under_test, stream))[: len(before)] == before, "stored JSON never changes"
    assert [finding async for finding in LogVerifier(under_test.database_url).findings()] == []
    held = (await under_test.books.store.load(stream))[1]
    assert (held.schema_version, held.data) == (1, stored)
    read = decode(held.stream, held.type, held.schema_version, held.data)
    assert isinstance(read, PaymentHeldForReview)
    assert (read.rules, read.score) == ((), stored["score"])


async def write_version_1(under_test: System, order: PaymentOrder, stream: str) -> dict[str, object]:
    """What the code of before recorded when screening held a payment; the event that has a second version."""
    at = (await under_test.books.store.load(f"account-{order.from_account}"))[-1].recorded_at
    terms = dict(payment_terms(order, under_test.settings, at))
    users = {"from_user": f"user-{order.from_account}", "to_user": f"user-{order.to_account}"}
    names = PaymentInitiated.model_fields.keys() & terms.keys()
    initiated = encode(PaymentInitiated(**{name: terms[name] for name in names}, **users))
    stored: dict[str, object] = json.loads((FOLDER / "payment-PaymentHeldForReview-1.json").read_text())
    events = (NewEvent(*initiated), NewEvent("PaymentHeldForReview", 1, stored))
    request = AppendRequest(
        f"{stream}:payer:authorize",
        fingerprint(order),
        (StreamWrite(stream, 0, GENESIS, events),),
        {"actor": order.actor, "correlation_id": stream},
        {},
        at,
    )
    await under_test.books.store.append([request])
    return stored


async def raw(under_test: System, stream: str) -> list[tuple[object, ...]]:
    """The rows as Postgres keeps them."""
    columns = "version, type, schema_version, data::text, metadata::text, prev_hash, hash"
    query = f"SELECT {columns} FROM events WHERE stream = %s ORDER BY version"  # noqa: S608
    return await Operator(under_test).execute(query, stream)


class LaterOrder(PaymentOrder):
    """An order with a field of tomorrow."""

    urgency: str = "normal"


def test_a_new_field_with_a_default_makes_no_other_command_of_an_old_one() -> None:
    given = {"payment_id": "p", "from_account": "a", "to_account": "b", "amount": eur("1.00")}
    old, later = PaymentOrder(**given), LaterOrder(**given)
    assert fingerprint(old) == fingerprint(later)
    assert fingerprint(later) != fingerprint(later.model_copy(update={"urgency": "high"}))
    different: BaseModel = old.model_copy(update={"amount": eur("1.01")})
    assert fingerprint(old) != fingerprint(different)
