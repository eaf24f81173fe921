"""Standing orders on real parts: a Temporal server's schedules, workers that come late or are killed, the log."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.client import (
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleBackfill,
    ScheduleOverlapPolicy,
    ScheduleState,
)

from activities.schedules import Schedules, spec_of
from activities.standing_order_steps import (
    AmendStandingOrderWish,
    CancelStandingOrderWish,
    PauseOrderWish,
    ResumeOrderWish,
    SkipRunWish,
    WakeUp,
)
from activities.standing_orders import StandingOrderActivities
from domain.errors import Conflict
from domain.standing_order import transfer_id_of
from domain.timetable import Timetable, run_after
from operations import schedules as checking
from operations.schedules import check_schedules
from tests.e2e.standing import SECOND, each_second, ended, schedules_of, soon, until, wanted
from tests.e2e.system import System, eur, system
from tests.fixtures.operating import Operator, settling
from tests.fixtures.stack import TemporalAddress
from wiring import connect_temporal

# Ahead for as long as these tests will be run.
YEARS = ("2086-11-30T12:34:56", "2087-01-31T08:00:00", "2088-02-29T23:59:59", "2087-10-24T03:30:00")
TABLES = [
    *(
        Timetable(frequency=frequency, first_at=f"{first}Z", time_zone=zone)
        for first in YEARS
        for frequency, zone in (
            ("once", "UTC"),
            ("daily", "Europe/Berlin"),
            ("weekly", "America/New_York"),
            ("monthly", "Asia/Kolkata"),
            ("quarterly", "Europe/Berlin"),
            ("yearly", "Australia/Lord_Howe"),
        )
    ),
    Timetable(frequency="interval", every_s=1234, first_at="2086-12-01T01:02:03Z", time_zone="UTC"),
    Timetable(frequency="daily", first_at="2086-12-01T01:02:03Z", end_at="2086-12-03T01:02:03Z", time_zone="UTC"),
    Timetable(frequency="monthly", first_at="2087-11-30T07:00:00Z", time_zone="Europe/Berlin", day_of_month=31),
]


@pytest.fixture
async def under_test(database_url: str, temporal_server: TemporalAddress) -> AsyncIterator[System]:
    async with system(database_url, temporal_server.address) as running:
        yield running


@pytest.fixture
async def run(under_test: System) -> str:
    """Of this test alone: an account with 100.00 EUR, and one without."""
    name = f"so-{uuid.uuid4().hex[:8]}"
    await under_test.open_account(f"{name}-a", "100.00")
    await under_test.open_account(f"{name}-b")
    return name


async def test_temporal_wakes_exactly_when_the_log_wants_a_run(temporal_server: TemporalAddress) -> None:
    client = await connect_temporal(temporal_server.address)
    for table in TABLES:
        name = f"standing_order-{uuid.uuid4()}"
        action = ScheduleActionStartWorkflow("Nothing", id=name, task_queue="nobody")
        handle = await client.create_schedule(
            name, Schedule(action=action, spec=spec_of(table), state=ScheduleState(paused=True))
        )
        told = (await handle.describe()).info.next_action_times
        await handle.delete()
        at, ours = datetime.now(UTC), list[datetime]()
        while len(ours) < 10 and (following := run_after(table, at)) is not None:
            ours.append(following)
            at = following
        assert list(told) == ours, table
        assert ours, table


async def test_it_runs_at_its_times_and_a_pause_holds_whatever_wakes_it(under_test: System, run: str) -> None:
    orders = under_test.standing_orders
    async with under_test.worker() as worker:
        await worker.start()
        first_at, short = soon(3), f"{run}-short"
        step = await orders.create(each_second(run, first_at, 3, order_id=short))
        assert (step.status, step.next_at) == ("active", first_at)
        await orders.create(each_second(run, first_at, 60))
        await orders.pause(run, PauseOrderWish(wish_id="p1"))
        schedule = under_test.client.get_schedule_handle(f"standing_order-{run}")
        assert (await schedule.describe()).schedule.state.paused
        await schedule.unpause(note="by a zombie")
        second = SkipRunWish(wish_id="s0", run_at=first_at + SECOND)
        with pytest.raises(Conflict, match="the next run"):
            await orders.skip(short, second)
        step = await orders.skip(short, SkipRunWish(wish_id="s1"))
        assert (step.next_at, step.skipped) == (first_at + SECOND, 1)
        assert step == await orders.skip(short, SkipRunWish(wish_id="s1")), "the same wish, once"

        async def woken() -> bool:
            return (await schedule.describe()).info.num_actions >= 2

        await until(woken)
        step = await orders.show(run)
        assert (step.status, step.made, step.next_at) == ("paused", 0, None)
        step = await orders.resume(run, ResumeOrderWish(wish_id="r1"))
        assert step.next_at is not None
        assert step.next_at > first_at + SECOND, "what came due meanwhile is passed over"

        async def ran_twice() -> bool:
            return (await orders.show(run)).made >= 2

        await until(ran_twice)
        step = await orders.cancel(run, CancelStandingOrderWish(wish_id="c1"))
        assert await schedules_of(under_test).described(run) is None
        after = await ended(under_test, short)
        assert (after.status, after.made, after.skipped, after.failed) == ("ended", 2, 1, 0)
        assert await under_test.balance(f"{run}-b") == (f"{step.made + 2}0.00", "0.00")
        made = [e for e in await under_test.books.store.load(f"standing_order-{short}") if e.type == "RunMade"]
        late = [event.recorded_at - datetime.fromisoformat(event.data["run_at"]) for event in made]
        assert all(timedelta() <= by < 10 * SECOND for by in late), late


async def test_an_amendment_changes_the_runs_to_come_and_when_temporal_wakes(
    under_test: System, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One run at the old amount; then dearer, and three runs longer than it was to run at first."""
    orders, schedules, first_at = under_test.standing_orders, schedules_of(under_test), soon(3)
    await orders.create(each_second(run, first_at, 2))
    longer = AmendStandingOrderWish(wish_id="a1", end_at=first_at + 4 * SECOND)

    async def killed(_self: Schedules, _order_id: str) -> None:
        raise SystemExit

    with monkeypatch.context() as crashing:
        crashing.setattr(Schedules, "follow", killed)
        with pytest.raises(SystemExit):
            await orders.amend(run, longer)
    _, findings = await check_schedules(schedules, [run])
    assert [finding.code for finding in findings] == ["schedule_differs"]
    await orders.amend(run, longer)
    assert (await check_schedules(schedules, [run]))[1] == [], "asked again, it has followed"
    async with under_test.worker() as worker:
        await worker.start()

        async def ran() -> bool:
            return (await orders.show(run)).made >= 1

        await until(ran)
        cheap = await orders.amend(run, AmendStandingOrderWish(wish_id="a2", amount=eur("5.00")))
        after = await ended(under_test, run)
    assert (after.status, after.made, after.failed) == ("ended", 5, 0)
    moved = cheap.made * 10 + (5 - cheap.made) * 5
    assert await under_test.balance(f"{run}-b") == (f"{moved}.00", "0.00")
    assert (await under_test.audit()).findings == []


async def test_runs_while_no_worker_was_there_and_killed_ones_are_made_once_or_missed(
    under_test: System, run: str
) -> None:
    """And what is woken again for times that are over, by a backfill and by hand, moves nothing again."""
    first_at = soon()
    for policy in ("catch_up", "skip"):
        request = each_second(run, first_at, 2, order_id=f"{run}-{policy}", missed_runs=policy)
        await under_test.standing_orders.create(request)
    await asyncio.sleep((first_at + 2 * SECOND - datetime.now(UTC)).total_seconds())
    async with under_test.worker(TIDEMARK_STANDING_ORDER_GRACE_S="1") as worker:
        await worker.start(TIDEMARK_FAILPOINT="standing_order.run:before_commit")
        assert await worker.ended() == -9
        assert await under_test.balance(f"{run}-a") == ("100.00", "0.00")
        await worker.start(TIDEMARK_FAILPOINT="standing_order.run:after_commit")
        assert await worker.ended() == -9
        await worker.start()
        caught_up = await ended(under_test, f"{run}-catch_up")
        assert (caught_up.status, caught_up.made, caught_up.missed) == ("ended", 2, 0)
        step = await ended(under_test, f"{run}-skip")
        assert (step.status, step.made, step.missed) == ("ended", 0, 2)
        again = await under_test.client.create_schedule(
            f"again-{run}",
            Schedule(
                action=ScheduleActionStartWorkflow(
                    "StandingOrderRunWorkflow",
                    caught_up.standing_order_id,
                    id=f"again-{run}",
                    task_queue=under_test.settings.task_queue,
                ),
                spec=spec_of(caught_up.timetable),
                state=ScheduleState(paused=True),
            ),
        )
        done = f"WorkflowId STARTS_WITH 'again-{run}' AND ExecutionStatus = 'Completed'"

        def woken(times: int) -> Callable[[], Awaitable[bool]]:
            async def so_often() -> bool:
                return (await under_test.client.count_workflows(done)).count == times

            return so_often

        # One after the other: of two patches that reach it together the scheduler forgets the first.
        await again.trigger(overlap=ScheduleOverlapPolicy.ALLOW_ALL)
        await until(woken(1))
        both = ScheduleBackfill(first_at - SECOND, first_at + SECOND, ScheduleOverlapPolicy.ALLOW_ALL)
        await again.backfill(both)
        await until(woken(3))
        await again.delete()
        assert await under_test.standing_orders.show(f"{run}-catch_up") == caught_up
    assert await under_test.balance(f"{run}-b") == ("20.00", "0.00")
    assert (await under_test.audit()).findings == []


@pytest.mark.usefixtures(settling.__name__)
async def test_what_a_crash_has_parted_is_found_and_mended(
    under_test: System, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each step in the log the process dies, before the schedule follows."""
    orders, schedules, far = under_test.standing_orders, schedules_of(under_test), soon(3600)
    monkeypatch.setattr(checking, "OVERDUE", timedelta())
    for name in ("paused", "cancelled"):
        await orders.create(wanted(run, each_second(run, far, 9).timetable, order_id=f"{run}-{name}"))

    async def killed(_self: Schedules, _order_id: str) -> None:
        raise SystemExit

    due = soon()
    with monkeypatch.context() as crashing:
        crashing.setattr(Schedules, "follow", killed)
        for name, wish in (("paused", orders.pause), ("cancelled", orders.cancel)):
            kind = PauseOrderWish if name == "paused" else CancelStandingOrderWish
            with pytest.raises(SystemExit):
                await wish(f"{run}-{name}", kind(wish_id="w1"))  # type: ignore[arg-type]
        for name, first_at in (("created", far), ("late", due), ("lost", due)):
            with pytest.raises(SystemExit):
                await orders.create(each_second(run, first_at, 1, order_id=f"{run}-{name}"))
    await asyncio.sleep((due + SECOND - datetime.now(UTC)).total_seconds())
    await schedules._create(await schedules.order(f"{run}-late"), paused=False)  # it has slept through its time
    activities = StandingOrderActivities(under_test.client, under_test.ledger, under_test.settings)
    step = await activities.make_run(WakeUp(standing_order_id=f"{run}-lost", at=due))
    assert step.transfer is not None

    async with under_test.worker() as worker:
        await worker.start()
        operator = Operator(under_test)
        await operator.take_in()
        broken = {
            ("schedule_differs", f"standing_order-{run}-paused"),
            ("schedule_orphaned", f"standing_order-{run}-cancelled"),
            ("schedule_missing", f"standing_order-{run}-created"),
            ("run_overdue", f"standing_order-{run}-late"),
            ("workflow_missing", f"transfer-{transfer_id_of(f'{run}-lost', due)}"),
        }
        assert set(await operator.found()) == broken
        assert {(one.code, one.where) for one in await operator.repair() if not one.failed} == broken
        for name in ("late", "lost"):
            assert (await ended(under_test, f"{run}-{name}")).made == 1
        assert await under_test.balance(f"{run}-b") == ("20.00", "0.00")
        assert await check_schedules(schedules, (await under_test.audit()).open_standing_orders) == (2, [])
