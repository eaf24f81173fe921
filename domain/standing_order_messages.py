"""The commands a standing order takes and the events it records."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from domain.model import AwareDatetime, Command, Event, Id, Metadata, Tag, Text
from domain.money import Money
from domain.timetable import Timetable, Utc

StandingOrderId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,79}$")]
"""As any id, and short enough for a run's transfer to be named after it."""

MissedRuns = Literal["catch_up", "skip"]
"""What becomes of a run that could not be made in time: it is made late, or not at all."""


class Instruction(BaseModel):
    """What each run transfers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    from_account: Id
    to_account: Id
    amount: Money
    reference: Text | None = None
    purpose: Text | None = None
    category: Tag | None = None
    tags: tuple[Tag, ...] = Field(default=(), max_length=20)
    metadata: Metadata = Field(default={}, max_length=20)


# --- commands ------------------------------------------------------------


class StandingOrderTerms(Command):
    standing_order_id: StandingOrderId
    instruction: Instruction
    timetable: Timetable
    missed_runs: MissedRuns


class CreateStandingOrder(StandingOrderTerms):
    user_id: Id


class PauseStandingOrder(Command):
    reason: Text | None = None


class ResumeStandingOrder(Command):
    """Runs that came due meanwhile are passed over."""


class AmendStandingOrder(Command):
    """What is None stays. Accounts, currency and times of its runs are what the order is: they do not change."""

    amount: Money | None = None
    reference: Text | None = None
    purpose: Text | None = None
    end_at: Utc | None = None


class SkipRun(Command):
    """The next run; only if it is the one at `run_at`, where that is said."""

    run_at: AwareDatetime | None = None
    reason: Text | None = None


class CancelStandingOrder(Command):
    """No run more. What runs have started goes on."""

    reason: Text | None = None


class RecordRun(Command):
    """The run's transfer is opened by the very append that records this."""

    run_at: AwareDatetime
    transfer_id: Id


class RecordFailedRun(Command):
    """Nothing moved; `transfer_id` is of a transfer that was rejected, if there is one."""

    run_at: AwareDatetime
    transfer_id: Id | None
    code: Id
    reason: Text


class RecordMissedRun(Command):
    run_at: AwareDatetime


StandingOrderCommand = (
    CreateStandingOrder
    | PauseStandingOrder
    | ResumeStandingOrder
    | AmendStandingOrder
    | SkipRun
    | CancelStandingOrder
    | RecordRun
    | RecordFailedRun
    | RecordMissedRun
)

# --- events ------------------------------------------------------------


class StandingOrderCreated(Event):
    """`next_at` of this and later events: when it runs next; none where no run is left."""

    standing_order_id: StandingOrderId
    user_id: Id
    instruction: Instruction
    timetable: Timetable
    missed_runs: MissedRuns
    next_at: AwareDatetime


class StandingOrderPaused(Event):
    reason: Text | None = None


class StandingOrderResumed(Event):
    next_at: AwareDatetime | None = None


class StandingOrderAmended(Event):
    """As it is from now on: runs that come later are made by it."""

    amount: Money
    reference: Text | None = None
    purpose: Text | None = None
    end_at: AwareDatetime | None = None
    next_at: AwareDatetime | None = None


class RunSkipped(Event):
    """As its user wished."""

    run_at: AwareDatetime
    reason: Text | None = None
    next_at: AwareDatetime | None = None


class RunMade(Event):
    """Its transfer is on its way; how that ends, the transfer says."""

    run_at: AwareDatetime
    transfer_id: Id
    next_at: AwareDatetime | None = None


class RunFailed(Event):
    """It was made, and the transfer was refused."""

    run_at: AwareDatetime
    transfer_id: Id | None = None
    code: Id
    reason: Text
    next_at: AwareDatetime | None = None


class RunMissed(Event):
    """It could not be made in time, and its standing order skips such runs."""

    run_at: AwareDatetime
    late_s: int
    next_at: AwareDatetime | None = None


class StandingOrderEnded(Event):
    """No run is left."""


class StandingOrderCancelled(Event):
    reason: Text | None = None


StandingOrderEvent = (
    StandingOrderCreated
    | StandingOrderPaused
    | StandingOrderResumed
    | StandingOrderAmended
    | RunSkipped
    | RunMade
    | RunFailed
    | RunMissed
    | StandingOrderEnded
    | StandingOrderCancelled
)
