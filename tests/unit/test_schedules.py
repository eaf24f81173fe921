"""A schedule that is there already is brought into line, though its scheduler takes in one patch at a time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import chain, repeat
from types import SimpleNamespace
from typing import Any, cast

import pytest
from temporalio.client import Schedule, ScheduleAlreadyRunningError, ScheduleState, ScheduleUpdateInput
from temporalio.service import RPCError, RPCStatusCode

from activities.schedules import Schedules, spec_of
from domain.standing_order import StandingOrder, StandingOrderStatus
from domain.standing_order_messages import Instruction
from domain.timetable import Timetable
from tests.e2e.system import eur

NOW = datetime.now(UTC).replace(microsecond=0)
TABLE = Timetable(frequency="interval", every_s=3600, first_at=NOW, time_zone="UTC")
ORDER = StandingOrder(
    status=StandingOrderStatus.ACTIVE,
    standing_order_id="rent",
    instruction=Instruction(from_account="a", to_account="b", amount=eur("1.00")),
    timetable=TABLE,
    next_at=NOW,
)


class Scheduler:
    """As Temporal's (service/worker/scheduler): one patch and one update of what came since the last look."""

    def __init__(self, schedule: Schedule) -> None:
        self.id = "standing_order-rent"
        self._schedule = schedule
        self._patch: bool | str | None = None
        self._update: Schedule | None = None
        self.woken = 0

    async def describe(self, **_: Any) -> Any:
        match self._patch:
            case bool(paused):
                self._schedule = replace(self._schedule, state=ScheduleState(paused=paused))
            case "trigger":
                self.woken += 1
        self._schedule = self._update or self._schedule
        self._patch = self._update = None
        return SimpleNamespace(schedule=self._schedule)

    async def pause(self, **_: Any) -> None:
        self._patch = True

    async def unpause(self, **_: Any) -> None:
        self._patch = False

    async def trigger(self, **_: Any) -> None:
        self._patch = "trigger"

    async def update(self, updater: Any, **_: Any) -> None:
        described = await self.describe()
        self._update = updater(ScheduleUpdateInput(description=described)).schedule


class Gone:
    """A schedule that somebody has taken away since we tried to create it."""

    id = "standing_order-rent"

    async def describe(self, **_: Any) -> Any:
        raise RPCError("schedule not found", RPCStatusCode.NOT_FOUND, b"")

    delete = describe


def schedules(handle: Scheduler | Gone, *orders: StandingOrder) -> Schedules:
    """Over a log that says one of `orders` after the other, the last of them for good."""
    said = chain(orders, repeat(orders[-1]))

    async def state(_stream: str) -> StandingOrder:
        return next(said)

    async def create_schedule(*_: Any, **__: Any) -> None:
        raise ScheduleAlreadyRunningError

    client = SimpleNamespace(get_schedule_handle=lambda _id: handle, create_schedule=create_schedule)
    return Schedules(cast("Any", client), cast("Any", SimpleNamespace(state=state)), "queue")


async def followed(scheduler: Scheduler, order: StandingOrder) -> Schedule:
    """What the schedule is once `follow` is done."""
    await schedules(scheduler, order).follow("rent")
    return cast("Schedule", (await scheduler.describe()).schedule)


def a_schedule(*, paused: bool) -> Schedule:
    return Schedule(action=cast("Any", None), spec=spec_of(TABLE), state=ScheduleState(paused=paused))


async def test_a_paused_one_goes_on_and_wakes_for_the_run_that_is_due() -> None:
    scheduler = Scheduler(a_schedule(paused=True))
    assert not (await followed(scheduler, ORDER)).state.paused
    assert scheduler.woken == 1


@pytest.mark.parametrize("paused", [False, True])
async def test_it_is_paused_or_goes_on_to_its_amended_end(paused: bool) -> None:
    table = TABLE.model_copy(update={"end_at": NOW + timedelta(days=3)})
    status = StandingOrderStatus.PAUSED if paused else StandingOrderStatus.ACTIVE
    schedule = await followed(
        Scheduler(a_schedule(paused=not paused)), replace(ORDER, timetable=table, status=status)
    )
    assert (schedule.state.paused, schedule.spec.end_at) == (paused, table.end_at)


async def test_one_that_was_taken_away_meanwhile_since_its_order_is_over_is_looked_at_again() -> None:
    over = replace(ORDER, status=StandingOrderStatus.ENDED)
    assert (await schedules(Gone(), ORDER, over).follow("rent")).status is StandingOrderStatus.ENDED


async def test_one_that_stays_away_though_its_order_is_open_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("activities.schedules.CALL_TIMEOUT_S", 0.1)
    with pytest.raises(RPCError, match="schedule not found"):
        await schedules(Gone(), ORDER).follow("rent")
