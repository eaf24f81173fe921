"""StandingOrder: the same transfer again and again, by a timetable; a scheduled transfer is one that runs once.

– ──► ACTIVE ◄──► PAUSED        either ──► CANCELLED; no run left ──► ENDED

Which run comes next stands in the log. Whoever wakes it, however late or often, gets no other and none twice.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import assert_never

from domain.errors import Conflict, InvalidInput, NotFound
from domain.standing_order_messages import (
    AmendStandingOrder,
    CancelStandingOrder,
    CreateStandingOrder,
    Instruction,
    MissedRuns,
    PauseStandingOrder,
    RecordFailedRun,
    RecordMissedRun,
    RecordRun,
    ResumeStandingOrder,
    RunFailed,
    RunMade,
    RunMissed,
    RunSkipped,
    SkipRun,
    StandingOrderAmended,
    StandingOrderCancelled,
    StandingOrderCommand,
    StandingOrderCreated,
    StandingOrderEnded,
    StandingOrderEvent,
    StandingOrderPaused,
    StandingOrderResumed,
)
from domain.status import must_be_in
from domain.timetable import Timetable, check, check_end, run_after
from domain.transfer import must_move


class StandingOrderStatus(StrEnum):
    NONE = "none"
    ACTIVE = "active"
    PAUSED = "paused"
    ENDED = "ended"
    CANCELLED = "cancelled"


S = StandingOrderStatus
OPEN = (S.ACTIVE, S.PAUSED)
"""In these it has a schedule in Temporal."""


@dataclass(frozen=True, slots=True)
class StandingOrder:
    """`next_at`: of the first run that has no outcome yet."""

    standing_order_id: str = ""
    status: StandingOrderStatus = S.NONE
    user_id: str = ""
    instruction: Instruction | None = None
    timetable: Timetable | None = None
    missed_runs: MissedRuns = "catch_up"
    next_at: datetime | None = None
    made: int = 0
    failed: int = 0
    missed: int = 0
    skipped: int = 0

    def must_exist(self) -> None:
        if self.status is S.NONE:
            raise NotFound("standing_order_not_found", "standing order does not exist", "standing_order_id")

    def must_be(self, *allowed: StandingOrderStatus) -> None:
        self.must_exist()
        must_be_in(allowed, "standing_order", self.standing_order_id, self.status)

    def runs_next(self, at: datetime) -> datetime | None:
        """The run that is due at `at`, if one is."""
        due = self.status is S.ACTIVE and self.next_at is not None and self.next_at <= at
        return self.next_at if due else None

    def run_after(self, instant: datetime) -> datetime | None:
        assert self.timetable is not None
        return run_after(self.timetable, instant)


def initial() -> StandingOrder:
    """A standing order nobody has created."""
    return StandingOrder()


def transfer_id_of(standing_order_id: str, run_at: datetime) -> str:
    """The transfer of one run: the same, whoever makes the run."""
    return f"{standing_order_id}-{run_at:%Y%m%dT%H%M%SZ}"


def decide(command: StandingOrderCommand, order: StandingOrder) -> list[StandingOrderEvent]:
    """The events `command` causes, or a DomainError."""
    match command:
        case CreateStandingOrder():
            return [_create(command, order)]
        case PauseStandingOrder(reason=reason):
            order.must_be(S.ACTIVE)
            return [StandingOrderPaused(reason=reason)]
        case ResumeStandingOrder(at=at):
            order.must_be(S.PAUSED)
            next_at = order.next_at
            if next_at is not None and next_at <= at:
                next_at = order.run_after(at)
            return _ended_by(StandingOrderResumed(next_at=next_at))
        case AmendStandingOrder():
            return _amend(command, order)
        case SkipRun():
            return _skip(command, order)
        case CancelStandingOrder(reason=reason):
            order.must_be(*OPEN)
            return [StandingOrderCancelled(reason=reason)]
        case RecordRun(run_at=run_at, transfer_id=transfer_id):
            _must_be_due(order, run_at)
            return _ended_by(RunMade(run_at=run_at, transfer_id=transfer_id, next_at=order.run_after(run_at)))
        case RecordFailedRun(run_at=run_at, transfer_id=transfer_id, code=code, reason=reason):
            _must_be_due(order, run_at)
            next_at = order.run_after(run_at)
            failed = RunFailed(run_at=run_at, transfer_id=transfer_id, code=code, reason=reason, next_at=next_at)
            return _ended_by(failed)
        case RecordMissedRun(at=at, run_at=run_at):
            _must_be_due(order, run_at)
            late_s = int((at - run_at).total_seconds())
            return _ended_by(RunMissed(run_at=run_at, late_s=late_s, next_at=order.run_after(run_at)))
        case _:
            assert_never(command)


def _create(command: CreateStandingOrder, order: StandingOrder) -> StandingOrderCreated:
    if order.status is not S.NONE:
        raise Conflict("standing_order_exists", f"standing order {command.standing_order_id} exists already")
    check(command.timetable, command.at)
    given = {name: value for name, value in command if name != "at"}
    return StandingOrderCreated(next_at=command.timetable.first_at, **given)


def _amend(command: AmendStandingOrder, order: StandingOrder) -> list[StandingOrderEvent]:
    order.must_be(*OPEN)
    instruction, table = order.instruction, order.timetable
    assert instruction is not None
    assert table is not None
    wanted = {name: value for name, value in command if name != "at" and value is not None}
    if not wanted:
        raise InvalidInput("nothing_to_amend", "say another amount, reference, purpose or end_at", "amount")
    if command.amount is not None:
        if command.amount.currency != instruction.amount.currency:
            message = f"the standing order is in {instruction.amount.currency}, not in {command.amount.currency}"
            raise InvalidInput("currency_mismatch", message, "currency")
        must_move(command.amount, instruction.from_account, instruction.to_account)
    if command.end_at is not None:
        check_end(table, command.end_at, command.at)
    end_at = wanted.get("end_at", table.end_at)
    past_its_end = end_at is not None and order.next_at is not None and order.next_at > end_at
    amended = StandingOrderAmended(
        amount=wanted.get("amount", instruction.amount),
        reference=wanted.get("reference", instruction.reference),
        purpose=wanted.get("purpose", instruction.purpose),
        end_at=end_at,
        next_at=None if past_its_end else order.next_at,
    )
    return _ended_by(amended)


def _skip(command: SkipRun, order: StandingOrder) -> list[StandingOrderEvent]:
    order.must_be(*OPEN)
    assert order.next_at is not None
    if command.run_at not in (None, order.next_at):
        raise Conflict("not_the_next_run", f"the next run is at {order.next_at.isoformat()}", "run_at")
    next_at = order.run_after(order.next_at)
    return _ended_by(RunSkipped(run_at=order.next_at, reason=command.reason, next_at=next_at))


def _must_be_due(order: StandingOrder, run_at: datetime) -> None:
    order.must_be(S.ACTIVE)
    if run_at != order.next_at:
        raise Conflict("not_the_next_run", f"the next run is at {order.next_at}")


def _ended_by(
    event: StandingOrderResumed | StandingOrderAmended | RunSkipped | RunMade | RunFailed | RunMissed,
) -> list[StandingOrderEvent]:
    return [event, StandingOrderEnded()] if event.next_at is None else [event]


def evolve(order: StandingOrder, event: StandingOrderEvent) -> StandingOrder:
    """The standing order after `event`."""
    match event:
        case StandingOrderCreated():
            return StandingOrder(
                standing_order_id=event.standing_order_id,
                status=S.ACTIVE,
                user_id=event.user_id,
                instruction=event.instruction,
                timetable=event.timetable,
                missed_runs=event.missed_runs,
                next_at=event.next_at,
            )
        case StandingOrderPaused():
            return replace(order, status=S.PAUSED)
        case StandingOrderResumed(next_at=next_at):
            return replace(order, status=S.ACTIVE, next_at=next_at)
        case StandingOrderAmended():
            assert order.instruction is not None
            assert order.timetable is not None
            terms = {"amount": event.amount, "reference": event.reference, "purpose": event.purpose}
            return replace(
                order,
                instruction=order.instruction.model_copy(update=terms),
                timetable=order.timetable.model_copy(update={"end_at": event.end_at}),
                next_at=event.next_at,
            )
        case RunMade(next_at=next_at):
            return replace(order, made=order.made + 1, next_at=next_at)
        case RunFailed(next_at=next_at):
            return replace(order, failed=order.failed + 1, next_at=next_at)
        case RunMissed(next_at=next_at):
            return replace(order, missed=order.missed + 1, next_at=next_at)
        case RunSkipped(next_at=next_at):
            return replace(order, skipped=order.skipped + 1, next_at=next_at)
        case StandingOrderEnded():
            return replace(order, status=S.ENDED)
        case StandingOrderCancelled():
            return replace(order, status=S.CANCELLED)
        case _:
            assert_never(event)
