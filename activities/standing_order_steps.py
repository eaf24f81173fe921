"""What is asked of standing orders, and what comes back. Plain data; no I/O."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from activities.steps import Data, TransferOrder, Wish
from domain.model import AwareDatetime, Id, Text
from domain.money import Money
from domain.standing_order import StandingOrder, StandingOrderStatus, transfer_id_of
from domain.standing_order_messages import Instruction, MissedRuns, StandingOrderId
from domain.timetable import Timetable

ACTOR = "standing-order"
"""Who asks for the transfers of runs."""


class StandingOrderRequest(Data):
    """What a user wants again and again, or once at a later time. `standing_order_id` is the business id."""

    standing_order_id: StandingOrderId
    instruction: Instruction
    timetable: Timetable
    missed_runs: MissedRuns = "catch_up"
    actor: Id = "system"
    trace: Text | None = None


class PauseOrderWish(Wish):
    reason: Text | None = None


class ResumeOrderWish(Wish):
    pass


class AmendStandingOrderWish(Wish):
    """What is None stays."""

    amount: Money | None = None
    reference: Text | None = None
    purpose: Text | None = None
    end_at: AwareDatetime | None = None


class SkipRunWish(Wish):
    """`run_at`: only if it is this run that comes next."""

    run_at: AwareDatetime | None = None
    reason: Text | None = None


class CancelStandingOrderWish(Wish):
    reason: Text | None = None


class WakeUp(Data):
    """What a schedule's action tells: it was due `at`. `number`: how many runs it has made on this waking."""

    standing_order_id: StandingOrderId
    at: AwareDatetime
    number: int = Field(default=0, ge=0)


class RunStep(Data):
    """After one run: the transfer that has to be led on, whether another run is due, whether none will come."""

    transfer: TransferOrder | None = None
    due: bool = False
    over: bool = False


class StandingOrderStep(Data):
    """Where a standing order stands."""

    standing_order_id: str
    status: StandingOrderStatus
    user_id: str
    from_account: str
    to_account: str
    amount: Money
    timetable: Timetable
    missed_runs: MissedRuns
    next_at: AwareDatetime | None
    made: int
    failed: int
    missed: int
    skipped: int

    @classmethod
    def of(cls, order: StandingOrder) -> StandingOrderStep:
        assert order.instruction is not None
        assert order.timetable is not None
        as_they_are: dict[str, Any] = {
            name: getattr(order, name)
            for name in (
                "standing_order_id", "status", "user_id", "timetable", "missed_runs", "made", "failed", "missed",
                "skipped",
            )
        }  # fmt: skip
        return cls(
            **as_they_are,
            from_account=order.instruction.from_account,
            to_account=order.instruction.to_account,
            amount=order.instruction.amount,
            next_at=order.next_at if order.status is StandingOrderStatus.ACTIVE else None,
        )


def run_order(order: StandingOrder, run_at: AwareDatetime) -> TransferOrder:
    """The transfer of a run, as its saga is started with it."""
    assert order.instruction is not None
    transfer_id = transfer_id_of(order.standing_order_id, run_at)
    return TransferOrder(transfer_id=transfer_id, actor=ACTOR, **dict(order.instruction))
