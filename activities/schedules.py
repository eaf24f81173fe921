"""Standing orders' schedules in Temporal: alarm clocks, and no more. What runs, the log decides.

A schedule follows from its standing order in the log, so whatever has become of it, it can be made anew.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleCalendarSpec,
    ScheduleDescription,
    ScheduleHandle,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleRange,
    ScheduleSpec,
    ScheduleState,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from temporalio.service import RPCError, RPCStatusCode

from activities.ledger import Ledger, utc_now
from activities.search import KIND, search_attributes
from domain.standing_order import OPEN, StandingOrder, StandingOrderStatus
from domain.streams import STANDING_ORDER, id_of, standing_order_stream
from domain.timetable import MONTHS, Timetable
from settings import Settings

WORKFLOW: Final = "StandingOrderRunWorkflow"
RUN: Final = "standing_order_run"
"""Category of the ids of the workflows that schedules start; Temporal adds the time."""
FEBRUARY: Final = 28
"""The days of any February."""
CALL_TIMEOUT_S: Final = 10
CALL: Final = timedelta(seconds=CALL_TIMEOUT_S)
"""Of one call to Temporal: whether it was heard is unknown then, and doing it again is harmless."""
LOOK_EVERY_S: Final = 0.02
CATCH_UP: Final = timedelta(days=365)
"""A server that was away wakes for every time it has slept through: what is too late by then, the log says."""


@dataclass(frozen=True, slots=True)
class Schedules:
    """Of one task queue. `ledger` is only read; `task_timeout_s` is of the workflows that schedules start."""

    client: Client
    ledger: Ledger
    task_queue: str
    task_timeout_s: float = 10

    @classmethod
    def of(cls, client: Client, ledger: Ledger, settings: Settings) -> Schedules:
        return cls(client, ledger, settings.task_queue, settings.workflow_task_timeout_s)

    async def follow(self, standing_order_id: str) -> StandingOrder:
        """Makes the schedule what the standing order wants, and wakes it where a run is due already.

        Whoever changes the order meanwhile does the same; the last of us sees the last state, and sets that.
        """
        order, until = await self.order(standing_order_id), time.monotonic() + CALL_TIMEOUT_S
        while True:
            gone = False
            try:
                await self._set(standing_order_id, order)
            except RPCError as fault:  # its order may be over by now, and somebody has taken it away
                gone = _gone(fault) and time.monotonic() < until
                if not gone:
                    raise
                await asyncio.sleep(LOOK_EVERY_S)
            now = await self.order(standing_order_id)
            if (now.status, now.timetable) == (order.status, order.timetable) and not gone:
                return now
            order = now

    async def renew(self, standing_order_id: str) -> StandingOrder:
        """As `follow`, from scratch."""
        await self._set(standing_order_id, StandingOrder())
        return await self.follow(standing_order_id)

    async def order(self, standing_order_id: str) -> StandingOrder:
        """The standing order now, from the log."""
        found = await self.ledger.state(standing_order_stream(standing_order_id))
        assert isinstance(found, StandingOrder)
        return found

    async def _set(self, standing_order_id: str, order: StandingOrder) -> None:
        handle = self.client.get_schedule_handle(standing_order_stream(standing_order_id))
        if order.status not in OPEN:
            try:
                await handle.delete(rpc_timeout=CALL)
            except RPCError as fault:
                if not _gone(fault):
                    raise
            return
        paused = order.status is StandingOrderStatus.PAUSED
        try:
            await self._create(order, paused)
        except ScheduleAlreadyRunningError:
            await self._bring_into_line(handle, order, paused)
        if order.runs_next(utc_now()) is not None:
            await handle.trigger(rpc_timeout=CALL)

    async def _bring_into_line(self, handle: ScheduleHandle, order: StandingOrder, paused: bool) -> None:
        """Paused or not, and to its end, which may have been amended; all else of a timetable stays.

        Temporal's scheduler keeps one patch and one update at a time: of two that reach it together the first is
        forgotten. So each is seen to have arrived before the next is sent. Raises TimeoutError.
        """
        assert order.timetable is not None
        spec = spec_of(order.timetable)

        def with_its_end(given: ScheduleUpdateInput) -> ScheduleUpdate:
            return ScheduleUpdate(replace(given.description.schedule, spec=spec))

        until = time.monotonic() + CALL_TIMEOUT_S
        while time.monotonic() < until:
            there = (await handle.describe(rpc_timeout=CALL)).schedule
            if there.state.paused != paused:
                await (handle.pause(rpc_timeout=CALL) if paused else handle.unpause(rpc_timeout=CALL))
            elif there.spec.end_at != spec.end_at:
                await handle.update(with_its_end, rpc_timeout=CALL)
            else:
                return
            await asyncio.sleep(LOOK_EVERY_S)
        raise TimeoutError(
            f"Temporal did not take the change of {handle.id} in within {CALL_TIMEOUT_S} s: ask again"
        )

    async def ids(self) -> AsyncIterator[str]:
        """The standing orders that have a schedule here."""
        async for found in await self.client.list_schedules(f"{KIND.name} = '{STANDING_ORDER}'"):
            if (await found.memo()).get("task_queue") == self.task_queue:
                yield id_of(found.id)

    async def described(self, standing_order_id: str) -> ScheduleDescription | None:
        """None where there is none."""
        try:
            return await self.client.get_schedule_handle(standing_order_stream(standing_order_id)).describe(
                rpc_timeout=CALL
            )
        except RPCError as fault:
            if _gone(fault):
                return None
            raise

    async def _create(self, order: StandingOrder, paused: bool) -> None:
        assert order.instruction is not None
        assert order.timetable is not None
        instruction = order.instruction
        accounts = (instruction.from_account, instruction.to_account)
        action = ScheduleActionStartWorkflow(
            WORKFLOW,
            order.standing_order_id,
            id=f"{RUN}-{order.standing_order_id}",
            task_queue=self.task_queue,
            task_timeout=timedelta(seconds=self.task_timeout_s),
            static_summary=f"{accounts[0]} → {accounts[1]}",
            typed_search_attributes=search_attributes(RUN, "due", *accounts),
        )
        await self.client.create_schedule(
            standing_order_stream(order.standing_order_id),
            Schedule(
                action=action,
                spec=spec_of(order.timetable),
                # Runs do not wait for each other: each has a transfer of its own.
                policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.ALLOW_ALL, catchup_window=CATCH_UP),
                state=ScheduleState(paused=paused),
            ),
            memo={"task_queue": self.task_queue},
            search_attributes=TypedSearchAttributes([SearchAttributePair(KIND, STANDING_ORDER)]),
            rpc_timeout=CALL,
        )


def _gone(fault: RPCError) -> bool:
    return fault.status is RPCStatusCode.NOT_FOUND and not str(fault).startswith("Namespace ")


def spec_of(table: Timetable) -> ScheduleSpec:
    """The timetable as Temporal has it; the two agree on every instant."""
    if table.every_s is not None:
        offset = timedelta(seconds=int(table.first_at.timestamp()) % table.every_s)
        every = ScheduleIntervalSpec(timedelta(seconds=table.every_s), offset)
        return ScheduleSpec(intervals=[every], start_at=table.first_at, end_at=table.end_at)
    if table.frequency == "once":
        at = table.first_at.astimezone(UTC)
        day = replace(_each_day(at), day_of_month=_only(at.day), month=_only(at.month), year=_only(at.year))
        return ScheduleSpec(calendars=[day], time_zone_name="UTC")
    first = table.local_first
    calendars, skip = [_each_day(first)], []
    if table.frequency == "weekly":
        calendars = [replace(calendars[0], day_of_week=_only(first.isoweekday() % 7))]
    elif table.frequency in MONTHS:
        calendars = _days_of_months(first, table.day, MONTHS[table.frequency])
        if table.day > FEBRUARY:  # in leap years its last day is another
            leap = _only(FEBRUARY), _only(2), (ScheduleRange(2000, 2096, 4),)
            skip = [replace(_each_day(first), day_of_month=leap[0], month=leap[1], year=leap[2])]
    return ScheduleSpec(
        calendars=calendars,
        skip=skip,
        start_at=table.first_at,
        end_at=table.end_at,
        time_zone_name=table.time_zone,
    )


def _days_of_months(first: datetime, day: int, step: int) -> list[ScheduleCalendarSpec]:
    """Temporal knows no last day of a month: a calendar for each length of one."""
    lengths = {FEBRUARY: [2], FEBRUARY + 1: [2], 30: [4, 6, 9, 11], 31: [1, 3, 5, 7, 8, 10, 12]}
    wanted: dict[int, set[int]] = {}
    for length, months in lengths.items():
        wanted.setdefault(min(day, length), set()).update(m for m in months if (m - first.month) % step == 0)
    return [
        replace(_each_day(first), day_of_month=_only(on), month=tuple(map(ScheduleRange, sorted(months))))
        for on, months in sorted(wanted.items())
        if months
    ]


def _only(number: int) -> tuple[ScheduleRange, ...]:
    return (ScheduleRange(number),)


def _each_day(at: datetime) -> ScheduleCalendarSpec:
    """At this time of the day."""
    return ScheduleCalendarSpec(second=_only(at.second), minute=_only(at.minute), hour=_only(at.hour))
