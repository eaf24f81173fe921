"""Orders on real parts: workers killed around every commit, a cancel that races a fill, orders repaired."""

from __future__ import annotations

import asyncio
import signal
import uuid
from pathlib import Path

import pytest

from activities.trading_steps import CancelOrderWish
from domain.errors import Conflict
from operations.repair import restart
from tests.e2e import trading
from tests.e2e.system import eur, system
from tests.e2e.trading import market, order, symbol_of
from tests.fixtures.stack import TemporalAddress

STEPS = {
    "order.place": trading.traded,
    "order.cancel": trading.traded,
    "order.amend": trading.amended,
    "order.expire": trading.expired,
    "trade.settle": trading.traded,
    "trade.bust": trading.busted,
}
AT_ONCE = asyncio.Semaphore(4)


def new_run(name: str) -> str:
    return f"{name}-{uuid.uuid4().hex[:6]}"


@pytest.mark.timeout(600)
async def test_a_worker_killed_at_any_step_of_an_order_loses_and_doubles_nothing(
    database_url: str, temporal_server: TemporalAddress, tmp_path: Path
) -> None:
    points = [f"{step}:{when}_commit" for step in STEPS for when in ("before", "after")]

    async def one(point: str) -> None:
        async with AT_ONCE:
            await killed_at(point, database_url, temporal_server.address, tmp_path)

    results = await asyncio.gather(*map(one, points), return_exceptions=True)
    failed = {point: result for point, result in zip(points, results, strict=True) if result is not None}
    assert not failed, "\n".join(f"{point}: {result!r}" for point, result in failed.items())
    async with system(database_url, temporal_server.address) as under_test:
        audit = await under_test.audit()
        assert audit.findings == []
        assert (audit.open_streams(), audit.open_trades) == (set(), set())
        assert all(total.difference == 0 for total in audit.conservation().values())


async def killed_at(point: str, database_url: str, temporal: str, scratch: Path) -> None:
    run = new_run(point.replace(":", "-").replace("_", "-"))
    gate, once = scratch / f"{run}.gate", scratch / f"{run}.once"
    scenario = STEPS[point.partition(":")[0]]
    given = trading.environment(scenario, gate)
    given["TIDEMARK_FAILPOINT"] = ",".join(filter(None, (point, given.get("TIDEMARK_FAILPOINT"))))
    async with (
        system(database_url, temporal, f"crash-{run}") as under_test,
        under_test.worker(**given, TIDEMARK_FAILPOINT_ONCE=str(once)) as worker,
    ):
        await trading.start(worker, scenario)
        running = asyncio.create_task(scenario(under_test, run, gate))
        dying = asyncio.create_task(worker.ended())
        await asyncio.wait([running, dying], return_when=asyncio.FIRST_COMPLETED, timeout=90)
        assert once.exists(), f"the worker never came to {point}: {worker.tail()}"
        assert await dying == -9
        await worker.start()
        async with asyncio.timeout(90):
            await running


async def test_a_cancel_that_races_a_fill_is_answered_with_what_it_achieved(
    database_url: str, temporal_server: TemporalAddress
) -> None:
    """Two processes, so that the book's conflicts between them are met too."""
    async with (
        system(database_url, temporal_server.address) as under_test,
        under_test.worker() as first,
        under_test.worker() as second,
    ):
        await asyncio.gather(first.start(), second.start())
        run = new_run("race")
        sellers = [f"s{number}" for number in range(6)]
        await market(under_test, run, *sellers)
        for who in sellers:
            await under_test.orders.place(order(run, who, "sell", 10, "1.00"))
        cancels = [under_test.orders.cancel(f"{run}-{who}", CancelOrderWish(wish_id="c1")) for who in sellers[:3]]
        buying = under_test.orders.place(order(run, "ann", "buy", 60, "1.00", tif="IOC"))
        bought, *answers = await asyncio.gather(buying, *cancels, return_exceptions=True)
        assert not isinstance(bought, BaseException)
        cancelled = [answer for answer in answers if not isinstance(answer, BaseException)]
        refused = [answer for answer in answers if isinstance(answer, BaseException)]
        assert all(isinstance(answer, Conflict) for answer in refused), refused
        assert {(step.status, step.filled) for step in cancelled} <= {("cancelled", 0)}
        assert bought.filled == 60 - 10 * len(cancelled)
        for who in sellers[3:]:
            assert (await trading.ended(under_test, f"{run}-{who}")).status == "filled"
        assert await under_test.balance(f"{run}-ann-shares") == (str(bought.filled), "0")
        audit = await under_test.audit()
        assert (audit.findings, audit.open_trades) == ([], set())


async def test_an_order_whose_workflow_is_gone_is_repaired_and_settles(
    database_url: str, temporal_server: TemporalAddress, tmp_path: Path
) -> None:
    run, gate = new_run("repair"), tmp_path / "gate"
    async with (
        system(database_url, temporal_server.address) as under_test,
        under_test.worker(TIDEMARK_FAILPOINT=f"trade.settle:before_commit=pause:{gate}") as worker,
    ):
        await worker.start()
        await market(under_test, run, "bob")
        await under_test.orders.place(order(run, "bob", "sell", 60, "2.00"))
        await under_test.orders.start(order(run, "ann", "buy", 60, "2.00"))
        while not Path(f"{gate}.reached").exists():
            await asyncio.sleep(0.02)
        worker.send(signal.SIGKILL)
        await worker.ended()
        for who in ("ann", "bob"):
            await under_test.client.get_workflow_handle(f"order-{run}-{who}").terminate("by hand")
        gate.touch()
        await worker.start()
        audit = await under_test.audit()
        assert audit.open_streams() == {f"order-{run}-ann", f"order-{run}-bob"}
        assert len(audit.open_trades) == 1
        with pytest.raises(Conflict, match="nothing of it waits") as gone:
            await under_test.orders.cancel(f"{run}-ann", CancelOrderWish(wish_id="c1"))
        assert gone.value.code == "order_matched"
        for who in ("ann", "bob"):
            await restart(under_test.client, under_test.books.store, under_test.settings, f"order-{run}-{who}")
            assert (await trading.ended(under_test, f"{run}-{who}")).status == "filled"
        assert (await under_test.audit()).open_trades == set()
        assert await under_test.balance(f"{run}-bob-cash") == ("120.00", "0.00")


async def test_an_order_is_placed_once_however_often_it_is_asked_for(
    database_url: str, temporal_server: TemporalAddress
) -> None:
    run = new_run("same")
    async with system(database_url, temporal_server.address) as under_test, under_test.worker() as worker:
        await worker.start()
        await market(under_test, run, "bob")
        wanted = order(run, "ann", "buy", 100, "1.00")
        steps = await asyncio.gather(*(under_test.orders.place(wanted) for _ in range(8)))
        assert {step.status.value for step in steps} == {"accepted"}
        assert await under_test.balance(f"{run}-ann-cash") == ("1000.00", "100.00")
        with pytest.raises(Conflict) as conflict:
            await under_test.orders.place(wanted.model_copy(update={"price": eur("2.00")}))
        assert conflict.value.code == "idempotency_conflict"
        await under_test.market.halt(symbol_of(run), "h1", "news")
        assert (await under_test.orders.place(order(run, "bob", "sell", 1, "1.00"))).status == "rejected"
        step = await under_test.orders.cancel(f"{run}-ann", CancelOrderWish(wish_id="c1"))
        assert step == await under_test.orders.cancel(f"{run}-ann", CancelOrderWish(wish_id="c1"))
