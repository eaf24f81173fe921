"""Fraud cases on real parts: opened by screening or by hand, decided here or at the payment, escalated late."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from activities.fraud_steps import AssignWish, CaseOrder, DecideWish, EscalateWish, FreezeWish, NoteWish
from activities.steps import CancelWish, PaymentOrder, ReviewWish, TransferOrder
from domain.errors import Conflict, NotFound
from domain.fraud_case import CaseStatus, FraudCase
from domain.payment import PaymentStatus
from tests.e2e.system import System, eur, system
from tests.fixtures.operating import Operator, settling
from tests.fixtures.stack import TemporalAddress

BIG = eur("20000.00")


@pytest.fixture
async def under_test(database_url: str, temporal_server: TemporalAddress) -> AsyncIterator[System]:
    async with system(database_url, temporal_server.address) as running, running.worker() as worker:
        await worker.start()
        yield running


@pytest.fixture
async def run(under_test: System) -> str:
    name = f"fraud-{uuid.uuid4().hex[:8]}"
    await under_test.open_account(f"{name}-a", "50000.00")
    await under_test.open_account(f"{name}-b")
    return name


async def held_payment(under_test: System, run: str) -> str:
    """The case of a payment that screening holds, once it is open."""
    order = PaymentOrder(payment_id=run, from_account=f"{run}-a", to_account=f"{run}-b", amount=BIG)
    assert (await under_test.payments.pay(order)).status == "in_review"
    await case_is(under_test, f"payment-{run}", CaseStatus.OPEN)
    return f"payment-{run}"


async def case_is(under_test: System, case_id: str, status: CaseStatus, within_s: float = 20) -> FraudCase:
    found = FraudCase()

    async def there() -> bool:
        nonlocal found
        state = await under_test.ledger.state(f"fraud_case-{case_id}")
        assert isinstance(state, FraudCase)
        found = state
        return state.status is status

    await until(there, within_s)
    return found


async def payment_is(under_test: System, payment_id: str, status: PaymentStatus) -> None:
    async def there() -> bool:
        return getattr(await under_test.ledger.state(f"payment-{payment_id}"), "status", None) is status

    await until(there)


async def until(good: Callable[[], Awaitable[bool]], within_s: float = 20) -> None:
    async with asyncio.timeout(within_s):
        while not await good():
            await asyncio.sleep(0.05)


async def over(under_test: System, case_id: str) -> None:
    """Its workflow ends too, and nothing is out of place."""
    await under_test.client.get_workflow_handle(f"fraud_case-{case_id}").result()
    assert (await under_test.audit()).findings == []


@pytest.mark.parametrize("approve", [True, False])
async def test_a_case_decides_the_payment_it_is_about(under_test: System, run: str, approve: bool) -> None:
    case_id = await held_payment(under_test, run)
    await under_test.fraud.assign(case_id, AssignWish(wish_id="a1", analyst="ana", actor="lead"))
    await under_test.fraud.note(case_id, NoteWish(wish_id="n1", note="called the customer", actor="ana"))
    step = await under_test.fraud.decide(case_id, DecideWish(wish_id="d1", approve=approve, actor="ana"))
    assert step.status == ("approved" if approve else "rejected")
    payment = await under_test.payments.resting(run)
    assert payment.status == ("processed" if approve else "failed")
    assert await under_test.balance(f"{run}-a") == ("30000.00" if approve else "50000.00", "0.00")
    assert await under_test.events(f"fraud_case-{case_id}") == [
        "CaseOpened",
        "CaseAssigned",
        "CaseNoteAdded",
        "CaseApproved" if approve else "CaseRejected",
    ]
    await over(under_test, case_id)
    with pytest.raises(Conflict, match="is not in open or escalated status"):
        await under_test.fraud.note(case_id, NoteWish(wish_id="n2", note="too late"))


async def test_a_review_of_the_transfer_decides_its_case(under_test: System, run: str) -> None:
    order = TransferOrder(transfer_id=run, from_account=f"{run}-a", to_account=f"{run}-b", amount=BIG)
    assert (await under_test.transfers.transfer(order)).status == "in_review"
    await case_is(under_test, f"transfer-{run}", CaseStatus.OPEN)
    step = await under_test.transfers.review(run, ReviewWish(wish_id="r1", approve=True, actor="ana"))
    assert step.status == "completed"
    await case_is(under_test, f"transfer-{run}", CaseStatus.APPROVED)
    await over(under_test, f"transfer-{run}")


async def test_a_case_ends_when_its_payment_is_cancelled(under_test: System, run: str) -> None:
    case_id = await held_payment(under_test, run)
    await under_test.payments.cancel(run, CancelWish(wish_id="c1"))
    await case_is(under_test, case_id, CaseStatus.WITHDRAWN)
    await over(under_test, case_id)


async def test_an_analyst_freezes_and_rejects_and_the_held_money_is_voided(under_test: System, run: str) -> None:
    order = PaymentOrder(
        payment_id=run, from_account=f"{run}-a", to_account=f"{run}-b", amount=eur("100.00"), capture="manual"
    )
    await under_test.payments.pay(order)
    asked = CaseOrder(
        case_id=run, source="analyst", subject=f"payment-{run}", risk_score=90, reason="a tip", actor="ana"
    )
    assert (await under_test.fraud.open(asked)).risk_score == 90
    assert (await under_test.fraud.open(asked)).status == "open", "the same again joins it"
    with pytest.raises(Conflict, match="another content"):
        await under_test.fraud.open(asked.model_copy(update={"risk_score": 10}))
    step = await under_test.fraud.decide(run, DecideWish(wish_id="d1", approve=False, freeze=True, actor="ana"))
    assert (step.status, step.frozen) == ("rejected", True)
    await payment_is(under_test, run, PaymentStatus.CANCELLED)
    assert await under_test.balance(f"{run}-a") == ("50000.00", "0.00")
    assert (await under_test.accounts.show(f"{run}-a")).status == "frozen"
    await over(under_test, run)


async def test_a_case_about_an_account_is_escalated_when_nobody_decides(under_test: System, run: str) -> None:
    asked = CaseOrder(
        case_id=run, source="analyst", account_id=f"{run}-a", risk_score=40, reason="a tip", decide_within_s=1
    )
    await under_test.fraud.open(asked)
    await case_is(under_test, run, CaseStatus.ESCALATED)
    with pytest.raises(Conflict, match="escalated already"):
        await under_test.fraud.escalate(run, EscalateWish(wish_id="e1", reason="please"))
    await under_test.fraud.freeze(run, FreezeWish(wish_id="f1", actor="ana"))
    await under_test.fraud.decide(run, DecideWish(wish_id="d1", approve=True, actor="ana"))
    await over(under_test, run)


async def test_a_case_about_nothing_is_refused(under_test: System, run: str) -> None:
    with pytest.raises(NotFound, match="does not exist"):
        await under_test.fraud.open(CaseOrder(case_id=run, source="analyst", account_id="nobody", risk_score=1))
    with pytest.raises(NotFound, match="fraud case does not exist"):
        await under_test.fraud.note("none", NoteWish(wish_id="n", note="x"))


@pytest.mark.usefixtures(settling.__name__)
async def test_a_terminated_case_is_found_and_restarted(under_test: System, run: str) -> None:
    case_id = await held_payment(under_test, run)
    await under_test.client.get_workflow_handle(f"fraud_case-{case_id}").terminate("by hand")
    operator = Operator(under_test)
    await operator.take_in()
    await operator.mends(("workflow_missing", f"fraud_case-{case_id}"))
    step = await under_test.fraud.decide(case_id, DecideWish(wish_id="d1", approve=True, actor="ana"))
    assert step.status == "approved"
    await over(under_test, case_id)


@pytest.mark.usefixtures(settling.__name__)
async def test_a_decision_about_what_nobody_runs_is_granted_once_it_is_repaired(
    under_test: System, run: str
) -> None:
    case_id = await held_payment(under_test, run)
    await under_test.client.get_workflow_handle(f"payment-{run}").terminate("by hand")
    decision = DecideWish(wish_id="d1", approve=True, actor="ana")
    with pytest.raises(Conflict, match="repair"):
        await under_test.fraud.decide(case_id, decision)
    operator = Operator(under_test)
    await operator.take_in()
    await operator.mends(("workflow_missing", f"payment-{run}"))
    for _ in range(2):
        assert (await under_test.fraud.decide(case_id, decision)).status == "approved"
    await payment_is(under_test, run, PaymentStatus.PROCESSED)


async def test_a_payment_is_decided_where_its_case_has_no_workflow(under_test: System, run: str) -> None:
    case_id = await held_payment(under_test, run)
    await under_test.client.get_workflow_handle(f"fraud_case-{case_id}").terminate("by hand")
    await under_test.payments.review(run, ReviewWish(wish_id="r1", approve=False, actor="ana"))
    await case_is(under_test, case_id, CaseStatus.REJECTED)
    assert (await under_test.audit()).findings == []
