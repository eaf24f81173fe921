"""Standing orders' schedules in Temporal against the log: each open one has one, at its times; nothing is late."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from temporalio.client import ScheduleDescription

from activities.ledger import utc_now
from activities.schedules import Schedules
from domain.standing_order import OPEN, StandingOrder, StandingOrderStatus
from domain.streams import standing_order_stream
from eventstore.verify import Finding

SETTLE_S = 3.0
"""What looks wrong is looked at twice: a schedule follows its standing order by a moment."""
OVERDUE: Final = timedelta(seconds=30)
"""A run that nobody has made, missed or refused by then, nobody was woken for."""


async def check_schedules(schedules: Schedules, open_orders: Iterable[str]) -> tuple[int, list[Finding]]:
    """How many were looked at, and the findings that still hold after a moment."""
    suspects = {*open_orders, *[found async for found in schedules.ids()]}
    findings = await _look(schedules, suspects)
    if findings:
        await asyncio.sleep(SETTLE_S)
        findings = await _look(schedules, findings)
    return len(suspects), list(findings.values())


async def _look(schedules: Schedules, suspects: Iterable[str]) -> dict[str, Finding]:
    found = {order_id: await _look_at(schedules, order_id) for order_id in sorted(suspects)}
    return {order_id: finding for order_id, finding in found.items() if finding is not None}


async def _look_at(schedules: Schedules, order_id: str) -> Finding | None:
    order, where = await schedules.order(order_id), standing_order_stream(order_id)
    described = await schedules.described(order_id)
    if order.status not in OPEN:
        if described is None:
            return None
        return Finding("schedule_orphaned", where, f"it has a schedule, but the log says {order.status.value}")
    if described is None:
        return Finding("schedule_missing", where, f"{order.status.value} in the log, but it has no schedule")
    wrong = _difference(order, described)
    if wrong is not None:
        return Finding("schedule_differs", where, wrong)
    late = order.runs_next(utc_now() - OVERDUE)
    if late is not None:
        return Finding("run_overdue", where, f"nothing has come of its run at {late.isoformat()}")
    return None


def _difference(order: StandingOrder, described: ScheduleDescription) -> str | None:
    paused = described.schedule.state.paused
    if paused is not (order.status is StandingOrderStatus.PAUSED):
        return f"{order.status.value} in the log, but its schedule is {'paused' if paused else 'not paused'}"
    assert order.timetable is not None
    if described.schedule.spec.end_at != order.timetable.end_at:
        return f"its schedule ends at {described.schedule.spec.end_at}, its timetable at {order.timetable.end_at}"
    now = utc_now()
    told = next((at for at in described.info.next_action_times if at > now), None)
    if told not in (order.run_after(now), order.run_after(utc_now())):
        return f"its schedule wakes next at {told}, its timetable says {order.run_after(now)}"
    return None
