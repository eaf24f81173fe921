"""What comes in about standing orders: one model per POST."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, StrictInt, model_validator

from api.bodies import Amount, Body, Details, MoneyBody, Tags, must_be_above_zero, must_differ, written_out
from domain.errors import InvalidInput
from domain.model import AwareDatetime, Id, Tag, Text
from domain.standing_order_messages import Instruction, MissedRuns, StandingOrderId
from domain.timetable import Frequency, Timetable


def _written(given: object) -> object:
    if not isinstance(given, str):
        raise ValueError("an instant such as 2030-01-31T08:00:00+01:00 is needed")
    return written_out(given)


Instant = Annotated[AwareDatetime, BeforeValidator(_written)]


class NewStandingOrder(MoneyBody):
    """A transfer by a timetable; `frequency` once makes it a scheduled transfer."""

    standing_order_id: StandingOrderId | None = Field(
        default=None, description="Makes the standing order unique. Made up where it is left out."
    )
    from_account: Id
    to_account: Id
    frequency: Frequency = "once"
    first_at: Instant = Field(
        description="The first run, a whole second. Later ones are at the same local time.",
        examples=["2030-01-31T08:00:00+01:00"],
    )
    time_zone: Annotated[str, Field(min_length=1, max_length=60)] = Field(
        description="Whose clock it follows: a name of the IANA list.", examples=["Europe/Berlin"]
    )
    every_s: Annotated[StrictInt, Field(ge=1, le=366 * 24 * 3600)] | None = Field(
        default=None, description="Seconds between two runs, with frequency interval."
    )
    day_of_month: Annotated[StrictInt, Field(ge=1, le=31)] | None = Field(
        default=None, description="The first run's where it is left out. Of a shorter month it is the last day."
    )
    end_at: Instant | None = Field(default=None, description="The last instant at which it may run.")
    missed_runs: MissedRuns = Field(
        default="catch_up", description="A run that could not be made in time: make it late, or not at all."
    )
    reference: Text | None = None
    purpose: Text | None = None
    category: Tag | None = None
    tags: Tags = []
    metadata: Details = {}

    @property
    def timetable(self) -> Timetable:
        return Timetable(**{name: getattr(self, name) for name in Timetable.model_fields})

    @property
    def instruction(self) -> Instruction:
        as_they_are = {name: getattr(self, name) for name in Instruction.model_fields if name != "amount"}
        return Instruction(**{**as_they_are, "tags": tuple(self.tags)}, amount=self.money)

    @model_validator(mode="after")
    def _between_two(self) -> NewStandingOrder:
        must_differ(self.from_account, self.to_account)
        return self


class Reason(Body):
    reason: Text | None = None


class AmendStanding(Body):
    """What is left out stays. Accounts, currency and times of the runs cannot change: that is another order."""

    amount: Amount | None = Field(default=None, description="In the standing order's currency.")
    reference: Text | None = None
    purpose: Text | None = None
    end_at: Instant | None = Field(
        default=None, description="The last instant at which it may run; one before the next run ends it."
    )

    @model_validator(mode="after")
    def _amends(self) -> AmendStanding:
        if all(value is None for _, value in self):
            raise InvalidInput("nothing_to_amend", "say another amount, reference, purpose or end_at", "amount")
        must_be_above_zero(self.amount)
        return self


class SkipOne(Reason):
    run_at: Instant | None = Field(
        default=None, description="Only if this is the next run; 409 where another one is."
    )
