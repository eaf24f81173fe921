"""A transfer is cancelled at every step, twice in a row and by Temporal as well, once during compensation.

Whatever the cancel achieves, the answer says it, and the money is where the state says.
"""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass
from pathlib import Path

import pytest

from activities.steps import CancelWish, TransferOrder, TransferStep
from domain.errors import WrongState
from tests.e2e.system import System, eur, system
from tests.fixtures.stack import TemporalAddress

HEARTBEAT_S = 2.5
"""A workflow task of 2 s is renewed after 1.6 s while a step is paused: what was asked meanwhile arrives then."""


@dataclass(frozen=True)
class Case:
    """Where the transfer is paused when the cancels come, and what must have become of it."""

    point: str
    ends: str
    granted: bool
    destination_closed: bool = False


CASES = [
    Case("transfer.reserve:before_commit", "compensated", granted=True),
    Case("transfer.reserve:after_commit", "compensated", granted=True),
    Case("transfer.debit:before_commit", "completed", granted=False),
    Case("transfer.debit:after_commit", "completed", granted=False),
    Case("transfer.credit:before_commit", "completed", granted=False),
    Case("transfer.credit:after_commit", "completed", granted=False),
    Case("transfer.refund:before_commit", "compensated", granted=True, destination_closed=True),
    Case("transfer.refund:after_commit", "compensated", granted=True, destination_closed=True),
    Case("transfer.compensated:before_commit", "compensated", granted=True, destination_closed=True),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.point)
async def test_cancelled_at(
    case: Case, database_url: str, temporal_server: TemporalAddress, tmp_path: Path
) -> None:
    run, gate = f"cancel-{uuid.uuid4().hex[:8]}", tmp_path / "gate"
    async with (
        system(database_url, temporal_server.address) as under_test,
        under_test.worker(TIDEMARK_FAILPOINT=f"{case.point}=pause:{gate}") as worker,
    ):
        await worker.start()
        await under_test.open_account(f"{run}-a", "100.00")
        await under_test.open_account(f"{run}-b")
        if case.destination_closed:
            await under_test.accounts.close(f"{run}-b", "closed")
        answers = await cancel_while_paused(under_test, run, gate)
        step = await under_test.transfers.resting(run)

        assert step.status == case.ends
        for answer in answers:
            if case.granted:
                assert isinstance(answer, TransferStep)
                assert answer.status == "compensated"
            else:
                assert isinstance(answer, WrongState)
        delivered = case.ends == "completed"
        assert await under_test.balance(f"{run}-a") == ("0.00" if delivered else "100.00", "0.00")
        assert await under_test.balance(f"{run}-b") == ("100.00" if delivered else "0.00", "0.00")
        audit = await under_test.audit()
        assert audit.findings == []


async def cancel_while_paused(under_test: System, run: str, gate: Path) -> list[TransferStep | BaseException]:
    """Starts the transfer, waits until it is paused, cancels twice by update and once by Temporal, lets it go."""
    order = TransferOrder(transfer_id=run, from_account=f"{run}-a", to_account=f"{run}-b", amount=eur("100.00"))
    await under_test.transfers.start(order)
    async with asyncio.timeout(30):
        while not Path(f"{gate}.reached").exists():
            await asyncio.sleep(0.02)
    cancels = [
        asyncio.create_task(under_test.transfers.cancel(run, CancelWish(wish_id=f"c{number}")))
        for number in (1, 2)
    ]
    await under_test.client.get_workflow_handle(f"transfer-{run}").cancel()
    await asyncio.sleep(HEARTBEAT_S)
    gate.touch()
    return await asyncio.gather(*cancels, return_exceptions=True)


@pytest.mark.parametrize(("by", "ends"), [("signal", "cancelled"), ("temporal", "compensated")])
async def test_a_cancel_that_comes_before_the_start_leaves_the_money_where_it_was(
    by: str, ends: str, database_url: str, temporal_server: TemporalAddress
) -> None:
    run = f"early-{uuid.uuid4().hex[:8]}"
    async with system(database_url, temporal_server.address) as under_test, under_test.worker() as worker:
        await under_test.open_account(f"{run}-a", "100.00")
        await under_test.open_account(f"{run}-b")
        order = TransferOrder(
            transfer_id=run, from_account=f"{run}-a", to_account=f"{run}-b", amount=eur("100.00")
        )
        await under_test.transfers.start(order)
        if by == "signal":
            await under_test.transfers.signal_cancel(run, CancelWish(wish_id="early"))
        else:
            await under_test.client.get_workflow_handle(f"transfer-{run}").cancel()
        await worker.start()
        step = await under_test.transfers.resting(run)
        assert step.status == ends
        assert await under_test.balance(f"{run}-a") == ("100.00", "0.00")


@pytest.mark.parametrize("by", ["signal", "update"])
async def test_a_cancel_between_a_lost_first_step_and_its_repeat_is_not_granted_for_nothing(
    by: str, database_url: str, temporal_server: TemporalAddress
) -> None:
    """The worker dies with the reservation committed, not reported; the next one finds the cancel there."""
    run = f"between-{uuid.uuid4().hex[:8]}"
    async with system(database_url, temporal_server.address) as under_test:
        await under_test.open_account(f"{run}-a", "100.00")
        await under_test.open_account(f"{run}-b")
        order = TransferOrder(
            transfer_id=run, from_account=f"{run}-a", to_account=f"{run}-b", amount=eur("100.00")
        )
        async with under_test.worker(TIDEMARK_FAILPOINT="transfer.reserve:after_commit=kill") as first:
            await first.start()
            await under_test.transfers.start(order)
            await first.ended()
        wish = CancelWish(wish_id="between")
        if by == "signal":
            await under_test.transfers.signal_cancel(run, wish)
        asked = asyncio.create_task(under_test.transfers.cancel(run, wish)) if by == "update" else None
        await asyncio.sleep(0.5)
        async with under_test.worker() as second:
            await second.start()
            step = await under_test.transfers.resting(run)
            assert step.status == "compensated"
            if asked is not None:
                assert (await asked).status == "compensated"
        assert await under_test.balance(f"{run}-a") == ("100.00", "0.00")
