"""A batch under the worst: its worker killed before and after every chunk's commit, and others at its accounts."""

from __future__ import annotations

import asyncio
import uuid
from decimal import Decimal
from pathlib import Path

import pytest

from activities.steps import ReviewWish, TransferOrder
from domain.errors import DomainError
from tests.e2e.batching import Wanted, around, balances, must_add_up, ring, submit
from tests.e2e.system import Program, eur, system
from tests.fixtures.stack import TemporalAddress

ITEMS, CHUNK = 16, 8
PLAIN: list[Wanted] = around(["0", "1", "2"], ITEMS)
UNDONE: list[Wanted] = [*around(["0", "1", "2"], ITEMS), ("0", "1", "1000.00")]
POINTS = [
    ("batch.settle:before_commit", False, PLAIN, "completed"),
    ("batch.settle:after_commit", False, PLAIN, "completed"),
    ("batch.settle:before_commit", True, PLAIN, "completed"),
    ("batch.release:before_commit", True, PLAIN, "completed"),
    ("batch.release:after_commit", True, PLAIN, "completed"),
    ("batch.undo:before_commit", True, UNDONE, "compensated"),
    ("batch.undo:after_commit", True, UNDONE, "compensated"),
]


async def killed_again_and_again(worker: Program, over: asyncio.Task[None]) -> int:
    """Starts the worker anew each time it dies, until the batch is over; how often it died."""
    deaths = 0
    while True:
        await worker.start()
        dying = asyncio.create_task(worker.ended(90))
        await asyncio.wait([over, dying], return_when=asyncio.FIRST_COMPLETED)
        if over.done():
            dying.cancel()
            return deaths
        assert await dying == -9
        deaths += 1


@pytest.mark.timeout(400)
async def test_a_worker_killed_around_every_chunks_commit_loses_and_doubles_nothing(
    database_url: str, temporal_server: TemporalAddress, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEMARK_BATCH_CHUNK", str(CHUNK))
    room = asyncio.Semaphore(3)

    async def one(number: int) -> None:
        point, atomic, wanted, end = POINTS[number]
        run = f"crash-{number}-{uuid.uuid4().hex[:6]}"
        # Killed once before a commit; after one, at every chunk: each life gets one chunk further.
        once = {"TIDEMARK_FAILPOINT_ONCE": str(tmp_path / run)} if "before" in point else {}
        async with (
            room,
            system(database_url, temporal_server.address, run) as under_test,
            under_test.worker(TIDEMARK_FAILPOINT=point, **once) as worker,
        ):
            names = await ring(under_test, run, 3)
            before = await balances(under_test, run, names)
            await submit(under_test, run, wanted, atomic=atomic)

            async def over() -> None:
                while (await under_test.batches.show(run)).status != end:
                    await asyncio.sleep(0.1)

            async with asyncio.timeout(200):
                deaths = await killed_again_and_again(worker, asyncio.create_task(over()))
            assert deaths > 0, f"the worker never came to {point}"
            # 16 payments round three accounts: the first has paid one more than it got, the second the other way.
            due = before | ({"0": ("99.00", "0.00"), "1": ("101.00", "0.00")} if end == "completed" else {})
            assert await balances(under_test, run, names) == due

    results = await asyncio.gather(*map(one, range(len(POINTS))), return_exceptions=True)
    failed = [f"{POINTS[n][0]}: {result!r}" for n, result in enumerate(results) if result is not None]
    assert not failed, "\n".join(failed)
    async with system(database_url, temporal_server.address) as under_test:
        await must_add_up(under_test)


@pytest.mark.parametrize("point", ["batch.settle:after_commit", "batch.hand_over:before_start"])
async def test_an_item_with_a_saga_of_its_own_gets_it_though_the_worker_died_before_it_was_handed_over(
    database_url: str,
    temporal_server: TemporalAddress,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    point: str,
) -> None:
    """What the next try finds settled is news to the workflow all the same."""
    monkeypatch.setenv("TIDEMARK_BATCH_CHUNK", "1")
    run = f"handed-{uuid.uuid4().hex[:6]}"
    once = {"TIDEMARK_FAILPOINT": point, "TIDEMARK_FAILPOINT_ONCE": str(tmp_path / "once")}
    async with system(database_url, temporal_server.address) as under_test, under_test.worker(**once) as worker:
        await ring(under_test, run, 2, "20100.00")
        await submit(under_test, run, [("0", "1", "20000.00"), ("0", "1", "1.00")])
        await worker.start()
        assert await worker.ended(60) == -9
        await worker.start()
        step = await under_test.batches.resting(run)
        assert (step.status, step.completed, step.started) == ("completed", 1, 1)
        approved = await under_test.transfers.review(f"{run}-1", ReviewWish(wish_id="r1", approve=True))
        assert approved.status == "completed"
        await must_add_up(under_test)


async def test_a_storm_of_other_commands_on_its_accounts_neither_stops_it_nor_is_stopped(
    database_url: str, temporal_server: TemporalAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it on two hot accounts, from another process than the batch's: nearly every append is a conflict."""
    monkeypatch.setenv("TIDEMARK_BATCH_CHUNK", "100")
    run = f"storm-{uuid.uuid4().hex[:6]}"
    async with system(database_url, temporal_server.address) as under_test, under_test.worker() as worker:
        await ring(under_test, run, 2, "100000.00")
        await worker.start()
        await submit(under_test, run, [("0", "1", "1.00")] * 1000)
        over, deposits = asyncio.Event(), 0

        async def disturb(account: str, number: int) -> None:
            nonlocal deposits
            while not over.is_set():
                deposits += 1
                await under_test.accounts.deposit(f"{run}-{account}", eur("1.00"), f"{number}-{deposits}")

        disturbing = [asyncio.create_task(disturb(account, n)) for n, account in enumerate("0101")]
        try:
            async with asyncio.timeout(120):
                step = await under_test.batches.resting(run)
        finally:
            over.set()
        await asyncio.gather(*disturbing)
        assert (step.status, step.completed) == ("completed", 1000)
        assert deposits > 10, "there was no storm"
        both = await balances(under_test, run, ["0", "1"])
        total = sum(Decimal(balance) for balance, _ in both.values())
        assert total == 200_000 + deposits
        await must_add_up(under_test)


async def test_single_transfers_and_a_batch_race_for_the_same_money(
    database_url: str, temporal_server: TemporalAddress
) -> None:
    """Only one of the two can have it, whichever: never both."""
    run = f"race-{uuid.uuid4().hex[:6]}"
    async with system(database_url, temporal_server.address) as under_test, under_test.worker() as worker:
        await ring(under_test, run, 2, "100.00")
        await worker.start()
        singles = [
            TransferOrder(
                transfer_id=f"{run}-single{n}", from_account=f"{run}-0", to_account=f"{run}-1", amount=eur("1.00")
            )
            for n in range(30)
        ]

        async def single(order: TransferOrder) -> bool:
            try:
                return (await under_test.transfers.transfer(order)).status == "completed"
            except DomainError:
                return False

        racing = [asyncio.create_task(single(order)) for order in singles]
        await submit(under_test, run, [("0", "1", "1.00")] * 90)
        step = await under_test.batches.resting(run)
        paid = sum(await asyncio.gather(*racing))
        assert step.completed + paid == 100
        assert await balances(under_test, run, ["0", "1"]) == {"0": ("0.00", "0.00"), "1": ("200.00", "0.00")}
        await must_add_up(under_test)
